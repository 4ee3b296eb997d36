//! The command line.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use app::catalog::{Mode, Scope};
use app::domain::{AppError, CreditEntryId, Email, Money, Name, PaymentId, Secret, Slug};
use app::payments;
use app::session::store;
use app::settings::api_keys::cli;
use app::settings::credits;
use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError};
use crate::serve;
use crate::start::{self, Absent};

/// Exit status for a bad value: the same as for a bad flag.
const BAD_CONFIGURATION: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "wheelhouse",
    version,
    about = "Settings pages, done once and done right."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the pages, and do the work that changes cause.
    Serve {
        /// Fill an empty database with two workspaces of demo data.
        #[arg(
            long,
            env = "WHEELHOUSE_DEMO",
            value_parser = clap::builder::BoolishValueParser::new(),
            hide_env_values = true
        )]
        demo: bool,
    },
    /// Bring the database's schema up to date.
    Migrate,
    /// Make an account with a workspace of its own. The password comes on standard input.
    CreateOwner {
        #[arg(long, env = "WHEELHOUSE_OWNER_EMAIL", hide_env_values = true)]
        email: String,
        #[arg(long, env = "WHEELHOUSE_OWNER_NAME", hide_env_values = true)]
        name: String,
        /// The workspace's name.
        #[arg(long, env = "WHEELHOUSE_OWNER_WORKSPACE", hide_env_values = true)]
        workspace: String,
        /// What stands in the workspace's address.
        #[arg(long, env = "WHEELHOUSE_OWNER_SLUG", hide_env_values = true)]
        slug: String,
    },
    /// Make an API key of a workspace and print it, this once.
    CreateKey {
        /// What stands in the workspace's address.
        #[arg(long)]
        workspace: String,
        #[arg(long)]
        name: String,
        /// `live` or `test`.
        #[arg(long = "type", default_value = "live")]
        mode: String,
        /// What it may do, as in `contacts:read,contacts:write`, or `all`.
        #[arg(long, default_value = "all")]
        scopes: String,
    },
    /// Prove every balance of credits from the ledger's lines; status 1 if one does not add up.
    VerifyLedger,
    /// Give back what was spent, or part of it.
    RefundCredits {
        /// The line of the ledger, `cen_…`.
        #[arg(long)]
        entry: String,
        /// How many credits [default: all that were not given back yet]
        #[arg(long)]
        credits: Option<u32>,
    },
    /// Pay back a payment, or part of it, through the provider.
    RefundPayment {
        /// The payment, `pay_…`.
        #[arg(long)]
        payment: String,
        /// How many cents [default: all that were not paid back yet]
        #[arg(long)]
        cents: Option<u32>,
    },
    /// Print the public API's OpenAPI document.
    Openapi,
    /// Ask a running server whether it is ready; for a container's health check.
    Healthcheck,
}

