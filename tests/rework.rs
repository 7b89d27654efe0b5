//! What the rows make of requests and answers: pure functions, checked case by case.

mod answers;
mod gateway;
mod reasoning;
mod repair;
mod requests;
mod rows;
mod schemas;
mod thoughts;
mod tokens;

use std::collections::BTreeMap;

use bytes::Bytes;
use ferrogw::call::{Error, Op};
use ferrogw::config::{Env, Text};
use ferrogw::providers::rework;
use ferrogw::providers::settings::Settings;
use ferrogw::providers::spec::{Notes, Policy, Spec, Trail};
use ferrogw::providers::table;
use ferrogw::wire::Object;
use serde_json::Value;

fn row(id: &str) -> &'static Spec {
    table::find(id).unwrap_or_else(|| panic!("no row {id}"))
}

/// An environment in which a row works: each variable that it needs, and the first of a choice.
fn env(spec: &Spec) -> Env {
    let chosen = spec.any_of.first();
    spec.vars
        .iter()
        .filter(|var| var.needed || Some(&var.setting) == chosen)
        .map(|var| {
            let value = match var.setting {
                "endpoint" | "host" => format!("https://{}.example", spec.id),
                setting => format!("{setting}-of-{}", spec.id),
            };
            (var.names[0].to_owned(), value)
        })
        .collect()
}

fn text(value: &str) -> Text {
    serde_json::from_value(Value::from(value)).unwrap()
}

fn settings(spec: &Spec, given: &[(&str, &str)]) -> Settings {
    let given: BTreeMap<String, Text> = given.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
    Settings::resolve(spec, &given, &env(spec)).unwrap()
}

fn object(body: &str) -> Object {
    Object::parse(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn value(object: &Object) -> Value {
    serde_json::from_slice(&object.encode()).unwrap()
}

/// What a row sends of a request, and its warnings.
fn sent(id: &str, op: Op, body: &str, policy: Policy, given: &[(&str, &str)]) -> Result<(Object, Vec<String>), Error> {
    let spec = row(id);
    let settings = settings(spec, given);
    let mut body = object(body);
    let model: String = body.get("model").unwrap().unwrap_or_default();
    let stream = body.raw("stream") == Some(b"true");
    let mut warnings = Vec::new();
    let mut notes =
        Notes { model: &model, stream, settings: &settings, provider: spec.id, policy, warnings: &mut warnings };
    rework::request(spec, op, &mut body, &mut notes)?;
    Ok((body, warnings))
}

/// A chat request becomes this at a provider.
#[track_caller]
fn becomes(id: &str, ask: &str, expected: &str) {
    becomes_with(id, ask, expected, &[]);
}

/// A chat request becomes this at a provider, with these warnings, each as `param action`.
#[track_caller]
fn becomes_with(id: &str, ask: &str, expected: &str, warned: &[&str]) {
    let (body, warnings) = sent(id, Op::Chat, ask, Policy::Warn, &[]).unwrap();
    assert_eq!(value(&body), value(&object(expected)), "{id}");
    let short: Vec<String> = warnings.iter().map(|warning| shorten(warning, id)).collect();
    assert_eq!(short, warned, "{id}");
}

fn shorten(warning: &str, id: &str) -> String {
    warning.replace("param=", "").replace(&format!(";provider={id};action="), " ")
}

/// An answer, or the events of a stream in order, become these at a provider.
#[track_caller]
fn says(id: &str, events: &[(&str, &str)]) {
    let spec = row(id);
    let mut trail = Trail::default();
    for (event, expected) in events {
        let mut body = object(event);
        let changed = rework::answer(spec, &mut body, &mut trail).unwrap();
        assert_eq!(value(&body), value(&object(expected)), "{id}");
        assert_eq!(changed, value(&object(event)) != value(&object(expected)), "{id}: {event}");
    }
}
