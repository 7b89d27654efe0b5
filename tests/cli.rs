//! The command line: the real binary, in an empty folder and with an empty environment.

mod catalog;
mod explain;
mod first_run;
mod inspect;
mod keys;
mod live;
mod plan;
mod providers;
mod refusals;
mod serving;
pub(crate) mod support;
