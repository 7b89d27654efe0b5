//! The binary.

use clap::Parser;
use ferrogw::cli::serve;

/// jemalloc: fast, and it gives memory back after a peak.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    serve: serve::Args,
}

fn main() -> anyhow::Result<()> {
    serve::run(&Cli::parse().serve)
}
