//! The models of our providers: what they hold, can do and cost.
//!
//! `models.jsonl` is the source, one model a line; the build script compiles it into bytes that are read in place.
//! Over it lies what the configuration says. A price that nobody knows is `None`, and never nothing.

pub mod date;
pub mod import;
pub mod kind;
pub mod known;
pub mod names;
pub mod pack;
pub mod price;
pub mod record;
pub mod table;
pub mod view;

use std::sync::LazyLock;

use bytes::Bytes;

pub use self::known::Catalog;
pub use self::table::{Inputs, Row, Table};
use crate::wire::money;

/// Where the facts come from, and under which licences.
pub static NOTICE: &str = include_str!("NOTICE");

/// The compiled catalog of this binary.
static BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/catalog.bin"));

/// The catalog this binary was built with.
pub fn embedded() -> &'static Table {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| Table::open(Bytes::from_static(BYTES)).expect("the build script made it"));
    &TABLE
}

/// Today, as days are written.
pub fn today(now: std::time::SystemTime) -> String {
    date::render(date::of_unix(date::unix(now)).0)
}