/// Every option, by flag or by variable.
#[derive(Debug, Args)]
pub struct Options {
    /// Address to listen on [default: 127.0.0.1:3000]
    #[arg(long, global = true, env = "WHEELHOUSE_ADDR", hide_env_values = true)]
    pub addr: Option<String>,
    /// `sqlite://path` or `postgres://…` [default: <sqlite://data/wheelhouse.db>, made if absent]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_DATABASE_URL",
        hide_env_values = true
    )]
    pub database_url: Option<String>,
    /// What links, cookies and the Origin check are built from [default: http:// and the address, 127.0.0.1 for all]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_PUBLIC_URL",
        hide_env_values = true
    )]
    pub public_url: Option<String>,
    /// 32 bytes in base64 [default: a file made beside the database]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_SECRET_KEY",
        hide_env_values = true
    )]
    pub secret_key: Option<String>,
    /// `smtp://` or `smtps://`, user and password within [default: none, mail stays in the outbox]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_SMTP_URL",
        hide_env_values = true
    )]
    pub smtp_url: Option<String>,
    /// Sender of mail [default: Wheelhouse <no-reply@localhost>]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_MAIL_FROM",
        hide_env_values = true
    )]
    pub mail_from: Option<String>,
    /// Networks (CIDR, comma-separated) whose X-Forwarded-For is believed [default: none]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_TRUSTED_PROXIES",
        hide_env_values = true
    )]
    pub trusted_proxies: Option<String>,
    /// Networks (CIDR, comma-separated) to which webhooks may go though they are private [default: none]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_WEBHOOK_ALLOW",
        hide_env_values = true
    )]
    pub webhook_allow: Option<String>,
    /// Seconds between attempts to deliver [default: 5,300,1800,7200,18000,36000,36000]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_WEBHOOK_RETRY_SECONDS",
        hide_env_values = true
    )]
    pub webhook_retry_seconds: Option<String>,
    /// `on`, or `off` for load tests [default: on]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_RATE_LIMIT",
        hide_env_values = true
    )]
    pub rate_limit: Option<String>,
    /// A catalog.toml with plans, packages and costs of your own [default: the built-in one]
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
    /// What Stripe signs its events with, `whsec_…`
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_STRIPE_WEBHOOK_SECRET",
        hide_env_values = true
    )]
    pub stripe_webhook_secret: Option<String>,
    /// Where Stripe is asked [default: <https://api.stripe.com>]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_STRIPE_API_BASE",
        hide_env_values = true
    )]
    pub stripe_api_base: Option<String>,
    /// Folder of the browser's files [default: `site` beside the program, else target/site]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_SITE_ROOT",
        hide_env_values = true
    )]
    pub site_root: Option<String>,
    /// Filter for logs, as in `info,wheelhouse=debug` [default: info]
    #[arg(long, global = true, env = "WHEELHOUSE_LOG", hide_env_values = true)]
    pub log: Option<String>,
    /// `text` or `json` [default: text]
    #[arg(
        long,
        global = true,
        env = "WHEELHOUSE_LOG_FORMAT",
        hide_env_values = true
    )]
    pub log_format: Option<String>,
}

