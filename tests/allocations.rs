//! The hot path in allocations: from a body to the request that goes out, as many for a large body as for a small one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use ferrogw::call::redact::Redactor;
use ferrogw::call::{Body, Call, Op};
use ferrogw::config::{self, Env, Format};
use ferrogw::pipeline::Rules;
use ferrogw::providers::auth::Fetcher;
use ferrogw::providers::client::{Client, Options, Outgoing};
use ferrogw::providers::encode::encode;
use ferrogw::server::build;
use ferrogw::wire::Object;

/// The parser's stack, the index, the provider's copy of it, the model's other name, the body that is sent.
const MOST: u64 = 5;

fn rules(provider: &str) -> Rules {
    let yaml =
        format!("targets:\n  - {{ virtual_key: t, provider: {provider}, api_key: sk-test-0123456789, models: [m] }}\n");
    let config = config::parse(&yaml, Format::Yaml, "test.yaml").unwrap_or_else(|invalid| panic!("{invalid}")).config;
    let client = Client::new(Options::default()).unwrap();
    let env: Env = BTreeMap::<String, String>::new().into_iter().collect();
    let redactor = Arc::new(Redactor::new(std::iter::empty::<(&str, &str)>()));
    build::compile(&config, &env, &client, &redactor, &Fetcher::default()).unwrap_or_else(|invalid| panic!("{invalid}"))
}

/// A chat request of about this size, bytes.
fn ask(size: usize, more: &str) -> Bytes {
    let turn = |text: &str| format!(r#"{{"role":"user","content":"{text}"}}"#);
    let text = "a line with \\\"quotes\\\", an é and a \\n; ".repeat(size / 2 / 40 + 1);
    let turns = vec![turn("hi"); size / 2 / 32 + 1].join(",");
    Bytes::from(format!(r#"{{"model":"m",{more}"messages":[{turns},{}],"temperature":0.5}}"#, turn(&text)))
}

/// A body in one piece of the buffer that it was read into.
fn as_from_a_socket(body: &Bytes) -> Bytes {
    let mut buffer = BytesMut::from(&body[..]);
    buffer.extend_from_slice(b"what came behind it");
    buffer.split_to(body.len()).freeze()
}

/// What is allocated from a body to what a provider is sent, when it calls the model so.
fn allocations(rules: &Rules, body: &Bytes, model: &str) -> (u64, Bytes) {
    let provider = &rules.targets[0].provider;
    let (id, name): (Arc<str>, Arc<str>) = (Arc::from("id"), Arc::from("m"));
    let body = as_from_a_socket(body);
    let stream = body.windows(13).any(|part| part == b"\"stream\":true");
    let since = Instant::now();
    let mut sent = None;
    let info = measure(|| {
        let body = Object::parse(body).unwrap();
        let (id, model_asked) = (id.clone(), name.clone());
        let call = Call { stream, ..Call::new(Op::Chat, Body::Json(body), model_asked, id, since) };
        sent = Some(encode(provider, &call, model, &mut Vec::new()).unwrap_or_else(|error| panic!("{error}")).body);
    });
    let Some(Outgoing::Whole(sent)) = sent else { panic!("a chat is sent from memory") };
    (info.count_total, sent)
}

#[test]
fn index_edit_and_encode_take_as_many_allocations_for_a_large_body_as_for_a_small_one() {
    let openai = rules("openai");
    let check = |what: &str, more: &str, model: &str, expected: u64| {
        let (small, large) = (ask(1 << 10, more), ask(100 << 10, more));
        assert!(large.len() > 80 * small.len());
        let ((few, _), (many, sent)) = (allocations(&openai, &small, model), allocations(&openai, &large, model));
        assert_eq!(few, many, "{what}");
        assert!(few <= MOST, "{what}: {few} allocations");
        assert_eq!(few, expected, "{what}");
        let object = Object::parse(sent).unwrap();
        assert_eq!(object.get::<String>("model").unwrap().unwrap(), model);
    };
    check("nothing to change", "", "m", 2);
    check("another name for the model", "", "other", 4);
    check("a stream", r#""stream":true,"#, "m", 3);
    check("a stream under another name", r#""stream":true,"#, "other", 4);
}

#[test]
fn a_body_with_nothing_to_change_is_sent_from_where_it_arrived() {
    let body = ask(1 << 10, "");
    let openai = rules("openai");
    let asked = Body::Json(Object::parse(body.clone()).unwrap());
    let call = Call::new(Op::Chat, asked, "m".into(), "id".into(), Instant::now());
    let sent =
        encode(&openai.targets[0].provider, &call, "m", &mut Vec::new()).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(sent.body, Outgoing::Whole(sent) if sent.as_ptr() == body.as_ptr()));
}
