//! The command line.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Parser, Subcommand};
use domain::catalog::{Mode, Scope};
use domain::{AppError, CreditEntryId, Email, Money, Name, PaymentId, Secret, Slug};
use store::api_keys::cli;
use store::auth::{Unattended, sessions};
use store::{credits, settlement};

use crate::config::{Config, ConfigError};
use crate::options::Options;
use crate::serve;
use crate::start::{self, Absent};

/// Exit status for an invalid value: the same as for an invalid flag.
const BAD_CONFIGURATION: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "wheelhouse",
    version,
    about = "Account, workspace and developer settings for a SaaS product."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server and its background workers.
    Serve {
        /// Fill an empty database with demo data: two workspaces.
        #[arg(
            long,
            env = "WHEELHOUSE_DEMO",
            value_parser = clap::builder::BoolishValueParser::new(),
            hide_env_values = true
        )]
        demo: bool,
    },
    /// Migrate the database to the current schema.
    Migrate,
    /// Create an account with its own workspace. Reads the password from standard input.
    CreateOwner {
        #[arg(long, env = "WHEELHOUSE_OWNER_EMAIL", hide_env_values = true)]
        email: String,
        #[arg(long, env = "WHEELHOUSE_OWNER_NAME", hide_env_values = true)]
        name: String,
        /// Name of the workspace.
        #[arg(long, env = "WHEELHOUSE_OWNER_WORKSPACE", hide_env_values = true)]
        workspace: String,
        /// Slug in the workspace URL, as in `/w/slug`.
        #[arg(long, env = "WHEELHOUSE_OWNER_SLUG", hide_env_values = true)]
        slug: String,
    },
    /// Create an API key for a workspace and print it. It is not shown again.
    CreateKey {
        /// Slug of the workspace.
        #[arg(long)]
        workspace: String,
        #[arg(long)]
        name: String,
        /// `live` or `test`.
        #[arg(long = "type", default_value = "live")]
        mode: String,
        /// Comma-separated scopes, such as `contacts:read,contacts:write`, or `all`.
        #[arg(long, default_value = "all")]
        scopes: String,
    },
    /// Check every credit balance against the ledger. Exits with status 1 if one does not match.
    VerifyLedger,
    /// Refund spent credits, in full or in part.
    RefundCredits {
        /// ID of the ledger entry, `cen_…`.
        #[arg(long)]
        entry: String,
        /// Number of credits [default: all that were not refunded yet]
        #[arg(long)]
        credits: Option<u32>,
    },
    /// Refund a payment through the payment provider, in full or in part.
    RefundPayment {
        /// ID of the payment, `pay_…`.
        #[arg(long)]
        payment: String,
        /// Amount in cents [default: all that was not refunded yet]
        #[arg(long)]
        cents: Option<u32>,
    },
    /// Print the OpenAPI document of the public API.
    Openapi,
    /// Check whether a running server is ready, for a container's health check.
    Healthcheck,
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
        .context("cannot read the password from standard input")?;
    let password = Secret::from(password.trim_end_matches(['\r', '\n']));
    let ctx = serve::open(config, false, Absent::Make).await?;
    sessions::create_owner(&ctx, &name, &email, &password, &workspace, &slug)
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

/// Prints only the key, so that a script can read it.
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
            AppError::NotFound => anyhow!("--workspace: no workspace has the slug “{slug}”"),
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
        println!("Every balance matches the ledger.");
        return Ok(());
    }
    bail!("some balances do not match the ledger");
}

async fn refund(config: &Config, entry: &str, credits: Option<u32>) -> Result<()> {
    let id: CreditEntryId = entry.parse().map_err(|error| anyhow!("--entry: {error}"))?;
    let db = start::existing(config).await?;
    let mut tx = db.begin().await?;
    let entry = credits::refund(Unattended::Operator, &mut tx, id, credits)
        .await
        .map_err(|error| match error {
            AppError::NotFound => {
                anyhow!("--entry: no ledger entry with this ID spent credits")
            }
            other => anyhow!(other.to_string()),
        })?;
    tx.commit().await?;
    println!(
        "Refunded {} credits. The balance is now {}.",
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
    let paid_back = settlement::refund(Unattended::Operator, &ctx, id, amount)
        .await
        .map_err(|error| match error {
            AppError::NotFound => anyhow!("--payment: no completed payment has this ID"),
            other => anyhow!(other.to_string()),
        })?;
    println!("Refunded {paid_back}.");
    let balance = settlement::balance_of(&ctx, id).await;
    let balance = balance.map_err(|error| anyhow!(error.to_string()))?;
    if balance < Money::default() {
        println!(
            "The workspace owes {}. This is charged with its next plan payment.",
            Money::default() - balance
        );
    }
    Ok(())
}
