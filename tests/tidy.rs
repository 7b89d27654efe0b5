//! Rules about the source itself.

use std::fs;
use std::path::{Path, PathBuf};

/// The one direction: a module uses what stands to its right, and nothing to its left.
const CHAIN: [&str; 12] = [
    "main",
    "cli",
    "server",
    "http",
    "pipeline",
    "routing",
    "providers",
    "telemetry",
    "catalog",
    "config",
    "call",
    "wire",
];

/// Neighbours in the chain that do not know each other either.
const STRANGERS: [(&str, &str); 1] = [("telemetry", "catalog")];

/// The most lines a file may have.
const LONGEST: usize = 400;

/// Effects that formats must not know of.
const EFFECTS: [&str; 6] = ["tokio", "reqwest", "std::env", "Instant", "SystemTime", "std::net"];

/// What is not to be found in finished code. In two halves, so that this file does not break its own rule.
const UNFINISHED: [(&str, &str); 5] =
    [("todo", "!("), ("unimplemented", "!("), ("dbg", "!("), ("#[igno", "re"), ("#[al", "low(")];

/// A file, with its path below the root and its text.
struct Source {
    path: String,
    text: String,
}

fn sources(root: &Path, folder: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => walk(&path, found),
                Some(end) if end == "rs" => found.push(path),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(&root.join(folder), &mut found);
    found.sort();
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
    found.iter().map(|path| Source { path: name(path), text: fs::read_to_string(path).unwrap() }).collect()
}

impl Source {
    /// The modules it is in: `["http", "edge"]` for `src/http/edge/mod.rs`, `["http", "edge", "auth"]` beside it.
    fn modules(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.trim_end_matches("/mod").split('/').collect()
    }

    /// Its lines with their numbers, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().filter_map(|(at, line)| {
            let end =
                line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':')).map_or(line.len(), |(at, _)| at);
            Some((at + 1, &line[..end])).filter(|(_, code)| !code.trim().is_empty())
        })
    }

    /// The top-level modules it names, each with its line: after `crate::`, or after as many `super::` as lead there.
    fn uses(&self) -> Vec<(usize, String)> {
        let depth = self.modules().len();
        let mut found = Vec::new();
        for (line, code) in self.code() {
            let starts = code.match_indices("crate::").map(|(at, start)| at + start.len());
            let up = "super::".repeat(depth);
            let climbs = code.match_indices(&up).map(|(at, start)| at + start.len());
            for start in starts.chain(climbs) {
                let rest = &code[start..];
                let names = match rest.strip_prefix('{') {
                    Some(group) => firsts(group),
                    None => vec![word(rest)],
                };
                found.extend(names.into_iter().map(|name| (line, name)));
            }
        }
        found
    }
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first name of each path in a group such as `a::{b, c}, d}`.
fn firsts(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut at_start) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            c if at_start && !c.is_whitespace() => {
                names.push(word(&group[at..]));
                at_start = false;
            }
            _ => {}
        }
    }
    names
}

/// Everything under this root that breaks a rule.
fn faults(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    let (src, tests) = (sources(root, "src"), sources(root, "tests"));
    let rank = |module: &str| CHAIN.iter().position(|known| *known == module);
    for file in &src {
        let own = file.modules()[0].to_owned();
        match rank(&own) {
            None if own == "lib" => {}
            None => faults.push(format!("{}: `{own}` has no place in the chain", file.path)),
            Some(place) => {
                let strange = |used: &str| STRANGERS.contains(&(own.as_str(), used));
                let wrong = file
                    .uses()
                    .into_iter()
                    .filter(|(_, used)| strange(used) || rank(used).is_some_and(|used| used < place));
                faults.extend(wrong.map(|(line, used)| format!("{}:{line}: `{own}` must not use `{used}`", file.path)));
            }
        }
        let formats = own == "wire";
        let row = file.path.starts_with("src/providers/table/");
        for (line, code) in file.code() {
            let effects = EFFECTS.iter().filter(|effect| formats && code.contains(**effect));
            faults.extend(effects.map(|effect| format!("{}:{line}: a format must not know `{effect}`", file.path)));
            if !row && code.replace(' ', "").contains("spec.id==") {
                faults.push(format!("{}:{line}: what is special about a provider belongs in its row", file.path));
            }
        }
    }
    for file in src.iter().chain(&tests).chain(&sources(root, "benches")) {
        let lines = file.text.lines().count();
        if lines > LONGEST {
            faults.push(format!("{}: {lines} lines, at most {LONGEST} are allowed", file.path));
        }
        // the front page of the library is the map
        let start = if file.path == "src/lib.rs" { "#![doc = include_str!" } else { "//!" };
        if !file.text.starts_with(start) {
            faults.push(format!("{}: does not begin by saying what it is", file.path));
        }
        for (line, code) in file.code() {
            let found = UNFINISHED.iter().filter(|(a, b)| code.contains(&format!("{a}{b}")));
            faults.extend(found.map(|(a, b)| format!("{}:{line}: `{a}{b}`", file.path)));
        }
    }
    faults.extend(map(root, &src));
    faults
}

