#![doc = include_str!("ARCHITECTURE.md")]

pub mod cli;
pub mod server;
pub mod http;
pub mod pipeline;
pub mod routing;
pub mod providers;
pub mod telemetry;
pub mod config;
pub mod call;
pub mod wire;
