//! The router with a short way to the one route that nearly all requests take.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use http::{Method, Request};

use super::api;
use super::edge::{Caller, Inner};
use crate::pipeline::Gateway;

/// Every route. A chat request goes to its handler without axum's router, whose boxes and extensions cost it about 2,500
/// instructions.
#[derive(Clone)]
pub struct Front {
    gateway: Arc<Gateway>,
    router: Router,
}

impl Front {
    /// The routes of [`super::router`].
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { router: super::router(gateway.clone()), gateway }
    }
}

impl Inner for Front {
    type Future = Handling;

    fn handle(&mut self, request: Request<Body>, caller: Caller) -> Handling {
        if *request.method() == Method::POST && request.uri().path() == "/v1/chat/completions" {
            Handling::Chat(Box::pin(api::chat_of(caller, self.gateway.clone(), request)))
        } else {
            Handling::Routed(Box::new(self.router.handle(request, caller)))
        }
    }
}

/// A handler at work.
pub enum Handling {
    /// [`api::chat_of`].
    Chat(Pin<Box<dyn Future<Output = Response> + Send>>),
    /// What the router found; boxed, since it is twenty times as large.
    Routed(Box<RouteFuture<Infallible>>),
}

impl Future for Handling {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Handling::Chat(handler) => handler.as_mut().poll(context).map(Ok),
            Handling::Routed(routed) => Pin::new(routed).poll(context),
        }
    }
}
