//! Why a call failed, and whose fault it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::wire::Malformed;

/// Why a call failed. One variant per thing the code above does differently.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's body is not a JSON object that can be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A member of the caller's body is missing or out of range.
    #[error("{message}")]
    Invalid {
        /// The member's path in the body, as `messages[0].content`.
        param: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The provider cannot take a parameter, and the configuration says to refuse rather than to drop it.
    #[error("{provider} does not support `{param}`")]
    Unsupported {
        /// The parameter.
        param: String,
        /// The provider's id.
        provider: &'static str,
    },
    /// The provider cannot take a part of the content, and without it another question would be asked.
    #[error("{provider} cannot take `{param}`: leave it out, or ask a model that takes it")]
    UnsupportedContent {
        /// The part's path in the body, as `messages[1].content[0]`.
        param: String,
        /// The provider's id.
        provider: &'static str,
    },
    /// A part of the content is given by address, and what stands there can't be had.
    #[error("{message}")]
    Media {
        /// The part's path in the body, as `messages[1].content[0]`.
        param: String,
        /// The address, why, and what would mend it.
        message: String,
    },
    /// The model does not take a kind of content, as far as the gateway knows.
    #[error(transparent)]
    Beyond(Box<Beyond>),
    /// Nothing serves the model.
    #[error("no target serves the model `{0}`")]
    NoTarget(Arc<str>),
    /// Nothing that the request may go to serves the model, and something else does.
    #[error("no target that this request may go to serves the model `{0}`, though another does")]
    NotHere(Arc<str>),
    /// The model is served, but not by anybody who has this operation.
    #[error("{provider} serves the model `{model}`, and has no {surface}")]
    NoSurface {
        /// The model.
        model: Arc<str>,
        /// The id of a provider that would chat with it.
        provider: &'static str,
        /// The operation's name.
        surface: &'static str,
    },
    /// Nothing in the configuration can do what is asked for.
    #[error("{0}")]
    Lacking(Lack),
    /// Every target that could be asked has its circuit open.
    #[error("{0}")]
    Unavailable(Box<LeftAlone>),
    /// The target has as many requests in hand and waiting as it may.
    #[error("the target `{0}` has as many requests in hand and waiting as it may have")]
    Saturated(Arc<str>),
    /// What a request carries has to be kept aside while it is made fit, and cannot be.
    #[error("the gateway cannot store the upload: {0}")]
    NotStored(std::io::ErrorKind),
    /// The gateway's own deadline passed.
    #[error("the gateway's request_timeout of {limit:?} passed{}", late(.hung.as_deref(), *.others))]
    Deadline {
        /// The time that a call may take.
        limit: Duration,
        /// The target that had not answered by then, if one was being asked.
        hung: Option<Arc<str>>,
        /// Whether there were others, for whom no time was left.
        others: bool,
    },
    /// The process is about to end, and the stream has been open for as long as that could wait.
    #[error("the gateway is shutting down")]
    Draining,
    /// The provider let us down.
    #[error(transparent)]
    Upstream(Box<Upstream>),
}

/// Targets whose circuits are open, each with the time until it is tried again: none while others are trying it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftAlone(Vec<(Arc<str>, Duration)>);

impl LeftAlone {
    /// So many are named.
    const NAMED: usize = 4;

    /// Adds a target, unless it is there.
    pub fn add(&mut self, target: &Arc<str>, left: Duration) {
        if !self.0.iter().any(|(known, _)| known == target) {
            self.0.push((target.clone(), left));
        }
    }

    /// Until the first of them is tried again.
    pub fn first(&self) -> Duration {
        self.0.iter().map(|(_, left)| *left).min().unwrap_or_default()
    }
}

impl fmt::Display for LeftAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(_, left)| *left);
        let when = |left: Duration| match left {
            Duration::ZERO => "right now".to_owned(),
            // as `Retry-After` says it
            left => format!("in {} s", left.as_millis().div_ceil(1000)),
        };
        match all[..] {
            [] => f.write_str("every target that could be asked has failed too often lately and is left alone"),
            [(target, left)] => {
                let when = when(*left);
                write!(
                    f,
                    "the target `{target}` has failed too often lately and is left alone: it is tried again {when}"
                )
            }
            _ => {
                f.write_str("every target that could be asked has failed too often lately and is left alone: ")?;
                for (at, (target, left)) in all.iter().take(Self::NAMED).enumerate() {
                    let (comma, is) = if at == 0 { ("", " is tried again") } else { (", ", "") };
                    write!(f, "{comma}`{target}`{is} {}", when(*left))?;
                }
                match all.len().saturating_sub(Self::NAMED) {
                    0 => Ok(()),
                    more => write!(f, ", {more} more later"),
                }
            }
        }
    }
}

