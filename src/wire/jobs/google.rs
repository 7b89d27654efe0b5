//! What the batches of Google's two services have in common: states, counts, errors, and what stands in a job's name.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Status;
use super::item::Failure;
use crate::wire::{Malformed, Object};

/// How a job is doing that is in a state of either service: <https://ai.google.dev/api/batch-api#v1beta.BatchState>,
/// <https://cloud.google.com/vertex-ai/docs/reference/rest/v1/JobState>. A state that is new is one of a job that goes on.
pub(super) fn status(state: &str) -> Status {
    let state = state.strip_prefix("BATCH_STATE_").or_else(|| state.strip_prefix("JOB_STATE_")).unwrap_or(state);
    match state {
        "" | "UNSPECIFIED" | "PENDING" | "QUEUED" => Status::Validating,
        "SUCCEEDED" | "PARTIALLY_SUCCEEDED" => Status::Completed,
        "FAILED" => Status::Failed,
        "CANCELLING" => Status::Cancelling,
        "CANCELLED" => Status::Cancelled,
        "EXPIRED" => Status::Expired,
        _ => Status::InProgress,
    }
}

/// A moment, in seconds of Unix time.
pub(super) fn moment(object: &Object, name: &str) -> Option<i64> {
    super::seconds(&text(object, name)?)
}

/// A count: 64 bits are written as a text. What is negative is unknown.
pub(super) fn count(object: &Object, name: &str) -> Option<u64> {
    std::str::from_utf8(object.raw(name)?).ok()?.trim_matches('"').parse().ok()
}

/// A member that is a text, and not an empty one.
pub(super) fn text(object: &Object, name: &str) -> Option<String> {
    object.get::<String>(name).ok().flatten().filter(|text| !text.is_empty())
}

/// A member that is an object; an empty one if there is none.
pub(super) fn inner(object: &Object, name: &str) -> Object {
    object.object(name).ok().flatten().unwrap_or_default()
}

/// The items of a page, and what asks for the next one. Fails on what is none.
pub fn page(answer: &Object, items: &str) -> Result<(Vec<Object>, Option<String>), Malformed> {
    Ok((answer.objects(items)?, text(answer, "nextPageToken")))
}

#[derive(Deserialize)]
struct Said {
    code: Option<i64>,
    status: Option<String>,
    message: Option<String>,
}

/// What went wrong with a job or one of its lines: `{"code", "message", "status"}`, or the same in a member `error`;
/// `None` if it is something else. <https://cloud.google.com/apis/design/errors#error_model>
pub(super) fn failure(raw: &str) -> Option<Failure> {
    #[derive(Deserialize)]
    struct Within<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    let within = serde_json::from_str::<Within<'_>>(raw).ok().and_then(|within| within.error);
    let said: Said = serde_json::from_str(within.map_or(raw, RawValue::get)).ok()?;
    let message = said.message.filter(|message| !message.is_empty());
    if said.code.is_none() && message.is_none() {
        return None;
    }
    let (status, name) = named(said.code.unwrap_or_default());
    let code = said.status.or_else(|| name.map(str::to_owned));
    let message = message.or_else(|| code.clone()).unwrap_or_else(|| "the vendor gives no reason".to_owned());
    Some(Failure { status: Some(status), code, message, request_id: None })
}

/// The HTTP status of a code, which is one already or one of gRPC's, and the name of the latter:
/// <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>.
fn named(code: i64) -> (u16, Option<&'static str>) {
    let (status, name) = match code {
        1 => (499, "CANCELLED"),
        2 => (500, "UNKNOWN"),
        3 => (400, "INVALID_ARGUMENT"),
        4 => (504, "DEADLINE_EXCEEDED"),
        5 => (404, "NOT_FOUND"),
        6 => (409, "ALREADY_EXISTS"),
        7 => (403, "PERMISSION_DENIED"),
        8 => (429, "RESOURCE_EXHAUSTED"),
        9 => (400, "FAILED_PRECONDITION"),
        10 => (409, "ABORTED"),
        11 => (400, "OUT_OF_RANGE"),
        12 => (501, "UNIMPLEMENTED"),
        13 => (500, "INTERNAL"),
        14 => (503, "UNAVAILABLE"),
        15 => (500, "DATA_LOSS"),
        16 => (401, "UNAUTHENTICATED"),
        400..600 => return (u16::try_from(code).unwrap_or(500), None),
        _ => return (500, None),
    };
    (status, Some(name))
}

/// A caller's metadata as a job's name, which is the one place there is for it; `None` if a name can't be so long,
/// characters.
pub fn name_of(metadata: &Object, longest: usize) -> Option<String> {
    let name = String::from_utf8(metadata.encode().to_vec()).ok()?;
    (name.chars().count() <= longest).then_some(name)
}

/// The metadata that a job's name was made of; a job that somebody else has named has none.
pub(super) fn metadata_of(name: &str) -> Option<Object> {
    let metadata = Object::parse(name.to_owned().into()).ok()?;
    let texts = metadata.raw_members().all(|(_, value)| value.starts_with(b"\""));
    texts.then_some(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read_in_every_form_they_come_in() {
        let check = |raw: &str, status: u16, code: Option<&str>, message: &str| {
            let (status, code) = (Some(status), code.map(str::to_owned));
            let expected = Failure { status, code, message: message.to_owned(), request_id: None };
            assert_eq!(failure(raw), Some(expected), "{raw}");
        };
        check(r#"{"code":3,"message":"bad part"}"#, 400, Some("INVALID_ARGUMENT"), "bad part");
        let limited = r#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}"#;
        check(limited, 429, Some("RESOURCE_EXHAUSTED"), "slow");
        check(r#"{"code":14}"#, 503, Some("UNAVAILABLE"), "UNAVAILABLE");
        check(r#"{"message":"odd"}"#, 500, None, "odd");
        check(r#"{"code":99}"#, 500, None, "the vendor gives no reason");
        for none in ["{}", "[]", "7", "", r#"{"code":"x"}"#, r#"{"error":null}"#] {
            assert_eq!(failure(none), None, "{none}");
        }
    }

    #[test]
    fn a_jobs_name_holds_metadata_and_no_more_than_it_can() {
        let metadata = Object::parse(r#"{"night":"7","é":"\""}"#.into()).expect("JSON");
        let name = name_of(&metadata, 128).expect("it is short");
        assert_eq!(metadata_of(&name).map(|metadata| metadata.encode()), Some(metadata.encode()));
        assert_eq!(name_of(&metadata, 8), None);
        for foreign in ["my-batch", "", "{", r#"{"a":1}"#, "[]"] {
            assert!(metadata_of(foreign).is_none(), "{foreign}");
        }
    }

    #[test]
    fn every_state_has_a_status() {
        for (state, expected) in [
            ("BATCH_STATE_PENDING", Status::Validating),
            ("JOB_STATE_QUEUED", Status::Validating),
            ("BATCH_STATE_RUNNING", Status::InProgress),
            ("JOB_STATE_PAUSED", Status::InProgress),
            ("JOB_STATE_PARTIALLY_SUCCEEDED", Status::Completed),
            ("BATCH_STATE_SUCCEEDED", Status::Completed),
            ("JOB_STATE_CANCELLING", Status::Cancelling),
            ("BATCH_STATE_EXPIRED", Status::Expired),
            ("JOB_STATE_OF_TOMORROW", Status::InProgress),
            ("", Status::Validating),
        ] {
            assert_eq!(status(state), expected, "{state}");
        }
    }
}
