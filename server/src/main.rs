use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// A page is thousands of small pieces, made on one thread and often dropped on another.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = wheelhouse::cli::Cli::parse();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("the runtime starts")
        .block_on(wheelhouse::cli::run(cli))
}
