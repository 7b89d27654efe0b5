//! Cassettes: what providers say is recorded through the real server, and played again without them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrogw::config::{self, Env, Format};
use ferrogw::providers::tape::Recorder;
use ferrogw::server::process::{self, Plan};
use ferrogw::server::{Threads, build};
use ferrogw::telemetry::AccessLog;
use serde_json::{Value, json};

use super::support::{ASK, ASK_STREAM, Reply, Say, TestGateway, Upstream, target};

/// A gateway that writes its exchanges into a folder.
async fn recording(yaml: &str, env: &[(&str, &str)], folder: &Path, only: &[&str]) -> (TestGateway, Recorder) {
    let config = config::parse(yaml, Format::Yaml, "test.yaml").unwrap_or_else(|invalid| panic!("{invalid}")).config;
    let quiet = [("FERRO_MODEL_DISCOVERY_INTERVAL", "0")];
    let env: Env = quiet.iter().chain(env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let recorder = Recorder::start(folder, only.iter().map(|name| (*name).to_owned()).collect()).unwrap();
    let plan = Plan {
        redactor: Arc::new(build::redactor(&config, &env)),
        config,
        follow: Default::default(),
        env,
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        threads: Threads::Shared,
        access: AccessLog::off(),
        sink: None,
    };
    let running = process::start_recorded(plan, Some(recorder.clone())).await.unwrap();
    let url = format!("http://{}", running.handle.addresses()[0]);
    (TestGateway { url, http: reqwest::Client::builder().no_proxy().build().unwrap(), running }, recorder)
}

/// A gateway that plays what is in a folder.
async fn replaying(folder: &Path, more: &str) -> TestGateway {
    let yaml = format!(
        "targets:\n  - {{ virtual_key: t0, provider: openai, base_url: \"replay://{}\"{more} }}\n",
        folder.display()
    );
    TestGateway::configured(&yaml, &[]).await
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

async fn post(gateway: &TestGateway, body: &str) -> Reply {
    gateway.post("/v1/chat/completions", body).await
}

/// Records these answers, each to its own request.
async fn recorded(folder: &Path, exchanges: &[(&str, Say)]) -> Vec<Reply> {
    let upstream = Upstream::says(exchanges.iter().map(|(_, say)| say.clone())).await;
    let yaml = format!("targets:\n{}", target("t0", "openai", &upstream, "m, n", ""));
    let (gateway, recorder) = recording(&yaml, &[], folder, &[]).await;
    let mut replies = Vec::new();
    for (ask, _) in exchanges {
        replies.push(post(&gateway, ask).await);
    }
    recorder.finish();
    replies
}

#[tokio::test]
async fn what_was_recorded_is_played_byte_for_byte_without_the_provider() {
    let folder = tempfile::tempdir().unwrap();
    let exchanges = [
        (ASK, Say::text("häl\\\"lo").header("x-request-id", "req-1")),
        (ASK_STREAM, Say::words(&["one", "two"])),
        (ASK, Say::json(429, r#"{"error":{"message":"slow down","type":"rate_limit"}}"#).header("retry-after", "7")),
    ];
    let then = recorded(folder.path(), &exchanges).await;
    assert_eq!(files(folder.path()).len(), 3);
    // the upstream is gone with its scope, and this one has no credential
    let gateway = replaying(folder.path(), ", replay_speed: 0").await;
    for round in 0..2 {
        for ((ask, _), then) in exchanges.iter().zip(&then) {
            let now = post(&gateway, ask).await;
            assert_eq!((now.status, &now.body), (then.status, &then.body), "round {round}");
            assert_eq!(now.header("retry-after"), then.header("retry-after"), "round {round}");
        }
    }
    let models = gateway.get("/v1/models").await.body;
    assert!(models.contains(r#""m""#), "{models}");
}

#[tokio::test]
async fn no_secret_is_in_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    let key = "sk-test-t0-0123456789";
    let upstream = Upstream::says([
        Say::json(401, &format!(r#"{{"error":{{"message":"wrong key {key}"}}}}"#)).header("set-cookie", "session=abc"),
        Say::events([
            format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":"{key}"}}}}]}}"#),
            "[DONE]".to_owned(),
        ]),
        Say::pieces("text/event-stream", [&key.as_bytes()[..9], &key.as_bytes()[9..]].map(<[u8]>::to_vec))
            .paced(Duration::from_millis(5)),
    ])
    .await;
    let more = "    headers: { x-team: hunter2secret, x-auth: short }\n";
    let yaml = format!("targets:\n{}", target("t0", "openai", &upstream, "m", more));
    let master = "fgw_master_key_of_this_test";
    let (gateway, recorder) = recording(&yaml, &[("MASTER_KEY", master)], folder.path(), &[]).await;
    for body in [ASK.replace("hi", key), ASK_STREAM.replace("hi", master), ASK_STREAM.to_owned()] {
        let request = gateway.request("/v1/chat/completions", body).bearer_auth(master);
        gateway.send(request).await;
    }
    recorder.finish();
    let files = files(folder.path());
    assert_eq!(
        files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["000001-t0-chat.json", "000002-t0-chat.json", "000003-t0-chat.json"]
    );
    for (name, text) in &files {
        for secret in [key, master, &key[9..], "hunter2", "session=", "short", "authorization", "x-auth"] {
            assert!(!text.to_ascii_lowercase().contains(&secret.to_ascii_lowercase()), "{name}: {secret}: {text}");
        }
        assert!(text.contains("[REDACTED"), "{name}: {text}");
    }
    let first: Value = serde_json::from_str(&files[0].1).unwrap();
    assert_eq!(first["request"]["path"], "/v1/chat/completions");
    assert_eq!(first["request"]["headers"]["content-type"], "application/json");
    assert_eq!(first["request"]["body"]["json"]["model"], "m");
    assert_eq!((&first["response"]["status"], &first["operation"]), (&json!(401), &json!("chat")));
}

#[tokio::test]
async fn the_same_body_has_its_own_answer_and_others_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let other = ASK.replace("hi", "other");
    let exchanges = [(ASK, Say::text("first")), (&*other, Say::text("second")), (ASK, Say::text("third"))];
    recorded(folder.path(), &exchanges).await;
    let gateway = replaying(folder.path(), ", replay_speed: 0").await;
    let unknown = ASK.replace("hi", "unknown");
    let mut said = Vec::new();
    for ask in [&other, &other, ASK, ASK, ASK, &unknown, &unknown] {
        said.push(post(&gateway, ask).await.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned());
    }
    assert_eq!(said, ["second", "second", "first", "third", "first", "third", "first"]);
}

#[tokio::test]
async fn a_miss_names_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    recorded(folder.path(), &[(ASK, Say::text("hello"))]).await;
    let gateway = replaying(folder.path(), ", models: [other]").await;
    let reply = post(&gateway, &ASK.replace("\"m\"", "\"other\"")).await;
    assert_eq!(reply.status, 502, "{}", reply.body);
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    for part in [
        "no recording in",
        folder.path().to_str().unwrap(),
        "/v1/chat/completions",
        "chat for `other`; there are: chat for `m`",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[tokio::test]
async fn pieces_come_when_they_came_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let pause = Duration::from_millis(40);
    recorded(folder.path(), &[(ASK_STREAM, Say::words(&["one", "two"]).paced(pause))]).await;
    let took = async |more: &str| {
        let gateway = replaying(folder.path(), more).await;
        let since = Instant::now();
        assert!(gateway.stream().await.is_done());
        since.elapsed()
    };
    let as_recorded = took("").await;
    assert!(as_recorded >= pause * 4, "{as_recorded:?}");
    let faster = took(", replay_speed: 1000").await;
    let at_once = took(", replay_speed: 0").await;
    assert!(faster < as_recorded && at_once < as_recorded, "{faster:?} {at_once:?} {as_recorded:?}");
}

#[tokio::test]
async fn failures_on_the_way_are_recorded_and_played() {
    let folder = tempfile::tempdir().unwrap();
    let cut = Say::words(&["one"]).cut();
    let then = recorded(folder.path(), &[(ASK_STREAM, cut)]).await;
    let down = Upstream::down().await;
    let yaml = format!("targets:\n{}", target("t0", "openai", &down, "m", ""));
    let (gateway, recorder) = recording(&yaml, &[], folder.path(), &[]).await;
    let refused = gateway.chat().await;
    recorder.finish();
    assert_eq!(files(folder.path()).last().unwrap().0, "000002-t0-chat.json", "a folder is added to");
    let gateway = replaying(folder.path(), ", replay_speed: 0").await;
    let now = gateway.stream().await;
    assert_eq!((now.status, now.is_done()), (then[0].status, then[0].is_done()));
    let again = gateway.chat().await;
    assert_eq!((again.status, &again.body), (refused.status, &refused.body));
}

#[tokio::test]
async fn only_the_targets_that_were_named_are_recorded_and_each_plays_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Upstream::says([Say::text("a")]).await, Upstream::says([Say::text("b")]).await);
    let targets = target("t0", "openai", &first, "m", "") + &target("t1", "openai", &second, "n", "");
    let yaml = format!("strategy: {{ mode: fallback }}\ntargets:\n{targets}");
    let (gateway, recorder) = recording(&yaml, &[], folder.path(), &["t1"]).await;
    gateway.chat().await;
    post(&gateway, &ASK.replace("\"m\"", "\"n\"")).await;
    recorder.finish();
    let files = files(folder.path());
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(files[0].0.contains("-t1-"), "{files:?}");
}

#[tokio::test]
async fn other_dialects_are_played_too() {
    let folder = tempfile::tempdir().unwrap();
    let message = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#;
    let upstream = Upstream::says([Say::json(200, message)]).await;
    let yaml = format!("targets:\n{}", target("t0", "anthropic", &upstream, "m", ""));
    let (gateway, recorder) = recording(&yaml, &[], folder.path(), &[]).await;
    let then = gateway.chat().await.json();
    recorder.finish();
    let yaml = format!(
        "targets:\n  - {{ virtual_key: elsewhere, provider: anthropic, base_url: \"replay://{}\" }}\n",
        folder.path().display()
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let now = gateway.chat().await.json();
    assert_eq!((&now["choices"], &now["usage"]), (&then["choices"], &then["usage"]));
}

#[tokio::test]
async fn a_prediction_of_several_requests_is_played() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::says([]).await;
    let prediction = |status: &str, output: Value| {
        let at = |what: &str| format!("{}/v1/predictions/p1{what}", upstream.url);
        let urls = json!({ "get": at(""), "cancel": at("/cancel"), "stream": format!("{}/stream/p1", upstream.url) });
        let said =
            json!({ "id": "p1", "model": "m/m", "status": status, "output": output, "error": null, "urls": urls });
        Say::json(201, &said.to_string())
    };
    let described = Say::json(200, r#"{"owner":"m","latest_version":{"id":"v1"}}"#);
    let frames = ["event: output\ndata: High water\n\n", "event: done\ndata: {}\n\n"].map(str::to_owned);
    upstream.tell([
        described,
        prediction("starting", json!(null)),
        prediction("succeeded", json!(["Low ", "water"])),
        prediction("starting", json!(null)),
        Say::raw_events(frames),
        prediction("succeeded", json!(["High water"])),
    ]);
    let yaml = format!("targets:\n{}", target("t0", "replicate", &upstream, "m/m", ""));
    let (gateway, recorder) = recording(&yaml, &[], folder.path(), &[]).await;
    let asks = [ASK, ASK_STREAM].map(|ask| ask.replace("\"m\"", "\"m/m\""));
    let text = |body: &str| ["Low water", "High water"].iter().any(|text| body.contains(text));
    for ask in &asks {
        let reply = post(&gateway, ask).await;
        assert!(reply.status == 200 && text(&reply.body), "{}", reply.body);
    }
    recorder.finish();
    assert_eq!(files(folder.path()).len(), 6);
    let yaml = format!(
        "targets:\n  - {{ virtual_key: t0, provider: replicate, replay_speed: 0, base_url: \"replay://{}\" }}\n",
        folder.path().display()
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    assert!(post(&gateway, &asks[0]).await.body.contains("Low water"));
    let stream = post(&gateway, &asks[1]).await;
    assert!(stream.is_done() && stream.body.contains("High water"), "{}", stream.body);
    assert_eq!(upstream.seen().len(), 6, "it is asked nothing more");
}

#[test]
fn a_folder_without_recordings_and_files_that_are_none_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |yaml: &str| {
        let config = config::parse(yaml, Format::Yaml, "c.yaml").unwrap_or_else(|invalid| panic!("{invalid}")).config;
        let client = process::client(&Env::default(), 1).unwrap();
        let found = ferrogw::server::rehearsal::rehearse(&config, &Env::default(), &client, &Default::default());
        found
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.message))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let shown = folder.path().display().to_string();
    let yaml = format!("targets: [{{ virtual_key: openai, base_url: \"replay://{shown}\" }}]");
    let none = problem(&yaml);
    assert!(none.starts_with("targets[0].base_url: there are no recordings of `openai` in"), "{none}");
    std::fs::write(folder.path().join("000001-x.json"), "{}").unwrap();
    let broken = problem(&yaml);
    assert!(broken.contains("000001-x.json` is no recording: missing field"), "{broken}");
    let nowhere = problem("targets: [{ virtual_key: openai, base_url: \"replay:///nowhere/at/all\" }]");
    assert!(nowhere.contains("`/nowhere/at/all` can't be read"), "{nowhere}");
    let invalid = config::parse("targets: [{ virtual_key: a, base_url: \"replay://\" }]", Format::Yaml, "c.yaml");
    assert!(invalid.unwrap_err().to_string().contains("must name the folder"));
}

#[test]
fn a_folder_is_found_beside_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    std::fs::write(&path, "targets: [{ virtual_key: openai, base_url: \"replay://tapes\" }]").unwrap();
    let loaded = config::load(&path).unwrap();
    let address = loaded.config.targets[0].base_url.as_ref().unwrap().as_written().to_owned();
    assert_eq!(address, "replay://tapes", "it is shown as it is written");
    std::fs::write(dir.path().join("models.jsonl"), "none").unwrap();
    let env = Env::from([("TAPES", "tapes"), ("ALL", "replay://tapes"), ("FAR", "/nowhere/at/all")]);
    let beside = dir.path().display().to_string();
    for (written, expected) in [
        ("base_url: \"replay://tapes\"", format!("`{beside}/tapes` can't be read")),
        ("base_url: \"replay://${TAPES}\"", format!("`{beside}/tapes` can't be read")),
        ("base_url: \"${ALL}\"", format!("`{beside}/tapes` can't be read")),
        ("base_url: \"replay://${FAR}\"", "`/nowhere/at/all` can't be read".to_owned()),
        (
            "api_key: k }]\ncatalog: { file: models.jsonl }\n#",
            format!("`{beside}/models.jsonl` cannot be used: line 1"),
        ),
    ] {
        std::fs::write(&path, format!("targets: [{{ virtual_key: openai, {written} }}]")).unwrap();
        let config = config::load(&path).unwrap().config;
        let client = process::client(&env, 1).unwrap();
        let found = ferrogw::server::rehearsal::rehearse(&config, &env, &client, &Default::default());
        let message = &found.problems[0].message;
        assert!(message.contains(&expected), "{written}: {message}");
    }
}
