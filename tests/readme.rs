//! The README says what the code says.

use std::path::{Path, PathBuf};

use ferrogw::config::{self, Format};
use ferrogw::providers::spec::{Spec, Var};
use ferrogw::providers::table::PROVIDERS;
use ferrogw::server::build;

const BEGIN: &str = "<!-- providers -->\n";
const END: &str = "<!-- /providers -->\n";

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

/// `FERROGW_UPDATE_README=1 cargo test --test it readme` writes the table anew.
#[test]
fn the_table_of_providers_is_that_of_the_rows() {
    let readme = std::fs::read_to_string(path()).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let table = table();
    if std::env::var_os("FERROGW_UPDATE_README").is_some() {
        std::fs::write(path(), format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, table, "run it again with FERROGW_UPDATE_README=1");
}

#[test]
fn every_configuration_it_shows_is_one() {
    let readme = std::fs::read_to_string(path()).unwrap();
    let shown: Vec<&str> =
        readme.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap_or_default()).collect();
    assert!(!shown.is_empty());
    for text in shown {
        let loaded = config::parse(text, Format::Yaml, "README.md").unwrap_or_else(|invalid| panic!("{invalid}"));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        assert_eq!(config::check(&loaded.config, &build::provider_ids()), []);
    }
}

fn table() -> String {
    let rows = PROVIDERS.iter().map(|spec| format!("| `{}` | {} | {} |\n", spec.id, required(spec), optional(spec)));
    "| Provider | Required | Optional |\n| --- | --- | --- |\n".to_owned() + &rows.collect::<String>()
}

/// What must be set, and of what else one thing must be.
fn required(spec: &Spec) -> String {
    let needed = spec.vars.iter().filter(|var| var.needed).map(names);
    let choice: Vec<_> = spec.vars.iter().filter(|var| spec.any_of.contains(&var.setting)).filter_map(first).collect();
    let choice = (!choice.is_empty()).then(|| format!("one of {}", choice.join(", ")));
    needed.chain(choice).collect::<Vec<_>>().join("; ")
}

fn optional(spec: &Spec) -> String {
    let free = |var: &&Var| !var.needed && !var.names.is_empty() && !spec.any_of.contains(&var.setting);
    spec.vars.iter().filter(free).map(names).collect::<Vec<_>>().join(", ")
}

fn first(var: &Var) -> Option<String> {
    var.names.first().map(|name| format!("`{name}`"))
}

/// The variables a setting is read from: the first that is set wins.
fn names(var: &Var) -> String {
    var.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}
