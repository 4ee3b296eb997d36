use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = wheelhouse::cli::Cli::parse();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("the runtime starts")
        .block_on(wheelhouse::cli::run(cli))
}
