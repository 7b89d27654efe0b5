//! The binary: arguments in, exit status out.

use std::process::ExitCode;

/// jemalloc: fast, and it gives memory back after a peak.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ferrogw::cli::main()
}
