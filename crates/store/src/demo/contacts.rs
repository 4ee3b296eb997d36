//! The contacts of the demo.

use domain::catalog::{EventType, Mode};
use domain::contacts::Stage;
use domain::{AppError, ContactId, Email, Slug, Timestamp, WorkspaceId, days};
use sea_orm::{ActiveModelTrait, Set};
use serde_json::json;

use super::story::Story;
use crate::contacts::folded;
use crate::db::{Tx, entity};
use crate::events::{NewEvent, Origin};

pub(super) const CONTACTS: [(&str, &str, &str); 16] = [
    ("Ana Álvarez", "Nordlicht AG", "qualified"),
    ("Bogdan Ionescu", "Carpathia SRL", "lead"),
    ("Chiara Conti", "Conti & Figli", "contacted"),
    ("Daniel Okafor", "Lagos Logistics", "won"),
    ("Elif Yılmaz", "Bosphorus Foods", "lead"),
    ("Farid Haddad", "Cedar Trading", "qualified"),
    ("Grace Kim", "Hanok Robotics", "contacted"),
    ("Henrik Larsen", "Fjord Shipping", "lost"),
    ("Ines Duarte", "Porto Ceramics", "lead"),
    ("Jakub Nowak", "Wisła Software", "won"),
    ("Kavya Rao", "Deccan Labs", "qualified"),
    ("Liam Murphy", "Atlantic Dairy", "contacted"),
    ("Meera Patel", "Sabarmati Textiles", "lead"),
    ("Noah Fischer", "Alpenwerk GmbH", "qualified"),
    ("Oksana Koval", "Dnipro Grain", "contacted"),
    ("Pedro Silva", "Mata Verde", "lead"),
];

pub(super) async fn contact(
    tx: &mut Tx,
    story: &mut Story,
    workspace: WorkspaceId,
    name: &str,
    company: &str,
    stage: &str,
    days_ago: u64,
) -> Result<(), AppError> {
    let at = Timestamp::now().before(days(days_ago));
    let id = ContactId::at(at);
    let first = Slug::suggest(name.split(' ').next().unwrap_or(name));
    let email = format!("{first}@{}.example", Slug::suggest(company));
    let stage: Stage = stage.parse().map_err(|_| AppError::Malformed)?;
    entity::contact::ActiveModel {
        id: Set(id),
        workspace_id: Set(workspace),
        mode: Set(Mode::Live),
        name: Set(name.to_owned()),
        email: Set(Email::parse(&email).ok()),
        phone: Set(None),
        company: Set(Some(company.to_owned())),
        stage: Set(stage),
        tags: Set(json!(["demo"])),
        search_text: Set(folded([Some(name), Some(&email), Some(company)])),
        created_at: Set(at),
        updated_at: Set(at),
    }
    .insert(tx)
    .await?;
    let event = NewEvent::in_workspace(
        workspace,
        EventType::ContactCreated,
        json!({"id": id, "name": name, "stage": stage}),
    );
    story.add(at, Origin::system(), event);
    Ok(())
}
