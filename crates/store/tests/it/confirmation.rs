//! What takes a confirmed email address, and what does not.

use domain::api_keys::NewKey;
use domain::catalog::{EventType, Mode, Scope};
use domain::session::SignUp;
use domain::workspace::NewWorkspaceForm;
use domain::{AppError, Email, Name, Role, Secret};
use serde_json::json;
use store::auth::{Caller, Principal, SignedInUser, sessions};
use store::context::{AppContext, Site};
use store::events::report::{CreateEventRequest, report};
use store::master_key::MasterKey;
use store::members::invitations;
use store::passwords::Passwords;
use store::rate_limit::auth::AuthLimits;
use store::webhooks::dto::{CreateWebhookRequest, UpdateWebhookRequest};
use store::{api_keys, webhooks, workspace};

use crate::support::{OLIVIA, TestEnv, both, info, token_in};

const ZOE: &str = "zoe@new.example";

/// The same installation with SMTP, so that it asks people to confirm their address.
fn with_email(env: &TestEnv, limits: AuthLimits) -> AppContext {
    let site = Site {
        sends_mail: true,
        ..env.ctx.site().clone()
    };
    AppContext::new(
        env.ctx.db().clone(),
        site,
        MasterKey::new([7; 32]),
        Passwords::quick_for_tests(),
        limits,
    )
}

fn sign_up_as(email: &str, name: &str) -> SignUp {
    SignUp {
        name: Name::parse(name).unwrap(),
        email: Email::parse(email).unwrap(),
        password: Secret::from("seven unrelated purple teapots"),
        workspace: Name::parse("Zoe Corp").unwrap(),
    }
}

struct Zoe {
    ctx: AppContext,
    cookie: Secret,
}

impl Zoe {
    async fn new(env: &TestEnv) -> Self {
        Self::in_house(with_email(env, AuthLimits::off())).await
    }

    async fn in_house(ctx: AppContext) -> Self {
        let begun = sessions::sign_up(&ctx, &info(), sign_up_as(ZOE, "Zoe Zimmer"))
            .await
            .unwrap();
        Self {
            cookie: begun.cookie,
            ctx,
        }
    }

    fn caller(&self) -> Caller {
        let cookie = Some(self.cookie.expose().to_owned());
        Caller::new(self.ctx.clone(), info(), cookie)
    }

    async fn person(&self) -> SignedInUser {
        self.caller().person().await.unwrap()
    }

    /// What she tries, and how it ends.
    async fn tries(&self) -> Vec<(&'static str, Option<AppError>)> {
        let ctx = &self.ctx;
        let actor = self.caller().actor("zoe-corp").await.unwrap();
        let principal = Principal::from(actor.clone());
        let wish = NewKey {
            name: Name::parse("Importer").unwrap(),
            mode: Mode::Live,
            scopes: vec![Scope::EventsWrite],
            expires_at: None,
        };
        let none = Secret::default();
        let key = api_keys::create(
            ctx,
            &info(),
            &actor.permit().unwrap(),
            wish,
            Vec::new(),
            &none,
        )
        .await;
        let invited = invitations::invite(
            ctx,
            &actor.permit().unwrap(),
            "ben@new.example",
            Role::Member,
        )
        .await;
        let form = NewWorkspaceForm {
            name: "Second".to_owned(),
            ..NewWorkspaceForm::default()
        };
        let second = workspace::create(ctx, actor.person(), &form).await;
        let mut tx = ctx.db().begin().await.unwrap();
        let hook: CreateWebhookRequest =
            serde_json::from_value(json!({"url": "https://hooks.example.com/in"})).unwrap();
        let hook = webhooks::create(&mut tx, ctx, &principal.permit().unwrap(), &hook).await;
        let event = CreateEventRequest {
            event_type: "system.announcement".to_owned(),
            ..CreateEventRequest::default()
        };
        let reported = report(
            &mut tx,
            &principal.permit().unwrap(),
            event.parse().unwrap(),
        )
        .await;
        tx.commit().await.unwrap();
        vec![
            ("a key", key.err()),
            ("an invitation", invited.err()),
            ("another workspace", second.err()),
            ("a webhook", hook.err()),
            ("an event", reported.err()),
        ]
    }
}