/// Whom a call waited for when its time was over, and what would let it ask the others.
fn late(hung: Option<&str>, others: bool) -> String {
    match (hung, others) {
        (Some(target), true) => format!(
            ": the target `{target}` had not answered, and no time was left to ask another; a shorter \
             `timeouts.first_byte` there leaves some"
        ),
        (Some(target), false) => format!(": the target `{target}` had not answered"),
        (None, true) => " before another target could be asked".to_owned(),
        (None, false) => String::new(),
    }
}

/// What a request needs and the configuration has not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// A target that keeps files and batches.
    #[error("files and batches are not served: the configuration names no `batch_target`")]
    BatchTarget,
    /// Files and batches, at the target that should keep them.
    #[error("files and batches are not served: the `batch_target` is of {0}, which has none in OpenAI's form")]
    Batches(&'static str),
    /// A target that keeps responses.
    #[error("stored responses are not served: the configuration names no `responses_target`")]
    ResponsesTarget,
    /// The Responses API, at the one who serves the model or should keep the responses.
    #[error("{0} does not speak the Responses API")]
    Responses(&'static str),
    /// A form in which other paths can be passed on, at this provider.
    #[error("{0} does not take OpenAI's requests at this path")]
    Passage(&'static str),
    /// A target of this name.
    #[error("`X-Provider` names `{0}`, and no target or provider here is called so")]
    Provider(Arc<str>),
    /// Anything that says where the request shall go, such as a model in this part of it.
    #[error(
        "nothing says where this request shall go: name a `model` in its {0}, or a target or provider in the header `X-Provider`"
    )]
    Direction(&'static str),
}

impl Lack {
    /// The one name of this failure in responses, metrics, log lines and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Lack::BatchTarget => "batch_not_configured",
            Lack::Batches(_) => "batch_not_supported",
            Lack::ResponsesTarget => "responses_not_configured",
            Lack::Responses(_) => "responses_not_supported",
            Lack::Passage(_) => "proxy_not_supported",
            Lack::Provider(_) => "provider_not_found",
            Lack::Direction(_) => "provider_not_resolved",
        }
    }
}

/// A failed attempt at one target.
#[derive(Debug, thiserror::Error)]
#[error("{provider}: {message}")]
pub struct Upstream {
    /// The provider's id.
    pub provider: &'static str,
    /// The target's name.
    pub target: Arc<str>,
    /// What kind of failure it is: all decisions hang on this.
    pub fault: Fault,
    /// The provider's status, if it answered at all.
    pub status: Option<u16>,
    /// The provider's own words, redacted and shortened, or ours when it sent none.
    pub message: String,
    /// The parameter the provider blames.
    pub param: Option<String>,
    /// The provider's own code for the failure.
    pub code: Option<String>,
    /// When the provider says to come back.
    pub retry_after: Option<Duration>,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
}

impl Upstream {
    /// A failure in our own words: the provider sent none.
    pub fn new(provider: &'static str, target: Arc<str>, fault: Fault, message: String) -> Box<Self> {
        let (status, param, code, retry_after, request_id) = (None, None, None, None, None);
        Box::new(Self { provider, target, fault, status, message, param, code, retry_after, request_id })
    }

    /// Whether this one request is larger than what the provider allows in a minute, by Groq's status or in OpenAI's words:
    /// to make it again is in vain, and it says nothing about others.
    pub fn is_too_large(&self) -> bool {
        let says_so = || self.message.to_ascii_lowercase().contains("request too large");
        self.fault == Fault::RateLimited && (self.status == Some(413) || says_so())
    }
}

