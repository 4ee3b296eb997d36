//! Configuration, validated before anything starts. An invalid value is one line that names its variable.

mod database;
mod error;
mod stripe_account;
mod values;

pub use error::ConfigError;
pub use stripe_account::StripeAccount;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use domain::catalog::Catalog;
use ipnet::IpNet;
use lettre::message::Mailbox;
use store::master_key::MasterKey;

use self::database::{check_database_url, key_file};
use self::stripe_account::stripe;
use self::values::{
    DEFAULT_WAITS, catalog, networks, one_of, public_url, site_root, waits_between,
};
use crate::options::Options;
use crate::work::smtp::SmtpEndpoint;

const DEFAULT_ADDR: &str = "127.0.0.1:3000";
const DEFAULT_DATABASE: &str = "sqlite://data/wheelhouse.db";
const DEFAULT_SENDER: &str = "Wheelhouse <no-reply@localhost>";

#[derive(Debug)]
pub struct Config {
    pub addr: SocketAddr,
    pub database_url: String,
    pub public_url: String,
    pub secret_key: KeySource,
    pub smtp: Option<SmtpEndpoint>,
    pub mail_from: Mailbox,
    pub trusted_proxies: Vec<IpNet>,
    /// Networks that can receive webhooks although they are not public.
    pub webhook_allow: Vec<IpNet>,
    /// The delays between delivery attempts.
    pub webhook_waits: Vec<Duration>,
    pub rate_limit: bool,
    /// Plans, packages and costs.
    pub catalog: Catalog,
    /// The payment provider; `None` is the simulated one.
    pub stripe: Option<StripeAccount>,
    pub site_root: Option<PathBuf>,
    pub log: String,
    pub log_json: bool,
}

/// Where the server's key comes from.
#[derive(Debug)]
pub enum KeySource {
    Given(MasterKey),
    File(PathBuf),
}

impl Config {
    pub fn read(options: &Options) -> Result<Self, ConfigError> {
        let addr = options.addr.as_deref().unwrap_or(DEFAULT_ADDR);
        let addr: SocketAddr = addr.parse().map_err(|_| {
            ConfigError::new(
                "WHEELHOUSE_ADDR",
                format!("“{addr}” is not an IP address and port like {DEFAULT_ADDR}"),
            )
        })?;
        let database_url = options
            .database_url
            .clone()
            .unwrap_or_else(|| DEFAULT_DATABASE.to_owned());
        if !["sqlite:", "postgres:", "postgresql:"]
            .iter()
            .any(|scheme| database_url.starts_with(scheme))
        {
            return Err(ConfigError::new(
                "WHEELHOUSE_DATABASE_URL",
                "must start with sqlite:// or postgres://",
            ));
        }
        check_database_url(&database_url)?;
        let public_url = match &options.public_url {
            Some(url) => public_url(url)?,
            None => format!("http://{}", reachable(addr)),
        };
        let secret_key = match &options.secret_key {
            Some(text) => KeySource::Given(
                MasterKey::parse(text)
                    .map_err(|problem| ConfigError::new("WHEELHOUSE_SECRET_KEY", problem))?,
            ),
            None => KeySource::File(key_file(&database_url)),
        };
        let smtp = options
            .smtp_url
            .as_deref()
            .filter(|url| !url.is_empty())
            .map(SmtpEndpoint::parse)
            .transpose()
            .map_err(|problem| ConfigError::new("WHEELHOUSE_SMTP_URL", problem))?;
        let mail_from = options.mail_from.as_deref().unwrap_or(DEFAULT_SENDER);
        let mail_from = mail_from.parse().map_err(|_| {
            ConfigError::new(
                "WHEELHOUSE_MAIL_FROM",
                format!("“{mail_from}” is not a sender like {DEFAULT_SENDER}"),
            )
        })?;
        let trusted_proxies = networks(
            "WHEELHOUSE_TRUSTED_PROXIES",
            options.trusted_proxies.as_deref(),
        )?;
        let webhook_allow = networks("WHEELHOUSE_WEBHOOK_ALLOW", options.webhook_allow.as_deref())?;
        let waits = options.webhook_retry_seconds.as_deref();
        let webhook_waits = waits_between(waits.unwrap_or(DEFAULT_WAITS))?;
        Ok(Self {
            addr,
            database_url,
            public_url,
            secret_key,
            smtp,
            mail_from,
            trusted_proxies,
            webhook_allow,
            webhook_waits,
            rate_limit: one_of(
                "WHEELHOUSE_RATE_LIMIT",
                options.rate_limit.as_deref(),
                "on",
                "off",
            )?,
            catalog: options
                .catalog
                .as_deref()
                .map_or_else(|| Ok(Catalog::built_in()), catalog)?,
            stripe: stripe(options)?,
            site_root: options.site_root.as_deref().map(site_root).transpose()?,
            log: options.log.clone().unwrap_or_else(|| "info".to_owned()),
            log_json: !one_of(
                "WHEELHOUSE_LOG_FORMAT",
                options.log_format.as_deref(),
                "text",
                "json",
            )?,
        })
    }
}

