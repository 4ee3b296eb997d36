//! Forms without script: their errors and results come back on their own page, and nowhere else.

use axum::http::StatusCode;

use crate::both::both;
use crate::support::Server;

/// The page that follows a form that was posted without script.
async fn answer_to(
    server: &Server,
    action: &str,
    path: &str,
    fields: &[(&'static str, String)],
) -> String {
    let mut fields = fields.to_vec();
    fields.push(("_back", path.to_owned()));
    let posted = server.submit("mia", action, &fields).await;
    let flash = posted.cookie("wheelhouse_flash").unwrap();
    let flash = format!("wheelhouse_flash={flash}");
    server.page_with("mia", path, &flash).await.body
}

both! {
    async fn a_form_without_script_comes_back_with_its_errors_and_what_was_typed(server) {
        let path = "/w/acme/settings/account";
        let fields = [
            ("_back", path.to_owned()),
            ("_form", String::new()),
            ("form[name]", " ".to_owned()),
            ("form[email]", "not an address".to_owned()),
            ("form[current_password]", "my secret".to_owned()),
        ];
        let posted = server.submit("mia", "/fn/save_profile", &fields).await;
        assert_eq!(
            (posted.status, posted.header("location")),
            (StatusCode::SEE_OTHER, path)
        );
        let flash = format!(
            "wheelhouse_flash={}",
            posted.cookie("wheelhouse_flash").unwrap()
        );
        let page = server.page_with("mia", path, &flash).await;
        assert!(
            page.body.contains("Enter a name"),
            "the error stands on the page"
        );
        assert!(
            page.body
                .contains("Enter a valid email address, like name@example.com")
        );
        assert!(
            page.body.contains("value=\"not an address\""),
            "what was typed is still there"
        );
        assert_eq!(
            page.body.matches(" autofocus").count(),
            1,
            "the page begins at the first bad field"
        );
        assert!(!page.body.contains("my secret"), "a password is not");
        assert_eq!(
            page.cookie("wheelhouse_flash").as_deref(),
            Some(""),
            "and it is over"
        );
        let later = server.page_with("mia", path, &flash).await;
        assert!(!later.body.contains("not an address"));
    }

    async fn a_switch_without_script_says_what_became_of_it(server) {
        let path = "/w/acme/settings/notifications";
        let fields = |switch: &str| {
            [
                ("_form", switch.to_owned()),
                ("switch", switch.to_owned()),
                ("on", "false".to_owned()),
            ]
        };
        let page = answer_to(
            server,
            "/fn/set_notification",
            path,
            &fields("billing.email"),
        )
        .await;
        assert!(page.contains("Billing emails turned off"));
    }

    async fn what_is_wrong_with_a_field_is_said_there_and_where_there_is_none_by_the_form(server) {
        let shown = answer_to(
            server,
            "/fn/save_profile",
            "/w/acme/settings/account",
            &[("form[name]", "Mia".into()), ("form[email]", "x".into())],
        )
        .await;
        assert!(shown.contains("Enter a valid email address, like name@example.com"));
        assert!(!shown.contains("role=\"alert\""), "once");
        // The form of an address that was given up has no field for it.
        let fields = [
            ("form[workspace]", "acme".to_owned()),
            ("form[slug]", "acme-orbit".to_owned()),
        ];
        let moved = server
            .submit("adam", "/fn/update_workspace_url", &fields)
            .await;
        assert_eq!(moved.header("location"), "/w/acme-orbit/settings/workspace");
        let path = "/w/acme-orbit/settings/workspace";
        let fields = [
            ("_back", path.to_owned()),
            ("_form", "acme".to_owned()),
            ("form[workspace]", "acme-orbit".to_owned()),
            ("form[slug]", "globex".to_owned()),
        ];
        let posted = server
            .submit("adam", "/fn/update_workspace_url", &fields)
            .await;
        let flash = format!(
            "wheelhouse_flash={}",
            posted.cookie("wheelhouse_flash").unwrap()
        );
        let page = server.page_with("adam", path, &flash).await;
        let alert = page.body.split("role=\"alert\"").nth(1).unwrap_or_default();
        assert!(alert.contains("URL is taken"), "{}", page.body);
    }

    async fn a_form_without_script_says_that_it_was_saved(server) {
        let path = "/w/acme/settings/account";
        let fields = [
            ("_back", path.to_owned()),
            ("form[name]", "Mia M.".to_owned()),
            ("form[email]", "mia@acme.example".to_owned()),
        ];
        let posted = server.submit("mia", "/fn/save_profile", &fields).await;
        let flash = format!(
            "wheelhouse_flash={}",
            posted.cookie("wheelhouse_flash").unwrap()
        );
        let page = server.page_with("mia", path, &flash).await;
        assert!(page.body.contains("Changes saved"));
        assert!(page.body.contains("value=\"Mia M.\""));
    }

    async fn a_form_that_was_answered_waits_for_its_own_page(server) {
        let path = "/w/acme/settings/account";
        let fields = [
            ("_back", path.to_owned()),
            ("form[name]", " ".to_owned()),
            ("form[email]", "not an address".to_owned()),
        ];
        let posted = server.submit("mia", "/fn/save_profile", &fields).await;
        let flash = format!(
            "wheelhouse_flash={}",
            posted.cookie("wheelhouse_flash").unwrap()
        );
        // Another tab is quicker.
        let other = server.page_with("mia", "/w/acme/inbox", &flash).await;
        assert!(!other.body.contains("not an address"));
        assert_eq!(other.cookie("wheelhouse_flash"), None, "it is not taken away");
        let page = server.page_with("mia", path, &flash).await;
        assert!(page.body.contains("value=\"not an address\""));
    }

    async fn an_answer_goes_on_with_a_page_that_only_leads_on(server) {
        let posted = server.submit("mia", "/fn/mark_all_read", &[("workspace", "acme".into())]).await;
        assert_eq!(posted.header("location"), "/");
        let cookie = |answer: &crate::support::Answer| {
            format!("wheelhouse_flash={}", answer.cookie("wheelhouse_flash").unwrap())
        };
        let led = server.page_with("mia", "/", &cookie(&posted)).await;
        assert!(led.status.is_redirection());
        let there = led.header("location").to_owned();
        let page = server.page_with("mia", &there, &cookie(&led)).await;
        assert_eq!(page.cookie("wheelhouse_flash").as_deref(), Some(""), "it was handed over");
    }
}
