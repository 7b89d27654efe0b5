//! Whom we can call.

pub mod client;
pub mod rework;
pub mod settings;
pub mod spec;
pub mod table;