/// What is wrong with the map of the source.
fn map(root: &Path, src: &[Source]) -> Vec<String> {
    let path = "src/ARCHITECTURE.md";
    let text = fs::read_to_string(root.join(path)).unwrap_or_default();
    let mut faults = Vec::new();
    if !(1..250).contains(&text.lines().count()) {
        faults.push(format!("{path}: {} lines, it must have fewer than 250 and have some", text.lines().count()));
    }
    for (at, line) in text.lines().enumerate() {
        let paths = line.split(|c: char| !(c.is_alphanumeric() || "_/.-".contains(c)));
        let paths = paths.filter(|word| word.starts_with("src/")).map(|word| word.trim_end_matches(['.', '/']));
        let gone = paths.filter(|path| !root.join(path).exists());
        faults.extend(gone.map(|gone| format!("{path}:{}: there is no {gone}", at + 1)));
        for name in line.split('`').skip(1).step_by(2) {
            if !is_there(name, src) {
                faults.push(format!("{path}:{}: there is no `{name}`", at + 1));
            }
        }
    }
    faults
}

/// Whether what a path such as `pipeline::walk` or `wire::Object::parse` names is there; other words are not judged.
fn is_there(name: &str, src: &[Source]) -> bool {
    let name = name.strip_prefix("crate::").unwrap_or(name);
    let parts: Vec<&str> = name.split("::").collect();
    let plain = parts.iter().all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_'));
    if parts.len() < 2 || !plain || !CHAIN.contains(&parts[0]) {
        return true;
    }
    // as far as it goes by modules; the rest are names in the last of them
    let depth = (1..=parts.len()).rev().find(|depth| src.iter().any(|file| file.modules() == parts[..*depth]));
    let Some(depth) = depth else { return false };
    let within = src.iter().filter(|file| file.modules().starts_with(&parts[..depth]));
    let texts: Vec<&str> = within.map(|file| file.text.as_str()).collect();
    parts[depth..].iter().all(|part| texts.iter().any(|text| text.contains(part)))
}

#[test]
fn the_source_keeps_its_own_rules() {
    let faults = faults(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_broken_rule_is_found() {
    let check = |files: &[(&str, String)], expected: &[&str]| {
        let root = tempfile::tempdir().unwrap();
        let map = ("src/ARCHITECTURE.md", "# A map\n".to_owned());
        for (path, text) in [map].iter().chain(files) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = faults(root.path());
        assert_eq!(found.len(), expected.len(), "{files:?}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found} is not about {expected}");
        }
    };
    let file = |text: &str| format!("//! A file.\n\n{text}\n");
    check(&[("src/wire/mod.rs", file("use crate::call::Call;"))], &["src/wire/mod.rs:3: `wire` must not use `call`"]);
    check(&[("src/call/mod.rs", file("use crate::wire::Object; // not crate::http"))], &[]);
    check(
        &[("src/call/mod.rs", file("use crate::{wire::{Object, config}, config::Env};"))],
        &["must not use `config`"],
    );
    check(&[("src/call/a/b.rs", file("fn f() { super::super::super::http::f() }"))], &["must not use `http`"]);
    check(&[("src/call/a/b.rs", file("use super::super::http;"))], &[]);
    check(&[("src/call/mod.rs", file("use super::routing;"))], &["must not use `routing`"]);
    check(&[("src/telemetry/mod.rs", file("use crate::catalog::Row;"))], &["`telemetry` must not use `catalog`"]);
    check(&[("src/util/mod.rs", file(""))], &["`util` has no place"]);
    check(
        &[("src/wire/sse.rs", file("use tokio::io;\n// std::env\nfn f(_: std::time::Instant) {}"))],
        &["`tokio`", "`Instant`"],
    );
    check(&[("src/http/mod.rs", file("fn f() { if spec.id  == \"x\" {} }"))], &["belongs in its row"]);
    check(&[("src/providers/table/x.rs", file("fn f() { spec.id == \"x\" }"))], &[]);
    check(&[("src/call/mod.rs", file(&"\n".repeat(LONGEST)))], &["403 lines"]);
    check(&[("tests/x.rs", "use std::fs;\n".to_owned())], &["does not begin"]);
    for (a, b) in UNFINISHED {
        check(&[("benches/x/main.rs", file(&format!("{a}{b}")))], &[b]);
    }
    let map = |text: &str| ("src/ARCHITECTURE.md", text.to_owned());
    let walk = || ("src/pipeline/walk.rs", file("pub fn walk() {}"));
    check(&[walk(), map("See `pipeline::walk`, `pipeline::walk::walk`, `src/pipeline/walk.rs`, `x::y`.")], &[]);
    check(
        &[walk(), map("See `pipeline::run` and\n`pipeline::walk::run`.")],
        &["ARCHITECTURE.md:1", "`pipeline::walk::run`"],
    );
    check(&[map("See src/gone.rs.")], &["there is no src/gone.rs"]);
    check(&[map(&"line\n".repeat(250))], &["250 lines"]);
}