/// Runs a command to its end.
pub async fn run(cli: Cli) -> ExitCode {
    let config = match Config::read(&cli.options) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    if let Err(error) = serve::init_logs(&config) {
        return fail(&error);
    }
    let result = match cli.command {
        Command::Serve { demo } => serve::serve(config, demo).await,
        Command::Migrate => serve::open(&config, false, Absent::Make)
            .await
            .map(|_| println!("The schema is up to date.")),
        Command::CreateOwner {
            email,
            name,
            workspace,
            slug,
        } => create_owner(&config, &email, &name, &workspace, &slug).await,
        Command::CreateKey {
            workspace,
            name,
            mode,
            scopes,
        } => create_key(&config, &workspace, &name, &mode, &scopes).await,
        Command::VerifyLedger => verify_ledger(&config).await,
        Command::RefundCredits { entry, credits } => refund(&config, &entry, credits).await,
        Command::RefundPayment { payment, cents } => pay_back(&config, &payment, cents).await,
        Command::Openapi => {
            println!("{:#}", crate::api::document());
            Ok(())
        }
        Command::Healthcheck => serve::healthcheck(&config).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(error) = error.downcast_ref::<ConfigError>() {
                return fail(error);
            }
            eprintln!("wheelhouse: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn fail(error: &ConfigError) -> ExitCode {
    eprintln!("wheelhouse: {error}");
    ExitCode::from(BAD_CONFIGURATION)
}

async fn create_owner(
    config: &Config,
    email: &str,
    name: &str,
    workspace: &str,
    slug: &str,
) -> Result<()> {
    let name =
        Name::parse(name).map_err(|error| ConfigError::new("WHEELHOUSE_OWNER_NAME", error))?;
    let email =
        Email::parse(email).map_err(|error| ConfigError::new("WHEELHOUSE_OWNER_EMAIL", error))?;
    let workspace = Name::parse(workspace)
        .map_err(|error| ConfigError::new("WHEELHOUSE_OWNER_WORKSPACE", error))?;
    let slug =
        Slug::parse(slug).map_err(|error| ConfigError::new("WHEELHOUSE_OWNER_SLUG", error))?;
    let mut password = String::new();
    std::io::stdin()
        .read_to_string(&mut password)
        .context("reading the password")?;
    let password = Secret::from(password.trim_end_matches(['\r', '\n']));
    let ctx = serve::open(config, false, Absent::Make).await?;
    store::create_owner(&ctx, &name, &email, &password, &workspace, &slug)
        .await
        .map_err(|error| match error {
            AppError::Invalid(fields) => {
                let problems: Vec<String> = fields
                    .iter()
                    .map(|(field, message)| format!("{field}: {message}"))
                    .collect();
                anyhow!(problems.join("; "))
            }
            other => anyhow!(other.to_string()),
        })?;
    println!(
        "{name} <{email}> owns {workspace}: {}",
        ctx.site().url(&format!("/w/{slug}"))
    );
    Ok(())
}

/// Prints the key and nothing else, so that a script can take it.
async fn create_key(
    config: &Config,
    workspace: &str,
    name: &str,
    mode: &str,
    scopes: &str,
) -> Result<()> {
    let slug = Slug::parse(workspace).map_err(|error| anyhow!("--workspace: {error}"))?;
    let name = Name::parse(name).map_err(|error| anyhow!("--name: {error}"))?;
    let mode: Mode = mode.parse().map_err(|error| anyhow!("--type: {error}"))?;
    let scopes: Vec<Scope> = match scopes {
        "all" => Scope::ALL.to_vec(),
        list => list
            .split(',')
            .map(|scope| scope.trim().parse())
            .collect::<Result<_, _>>()
            .map_err(|error| anyhow!("--scopes: {error}"))?,
    };
    let ctx = serve::open(config, false, Absent::Refuse).await?;
    let token = cli::create(&ctx, &slug, &name, mode, &scopes)
        .await
        .map_err(|error| match error {
            AppError::NotFound => anyhow!("--workspace: there is none at /w/{slug}"),
            other => anyhow!(other.to_string()),
        })?;
    println!("{}", token.secret().expose());
    Ok(())
}

async fn verify_ledger(config: &Config) -> Result<()> {
    let db = start::existing(config).await?;
    let faults = credits::verify::verify(db.read()).await;
    let faults = faults.map_err(|error| anyhow!(error.to_string()))?;
    for fault in &faults {
        println!("{fault}");
    }
    if faults.is_empty() {
        println!("Every balance is what its lines say.");
        return Ok(());
    }
    bail!("the ledger does not add up");
}

async fn refund(config: &Config, entry: &str, credits: Option<u32>) -> Result<()> {
    let id: CreditEntryId = entry.parse().map_err(|error| anyhow!("--entry: {error}"))?;
    let db = start::existing(config).await?;
    let mut tx = db.begin().await?;
    let entry =
        credits::store::refund(&mut tx, id, credits)
            .await
            .map_err(|error| match error {
                AppError::NotFound => anyhow!("--entry: nothing was spent by this line"),
                other => anyhow!(other.to_string()),
            })?;
    tx.commit().await?;
    println!(
        "{} credits given back; {} are there now.",
        entry.amount, entry.balance
    );
    Ok(())
}

async fn pay_back(config: &Config, payment: &str, cents: Option<u32>) -> Result<()> {
    let id: PaymentId = payment
        .parse()
        .map_err(|error| anyhow!("--payment: {error}"))?;
    let ctx = serve::open(config, false, Absent::Refuse).await?;
    let amount = cents.map(|cents| Money::from_cents(cents.into()));
    let paid_back =
        payments::store::refund(&ctx, id, amount)
            .await
            .map_err(|error| match error {
                AppError::NotFound => anyhow!("--payment: no payment of this id was paid"),
                other => anyhow!(other.to_string()),
            })?;
    println!("{paid_back} paid back.");
    let balance = payments::store::balance_of(&ctx, id).await;
    let balance = balance.map_err(|error| anyhow!(error.to_string()))?;
    if balance < Money::default() {
        println!(
            "The workspace owes {}, which is collected with its next payment for a plan.",
            Money::default() - balance
        );
    }
    Ok(())
}
