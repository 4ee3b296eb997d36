//! The options of the program.

use clap::Args;

/// Every option, as a flag and as an environment variable.
#[derive(Debug, Args)]
pub struct Options {
    /// Address to listen on [default: 127.0.0.1:3000]
    #[arg(long, global = true, env = "WHEELHOUSE_ADDR", hide_env_values = true)]
    pub addr: Option<String>,
    /// `sqlite://path` or `postgres://…` [default: <sqlite://data/wheelhouse.db>, created if missing]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_DATABASE_URL",
        hide_env_values = true
    )]
    pub database_url: Option<String>,
    /// Public URL, used for links, cookies and the Origin check [default: http:// and the address to listen on]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_PUBLIC_URL",
        hide_env_values = true
    )]
    pub public_url: Option<String>,
    /// 32 bytes in base64 [default: a file created beside the database]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_SECRET_KEY",
        hide_env_values = true
    )]
    pub secret_key: Option<String>,
    /// `smtp://` or `smtps://`, with user name and password [default: none, email stays in the outbox]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_SMTP_URL",
        hide_env_values = true
    )]
    pub smtp_url: Option<String>,
    /// Sender of email [default: Wheelhouse <no-reply@localhost>]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_MAIL_FROM",
        hide_env_values = true
    )]
    pub mail_from: Option<String>,
    /// Proxies whose X-Forwarded-For is trusted: comma-separated CIDR ranges [default: none]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_TRUSTED_PROXIES",
        hide_env_values = true
    )]
    pub trusted_proxies: Option<String>,
    /// Private networks that can receive webhooks: comma-separated CIDR ranges [default: none]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_WEBHOOK_ALLOW",
        hide_env_values = true
    )]
    pub webhook_allow: Option<String>,
    /// Seconds between delivery attempts [default: 5,300,1800,7200,18000,36000,36000]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_WEBHOOK_RETRY_SECONDS",
        hide_env_values = true
    )]
    pub webhook_retry_seconds: Option<String>,
    /// Rate limits: `on`, or `off` for load tests [default: on]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_RATE_LIMIT",
        hide_env_values = true
    )]
    pub rate_limit: Option<String>,
    /// Your own catalog.toml with plans, packages and costs [default: the built-in one]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_CATALOG",
        hide_env_values = true
    )]
    pub catalog: Option<String>,
    /// Stripe's secret key, `sk_…` [default: none, payments are simulated]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_STRIPE_SECRET_KEY",
        hide_env_values = true
    )]
    pub stripe_secret_key: Option<String>,
    /// Signing secret of Stripe's webhook, `whsec_…`
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_STRIPE_WEBHOOK_SECRET",
        hide_env_values = true
    )]
    pub stripe_webhook_secret: Option<String>,
    /// Base URL of the Stripe API [default: <https://api.stripe.com>]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_STRIPE_API_BASE",
        hide_env_values = true
    )]
    pub stripe_api_base: Option<String>,
    /// Directory of the site files [default: `site` beside the program, or target/site]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_SITE_ROOT",
        hide_env_values = true
    )]
    pub site_root: Option<String>,
    /// Log filter, such as `info,wheelhouse=debug` [default: info]
    #[arg(long, global = true, env = "WHEELHOUSE_LOG", hide_env_values = true)]
    pub log: Option<String>,
    /// Log format: `text` or `json` [default: text]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_LOG_FORMAT",
        hide_env_values = true
    )]
    pub log_format: Option<String>,
}
