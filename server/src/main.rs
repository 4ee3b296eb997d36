use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// Rendering a page makes thousands of small allocations, often freed on another thread.
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
