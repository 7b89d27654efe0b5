//! Every row and every operation it declares, whole and streamed, well and badly: a row without fixtures fails.
//!
//! `conformance/<row>/<operation>.json` (and `<operation>-<way>.json` where models go several ways) holds what a caller asks (`ask`), what the vendor is sent of it (`path`, `headers`,
//! `sent`; of a stream what differs), what the vendor answers as its documentation shows it (`upstream`) and what the
//! caller gets (`reply`, `warnings`). `conformance/<row>/target.yaml` has what the target needs beside an address and a
//! key. `FERROGW_UPDATE_FIXTURES=1` writes the derived members that are missing: they are to be read before they are kept.
//! Every other operation has its fixture in `conformance/<row>/surfaces.json`, as `surfaces` reads it.
//!
//! What others judge is in `tests/clients`: chats of all rows (`test_rows`, `test_<vendor>`), embeddings where a row has
//! them, every other operation of `openai` (`test_surfaces`), images and speech of `gemini`, rankings of `cohere`, files and batches
//! of `anthropic` (`test_batches`). Forms
//! of images, sound and rankings that only their vendors have are held by these fixtures alone: `bedrock`, `cloudflare`,
//! `deepinfra`, `fireworks`, `hugging-face`, `mistral`, `novita`, `nvidia-nim`, `openrouter`, `qwen`, `replicate`, `together`, `xai`.

mod surfaces;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ferrogw::call::Op;
use ferrogw::providers::spec::{Exchange, Spec};
use ferrogw::providers::table::PROVIDERS;
use ferrogw::wire::{Dialect, Native};
use serde_json::{Map, Value, json};

use crate::support::upstream::Seen;
use crate::support::{Reply, Say, TestGateway, Upstream, events};
use crate::wire::bedrock;

/// Headers that are the gateway's own affair, or change with every request.
const OURS: &[&str] = &["host", "content-length", "user-agent", "accept-encoding", "x-client-request-id", "x-amz-date"];

/// Whether an operation has a file of its own; the others are members of the row's `surfaces.json`, as are answers that
/// take several requests, and completions that are asked for as chats.
fn has_file(spec: &Spec, op: Op) -> bool {
    spec.exchange != Exchange::Predictions
        && matches!(op, Op::Chat | Op::Complete | Op::Embed)
        && spec.path(op).is_some()
}

struct Fixture {
    path: PathBuf,
    /// What the file says, and what is to be added to it.
    text: Map<String, Value>,
    added: bool,
    faults: Vec<String>,
}

impl Fixture {
    fn read(path: PathBuf) -> Result<Self, String> {
        let text = fs::read_to_string(&path).map_err(|_| format!("there is no {}", path.display()))?;
        let text = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path, text, added: false, faults: Vec::new() })
    }

    fn name(&self) -> String {
        let names: Vec<_> = self.path.iter().rev().take(2).map(|name| name.to_string_lossy()).collect();
        format!("{}/{}", names[1], names[0])
    }

    /// Compare a member with what came; note it if it is not there.
    fn is(part: &mut Map<String, Value>, member: &str, got: Value, added: &mut bool, faults: &mut Vec<String>) {
        match part.get(member) {
            Some(expected) if *expected == got => {}
            Some(expected) => faults.push(format!("{member}: expected\n  {expected}\ngot\n  {got}")),
            None if std::env::var_os("FERROGW_UPDATE_FIXTURES").is_some() => {
                part.insert(member.to_owned(), got);
                *added = true;
            }
            None => faults.push(format!("{member} is missing; got\n  {got}")),
        }
    }

    fn must(&self, member: &str) -> Value {
        self.text.get(member).cloned().unwrap_or_else(|| panic!("{}: no `{member}`", self.name()))
    }
}

fn folder(spec: &Spec) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(spec.id)
}

