//! The rows: one per provider, a file per group of vendors.

mod openai;

use super::spec::Spec;

/// Every provider, in the order in which they are offered when nothing is configured: alphabetical by id.
pub static PROVIDERS: &[&Spec] = &[&openai::OPENAI];

/// The row of an id.
pub fn find(id: &str) -> Option<&'static Spec> {
    PROVIDERS.iter().copied().find(|spec| spec.id == id)
}
