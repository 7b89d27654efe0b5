//! `cargo bench --bench gateway`: the gateway, a bare hyper floor and nginx under the same load, in the same run.
//!
//! One program plays every part: without a role it is the driver, which starts itself again as mock upstream,
//! floor, load generator and warden of the proxies. All traffic stays on loopback. What the numbers mean and which
//! variables choose what is measured stands in `settings.rs`; the figures also go to `target/bench.json`.
//! What needs no load is measured beside: instructions, the translations in one process, the memory of uploads.

mod bars;
mod callgrind;
mod child;
mod dialogue;
mod driver;
mod floor;
mod histogram;
mod load;
mod mock;
mod plan;
mod process;
mod reply;
mod report;
mod settings;
mod subject;
mod tls;
mod traffic;
mod translate;
mod upload;
mod warden;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        Some("role:mock") => mock::main(&args[1..]),
        Some("role:floor") => floor::main(&args[1..]),
        Some("role:load") => load::main(&args[1..]),
        Some("role:plan") => plan::main(),
        Some("role:translate") => translate::main(),
        Some("role:warden") => warden::main(&args[1..]),
        _ if args.iter().any(|arg| arg == "--bench") => driver::main(),
        // `cargo test --benches` runs this program too; only `cargo bench` passes `--bench`
        _ => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