async fn gateway(spec: &Spec, upstream: &Upstream, model: &str, more: Option<&str>, top: &str) -> TestGateway {
    let usual = || fs::read_to_string(folder(spec).join("target.yaml")).unwrap_or_default();
    let more = more.map_or_else(usual, str::to_owned);
    let more: String = more.replace("URL", &upstream.url).lines().map(|line| format!("    {line}\n")).collect();
    let base =
        if more.contains("base_url:") { String::new() } else { format!("    base_url: {}/root\n", upstream.url) };
    let key = if more.contains("api_key:") { "" } else { "    api_key: key-of-the-test-0123456789\n" };
    let yaml = format!(
        "strategy: {{ mode: single }}\ntargets:\n  - virtual_key: t\n    provider: {}\n    models: [{model:?}]\n    \
         retry: {{ attempts: 1 }}\n{base}{key}{more}{top}",
        spec.id
    );
    TestGateway::configured(&yaml, &[]).await
}

/// What an upstream says of a stream: payloads, or frames as they are; of Bedrock's, events by their names.
fn frames(spec: &Spec, items: &Value) -> Say {
    let items = items.as_array().unwrap();
    if spec.dialect == Dialect::Native(Native::Bedrock) {
        let event = |(name, payload): (&String, &Value)| bedrock::frame("event", name, &payload.to_string());
        let events = items.iter().flat_map(|item| item.as_object().unwrap()).map(event);
        return Say::pieces("application/vnd.amazon.eventstream", events);
    }
    Say::raw_events(items.iter().map(|item| match item {
        Value::String(frame) => format!("{frame}\n\n"),
        payload => format!("data: {payload}\n\n"),
    }))
}

fn says(answer: &Value, status: u16) -> Say {
    match answer {
        Value::String(text) => Say::json(status, text),
        body => Say::json(status, &body.to_string()),
    }
}

/// What is made up in the gateway is not compared: the time, and ids of answers that have none.
fn settled(mut value: Value) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    if value["created"].as_u64().is_some_and(|at| at.abs_diff(now) < 600) {
        value["created"] = json!("now");
    }
    for (prefix, length) in [("chatcmpl-", 33), ("rerank-", 31)] {
        if value["id"].as_str().is_some_and(|id| id.len() == length && id.starts_with(prefix)) {
            value["id"] = json!(prefix);
        }
    }
    value
}

fn replies(reply: &Reply) -> Value {
    let parse = |event: &str| serde_json::from_str(event).map_or_else(|_| json!(event), settled);
    events(&reply.body).into_iter().map(parse).collect()
}

fn headers(seen: &Seen) -> Value {
    let named = seen.headers.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
    named
        .map(|(name, value)| (name.to_string(), json!(unsigned(value.to_str().unwrap()))))
        .collect::<Map<_, _>>()
        .into()
}

/// A signature of AWS, of which only region and service are the same at all times; anything else as it is.
fn unsigned(value: &str) -> String {
    let scope = value.strip_prefix("AWS4-HMAC-SHA256 Credential=").and_then(|rest| rest.split_once("/aws4_request"));
    let parts = scope.map(|(scope, _)| scope.splitn(3, '/').collect::<Vec<_>>());
    parts.map_or_else(|| value.to_owned(), |parts| format!("AWS4-HMAC-SHA256 {} {}", parts[0], parts[2]))
}

/// The top-level members of a body that are not those of another.
fn changed(body: &Value, than: &Value) -> Value {
    let members = body.as_object().unwrap().iter().filter(|(name, value)| than.get(name.as_str()) != Some(*value));
    members.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
}

/// The files of an operation: the one it must have, and one for each other way it can go, as `chat-mistral.json`.
fn files(spec: &Spec, op: Op) -> Vec<PathBuf> {
    let found = fs::read_dir(folder(spec)).into_iter().flatten().map(|entry| entry.unwrap().path());
    let other = format!("{}-", op.name());
    let mut others: Vec<_> =
        found.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&other)).collect();
    others.sort();
    others.insert(0, folder(spec).join(format!("{}.json", op.name())));
    others
}

