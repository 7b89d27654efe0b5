#![doc = include_str!("ARCHITECTURE.md")]
//!
//! # As a library
//!
//! The binary is this library with a command line. What an application builds on:
//!
//! - [`server::embed::embed`]: a [`config::Config`] and a [`config::Env`] become an [`axum::Router`] with the edge
//!   around it, to be served beside the application's own routes; `examples/embedded.rs` does it.
//! - [`config`]: the configuration's types, [`config::load`] with problems that know their line, the JSON Schema.
//! - [`providers::table`]: whom the gateway can call, as data.
//! - [`wire`]: JSON objects as slices and server-sent events as whole frames, without I/O.
//!
//! The rest is public for the binary and the tests, and changes with them.

pub mod call;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod http;
pub mod pipeline;
pub mod providers;
pub mod routing;
pub mod server;
pub mod telemetry;
pub mod wire;
