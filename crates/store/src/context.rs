//! The shared state of the running program, for every store and page. Created once at start, cheap to clone.

use std::sync::{Arc, OnceLock};

use domain::Timestamp;
use domain::catalog::Catalog;

use crate::auth::key_changes::KeyChanges;
use crate::db::Db;
use crate::leases::Leases;
use crate::master_key::MasterKey;
use crate::passwords::Passwords;
use crate::payments::provider::{Provider, ProviderContext};
use crate::payments::simulated::Simulated;
use crate::rate_limit::auth::AuthLimits;
use crate::webhooks::address::Policy;

/// The parts of a running server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    site: Site,
    master_key: MasterKey,
    passwords: Passwords,
    limits: AuthLimits,
    leases: Leases,
    key_changes: KeyChanges,
    webhooks: OnceLock<Policy>,
    catalog: OnceLock<Catalog>,
    payments: OnceLock<Arc<dyn Provider>>,
}

/// The settings of this installation.
#[derive(Clone, Debug)]
pub struct Site {
    /// Scheme, host and port, without a trailing slash. Links and the Origin check use this, never `Host`.
    pub public_url: String,
    /// Whether this installation sends email. Without SMTP, emails stay in the outbox until they are deleted.
    pub sends_mail: bool,
    /// Whether this is the demo: its outbox can be read at `/outbox`.
    pub demo: bool,
}

impl Site {
    /// `url("/login")` is the full URL of the sign-in page.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    /// Whether a person counts as having confirmed their email address. An installation that sends no email cannot ask
    /// for confirmation, so everyone counts as confirmed. Only this function decides that.
    pub fn counts_as_confirmed(&self, confirmed_at: Option<Timestamp>) -> bool {
        confirmed_at.is_some() || !self.sends_mail
    }

    /// Whether a person can follow a link in an email: the email is sent, or the demo shows it.
    pub fn email_arrives(&self) -> bool {
        self.sends_mail || self.demo
    }

    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}

impl AppContext {
    pub fn new(
        db: Db,
        site: Site,
        master_key: MasterKey,
        passwords: Passwords,
        limits: AuthLimits,
    ) -> Self {
        Self(Arc::new(Inner {
            db,
            site,
            master_key,
            passwords,
            limits,
            leases: Leases::default(),
            key_changes: KeyChanges::default(),
            webhooks: OnceLock::new(),
            catalog: OnceLock::new(),
            payments: OnceLock::new(),
        }))
    }

    pub fn db(&self) -> &Db {
        &self.0.db
    }

    pub fn site(&self) -> &Site {
        &self.0.site
    }

    pub fn master_key(&self) -> &MasterKey {
        &self.0.master_key
    }

    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    pub fn limits(&self) -> &AuthLimits {
        &self.0.limits
    }

    /// The leases of this process's workers.
    pub fn leases(&self) -> &Leases {
        &self.0.leases
    }

    /// Where changes to API keys are sent, for the cache of keys.
    pub fn key_changes(&self) -> &KeyChanges {
        &self.0.key_changes
    }

    /// The policy for webhook URLs.
    pub fn webhooks(&self) -> &Policy {
        self.0.webhooks.get_or_init(Policy::default)
    }

    /// Sets the policy for webhook URLs. Call it once, before the policy is read.
    pub fn set_webhooks(&self, policy: Policy) {
        // A second value would be too late for callers that already read the first.
        let _ = self.0.webhooks.set(policy);
    }

    /// The catalog of plans and packages.
    pub fn catalog(&self) -> &Catalog {
        self.0.catalog.get_or_init(Catalog::built_in)
    }

    /// The payment provider.
    /// What a payment provider gets.
    pub fn provider_context(&self) -> ProviderContext<'_> {
        ProviderContext::new(self.db(), &self.site().public_url)
    }

    pub fn payments(&self) -> &dyn Provider {
        self.0
            .payments
            .get_or_init(|| Arc::new(Simulated::new(self.master_key())))
            .as_ref()
    }

    /// Sets the payment provider. Call it once, before the provider is read.
    pub fn set_payments(&self, provider: Arc<dyn Provider>) {
        // A second value would be too late for callers that already read the first.
        let _ = self.0.payments.set(provider);
    }

    /// Sets the catalog. Call it once, before the catalog is read.
    pub fn set_catalog(&self, catalog: Catalog) {
        // A second value would be too late for callers that already read the first.
        let _ = self.0.catalog.set(catalog);
    }
}
