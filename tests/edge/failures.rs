//! The table of failures: status, headers and body of each.

use std::fmt::Write;
use std::time::Duration;

use ferrogw::call::{Error, Fault, Lack, LeftAlone, Upstream};
use ferrogw::wire::Malformed;

use super::*;

fn upstream(fault: Fault, status: Option<u16>, message: &str) -> Upstream {
    Upstream {
        provider: "openai",
        target: "openai".into(),
        fault,
        status,
        message: message.to_owned(),
        param: None,
        code: None,
        retry_after: None,
        request_id: None,
    }
}

/// Targets left alone for so many milliseconds.
fn left_alone(targets: &[(&str, u64)]) -> Error {
    let mut all = Box::new(LeftAlone::default());
    targets.iter().for_each(|(name, left)| all.add(&(*name).into(), Duration::from_millis(*left)));
    Error::Unavailable(all)
}

/// A call that is out of time.
fn late(hung: Option<&str>, others: bool) -> Error {
    Error::Deadline { limit: Duration::from_secs(30), hung: hung.map(Into::into), others }
}

/// One of each.
fn all() -> Vec<Failure> {
    let call = |error: Error| Failure::Call(error);
    let from = |fault, status, message: &str| Failure::from(upstream(fault, status, message));
    vec![
        Failure::MissingKey,
        Failure::UnknownKey,
        Failure::Forbidden("open mode serves this machine only: set MASTER_KEY"),
        Failure::RateLimited { retry_after: Duration::from_millis(50) },
        Failure::too_large(64 << 20),
        Failure::file_too_large(1 << 30),
        Failure::MethodNotAllowed,
        Failure::NoWebSocket,
        Failure::OnlyWebSocket,
        Failure::WebSocketKey,
        Failure::WebSocketVersion,
        Failure::UnknownMethod,
        Failure::NotFound,
        Failure::NotKept,
        Failure::InvalidHost,
        Failure::InvalidPath,
        Failure::UnsupportedType,
        Failure::UnsupportedEncoding { accepted: "gzip, deflate, identity" },
        Failure::NotAForm,
        Failure::NotStored(std::io::ErrorKind::StorageFull),
        Failure::BodyBroken,
        Failure::BodyTimeout,
        Failure::Overloaded,
        Failure::Panic,
        Malformed::new("expected `,` at line 1 column 9").into(),
        call(Error::Invalid { param: "messages[0].role".into(), message: "must be \"user\" or the like".into() }),
        call(Error::Unsupported { param: "logit_bias".into(), provider: "groq" }),
        call(Error::Lacking(Lack::BatchTarget)),
        call(Error::Lacking(Lack::Batches("groq"))),
        call(Error::Lacking(Lack::ResponsesTarget)),
        call(Error::Lacking(Lack::Responses("groq"))),
        call(Error::Lacking(Lack::Passage("cohere"))),
        call(Error::Lacking(Lack::Provider("nobody".into()))),
        call(Error::Lacking(Lack::Direction("body"))),
        call(Error::UnsupportedContent { param: "messages[1].content[0]".into(), provider: "groq" }),
        call(Error::NoTarget("gpt-9".into())),
        call(Error::NoTarget("ä".repeat(200).into())),
        call(Error::NotHere("gpt-9".into())),
        call(Error::NoSurface { model: "gpt-9".into(), provider: "openai", surface: "rerank" }),
        call(late(None, false)),
        call(late(None, true)),
        call(late(Some("openai-eu"), false)),
        call(late(Some("openai-eu"), true)),
        call(left_alone(&[("openai", 1_001)])),
        call(left_alone(&[("openai", 0)])),
        call(left_alone(&[("a", 9_000), ("b", 2_000), ("c", 0), ("d", 4_000), ("e", 60_000), ("f", 61_000)])),
        call(Error::Saturated("openai-eu".into())),
        call(Error::Draining),
        Upstream {
            param: Some("temperature".into()),
            request_id: Some("req_1".into()),
            ..upstream(Fault::BadRequest, Some(400), "temperature must be at most 2")
        }
        .into(),
        from(Fault::Unprocessable, Some(422), "no such tool"),
        from(Fault::TooLarge, Some(413), "too large"),
        from(Fault::ContextLength, Some(400), "maximum context length is 8192 tokens"),
        from(Fault::ContentPolicy, Some(400), "flagged"),
        from(Fault::NotFound, Some(404), "the model `gpt-9` does not exist"),
        from(Fault::Missing, Some(404), "no such file"),
        from(Fault::Conflict, Some(409), "locked"),
        from(Fault::Auth, Some(401), "Incorrect API key provided: sk-ab***yz"),
        Upstream { target: "openai-eu".into(), ..upstream(Fault::Auth, Some(403), "no") }.into(),
        from(Fault::Billing, Some(429), "You exceeded your current quota of org-1"),
        from(Fault::Billing, Some(402), "Insufficient Balance"),
        Upstream {
            retry_after: Some(Duration::from_millis(1201)),
            ..upstream(Fault::RateLimited, Some(429), "Rate limit reached for org-1")
        }
        .into(),
        from(Fault::Overloaded, Some(529), "overloaded"),
        from(Fault::Timeout, None, "no first byte within 60s"),
        from(Fault::Server, Some(500), "internal"),
        from(Fault::Server, Some(302), "redirects are not followed"),
        from(Fault::Unreachable, None, "connection refused"),
        from(Fault::Truncated, Some(200), "no end within the stream"),
    ]
}

#[tokio::test]
async fn each_failure_has_its_status_headers_and_body() {
    let mut table = String::new();
    for failure in all() {
        let response = failure.into_response();
        let status = response.status().as_u16();
        let mut headers: Vec<_> =
            response.headers().iter().map(|(n, v)| format!(" {n}={}", v.to_str().unwrap())).collect();
        headers.retain(|header| header != " content-type=application/json");
        assert_eq!(response.headers()["content-type"], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
        assert!(["message", "type", "param", "code"].iter().all(|name| parsed["error"].get(name).is_some()), "{text}");
        writeln!(table, "{status}{}\n  {text}", headers.concat()).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn nothing_of_the_operators_account_is_repeated_to_the_caller() {
    for failure in all() {
        let text = String::from_utf8(failure.body().to_vec()).unwrap();
        assert!(!text.contains("sk-ab") && !text.contains("org-1"), "{text}");
    }
}

#[tokio::test]
async fn a_failure_in_a_stream_is_one_event_with_the_same_body() {
    for failure in all() {
        let event = failure.event(Op::Chat);
        let body = failure.body();
        assert_eq!(event, [b"data: ", &body[..], b"\n\n"].concat());
        assert!(!body.contains(&b'\n'));
    }
}
