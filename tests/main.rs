//! Tests over sockets: what a caller can see.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod allocations;
mod bad_input;
mod capabilities;
mod catalog;
mod chaos;
mod chat;
mod cli;
mod client;
mod cohere;
mod config;
mod conformance;
mod edge;
mod embed;
mod explain;
mod faults;
mod keys;
mod native_anthropic;
mod native_bedrock;
mod native_gemini;
mod native_replicate;
mod providers;
mod readme;
mod reload;
mod resilience;
mod rework;
mod routing;
mod server;
mod shutdown;
mod support;
mod surfaces;
mod tapes;
mod telemetry;
mod tidy;
mod vertex;
mod wire;
