//! What went wrong with a provider: its status, headers and words, classified.

use std::time::Duration;

use http::StatusCode;

use super::Provider;
use super::client::{Fields, SendError};
use super::faults;
use super::spec::Spec;
use crate::call::{Fault, Upstream};
use crate::wire::openai::errors::Complaint;

/// Hints to come back later than this are taken for nonsense.
const LATEST: Duration = Duration::from_secs(24 * 3600);

/// Phrases of a prompt that does not fit, in the words of many servers, lower case.
const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "string_above_max_length",
    "maximum context length",
    "context window",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "exceeds the maximum number of tokens",
    "reduce the length",
    "inputs tokens + max_new_tokens must be",
    "tokens in request more than max tokens allowed",
    "range of input length should be",
    "exceeded model token limit",
];

/// An error status with its body read.
pub fn of_answer(provider: &Provider, status: StatusCode, fields: &Fields, mut said: Complaint) -> Box<Upstream> {
    // AWS names its exceptions in a header, with a schema behind them
    let exception = || fields.get("x-amzn-errortype")?.split([':', '#']).next().map(str::to_owned);
    said.code = said.code.or_else(exception);
    let told = said.status.filter(|_| status.is_success()).unwrap_or(status.as_u16());
    let fault = classify(provider.spec, told, &said);
    let message = match &said.message {
        Some(message) => provider.redactor.error_text(message).into_owned(),
        None if status.is_redirection() => {
            "answered with a redirect, which is never followed: check base_url".to_owned()
        }
        None => format!(
            "answered {} without saying why",
            StatusCode::from_u16(told).map_or(told.to_string(), |s| s.to_string())
        ),
    };
    let named = || said.wait.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
    let wait = hint(fields).or_else(named).or_else(|| reset(fields));
    Box::new(Upstream {
        provider: provider.spec.id,
        target: provider.target.clone(),
        fault,
        status: Some(told),
        message,
        param: said.param,
        code: said.code.or(said.kind).map(|code| provider.redactor.error_text(&code).into_owned()),
        retry_after: wait.filter(|wait| !wait.is_zero() && *wait <= LATEST),
        request_id: request_id(fields),
    })
}

/// An answer with a good status that is none.
pub fn of_nonsense(provider: &Provider, status: StatusCode, fields: &Fields, mut message: String) -> Box<Upstream> {
    if request_id(fields).as_deref() == Some(faults::REQUEST) {
        message.insert_str(0, "injected fault: ");
    }
    let mut upstream = ours(provider, Fault::Server, message);
    upstream.status = Some(status.as_u16());
    upstream.request_id = request_id(fields);
    upstream
}

/// No answer, or a broken one.
pub fn of_transport(provider: &Provider, error: &SendError) -> Box<Upstream> {
    tracing::debug!(target = %provider.target, %error, "no answer");
    ours(provider, error.fault(), without_address(error))
}

/// What went wrong on the way, without the address: callers need not know where the operator's upstreams stand.
pub fn without_address(error: &SendError) -> String {
    let text = error.to_string();
    text.strip_prefix(error.host()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text).to_owned()
}

/// A failure in our own words.
pub fn ours(provider: &Provider, fault: Fault, message: String) -> Box<Upstream> {
    Upstream::new(provider.spec.id, provider.target.clone(), fault, message)
}

