//! The saved cards of customers, and the page where a customer changes one.

use domain::AppError;
use domain::payments::CardView;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};

use crate::db::entity::{self, simulated_card};
use crate::db::{Db, Tx};
use crate::master_key::Token;

/// Saves a customer's card. Returns the secret part of its page's URL.
pub(super) async fn keep_card(
    tx: &Tx,
    customer: &str,
    works: Option<bool>,
    return_path: &str,
) -> Result<String, AppError> {
    let token = Token::generate().plain().expose().to_owned();
    let row = simulated_card::ActiveModel {
        customer: Set(customer.to_owned()),
        token: Set(token.clone()),
        works: Set(works),
        return_path: Set(return_path.to_owned()),
    };
    entity::SimulatedCard::insert(row)
        .on_conflict(
            OnConflict::column(simulated_card::Column::Customer)
                .update_columns([
                    simulated_card::Column::Token,
                    simulated_card::Column::Works,
                    simulated_card::Column::ReturnPath,
                ])
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    Ok(token)
}

/// The page of a saved card.
pub async fn card(db: &Db, token: &str) -> Result<CardView, AppError> {
    let card = entity::SimulatedCard::find()
        .filter(simulated_card::Column::Token.eq(token))
        .one(db.read())
        .await?
        .ok_or(AppError::NotFound)?;
    Ok(CardView {
        token: card.token,
        works: card.works,
        return_path: card.return_path,
    })
}

/// Replaces the card with one that works or one that is declined. Returns the path that its owner came from.
pub async fn set_card(db: &Db, token: &str, works: bool) -> Result<String, AppError> {
    let card = card(db, token).await?;
    let tx = db.begin().await?;
    entity::SimulatedCard::update_many()
        .col_expr(simulated_card::Column::Works, Expr::value(Some(works)))
        .filter(simulated_card::Column::Token.eq(token))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(card.return_path)
}