/// Content that a model does not take.
#[derive(Debug, thiserror::Error)]
#[error(
    "{provider}'s `{model}` takes no {what}, so it can't be asked about `{param}`: leave it out, or ask a model that takes \
     {what}. If this one does, its `capabilities` in `catalog.overrides` say so"
)]
pub struct Beyond {
    /// The part's path in the body, as `messages[1].content[0]`.
    pub param: String,
    /// The provider's id.
    pub provider: &'static str,
    /// Its name for the model.
    pub model: String,
    /// What such content is called, as `images`.
    pub what: &'static str,
}

/// Kinds of upstream failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The request is wrong: 400, 405, 411, 415.
    BadRequest,
    /// The request is well-formed and cannot be processed: 422.
    Unprocessable,
    /// The request is too large for the provider: 413.
    TooLarge,
    /// The prompt does not fit into the model.
    ContextLength,
    /// The provider refuses the content.
    ContentPolicy,
    /// The provider does not know the model or deployment.
    NotFound,
    /// The provider does not have what the request is about: a file, a batch, a stored response.
    Missing,
    /// The operator's credential is refused.
    Auth,
    /// The operator's account is out of money or quota.
    Billing,
    /// Too many requests.
    RateLimited,
    /// The request conflicts with another: 409.
    Conflict,
    /// The provider is out of capacity for now: 503, 529.
    Overloaded,
    /// The provider, or the gateway waiting for it, ran out of time.
    Timeout,
    /// The provider failed: 5xx, or an answer that cannot be read.
    Server,
    /// No connection could be made, or it broke before the answer.
    Unreachable,
    /// The answer broke off before its end.
    Truncated,
}

impl Fault {
    /// Whether the caller has to change the request: then no target is asked again.
    pub fn is_callers(self) -> bool {
        matches!(
            self,
            Fault::BadRequest
                | Fault::Unprocessable
                | Fault::TooLarge
                | Fault::ContextLength
                | Fault::ContentPolicy
                | Fault::Missing
        )
    }

    /// Whether the same target may be asked again at once or after a pause.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Fault::RateLimited
                | Fault::Overloaded
                | Fault::Timeout
                | Fault::Server
                | Fault::Unreachable
                | Fault::Truncated
        )
    }

    /// The one name of this failure in responses, metrics, log lines and tests.
    pub fn code(self) -> &'static str {
        match self {
            Fault::BadRequest | Fault::Unprocessable | Fault::Conflict => "invalid_request",
            Fault::TooLarge => "request_too_large",
            Fault::ContextLength => "context_length_exceeded",
            Fault::ContentPolicy => "content_filter",
            Fault::NotFound => "model_not_found",
            Fault::Missing => "resource_not_found",
            Fault::Auth => "upstream_auth_error",
            Fault::Billing => "upstream_billing",
            Fault::RateLimited => "rate_limit_exceeded",
            Fault::Overloaded => "upstream_overloaded",
            Fault::Timeout => "upstream_timeout",
            Fault::Server => "upstream_error",
            Fault::Unreachable => "upstream_unreachable",
            Fault::Truncated => "upstream_stream_truncated",
        }
    }
}

impl Error {
    /// Whether it is content that somebody else may take.
    pub fn is_of_content(&self) -> bool {
        matches!(self, Error::UnsupportedContent { .. } | Error::Beyond(_) | Error::Media { .. })
    }

    /// The one name of this failure in responses, metrics, log lines and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Malformed(_) | Error::Invalid { .. } => "invalid_request",
            Error::Unsupported { .. } => "unsupported_parameter",
            Error::UnsupportedContent { .. } | Error::Beyond(_) => "unsupported_content",
            Error::Media { .. } => "media_not_fetched",
            Error::NoTarget(_) | Error::NotHere(_) | Error::NoSurface { .. } => "model_not_found",
            Error::Lacking(lack) => lack.code(),
            Error::Unavailable(_) => "upstream_unavailable",
            Error::Saturated(_) => "provider_saturated",
            Error::NotStored(_) => "upload_not_stored",
            Error::Deadline { .. } => "gateway_timeout",
            Error::Draining => "shutting_down",
            Error::Upstream(upstream) => upstream.fault.code(),
        }
    }
}

impl From<Box<Upstream>> for Error {
    fn from(upstream: Box<Upstream>) -> Self {
        Error::Upstream(upstream)
    }
}

impl From<Upstream> for Error {
    fn from(upstream: Upstream) -> Self {
        Error::Upstream(Box::new(upstream))
    }
}
