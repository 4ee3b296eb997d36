//! Permits: proof that a caller has a permission. A store function takes the permit that it needs, so it cannot be
//! called without the check.

use std::marker::PhantomData;
use std::ops::Deref;

use domain::{AppError, Permission};

use super::actor::Actor;
use super::key::Principal;
use crate::events::Origin;

/// A permission as a type.
pub trait Granted {
    const PERMISSION: Permission;
}

macro_rules! permissions {
    ($($name:ident),* $(,)?) => {
        /// Each permission as a type.
        pub mod can {
            use super::Granted;
            use domain::Permission;

            $(
                #[derive(Clone, Copy, Debug)]
                pub enum $name {}

                impl Granted for $name {
                    const PERMISSION: Permission = Permission::$name;
                }
            )*
        }

        #[cfg(test)]
        const ALL: &[Permission] = &[$(<can::$name as Granted>::PERMISSION),*];
    };
}

permissions!(
    ReadWorkspace,
    SeeMemberEmails,
    ReadContacts,
    WriteContacts,
    ReportEvents,
    SeeCredits,
    SpendCredits,
    EditWorkspace,
    InviteMembers,
    ManageMembers,
    ManageBilling,
    ManageApiKeys,
    ManageWebhooks,
    SeeAuditLog,
    OwnWorkspace,
);

/// Proof that `W` has the permission `P` in their workspace, and that the workspace is not frozen if `P` changes
/// something. Only [`Actor::permit`] and [`Principal::permit`] create one.
#[derive(Clone, Debug)]
pub struct Permit<P, W = Actor> {
    who: W,
    permission: PhantomData<fn() -> P>,
}

/// The same for reading, which a frozen workspace also allows.
#[derive(Clone, Debug)]
pub struct ReadPermit<P, W = Actor> {
    who: W,
    permission: PhantomData<fn() -> P>,
}

/// In place of a permit: no user asks for this change. Whoever calls such a function says on whose behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unattended {
    /// A command of the operator.
    Operator,
    /// A worker, because something is due.
    Worker,
    /// The payment provider, which reports the outcome of a payment.
    Provider,
}

impl<P, W> Deref for Permit<P, W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.who
    }
}

impl<P, W> Deref for ReadPermit<P, W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.who
    }
}

impl<P> From<&Permit<P>> for Origin {
    fn from(permit: &Permit<P>) -> Self {
        Self::from(&permit.who)
    }
}

impl<P> From<&Permit<P, Principal>> for Origin {
    fn from(permit: &Permit<P, Principal>) -> Self {
        Self::from(&permit.who)
    }
}

impl Actor {
    /// Checks a permission. A frozen workspace refuses changes.
    pub fn permit<P: Granted>(&self) -> Result<Permit<P>, AppError> {
        self.require(P::PERMISSION)?;
        Ok(Permit {
            who: self.clone(),
            permission: PhantomData,
        })
    }

    /// Checks a permission for reading.
    pub fn permit_read<P: Granted>(&self) -> Result<ReadPermit<P>, AppError> {
        self.require_read(P::PERMISSION)?;
        Ok(ReadPermit {
            who: self.clone(),
            permission: PhantomData,
        })
    }
}

impl Principal {
    /// Checks a permission. A frozen workspace refuses changes.
    pub fn permit<P: Granted>(&self) -> Result<Permit<P, Self>, AppError> {
        self.require(P::PERMISSION)?;
        Ok(Permit {
            who: self.clone(),
            permission: PhantomData,
        })
    }

    /// Checks a permission for reading.
    pub fn permit_read<P: Granted>(&self) -> Result<ReadPermit<P, Self>, AppError> {
        self.require_read(P::PERMISSION)?;
        Ok(ReadPermit {
            who: self.clone(),
            permission: PhantomData,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_has_a_type() {
        assert_eq!(ALL, Permission::ALL);
    }
}
