//! `ferrogw version`.

use serde_json::json;

use super::output::{Failed, Output};

/// Set by whoever builds, as `FERROGW_COMMIT=$(git rev-parse --short HEAD) cargo build`.
fn or(set: Option<&'static str>, otherwise: &'static str) -> &'static str {
    set.filter(|value| !value.is_empty()).unwrap_or(otherwise)
}

/// Prints what this binary is.
pub(super) fn run(output: Output) -> Result<(), Failed> {
    let facts = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("commit", or(option_env!("FERROGW_COMMIT"), "none").to_owned()),
        ("built", or(option_env!("FERROGW_BUILT"), "unknown").to_owned()),
        ("rust", or(option_env!("FERROGW_RUST"), concat!("at least ", env!("CARGO_PKG_RUST_VERSION"))).to_owned()),
        ("os_arch", format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH)),
    ];
    let value: serde_json::Value = facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    output.print(&value, || facts.iter().map(|(name, value)| format!("{:<9}{value}\n", format!("{name}:"))).collect())
}