async fn check(spec: &'static Spec, op: Op, file: PathBuf) -> Vec<String> {
    let path = &format!("/v1{}", op.surface().path);
    let mut fixture = match Fixture::read(file) {
        Ok(fixture) => fixture,
        Err(missing) => return vec![format!("{} declares {}, and {missing}", spec.id, op.name())],
    };
    let name = fixture.name();
    let ask = fixture.must("ask");
    let model = ask["model"].as_str().unwrap().to_owned();
    let errors = fixture.must("errors").as_array().unwrap().clone();
    let streams = op != Op::Embed;
    let mut script = vec![says(&fixture.must("upstream"), 200)];
    if streams {
        script.push(frames(spec, &fixture.must("stream")["upstream"]));
    }
    for error in &errors {
        let mut say = says(&error["body"], u16::try_from(error["status"].as_u64().unwrap()).unwrap());
        for (name, value) in error["headers"].as_object().into_iter().flatten() {
            say = say.header(name, value.as_str().unwrap());
        }
        script.push(say);
    }
    let upstream = Upstream::says(script).await;
    let gateway = gateway(spec, &upstream, &model, None, "").await;
    let Fixture { text, added, faults, .. } = &mut fixture;

    let reply = gateway.post(path, ask.to_string()).await;
    let Some(seen) = upstream.seen().pop() else { return vec![format!("{name}: never asked: {}", reply.body)] };
    Fixture::is(text, "path", json!(seen.path), added, faults);
    let sent_headers = headers(&seen);
    match text.get("headers").and_then(Value::as_object) {
        Some(expected) => {
            faults.extend(expected.iter().filter(|(name, value)| sent_headers.get(name.as_str()) != Some(*value)).map(
                |(name, value)| format!("headers.{name}: expected {value}, got {:?}", sent_headers.get(name.as_str())),
            ))
        }
        None => Fixture::is(text, "headers", sent_headers, added, faults),
    }
    Fixture::is(text, "sent", seen.json(), added, faults);
    if reply.status != 200 {
        faults.push(format!("status {}: {}", reply.status, reply.body));
    } else {
        Fixture::is(text, "reply", settled(reply.json()), added, faults);
    }
    Fixture::is(text, "warnings", json!(reply.header("x-ferro-warnings")), added, faults);

    if streams {
        let mut streamed = ask.clone();
        streamed["stream"] = true.into();
        streamed["stream_options"] = json!({ "include_usage": true });
        let reply = gateway.post(path, streamed.to_string()).await;
        let again = upstream.seen().pop().unwrap();
        let part = text["stream"].as_object_mut().unwrap();
        if again.path != seen.path || part.contains_key("path") {
            Fixture::is(part, "path", json!(again.path), added, faults);
        }
        Fixture::is(part, "sent", changed(&again.json(), &seen.json()), added, faults);
        Fixture::is(part, "reply", replies(&reply), added, faults);
    }

    let listed = text["errors"].as_array_mut().unwrap();
    for part in listed.iter_mut().map(|part| part.as_object_mut().unwrap()) {
        let reply = gateway.post(path, ask.to_string()).await;
        let wait = reply.headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let got = json!({ "status": reply.status, "retry_after": wait, "error": reply.json()["error"] });
        Fixture::is(part, "reply", got, added, faults);
    }
    if listed.is_empty() {
        faults.push("no errors".to_owned());
    }
    let text_of = |fixture: &Fixture| serde_json::to_string_pretty(&fixture.text).unwrap() + "\n";
    if fixture.added {
        fs::write(&fixture.path, text_of(&fixture)).unwrap();
    }
    fixture.faults.iter().map(|fault| format!("{name}: {fault}")).collect()
}

#[tokio::test]
async fn every_row_does_what_it_declares() {
    let mut faults = Vec::new();
    for spec in PROVIDERS {
        for (op, _) in spec.ops.iter().filter(|(op, _)| has_file(spec, *op)) {
            for file in files(spec, *op) {
                faults.extend(check(spec, *op, file).await);
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_folder_belongs_to_a_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let ids: BTreeSet<_> = PROVIDERS.iter().map(|spec| spec.id.to_owned()).collect();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().into_string().unwrap();
        assert!(ids.contains(&name), "{name}");
    }
}
