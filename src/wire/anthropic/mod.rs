//! Anthropic's Messages API, wherever it is hosted (<https://platform.claude.com/docs/en/api/messages>).
//!
//! Requests are written in one pass: texts, images and schemas are copied as the JSON they came as. What a model takes
//! is data (`models`), what a host takes is [`Hosting`].

pub mod answer;
mod chunks;
mod content;
mod desk;
mod errors;
mod event;
mod finish;
mod hosting;
mod json;
mod marked;
mod media;
mod messages;
mod models;
mod replay;
pub mod request;
mod rest;
mod schema;
pub mod stream;
mod thinking;
mod tools;
mod usage;

pub use self::hosting::Hosting;
