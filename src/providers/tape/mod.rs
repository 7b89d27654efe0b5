//! Cassettes: exchanges with providers, written to a folder and played from there without a network.
//!
//! A folder holds one JSON file an exchange, in the order in which they began: `000001-openai-chat.json`. Each says who was
//! asked for which operation and model, what was sent, and what came back with the milliseconds from the request to each
//! piece; [`file`] has the members. No credential is in them: fields that carry one are left out, the values of others
//! that are not known to be harmless are hidden, and known secrets are replaced wherever they stand.

pub mod file;
pub mod record;
pub mod replay;

pub use self::record::Recorder;
pub use self::replay::{Tape, folder};
