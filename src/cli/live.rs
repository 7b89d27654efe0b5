//! `ferrogw doctor --live`: one small real request to each target, by the code that serves calls.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::checks::{Checks, Mark};
use crate::call::{Body, Call, Error, Fault, Op};
use crate::providers::discover;
use crate::providers::spec::{Discover, Spec};
use crate::providers::trace::Trace;
use crate::routing::Target;
use crate::wire::Object;

/// How long a provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What names of models say about being something else than chat.
const OTHERS: &[&str] = &[
    "embed",
    "whisper",
    "tts",
    "dall-e",
    "image",
    "moderation",
    "audio",
    "realtime",
    "transcri",
    "rerank",
    "guard",
    "davinci",
    "babbage",
    "sora",
    "video",
    "ocr",
    "instruct",
    "codex",
    "search",
    "research",
    "speech",
    "veo",
    "imagen",
];

/// What names of models say about costing little, cheapest first.
const SMALL: &[&str] = &["nano", "lite", "mini", "flash", "haiku", "small", "8b", "7b", "instant", "turbo"];

/// Ask each target; they are asked at once.
pub(super) async fn ask(checks: &mut Checks, targets: &[Arc<Target>], http: &reqwest::Client) {
    const AREA: &str = "Live";
    let asked = targets.iter().map(|target| {
        let (target, http) = (target.clone(), http.clone());
        let asking = tokio::spawn(async move { one(&target, &http).await });
        async move { asking.await.unwrap_or_else(|error| (Mark::Broken, error.to_string())) }
    });
    for (target, (mark, detail)) in targets.iter().zip(futures_util::future::join_all(asked).await) {
        checks.add(AREA, mark, &*target.name, detail);
    }
}

async fn one(target: &Target, http: &reqwest::Client) -> (Mark, String) {
    let spec = target.provider.spec;
    let op = match (spec.path(Op::Chat), spec.path(Op::Embed)) {
        (Some(_), _) => Op::Chat,
        (None, Some(_)) => Op::Embed,
        (None, None) => return (Mark::Skipped, "serves neither chat nor embeddings".to_owned()),
    };
    let model = match model(target, http, op).await {
        Ok(model) => model,
        Err(why) => return (Mark::Warning, format!("not asked: {why}; name one in the target's `models`")),
    };
    let Some(keys) = target.provider.keys() else { return with_key(target, op, &model, None).await };
    let mut said = Vec::new();
    for key in 0..keys.size() {
        let (mark, detail) = with_key(target, op, &model, Some(key)).await;
        said.push((mark, format!("key {key}: {detail}")));
    }
    // one that is good is worth no word where another is not
    let worst = [Mark::Broken, Mark::Warning, Mark::Ok].into_iter().find(|mark| said.iter().any(|(of, _)| of == mark));
    let worst = worst.unwrap_or(Mark::Skipped);
    said.retain(|(mark, _)| *mark != Mark::Ok || worst == Mark::Ok);
    (worst, said.into_iter().map(|(_, detail)| detail).collect::<Vec<_>>().join("\n"))
}

/// Ask for this model, with one key of a pool if there is one.
async fn with_key(target: &Target, op: Op, model: &str, key: Option<u8>) -> (Mark, String) {
    let spec = target.provider.spec;
    let since = Instant::now();
    // some models spend a token or two before they say anything, and refuse to be cut before
    let mut failed = None;
    for limit in [1, 16] {
        match tokio::time::timeout(PATIENCE, request(target, op, model, key, limit)).await {
            Ok(Ok(())) => return (Mark::Ok, format!("{model} answers ({} ms)", since.elapsed().as_millis())),
            Ok(Err(error)) if limit == 1 && is_about_length(&error) => failed = Some(error),
            Ok(Err(error)) => return judged(spec, model, &failed.unwrap_or(error)),
            Err(_elapsed) => {
                let wait = PATIENCE.as_secs();
                return (Mark::Broken, format!("{model}: no answer within {wait} s\n{}", advice(spec, Fault::Timeout)));
            }
        }
    }
    (Mark::Broken, format!("{model}: no answer"))
}

