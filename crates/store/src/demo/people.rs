//! The people of the demo.

use domain::{AppError, Email, Timestamp, UserId, days, fold};
use sea_orm::{ActiveModelTrait, Set};

use crate::db::{Tx, entity};

/// A person you can sign in as.
pub struct DemoPerson {
    pub email: &'static str,
    pub who: &'static str,
}

pub(super) const OLIVIA: (&str, &str) = ("Olivia Owens", "olivia@acme.example");
pub(super) const ADAM: (&str, &str) = ("Adam Archer", "adam@acme.example");
pub(super) const MIA: (&str, &str) = ("Mia Moreno", "mia@acme.example");
pub(super) const CLEO: (&str, &str) = ("Cleo Chen", "cleo@acme.example");
pub(super) const GRETA: (&str, &str) = ("Greta Gruber", "greta@globex.example");

pub(super) fn people() -> Vec<DemoPerson> {
    vec![
        DemoPerson {
            email: OLIVIA.1,
            who: "Olivia Owens, owner of Acme",
        },
        DemoPerson {
            email: ADAM.1,
            who: "Adam Archer, admin of Acme, member of Globex",
        },
        DemoPerson {
            email: MIA.1,
            who: "Mia Moreno, member of Acme",
        },
        DemoPerson {
            email: CLEO.1,
            who: "Cleo Chen, client of Acme",
        },
        DemoPerson {
            email: GRETA.1,
            who: "Greta Gruber, owner of Globex",
        },
    ]
}

pub(super) async fn person(
    tx: &mut Tx,
    (name, email): (&str, &str),
    hash: &str,
) -> Result<UserId, AppError> {
    let joined = Timestamp::now().before(days(63));
    let id = UserId::new();
    entity::user::ActiveModel {
        id: Set(id),
        email: Set(Email::parse(email).map_err(|_| AppError::Malformed)?),
        name: Set(name.to_owned()),
        folded_name: Set(fold(name)),
        password_hash: Set(hash.to_owned()),
        email_confirmed_at: Set(Some(joined)),
        created_at: Set(joined),
        updated_at: Set(joined),
    }
    .insert(tx)
    .await?;
    Ok(id)
}
