//! The build script: compiles `models.jsonl` into the catalog that the binary holds.
#![expect(dead_code, unreachable_pub, reason = "these modules are the crate's: it uses more of them")]

use std::path::Path;
use std::{env, fs};

mod date;
mod kind;
#[path = "../wire/money.rs"]
mod money;
mod pack;
mod record;

fn main() -> Result<(), String> {
    let here = Path::new("src/catalog");
    let models = here.join("models.jsonl");
    let text = fs::read_to_string(&models).map_err(|error| format!("{}: {error}", models.display()))?;
    let bytes = pack::compile(&text).map_err(|error| format!("{}: {error}", models.display()))?;
    let out = env::var("OUT_DIR").map_err(|error| error.to_string())?;
    fs::write(Path::new(&out).join("catalog.bin"), bytes).map_err(|error| error.to_string())?;
    for file in ["build.rs", "date.rs", "kind.rs", "models.jsonl", "pack.rs", "record.rs", "../wire/money.rs"] {
        tell(&here.join(file));
    }
    Ok(())
}

fn tell(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}
