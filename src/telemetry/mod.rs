//! What the outside may know about calls: metrics, access lines and log lines, all fed by one record of each call.

pub mod access_log;
mod calendar;
pub mod connections;
mod families;
mod json;
mod keys;
pub mod logs;
mod members;
pub mod metrics;
pub mod millis;
pub mod reloads;
mod series;
pub mod sink;
pub mod standings;
pub mod worker;

pub use self::access_log::{AccessLog, Line};
pub use self::logs::{Format, Level};
pub use self::metrics::{InFlight, Metrics};
pub use self::millis::Millis;
pub use self::series::Series;
pub use self::sink::Sink;
pub use self::worker::worker;
