//! The README says what the code says.

use std::path::{Path, PathBuf};

use ferrogw::call::Op;
use ferrogw::config::{self, Format};
use ferrogw::providers::capabilities;
use ferrogw::providers::spec::{Spec, Var};
use ferrogw::providers::table::PROVIDERS;
use ferrogw::server::build;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

/// `FERROGW_UPDATE_README=1 cargo test --test it readme` writes the tables anew.
#[test]
fn the_tables_are_those_of_the_rows() {
    let tables = [("providers", table()), ("surfaces", surfaces())];
    let readme = std::fs::read_to_string(path()).unwrap();
    let update = std::env::var_os("FERROGW_UPDATE_README").is_some();
    let mut right = readme;
    for (name, table) in tables {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
        let (before, rest) = right.split_once(&begin).unwrap();
        let (written, after) = rest.split_once(&end).unwrap();
        assert!(update || written == table, "run it again with FERROGW_UPDATE_README=1:\n{table}");
        right = format!("{before}{begin}{table}{end}{after}");
    }
    if update {
        std::fs::write(path(), right).unwrap();
    }
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

/// Which provider serves which operation: itself, or through chat.
fn surfaces() -> String {
    let rows: Vec<_> = PROVIDERS.iter().map(|spec| (spec.id, capabilities::surfaces(spec))).collect();
    let mut ops: Vec<Op> = Vec::new();
    for (op, _) in rows.iter().flat_map(|(_, surfaces)| surfaces) {
        if !ops.contains(op) {
            ops.push(*op);
        }
    }
    ops.sort_by_key(|op| *op as usize);
    let cell = |surfaces: &[(Op, bool)], op: &Op| match surfaces.iter().find(|(known, _)| known == op) {
        Some((_, true)) => " ● |",
        Some((_, false)) => " ○ |",
        None => " |",
    };
    let names: String = ops.iter().map(|op| format!(" {} |", op.name())).collect();
    let head = format!("| Provider |{names}\n| --- |{}\n", " --- |".repeat(ops.len()));
    let row = |(id, surfaces): &(&str, Vec<(Op, bool)>)| {
        format!("| `{id}` |{}\n", ops.iter().map(|op| cell(surfaces, op)).collect::<String>())
    };
    head + &rows.iter().map(row).collect::<String>()
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
