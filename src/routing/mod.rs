//! Which targets, in which order. A strategy only orders: it never calls, retries or waits.
//!
//! [`Routing`] finds the [`route`] of a request and who could be asked for its model ([`candidates`]); the strategies of
//! the route ([`order`]) make a [`Plan`] of them. What they go by is kept beside each target ([`vitals`]).

pub mod affinity;
pub mod breaker;
pub mod budget;
pub mod candidates;
pub mod conversation;
pub mod cost;
pub mod digest;
pub mod experiment;
pub mod facts;
pub mod habits;
pub mod hedge;
pub mod matcher;
pub mod order;
pub mod pace;
pub mod pick;
mod picks;
pub mod plan;
pub mod pool;
pub mod random;
pub mod retry;
pub mod route;
pub mod slots;
pub mod target;
pub mod vitals;

pub use self::facts::Facts;
pub use self::plan::{Plan, Step};
pub use self::route::{Moment, Route, Routing};
pub use self::target::Target;
