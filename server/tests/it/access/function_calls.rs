//! A call of every server function, for the access matrix and for the tests of sensitive changes.

use domain::EventId;
use store::demo::PASSWORD;

use super::{Fields, Names};

/// A call of every server function that would succeed for someone who may.
#[expect(clippy::too_many_lines, reason = "a table: a row for each function")]
pub fn calls(names: &Names) -> Vec<(&'static str, Fields)> {
    let s = str::to_owned;
    let workspace = || ("workspace", names.workspace.clone());
    let form_workspace = || ("form[workspace]", names.workspace.clone());
    let key = || names.key.to_string();
    let unknown_event = || ("event", EventId::new().to_string());
    vec![
        (
            "accept_invitation",
            vec![
                ("form[token]", names.token.clone()),
                ("form[name]", s("Ben")),
                ("form[password]", s("seven unrelated purple teapots")),
            ],
        ),
        ("cancel_email_change", vec![]),
        (
            "cancel_invitation",
            vec![workspace(), ("invitation", names.invitation.to_string())],
        ),
        (
            "change_role",
            vec![
                form_workspace(),
                ("form[member]", names.cleo.to_string()),
                ("form[role]", s("member")),
            ],
        ),
        ("check_confirmation_link", vec![("token", s("x"))]),
        ("check_reset_link", vec![("token", s("x"))]),
        ("check_slug", vec![workspace(), ("slug", s("new-place"))]),
        ("confirm_email", vec![("form[token]", s("x"))]),
        (
            "confirm_password",
            vec![("form[current_password]", s(PASSWORD))],
        ),
        (
            "create_api_key",
            vec![
                form_workspace(),
                ("form[name]", s("Importer")),
                ("form[mode]", s("live")),
                ("form[scopes][]", s("contacts:read")),
                ("form[scopes][]", s("contacts:write")),
                ("form[current_password]", s(PASSWORD)),
            ],
        ),
        (
            "create_workspace",
            vec![("form[name]", s("Another")), ("form[slug]", s(""))],
        ),
        (
            "delete_workspace",
            vec![
                form_workspace(),
                ("form[slug]", s("acme")),
                ("form[current_password]", s(PASSWORD)),
            ],
        ),
        ("end_other_sessions", vec![]),
        ("end_session", vec![("session", names.session.clone())]),
        (
            "finish_api_key_rotation",
            vec![workspace(), ("key", names.rotating_key.to_string())],
        ),
        (
            "invite_members",
            vec![
                form_workspace(),
                ("form[email]", s("new@acme.example")),
                ("form[role]", s("member")),
            ],
        ),
        (
            "leave_workspace",
            vec![form_workspace(), ("form[slug]", s("acme"))],
        ),
        ("load_account", vec![]),
        (
            "load_api_key",
            vec![workspace(), ("key", key()), ("before", s(""))],
        ),
        (
            "load_api_keys",
            vec![
                workspace(),
                ("status", s("")),
                ("mode", s("")),
                ("search", s("")),
                ("before", s("")),
            ],
        ),
        ("load_first_path", vec![]),
        (
            "load_inbox",
            vec![workspace(), ("category", s("")), ("before", s(""))],
        ),
        ("load_invitation", vec![("token", names.token.clone())]),
        ("load_matrix", vec![]),
        (
            "load_members",
            vec![
                workspace(),
                ("status", s("")),
                ("search", s("")),
                ("after", s("")),
                ("before", s("")),
            ],
        ),
        ("load_new_workspace", vec![]),
        ("load_outbox", vec![]),
        ("load_overview", vec![workspace()]),
        ("load_surroundings", vec![workspace()]),
        (
            "load_unsubscribe",
            vec![("token", names.unsubscribe.clone())],
        ),
        ("load_workspace", vec![workspace()]),
        ("mark_all_read", vec![workspace()]),
        (
            "mark_notification",
            vec![
                workspace(),
                ("notification", names.notification.to_string()),
                ("read", s("true")),
            ],
        ),
        (
            "narrow_api_key",
            vec![
                form_workspace(),
                ("form[key]", key()),
                ("form[scopes][]", s("contacts:read")),
            ],
        ),
        (
            "remove_member",
            vec![workspace(), ("member", names.cleo.to_string())],
        ),
        (
            "rename_api_key",
            vec![
                form_workspace(),
                ("form[key]", key()),
                ("form[name]", s("Renamed")),
            ],
        ),
        (
            "rename_workspace",
            vec![form_workspace(), ("form[name]", s("Renamed"))],
        ),
        (
            "request_password_reset",
            vec![("form[email]", s("mia@acme.example"))],
        ),
        ("resend_confirmation", vec![]),
        ("resend_email_change", vec![]),
        (
            "resend_invitation",
            vec![workspace(), ("invitation", names.invitation.to_string())],
        ),
        (
            "reset_password",
            vec![
                ("form[token]", s("x")),
                ("form[password]", s("x")),
                ("form[confirm]", s("x")),
            ],
        ),
        (
            "revoke_api_key",
            vec![
                form_workspace(),
                ("form[key]", key()),
                ("form[name]", s("Website form")),
            ],
        ),
        (
            "rotate_api_key",
            vec![
                form_workspace(),
                ("form[key]", key()),
                ("form[grace]", s("day")),
                ("form[current_password]", s(PASSWORD)),
            ],
        ),
        (
            "save_profile",
            vec![
                ("form[name]", s("Somebody")),
                ("form[email]", s("cleo@acme.example")),
                ("form[current_password]", s(PASSWORD)),
            ],
        ),
        (
            "set_notification",
            vec![("switch", s("billing.email")), ("on", s("false"))],
        ),
        (
            "set_notifications",
            vec![("range", s("row.billing")), ("on", s("false"))],
        ),
        (
            "sign_in",
            vec![
                ("form[email]", s("mia@acme.example")),
                ("form[password]", s(PASSWORD)),
            ],
        ),
        ("sign_out", vec![]),
        (
            "sign_up",
            vec![
                ("form[name]", s("Zoe")),
                ("form[email]", s("zoe@new.example")),
                ("form[password]", s("seven unrelated purple teapots")),
                ("form[workspace]", s("Zoe")),
            ],
        ),
        (
            "transfer_ownership",
            vec![
                form_workspace(),
                ("form[member]", names.cleo.to_string()),
                ("form[slug]", s("acme")),
                ("form[current_password]", s(PASSWORD)),
            ],
        ),
        ("undo_cancel_invitation", vec![workspace(), unknown_event()]),
        ("undo_change_role", vec![workspace(), unknown_event()]),
        ("undo_mark_all_read", vec![workspace(), ("read_at", s("0"))]),
        ("undo_remove_member", vec![workspace(), unknown_event()]),
        ("undo_workspace_rename", vec![workspace(), unknown_event()]),
        ("undo_workspace_url", vec![workspace(), unknown_event()]),
        ("unsubscribe", vec![("token", names.unsubscribe.clone())]),
        (
            "update_password",
            vec![
                ("form[password]", s("seven unrelated purple teapots")),
                ("form[confirm]", s("seven unrelated purple teapots")),
            ],
        ),
        (
            "update_workspace_url",
            vec![form_workspace(), ("form[slug]", s("acme-corp"))],
        ),
        (
            "create_webhook",
            vec![
                form_workspace(),
                ("form[url]", s("https://hooks.acme.example/new")),
            ],
        ),
        (
            "delete_webhook",
            vec![
                form_workspace(),
                ("form[webhook]", names.webhook.clone()),
                ("form[host]", s("hooks.acme.example")),
            ],
        ),
        (
            "load_webhook",
            vec![
                workspace(),
                ("webhook", names.webhook.clone()),
                ("status", s("")),
                ("event_type", s("")),
                ("hours", s("")),
                ("before", s("")),
                ("delivery", names.delivery.clone()),
            ],
        ),
        ("load_webhooks", vec![workspace()]),
        (
            "load_credits",
            vec![
                workspace(),
                ("kind", s("")),
                ("before", s("")),
                ("payment", s("")),
            ],
        ),
        (
            "buy_credits",
            vec![form_workspace(), ("form[credits]", s("1000"))],
        ),
        (
            "set_low_balance_threshold",
            vec![form_workspace(), ("form[low_balance_threshold]", s("300"))],
        ),
        (
            "set_top_up",
            vec![
                form_workspace(),
                ("form[package]", s("1000")),
                ("form[limit]", s("100")),
            ],
        ),
        (
            "load_billing",
            vec![
                workspace(),
                ("plan", s("max")),
                ("cdr", s("")),
                ("payment", s("")),
            ],
        ),
        (
            "choose_plan",
            vec![
                form_workspace(),
                ("form[plan]", s("max")),
                ("form[cdr_mode]", s("false")),
                ("form[today]", s("19900")),
            ],
        ),
        ("load_invoice", vec![workspace(), ("number", s("1"))]),
        (
            "set_billing_details",
            vec![form_workspace(), ("form[company]", s("Acme GmbH"))],
        ),
        ("cancel_subscription", vec![workspace()]),
        ("resume_subscription", vec![workspace()]),
        ("manage_payment_method", vec![workspace()]),
        ("load_card", vec![("card", s("nothing"))]),
        (
            "choose_card",
            vec![("form[card]", s("nothing")), ("form[works]", s("yes"))],
        ),
        // The link is the proof, and nobody has one that leads nowhere.
        ("load_checkout", vec![("checkout", s("nothing"))]),
        (
            "choose_payment",
            vec![("form[checkout]", s("nothing")), ("form[choice]", s("pay"))],
        ),
        (
            "recover_deliveries",
            vec![
                workspace(),
                ("webhook", names.webhook.clone()),
                ("hours", s("24")),
            ],
        ),
        (
            "resend_delivery",
            vec![workspace(), ("delivery", names.delivery.clone())],
        ),
        (
            "rotate_webhook_secret",
            vec![form_workspace(), ("form[webhook]", names.webhook.clone())],
        ),
        (
            "set_webhook_status",
            vec![
                workspace(),
                ("webhook", names.webhook.clone()),
                ("status", s("paused")),
            ],
        ),
        (
            "show_delivery_curl",
            vec![form_workspace(), ("form[delivery]", names.delivery.clone())],
        ),
        (
            "show_webhook_secret",
            vec![form_workspace(), ("form[webhook]", names.webhook.clone())],
        ),
        (
            "test_webhook",
            vec![
                workspace(),
                ("webhook", names.webhook.clone()),
                // Refused before anything is sent: this server has no sender, and the answer would be waited for.
                ("event_type", s("no.such.type")),
            ],
        ),
        (
            "update_webhook",
            vec![
                form_workspace(),
                ("form[webhook]", names.webhook.clone()),
                ("form[url]", s("https://hooks.acme.example/wheelhouse")),
                ("form[description]", s("Changed")),
            ],
        ),
    ]
}
