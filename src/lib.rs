#![doc = include_str!("ARCHITECTURE.md")]

pub mod call;
pub mod cli;
pub mod config;
pub mod http;
pub mod pipeline;
pub mod providers;
pub mod routing;
pub mod server;
pub mod telemetry;
pub mod wire;