/// Fails as a call does.
async fn request(target: &Target, op: Op, model: &str, key: Option<u8>, limit: u32) -> Result<(), Error> {
    let name = serde_json::to_string(model).expect("a string always encodes");
    let body = match op {
        Op::Embed => format!(r#"{{"model":{name},"input":"ping"}}"#),
        _ => format!(r#"{{"model":{name},"max_tokens":{limit},"messages":[{{"role":"user","content":"ping"}}]}}"#),
    };
    let body = Body::Json(Object::parse(Bytes::from(body))?);
    let call = Call::new(op, body, model.into(), "ferrogw-doctor".into(), Instant::now());
    let upstream = target.upstream_model(&call.model);
    let mut warnings = Vec::new();
    let mut trace = Trace::new(&mut warnings);
    let answer = match key {
        Some(key) => target.provider.ask_with_key(key, &call, &upstream, &mut trace).await,
        None => target.provider.ask(&call, &upstream, &mut trace).await,
    };
    answer.map(|_answer| ())
}

fn is_about_length(error: &Error) -> bool {
    let Error::Upstream(failed) = error else { return false };
    matches!(failed.fault, Fault::BadRequest | Fault::Unprocessable) && failed.message.contains("token")
}

/// What a failure means for the operator, and how to mend it.
fn judged(spec: &Spec, model: &str, error: &Error) -> (Mark, String) {
    let Error::Upstream(failed) = error else { return (Mark::Broken, format!("{model}: {error}")) };
    let status = failed.status.map(|status| format!(" ({status})")).unwrap_or_default();
    let mark = match failed.fault {
        // the credential is good, and there is somebody
        Fault::RateLimited | Fault::Overloaded => Mark::Warning,
        _ => Mark::Broken,
    };
    (mark, format!("{model}: {}{status}\n{}", failed.message, advice(spec, failed.fault)))
}

fn advice(spec: &Spec, fault: Fault) -> String {
    match fault {
        Fault::Auth => spec.hint.to_owned(),
        Fault::Billing => "the account has no credit or quota left: see to it at the provider".to_owned(),
        Fault::NotFound | Fault::Missing => {
            let hint = if spec.hint.is_empty() { String::new() } else { format!("; {}", spec.hint) };
            format!("the provider does not have this model for this key: name another in the target's `models`{hint}")
        }
        Fault::RateLimited => "the key works, and is used too often at the moment".to_owned(),
        Fault::Overloaded => "the provider is there, and has no room at the moment".to_owned(),
        Fault::Unreachable => "check base_url, HTTPS_PROXY and FERROGW_CA_FILE".to_owned(),
        Fault::Timeout | Fault::Truncated => {
            "the target's `timeouts` say how long it may take; else the provider is slow today".to_owned()
        }
        Fault::BadRequest | Fault::Unprocessable | Fault::TooLarge | Fault::ContextLength | Fault::ContentPolicy => {
            "the credential is good, but this model does not take a small request: name another in the target's `models`"
                .to_owned()
        }
        Fault::Conflict | Fault::Server => "the provider failed: try again, or look at its status page".to_owned(),
    }
}

/// A model to ask for, cheap if names tell: a declared one, else one that the provider lists. Fails with why there is
/// none.
async fn model(target: &Target, http: &reqwest::Client, op: Op) -> Result<Arc<str>, String> {
    let declared: BTreeSet<Arc<str>> = target.models.iter().chain(target.model_map.keys()).cloned().collect();
    if let Some(model) = pick(&declared, op, false) {
        return Ok(model);
    }
    if let Discover::Known(known) = target.provider.spec.discover {
        let known = known.iter().map(|name| Arc::from(*name)).collect();
        return pick(&known, op, true).ok_or_else(|| "no model of this provider is known".to_owned());
    }
    match discover::models(&target.provider, http).await {
        Ok(found) => pick(&found.map(|found| found.models).unwrap_or_default(), op, true)
            .ok_or_else(|| "the provider lists no model that looks fit".to_owned()),
        Err(error) => Err(format!("no model is declared, and the provider's list: {error}")),
    }
}

/// The model to ask for; `strictly`: only one whose name does not speak against it.
fn pick(names: &BTreeSet<Arc<str>>, op: Op, strictly: bool) -> Option<Arc<str>> {
    let exact = || names.iter().filter(|name| !name.contains('*'));
    let says = |name: &str, words: &[&str]| {
        let name = name.to_ascii_lowercase();
        words.iter().position(|word| name.contains(word))
    };
    let fits = |name: &&Arc<str>| match op {
        Op::Embed => says(name, &["embed"]).is_some(),
        _ => says(name, OTHERS).is_none(),
    };
    let best = exact().filter(fits).min_by_key(|name| says(name, SMALL).unwrap_or(SMALL.len()));
    best.or_else(|| exact().next().filter(|_| !strictly)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cheap_model_is_picked_if_names_tell() {
        let check = |names: &[&str], op, strictly, expected: Option<&str>| {
            let names = names.iter().map(|name| Arc::from(*name)).collect();
            assert_eq!(pick(&names, op, strictly).as_deref(), expected, "{names:?}");
        };
        let openai =
            ["babbage-002", "gpt-5", "gpt-5-mini", "gpt-5-nano", "text-embedding-3-small", "tts-1", "whisper-1"];
        check(&openai, Op::Chat, true, Some("gpt-5-nano"));
        check(&openai, Op::Embed, true, Some("text-embedding-3-small"));
        check(&["claude-opus-4-5", "claude-haiku-4-5"], Op::Chat, true, Some("claude-haiku-4-5"));
        check(&["gpt-5*", "o3"], Op::Chat, false, Some("o3"));
        check(&["gpt-5*"], Op::Chat, false, None);
        // what somebody declares is asked for whatever its name
        check(&["my-image-thing"], Op::Chat, false, Some("my-image-thing"));
        check(&["my-image-thing"], Op::Chat, true, None);
    }
}
