//! The router with a short way to the one route that nearly all requests take.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use http::{Method, Request};
use tower::Service;

use super::api;
use crate::pipeline::Gateway;

/// Every route. A chat request goes to its handler without axum's router, whose boxes and extensions cost it about 2,000
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

impl Service<Request<Body>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Handling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Handling {
        if *request.method() == Method::POST && request.uri().path() == "/v1/chat/completions" {
            Handling::Chat(Box::pin(api::chat(State(self.gateway.clone()), request)))
        } else {
            Handling::Routed(Box::new(self.router.call(request)))
        }
    }
}

/// A handler at work.
pub enum Handling {
    /// [`api::chat`].
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