/// What a failure means at a provider with this row.
pub fn classify(spec: &Spec, status: u16, said: &Complaint) -> Fault {
    // some servers put names of parameters between backticks
    let plain = |word: &String| word.to_ascii_lowercase().replace('`', "");
    let words = [&said.code, &said.kind, &said.message].into_iter().flatten().map(plain);
    let words = words.collect::<Vec<_>>().join("\n");
    let rule = spec
        .faults
        .iter()
        .find(|rule| (rule.status == 0 || rule.status == status) && words.contains(&rule.text.to_ascii_lowercase()));
    if let Some(rule) = rule {
        return rule.fault;
    }
    if matches!(status, 400 | 403 | 413 | 422) && TOO_LONG.iter().any(|phrase| words.contains(phrase)) {
        return Fault::ContextLength;
    }
    match status {
        429 if words.contains("insufficient_quota") || words.contains("billing_hard_limit") => Fault::Billing,
        400 | 403 if ["content_filter", "content_policy", "moderation_blocked"].iter().any(|w| words.contains(w)) => {
            Fault::ContentPolicy
        }
        401 | 403 => Fault::Auth,
        402 => Fault::Billing,
        404 => Fault::NotFound,
        408 | 504 | 524 => Fault::Timeout,
        409 => Fault::Conflict,
        413 => Fault::TooLarge,
        422 => Fault::Unprocessable,
        425 | 429 => Fault::RateLimited,
        503 | 529 => Fault::Overloaded,
        400..500 if status != 424 => Fault::BadRequest,
        _ => Fault::Server,
    }
}

/// When the provider says to come back: `retry-after-ms`, `retry-after` in seconds or as a date.
fn hint(fields: &Fields) -> Option<Duration> {
    if let Some(wait) = fields.get("retry-after-ms").and_then(seconds) {
        return Some(wait / 1000);
    }
    let value = fields.get("retry-after")?;
    seconds(value).or_else(|| until(jiff::fmt::rfc2822::parse(value).ok()?.timestamp()))
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().and_then(|secs: f64| Duration::try_from_secs_f64(secs).ok())
}

/// Headers that tell when a limit is fresh again, each with the one that tells what is left of it.
const LIMITS: [(&str, &str); 8] = [
    ("x-ratelimit-reset", "x-ratelimit-remaining"),
    ("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"),
    ("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"),
    ("ratelimit-reset", "ratelimit-remaining"),
    // https://platform.claude.com/docs/en/api/rate-limits: dates as in RFC 3339
    ("anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-remaining"),
    ("anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"),
    ("anthropic-ratelimit-input-tokens-reset", "anthropic-ratelimit-input-tokens-remaining"),
    ("anthropic-ratelimit-output-tokens-reset", "anthropic-ratelimit-output-tokens-remaining"),
];

/// A limit that is fresh within this time is not why a request was refused.
const AT_ONCE: Duration = Duration::from_millis(50);

/// When the provider's limit is fresh again, by the headers that tell how its caller stands: that of the limits that are
/// used up, and if none says so, the one that is first. OpenAI and Groq tell those of requests and of tokens, and Groq's
/// of requests is that of a day.
fn reset(fields: &Fields) -> Option<Duration> {
    let (mut used_up, mut first): (Option<Duration>, Option<Duration>) = (None, None);
    for (reset, left) in LIMITS {
        let wait = fields.get(reset).and_then(fresh_in).filter(|wait| *wait >= AT_ONCE);
        let Some(wait) = wait else { continue };
        if fields.get(left) == Some("0") {
            used_up = used_up.max(Some(wait));
        }
        first = Some(first.map_or(wait, |first| first.min(wait)));
    }
    used_up.or(first)
}

fn fresh_in(reset: &str) -> Option<Duration> {
    match reset.parse::<i64>() {
        // an epoch, in milliseconds (OpenRouter) or seconds; small numbers are a delay
        Ok(epoch) if epoch >= 100_000_000_000 => until(jiff::Timestamp::from_millisecond(epoch).ok()?),
        Ok(epoch) if epoch >= 1_000_000_000 => until(jiff::Timestamp::from_second(epoch).ok()?),
        _ => seconds(reset)
            .or_else(|| reset.parse::<jiff::SignedDuration>().ok()?.try_into().ok())
            .or_else(|| until(reset.parse().ok()?)),
    }
}

fn until(moment: jiff::Timestamp) -> Option<Duration> {
    moment.duration_since(jiff::Timestamp::now()).try_into().ok()
}

/// The provider's id of the request.
pub fn request_id(fields: &Fields) -> Option<String> {
    ["x-request-id", "request-id", "apim-request-id", "x-ds-trace-id", "cf-ray", "x-amzn-requestid"]
        .into_iter()
        .find_map(|name| fields.get(name))
        .filter(|id| id.len() <= 128)
        .map(str::to_owned)
}
