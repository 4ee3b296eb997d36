//! Links that prove something: one-time tokens, which are random and stored as hashes, and invitation links, which are
//! derived from the server's key because Copy Link must show them again.

use std::time::Duration;

use domain::{AppError, Email, InvitationId, Secret, Timestamp, TokenId, UserId, days, hours};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Set,
};

use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::master_key::{Token, hash_token};

/// Lifetime of a link that confirms an email address or resets a password.
pub const TOKEN_LIFE: Duration = hours(1);
/// How long the old email address can revert a change of email address.
pub const REVERT_LIFE: Duration = days(7);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPurpose {
    ConfirmEmail,
    ResetPassword,
}

impl LinkPurpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ConfirmEmail => "confirm_email",
            Self::ResetPassword => "reset_password",
        }
    }
}

/// Creates the token of a one-time link for this user. Earlier confirmation links stop working. Earlier password reset
/// links keep working for their hour, because anyone can request another and must not break the one in use.
pub async fn issue(tx: &mut Tx, purpose: LinkPurpose, user: UserId) -> Result<Secret, AppError> {
    if purpose == LinkPurpose::ConfirmEmail {
        revoke(tx, purpose, user).await?;
    }
    let token = Token::generate();
    let now = Timestamp::now();
    entity::token::ActiveModel {
        id: Set(TokenId::new()),
        purpose: Set(purpose.as_str().to_owned()),
        hash: Set(token.hash()),
        user_id: Set(user),
        created_at: Set(now),
        expires_at: Set(now.after(TOKEN_LIFE)),
        used_at: Set(None),
    }
    .insert(tx)
    .await?;
    Ok(token.plain().clone())
}

/// Revokes all unused links of this user, whatever their purpose.
pub async fn revoke_all(tx: &mut Tx, user: UserId) -> Result<(), AppError> {
    use entity::token::Column;
    entity::Token::delete_many()
        .filter(Column::UserId.eq(user))
        .filter(Column::UsedAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// Whether the previous email address of an account can still revert its change. Until then nobody else can use it: a
/// thief of the account must not lock its owner out by signing up with the owner's email address.
pub async fn is_held(
    connection: &impl ConnectionTrait,
    email: &Email,
    but_for: Option<UserId>,
) -> Result<bool, AppError> {
    use entity::email_change::Column;
    let mut holding = entity::EmailChange::find()
        .filter(Column::OldEmail.eq(email.clone()))
        .filter(Column::ConfirmedAt.is_not_null())
        .filter(Column::EndedAt.is_null())
        .filter(Column::CreatedAt.gt(Timestamp::now().before(REVERT_LIFE)));
    if let Some(user) = but_for {
        holding = holding.filter(Column::UserId.ne(user));
    }
    Ok(holding.count(connection).await? > 0)
}

/// Revokes all unused links of this user for this purpose.
async fn revoke(tx: &mut Tx, purpose: LinkPurpose, user: UserId) -> Result<(), AppError> {
    use entity::token::Column;
    entity::Token::delete_many()
        .filter(Column::UserId.eq(user))
        .filter(Column::Purpose.eq(purpose.as_str()))
        .filter(Column::UsedAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// The user of this link, if it is valid. Looking does not use it up.
pub async fn peek(
    ctx: &AppContext,
    purpose: LinkPurpose,
    plain: &Secret,
) -> Result<Option<UserId>, AppError> {
    use entity::token::Column;
    let token = entity::Token::find()
        .filter(Column::Hash.eq(hash_token(plain.expose())))
        .filter(Column::Purpose.eq(purpose.as_str()))
        .filter(Column::UsedAt.is_null())
        .filter(Column::ExpiresAt.gt(Timestamp::now()))
        .one(ctx.db().read())
        .await?;
    Ok(token.map(|token| token.user_id))
}

/// Uses a link up and returns its user. If two requests race, only one gets the user.
pub async fn redeem(
    tx: &mut Tx,
    purpose: LinkPurpose,
    plain: &Secret,
) -> Result<Option<UserId>, AppError> {
    use entity::token::Column;
    let now = Timestamp::now();
    let used = entity::Token::update_many()
        .col_expr(Column::UsedAt, Expr::value(now))
        .filter(Column::Hash.eq(hash_token(plain.expose())))
        .filter(Column::Purpose.eq(purpose.as_str()))
        .filter(Column::UsedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .exec_with_returning(tx)
        .await?;
    Ok(used.first().map(|token| token.user_id))
}

/// How an invitation's link reached its recipient. A link from an email proves that the mailbox is theirs; a copied
/// link proves nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkChannel {
    Email,
    Copied,
}

impl LinkChannel {
    const fn message(self) -> char {
        match self {
            Self::Email => 'm',
            Self::Copied => 'h',
        }
    }

    const fn purpose(self) -> &'static str {
        match self {
            Self::Email => "invitation by mail",
            Self::Copied => "invitation by hand",
        }
    }
}

/// Number of characters of an id after its prefix.
const ID_CHARACTERS: usize = 26;

/// The secret part of an invitation's link: its id, a character for its channel, and a 192-bit MAC over id and
/// generation. Resending increases the generation, which invalidates every earlier link.
pub fn invitation_token(
    ctx: &AppContext,
    id: InvitationId,
    generation: i32,
    carrier: LinkChannel,
) -> String {
    let tag = ctx
        .master_key()
        .mac(carrier.purpose(), message(id, generation).as_bytes());
    let id = id.to_string();
    format!(
        "{}{}{tag}",
        &id[InvitationId::PREFIX.len() + 1..],
        carrier.message()
    )
}

/// The full URL of an invitation's page.
pub fn invitation_url(
    ctx: &AppContext,
    id: InvitationId,
    generation: i32,
    carrier: LinkChannel,
) -> String {
    ctx.site().url(&format!(
        "/invite/{}",
        invitation_token(ctx, id, generation, carrier)
    ))
}

/// An invitation's link, parsed but not yet verified.
#[derive(Clone, Debug)]
pub struct InvitationLink {
    id: InvitationId,
    carrier: LinkChannel,
    tag: String,
}

impl InvitationLink {
    pub fn parse(token: &str) -> Option<Self> {
        let (id, rest) = token.split_at_checked(ID_CHARACTERS)?;
        let id = format!("{}_{id}", InvitationId::PREFIX).parse().ok()?;
        let carrier = match rest.chars().next()? {
            'm' => LinkChannel::Email,
            'h' => LinkChannel::Copied,
            _ => return None,
        };
        Some(Self {
            id,
            carrier,
            tag: rest[1..].to_owned(),
        })
    }

    pub fn id(&self) -> InvitationId {
        self.id
    }

    /// Its channel, if this is the link of that generation.
    pub fn verify(&self, ctx: &AppContext, generation: i32) -> Option<LinkChannel> {
        let message = message(self.id, generation);
        ctx.master_key()
            .is_mac(self.carrier.purpose(), message.as_bytes(), &self.tag)
            .then_some(self.carrier)
    }
}

fn message(id: InvitationId, generation: i32) -> String {
    format!("{id}/{generation}")
}