/// A socket address that a browser on this machine can open: 127.0.0.1 if the server listens on all addresses.
pub fn reachable(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    addr
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn options() -> Options {
        Options {
            addr: None,
            database_url: None,
            public_url: None,
            secret_key: None,
            smtp_url: None,
            mail_from: None,
            trusted_proxies: None,
            webhook_allow: None,
            webhook_retry_seconds: None,
            rate_limit: None,
            catalog: None,
            stripe_secret_key: None,
            stripe_webhook_secret: None,
            stripe_api_base: None,
            site_root: None,
            log: None,
            log_format: None,
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_handbook() {
        let config = Config::read(&options()).unwrap();
        assert_eq!(config.addr.to_string(), "127.0.0.1:3000");
        assert_eq!(config.public_url, "http://127.0.0.1:3000");
        assert!(config.rate_limit && !config.log_json);
        let waits: Vec<u64> = config.webhook_waits.iter().map(Duration::as_secs).collect();
        assert_eq!(waits, [5, 300, 1800, 7200, 18_000, 36_000, 36_000]);
        assert!(
            matches!(config.secret_key, KeySource::File(path) if path == Path::new("data/secret.key"))
        );
    }

    #[test]
    fn a_database_url_says_what_to_encode_and_never_its_password() {
        let read = |url: &str| {
            let options = Options {
                database_url: Some(url.into()),
                ..options()
            };
            Config::read(&options)
        };
        for password in [
            "hunter#2", "12#2", "hunter/2", "12/2", "hunter?2", "12?2", "hunter@2",
        ] {
            let error = read(&format!(
                "postgres://wheelhouse:{password}@db.example/wheelhouse"
            ))
            .unwrap_err();
            let said = error.to_string();
            assert!(said.starts_with("WHEELHOUSE_DATABASE_URL: "), "{said}");
            assert!(said.contains("percent-encode"), "{said}");
            assert!(
                !said.contains("hunter") && !said.contains(password),
                "{said}"
            );
        }
        for good in [
            "postgres://wheelhouse:hunter%232@db.example/wheelhouse",
            // Read as they are typed: no meaning in this place.
            "postgres://wheelhouse:hun[ter@db.example/wheelhouse",
            "postgres://wheelhouse:hunter%zz@db.example/wheelhouse",
            "postgres://wheelhouse:hunter2@db.example:5433/wheelhouse?sslmode=require",
            "postgresql:///wheelhouse?host=/run/postgresql&user=wheelhouse",
            "postgres://db.example:5433/wheelhouse?user=wheelhouse@tenant",
            "sqlite:data/a.db",
            "sqlite:///my%20data/a.db",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        assert!(read("sqlite://a.db?mode=never").is_err());
    }

    #[test]
    fn the_public_url_is_written_as_browsers_write_an_origin() {
        let read = |url: &str| {
            let options = Options {
                public_url: Some(url.into()),
                ..options()
            };
            Config::read(&options).unwrap().public_url
        };
        assert_eq!(
            read("https://Settings.Example/"),
            "https://settings.example"
        );
        assert_eq!(
            read("HTTPS://settings.example:443"),
            "https://settings.example"
        );
        assert_eq!(
            read("http://settings.example:80"),
            "http://settings.example"
        );
        assert_eq!(
            read("https://settings.example:8443"),
            "https://settings.example:8443"
        );
        assert_eq!(read("http://[::1]:3000"), "http://[::1]:3000");
    }

    #[test]
    fn a_server_that_listens_everywhere_is_found_on_this_machine() {
        let options = Options {
            addr: Some("0.0.0.0:8080".into()),
            ..options()
        };
        let config = Config::read(&options).unwrap();
        assert_eq!(config.public_url, "http://127.0.0.1:8080");
        assert_eq!(config.addr.to_string(), "0.0.0.0:8080");
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        let bad = |change: fn(&mut Options)| {
            let mut options = options();
            change(&mut options);
            Config::read(&options).unwrap_err().variable
        };
        assert_eq!(bad(|o| o.addr = Some("3000".into())), "WHEELHOUSE_ADDR");
        assert_eq!(
            bad(|o| o.database_url = Some("mysql://x".into())),
            "WHEELHOUSE_DATABASE_URL"
        );
        assert_eq!(
            bad(|o| o.public_url = Some("https://x.example/sub".into())),
            "WHEELHOUSE_PUBLIC_URL"
        );
        assert_eq!(
            bad(|o| o.public_url = Some("x.example".into())),
            "WHEELHOUSE_PUBLIC_URL"
        );
        assert_eq!(
            bad(|o| o.secret_key = Some("short".into())),
            "WHEELHOUSE_SECRET_KEY"
        );
        assert_eq!(
            bad(|o| o.smtp_url = Some("http://x".into())),
            "WHEELHOUSE_SMTP_URL"
        );
        assert_eq!(
            bad(|o| o.smtp_url = Some("smtp://u:p@mail.example?tls=none".into())),
            "WHEELHOUSE_SMTP_URL"
        );
        assert_eq!(
            bad(|o| o.site_root = Some("/no/such/folder".into())),
            "WHEELHOUSE_SITE_ROOT"
        );
        assert_eq!(
            bad(|o| o.public_url = Some("https://x.example?y".into())),
            "WHEELHOUSE_PUBLIC_URL"
        );
        assert_eq!(
            bad(|o| o.mail_from = Some("nobody".into())),
            "WHEELHOUSE_MAIL_FROM"
        );
        assert_eq!(
            bad(|o| o.trusted_proxies = Some("10.0.0.0/8,x".into())),
            "WHEELHOUSE_TRUSTED_PROXIES"
        );
        assert_eq!(
            bad(|o| o.webhook_allow = Some("loopback".into())),
            "WHEELHOUSE_WEBHOOK_ALLOW"
        );
        assert_eq!(
            bad(|o| o.webhook_retry_seconds = Some("5,soon".into())),
            "WHEELHOUSE_WEBHOOK_RETRY_SECONDS"
        );
        assert_eq!(
            bad(|o| o.catalog = Some("/no/such/file.toml".into())),
            "WHEELHOUSE_CATALOG"
        );
        let stripe = |o: &mut Options| {
            o.stripe_secret_key = Some("sk_test_1".into());
            o.stripe_webhook_secret = Some("whsec_1".into());
        };
        let mut good = options();
        stripe(&mut good);
        let account = Config::read(&good).unwrap().stripe.unwrap();
        assert_eq!(account.api_base, "https://api.stripe.com");
        for wrong in [
            "http://api.example",
            "api.stripe.com",
            "https://x.example/v1",
        ] {
            good.stripe_api_base = Some(wrong.into());
            let error = Config::read(&good).unwrap_err();
            assert_eq!(error.variable, "WHEELHOUSE_STRIPE_API_BASE", "{wrong}");
        }
        good.stripe_api_base = Some("http://127.0.0.1:8420/".into());
        let account = Config::read(&good).unwrap().stripe.unwrap();
        assert_eq!(account.api_base, "http://127.0.0.1:8420");
        assert_eq!(
            bad(|o| o.stripe_secret_key = Some("sk_test_1".into())),
            "WHEELHOUSE_STRIPE_WEBHOOK_SECRET"
        );
        assert_eq!(
            bad(|o| o.stripe_webhook_secret = Some("whsec_1".into())),
            "WHEELHOUSE_STRIPE_SECRET_KEY"
        );
        assert_eq!(
            bad(|o| o.stripe_api_base = Some("http://localhost:1".into())),
            "WHEELHOUSE_STRIPE_SECRET_KEY"
        );
        assert_eq!(
            bad(|o| o.rate_limit = Some("no".into())),
            "WHEELHOUSE_RATE_LIMIT"
        );
        assert_eq!(
            bad(|o| o.log_format = Some("xml".into())),
            "WHEELHOUSE_LOG_FORMAT"
        );
    }
}
