//! The words of rules about failures.

use crate::call::Fault;
use crate::providers::spec::FaultRule;

/// A rule. Status 0 fits every status, an empty text every failure.
pub(super) const fn on(status: u16, text: &'static str, fault: Fault) -> FaultRule {
    FaultRule { status, text, fault }
}
