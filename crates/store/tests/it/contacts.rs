//! Contacts: found by what they hold, and by nobody else.

use domain::catalog::EventType;
use domain::contacts::{Contact, CreateContactRequest, Stage};
use domain::{AppError, ContactId, Permission};
use store::auth::Principal;
use store::contacts::{self, ContactQuery};

use crate::support::{CLEO, GRETA, MIA, TestEnv, both};

async fn mia(env: &TestEnv) -> Principal {
    env.actor(MIA, "acme").await.into()
}

fn contact(name: &str, company: &str, stage: &str, tags: &[&str]) -> CreateContactRequest {
    CreateContactRequest {
        name: name.into(),
        company: Some(company.into()),
        stage: Some(stage.into()),
        tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
        ..CreateContactRequest::default()
    }
}

async fn create(
    env: &TestEnv,
    principal: &Principal,
    contact: CreateContactRequest,
) -> Result<Contact, AppError> {
    let mut tx = env.ctx.db().begin().await?;
    let made = contacts::create(
        &mut tx,
        &principal.permit()?,
        contact.parse().map_err(AppError::Invalid)?,
    )
    .await?;
    tx.commit().await?;
    Ok(made)
}

async fn found(env: &TestEnv, principal: &Principal, filter: ContactQuery) -> Vec<String> {
    let found = contacts::list(
        env.ctx.db(),
        &principal.permit().unwrap(),
        &filter,
        None,
        100,
    )
    .await
    .unwrap();
    let mut names: Vec<String> = found.into_iter().map(|contact| contact.name).collect();
    names.sort();
    names
}

fn text(text: &str) -> ContactQuery {
    ContactQuery {
        text: Some(text.into()),
        ..ContactQuery::default()
    }
}

fn tagged(tags: &[&str]) -> ContactQuery {
    ContactQuery {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..ContactQuery::default()
    }
}

