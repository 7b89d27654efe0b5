//! The importer: packages read as data, merged, cleaned, and always to the same bytes.

use std::path::{Path, PathBuf};

use ferrogw::catalog::import::{Import, import};
use ferrogw::catalog::record::{self, Record};
use ferrogw::wire::Usd;

const TODAY: &str = "2026-11-21";

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalog/sources").join(name)
}

fn import_both(before: &[Record]) -> Import {
    import(&[source("litellm"), source("genai")], before, TODAY).unwrap()
}

fn written(import: &Import) -> String {
    record::write(&import.origin, &import.records).unwrap()
}

#[test]
fn two_sources_become_one_catalog() {
    let import = import_both(&[]);
    insta::assert_snapshot!(written(&import));
    assert_eq!((import.disputes, import.junk, import.vanished), (1, 1, 0));
    assert_eq!(import.alarms, Vec::<String>::new());
    let ignored: Vec<String> = import.ignored.lines().collect();
    assert_eq!(
        ignored,
        ["genai-prices: the price odd_kcount (1 times)", "litellm: the price new_cost_per_thought (1 times)"]
    );
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    assert_eq!(written(&import_both(&[])), written(&import_both(&[])));
    let other_way = import(&[source("genai"), source("litellm")], &[], TODAY).unwrap();
    let lines = |import: &Import| written(import).lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&other_way), lines(&import_both(&[])));
}

#[test]
fn what_no_source_knows_any_more_keeps_its_price() {
    let mut before = import_both(&[]).records;
    let gone = Record { id: "gone".to_owned(), ..before[0].clone() };
    before.push(gone.clone());
    let after = import_both(&before);
    let kept = after.records.iter().find(|record| record.id == "gone").unwrap();
    assert_eq!(*kept, Record { retired: true, ..gone });
    assert_eq!(after.vanished, 1);
    // one of seven is more than may vanish without a look at it
    assert_eq!(after.alarms, ["1 of 7 models with a price are gone"]);
    // the next import still knows it
    assert!(import_both(&after.records).records.iter().any(|record| record.id == "gone" && record.retired));
}

#[test]
fn a_price_that_jumps_is_an_alarm() {
    let mut before = import_both(&[]).records;
    let agreed = before.iter_mut().find(|record| record.id == "agreed").unwrap();
    for entry in &mut agreed.price {
        entry.rates.set(0, Usd::parse("0.0001", 0).unwrap());
    }
    let alarms = import_both(&before).alarms;
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(alarms[0].starts_with("openai/agreed: `in` moved from 100000000 to"), "{alarms:?}");
}

#[test]
fn a_catalog_is_a_source_too() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("mine.jsonl");
    std::fs::write(&file, written(&import_both(&[]))).unwrap();
    let again = import(&[file], &[], TODAY).unwrap();
    assert_eq!(again.records, import_both(&[]).records);
}

#[test]
fn what_is_no_source_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let check = |name: &str, bytes: &[u8], expected: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = import(&[path], &[], TODAY).unwrap_err();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    };
    check("a.txt", b"hello", "is neither litellm");
    check("b.whl", b"PK\x03\x04 broken", "no zip archive");
    check("model_prices_and_context_window_backup.json", b"{", "EOF");
    check("c.jsonl", b"{}", "line 1: missing field");
    let missing = import(&[place.path().join("nowhere")], &[], TODAY).unwrap_err();
    assert!(missing.contains("nowhere"), "{missing}");
}