both! {
    async fn keys_webhooks_invitations_events_and_another_workspace_take_a_confirmed_address(env) {
        let zoe = Zoe::new(env).await;
        for (what, error) in zoe.tries().await {
            assert_eq!(error, Some(AppError::Unconfirmed), "{what}");
        }
        assert_eq!(env.letters_to("ben@new.example").await, Vec::<String>::new());
        assert_eq!(env.events(EventType::MemberInvited).await, 0);

        let message = env.letters_to(ZOE).await.pop().unwrap();
        let token = Secret::from(token_in(&message, "/confirm-email/"));
        assert!(sessions::confirm_address(&zoe.ctx, &token).await.unwrap());
        for (what, error) in zoe.tries().await {
            assert_eq!(error, None, "{what}");
        }
    }

    async fn where_no_email_is_sent_everybody_counts_as_confirmed(env) {
        let zoe = Zoe::in_house(env.ctx.clone()).await;
        assert!(!zoe.person().await.is_confirmed());
        assert!(!zoe.person().await.is_asked_to_confirm(), "no link would reach her");
        for (what, error) in zoe.tries().await {
            assert_eq!(error, None, "{what}");
        }
    }

    async fn the_operators_owner_is_confirmed(env) {
        let ctx = with_email(env, AuthLimits::off());
        let (name, email) = (Name::parse("Otto").unwrap(), Email::parse("otto@new.example").unwrap());
        let password = Secret::from("seven unrelated purple teapots");
        let slug = domain::Slug::parse("otto-works").unwrap();
        sessions::create_owner(&ctx, &name, &email, &password, &name, &slug).await.unwrap();
        let begun = sessions::sign_in(&ctx, &info(), "otto@new.example", &password).await.unwrap();
        let caller = Caller::new(ctx, info(), Some(begun.cookie.expose().to_owned()));
        assert_eq!(caller.person().await.unwrap().require_confirmed(), Ok(()));
    }

    async fn a_webhook_can_be_stopped_without_a_confirmed_address(env) {
        let zoe = Zoe::in_house(env.ctx.clone()).await;
        zoe.tries().await;
        let zoe = Zoe { ctx: with_email(env, AuthLimits::off()), cookie: zoe.cookie };
        let principal = Principal::from(zoe.caller().actor("zoe-corp").await.unwrap());
        let (hooks, _) = webhooks::list(&zoe.ctx, &principal.permit_read().unwrap(), None, 10).await.unwrap();
        let change = async |status: &str| {
            let patch: UpdateWebhookRequest = serde_json::from_value(json!({"status": status})).unwrap();
            let mut tx = zoe.ctx.db().begin().await.unwrap();
            let changed = webhooks::update(&mut tx, &zoe.ctx, &principal.permit().unwrap(), hooks[0].id, &patch).await;
            tx.commit().await.unwrap();
            changed.err()
        };
        assert_eq!(change("paused").await, None);
        assert_eq!(change("enabled").await, Some(AppError::Unconfirmed));
    }

    async fn an_address_that_is_not_confirmed_gets_few_links(env) {
        let zoe = Zoe::in_house(with_email(env, AuthLimits::on())).await;
        for n in 0..40 {
            let place = crate::support::info_from(n);
            let person = zoe.person().await;
            let _ = sessions::resend_confirmation(&zoe.ctx, &place, &person).await;
            let _ = sessions::request_reset(&zoe.ctx, &place, ZOE).await;
        }
        let messages = env.letters_to(ZOE).await.len();
        assert!(messages <= 6, "{messages}");
    }

    async fn what_someone_chose_is_no_link_in_our_email(env) {
        let ctx = with_email(env, AuthLimits::off());
        let name = "Click https://evil.example now";
        sessions::sign_up(&ctx, &info(), sign_up_as("victim@new.example", name)).await.unwrap();
        let message = env.letters_to("victim@new.example").await.pop().unwrap();
        assert!(!message.contains("evil"), "{message}");

        let olivia = env.actor(OLIVIA, "acme").await;
        let name = Name::parse("https://evil.example/login").unwrap();
        workspace::rename(&env.ctx, &olivia.permit().unwrap(), name).await.unwrap();
        let olivia = env.actor(OLIVIA, "acme").await;
        invitations::invite(&env.ctx, &olivia.permit().unwrap(), "ben@new.example", Role::Member).await.unwrap();
        let message = env.letters_to("ben@new.example").await.pop().unwrap();
        assert!(message.contains("https[:]//evil[.]example/login"), "{message}");
        assert!(!message.contains("://evil") && !message.contains("evil.example"), "{message}");
    }
}