both! {
    async fn text_is_found_in_any_case_and_script(env) {
        let mia = mia(env).await;
        create(env, &mia, contact("Jürgen Öztürk", "Straßenbau GmbH", "lead", &[])).await.unwrap();
        create(env, &mia, contact("Σοφία Δημητρίου", "Οδός ΑΕ", "lead", &[])).await.unwrap();
        for (asked, name) in [
            ("JÜRGEN ÖZ", "Jürgen Öztürk"),
            ("strassenbau", "Jürgen Öztürk"),
            ("ΣΟΦΊΑ", "Σοφία Δημητρίου"),
            ("ΟΔΌΣ", "Σοφία Δημητρίου"),
        ] {
            assert_eq!(found(env, &mia, text(asked)).await, [name], "{asked}");
        }
        // A match lies within one field: the end of the name and the start of the company make none.
        assert!(found(env, &mia, text("Öztürk Straßenbau")).await.is_empty());
    }

    async fn what_means_something_to_the_database_is_found_to_the_letter(env) {
        let mia = mia(env).await;
        create(env, &mia, contact("100% Juice", "A_B", "lead", &["50%", "a\"b", "o'hara", "[\"x\"]", "$1", "?"])).await.unwrap();
        create(env, &mia, contact("1000 Juices", "AxB", "lead", &["50", "x"])).await.unwrap();
        for asked in ["100%", "a_b", "0% J"] {
            assert_eq!(found(env, &mia, text(asked)).await, ["100% Juice"], "{asked}");
        }
        assert!(found(env, &mia, text("\\")).await.is_empty());
        assert!(found(env, &mia, text("' OR 1=1 --")).await.is_empty());
        for tag in ["50%", "a\"b", "o'hara", "[\"x\"]", "$1", "?"] {
            assert_eq!(found(env, &mia, tagged(&[tag])).await, ["100% Juice"], "{tag}");
        }
        assert_eq!(found(env, &mia, tagged(&["x"])).await, ["1000 Juices"]);
        assert!(found(env, &mia, tagged(&["5"])).await.is_empty());
    }

    async fn all_tags_must_be_there_and_one_of_the_stages(env) {
        let mia = mia(env).await;
        create(env, &mia, contact("One", "C", "won", &["a", "b"])).await.unwrap();
        create(env, &mia, contact("Two", "C", "lost", &["a"])).await.unwrap();
        create(env, &mia, contact("Three", "C", "lead", &["b", "A"])).await.unwrap();
        assert_eq!(found(env, &mia, tagged(&["a"])).await, ["One", "Two"]);
        assert_eq!(found(env, &mia, tagged(&["a", "b"])).await, ["One"]);
        let filter = ContactQuery { stages: vec![Stage::Lost, Stage::Lead], ..tagged(&["a"]) };
        assert_eq!(found(env, &mia, filter).await, ["Two"]);
        let filter = ContactQuery { stages: vec![Stage::Won], text: Some("one".into()), ..tagged(&["b"]) };
        assert_eq!(found(env, &mia, filter).await, ["One"]);
    }

    async fn what_a_replacement_makes_searchable_is_the_new_text(env) {
        let mia = mia(env).await;
        let made = create(env, &mia, contact("Old Name", "Co", "lead", &[])).await.unwrap();
        let mut tx = env.ctx.db().begin().await.unwrap();
        let draft = contact("New Name", "Co", "lead", &[]).parse().unwrap();
        contacts::replace(&mut tx, &mia.permit().unwrap(), made.id, draft).await.unwrap();
        tx.commit().await.unwrap();
        assert!(found(env, &mia, text("old name")).await.is_empty());
        assert_eq!(found(env, &mia, text("new name")).await, ["New Name"]);
        assert_eq!(env.events(EventType::ContactUpdated).await, 1);
    }

    async fn cleo_may_look_and_not_touch(env) {
        let cleo: Principal = env.actor(CLEO, "acme").await.into();
        assert!(!found(env, &cleo, ContactQuery::default()).await.is_empty());
        let refused = create(env, &cleo, contact("X", "Y", "lead", &[])).await;
        assert_eq!(refused, Err(AppError::Forbidden { permission: Permission::WriteContacts }));
        let made = create(env, &mia(env).await, contact("X", "Y", "lead", &[])).await.unwrap();
        let mut tx = env.ctx.db().begin().await.unwrap();
        let refused = async { contacts::delete(&mut tx, &cleo.permit()?, made.id).await }.await;
        assert_eq!(refused, Err(AppError::Forbidden { permission: Permission::WriteContacts }));
        assert_eq!(env.events(EventType::ContactDeleted).await, 0);
    }

    async fn greta_finds_nothing_of_acmes(env) {
        let greta: Principal = env.actor(GRETA, "globex").await.into();
        let made = create(env, &mia(env).await, contact("Secret Lead", "Y", "lead", &["s"])).await.unwrap();
        assert!(found(env, &greta, text("secret")).await.is_empty());
        assert!(found(env, &greta, tagged(&["s"])).await.is_empty());
        let db = env.ctx.db();
        assert_eq!(async { contacts::get(db, &greta.permit()?, made.id).await }.await, Err(AppError::NotFound));
        let mut tx = db.begin().await.unwrap();
        let draft = contact("Mine", "Y", "lead", &[]).parse().unwrap();
        assert_eq!(async { contacts::replace(&mut tx, &greta.permit()?, made.id, draft).await }.await, Err(AppError::NotFound));
        assert_eq!(async { contacts::delete(&mut tx, &greta.permit()?, made.id).await }.await, Err(AppError::NotFound));
        assert_eq!(async { contacts::delete(&mut tx, &greta.permit()?, ContactId::new()).await }.await, Err(AppError::NotFound));
    }

    async fn pages_follow_each_other_without_gap(env) {
        let mia = mia(env).await;
        let db = env.ctx.db();
        let all = contacts::list(db, &mia.permit().unwrap(), &ContactQuery::default(), None, 100).await.unwrap();
        let mut paged = Vec::new();
        loop {
            let before = paged.last().map(|contact: &Contact| contact.id);
            let page = contacts::list(db, &mia.permit().unwrap(), &ContactQuery::default(), before, 3).await.unwrap();
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, all);
    }
}
