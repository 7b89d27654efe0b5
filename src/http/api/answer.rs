//! An answer as a response: a body or a stream, with the headers that say how it came about.

use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Instant;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};

use crate::call::{Answer, Answered, Op, Reply, Route, Usd};
use crate::http::edge::{self, RATE_LIMIT, Standing};
use crate::http::error::{Failure, HEADERS};
use crate::http::tunnel::Switch;
use crate::pipeline::Rules;
use crate::pipeline::walk::Failed;
use crate::telemetry::Millis;

const PROVIDER: HeaderName = HeaderName::from_static("x-gateway-provider");
const OVERHEAD: HeaderName = HeaderName::from_static("x-gateway-overhead-ms");
const TARGET: HeaderName = HeaderName::from_static("x-ferro-target");
const MODEL: HeaderName = HeaderName::from_static("x-ferro-model");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-ferro-attempts");
const COST: HeaderName = HeaderName::from_static("x-ferro-cost-usd");
const WARNINGS: HeaderName = HeaderName::from_static("x-ferro-warnings");
const ROUTE: HeaderName = HeaderName::from_static("x-ferro-route");
const VARIANT: HeaderName = HeaderName::from_static("x-ferro-variant");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What is known of a request before its call.
#[derive(Clone, Copy)]
pub struct From {
    /// When it arrived.
    pub since: Instant,
    /// How its address stands with the limit of callers.
    pub standing: Option<Standing>,
}

/// The response to a call.
pub fn respond(answered: Result<Answered, Failed>, rules: &Rules, from: From, op: Op) -> Response {
    let From { since, standing } = from;
    let (mut response, route) = match answered {
        Ok(Answered { answer: Answer::Whole(reply), route, cost }) if rules.expose_headers && route.attempts > 0 => {
            return whole(reply, &route, since, standing, cost);
        }
        Ok(Answered { answer, route, .. }) => (body(answer, op), route),
        Err(Failed { error, route }) => (Failure::from(error).into_response(), route),
    };
    if rules.expose_headers {
        explain(&mut response, &route, since);
    }
    response
}

/// What nearly all requests end with. The headers are those of [`explain`].
fn whole(reply: Reply, route: &Route, since: Instant, standing: Option<Standing>, cost: Option<Usd>) -> Response {
    // whether callers are limited, and whether the price is known
    static HEADS: LazyLock<[[HeaderMap; 2]; 2]> = LazyLock::new(|| {
        let usual = [CONTENT_TYPE, OVERHEAD, PROVIDER, ATTEMPTS, TARGET, MODEL];
        [&[][..], &RATE_LIMIT]
            .map(|limit| [&[][..], &[COST]].map(|cost| edge::template(usual.iter().chain(limit).chain(cost).cloned())))
    });
    // what nobody knows the price of has no such header
    let cost = cost.and_then(|cost| HeaderValue::from_bytes(cost.digits().as_bytes()).ok());
    let mut response = Response::new(Body::from(reply.body));
    let (Ok(target), Ok(model)) = (HeaderValue::from_str(&route.target), HeaderValue::from_str(&route.model)) else {
        response.headers_mut().insert(CONTENT_TYPE, reply.content_type);
        explain(&mut response, route, since);
        response.headers_mut().extend(cost.map(|cost| (COST, cost)));
        return response;
    };
    let (provider, attempts) = (HeaderValue::from_static(route.provider), number(route.attempts));
    let values = [reply.content_type, overhead(route, since), provider, attempts, target, model];
    let headers = response.headers_mut();
    *headers = HEADS[usize::from(standing.is_some())][usize::from(cost.is_some())].clone();
    let mut places = headers.values_mut();
    places.next();
    let mut put = |value: HeaderValue| {
        if let Some(place) = places.next() {
            *place = value;
        }
    };
    values.into_iter().for_each(&mut put);
    if let Some(standing) = standing {
        standing.values().into_iter().for_each(&mut put);
    }
    cost.into_iter().for_each(put);
    rare(headers, route);
    response
}

fn body(answer: Answer, op: Op) -> Response {
    match answer {
        Answer::Whole(reply) => {
            let mut response = with_room(Body::from(reply.body));
            response.headers_mut().insert(CONTENT_TYPE, reply.content_type);
            response
        }
        Answer::Bytes(head, chunks) => {
            let mut response = Response::new(Body::from_stream(chunks));
            (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers);
            response.headers_mut().reserve(HEADERS);
            response
        }
        Answer::Tunnel(tunnel) => Switch::response(*tunnel),
        Answer::Events(events) => {
            // the status is long sent: a failure is the stream's last event, and no end mark follows
            let events = events
                .map(move |event| Ok::<_, Infallible>(event.unwrap_or_else(|error| Failure::from(error).event(op))));
            let mut response = with_room(Body::from_stream(events));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(BUFFERING, HeaderValue::from_static("no"));
            response
        }
    }
}

/// A response whose headers are allocated once: the edge adds its own.
fn with_room(body: Body) -> Response {
    let mut response = Response::new(body);
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
    response
}

/// Say where the call went. Before anybody was asked there is nothing to say.
fn explain(response: &mut Response, route: &Route, since: Instant) {
    let headers = response.headers_mut();
    headers.insert(OVERHEAD, overhead(route, since));
    if route.attempts == 0 {
        return;
    }
    headers.insert(PROVIDER, HeaderValue::from_static(route.provider));
    headers.insert(ATTEMPTS, number(route.attempts));
    for (name, text) in [(TARGET, &route.target), (MODEL, &route.model)] {
        if let Ok(value) = HeaderValue::from_str(text)
            && !value.is_empty()
        {
            headers.insert(name, value);
        }
    }
    rare(headers, route);
}

/// What few calls have: a route with a name, a variant, warnings.
fn rare(headers: &mut HeaderMap, route: &Route) {
    for (name, text) in [(ROUTE, &route.name), (VARIANT, &route.label)] {
        if let Some(Ok(value)) = text.as_ref().map(|text| HeaderValue::from_str(text)) {
            headers.insert(name, value);
        }
    }
    if let Some(Ok(value)) = (!route.warnings.is_empty()).then(|| HeaderValue::try_from(route.warnings.join(", "))) {
        headers.insert(WARNINGS, value);
    }
}

fn overhead(route: &Route, since: Instant) -> HeaderValue {
    let overhead = Millis::of(since.elapsed().saturating_sub(route.upstream));
    HeaderValue::from_bytes(overhead.as_bytes()).expect("digits and a point are fine in a header")
}

/// A number as a header; a small one needs no allocation.
fn number(number: u32) -> HeaderValue {
    const SMALL: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    SMALL.get(number as usize).map_or_else(|| number.into(), |digit| HeaderValue::from_static(digit))
}
