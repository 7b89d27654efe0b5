//! A gateway as a process: its log, its signals, its health check, its colours.

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::support::{Place, http};
use crate::support::upstream::chat;
use crate::support::{ASK, Say, Upstream};

#[tokio::test]
async fn the_log_says_what_is_served_and_where() {
    let place = Place::new();
    let gateway = place.serve(&[], &[("OPENAI_API_KEY", "sk-secret-0123456789")]);
    let line = |message: &str| gateway.log.iter().find(|line| line["msg"] == message).unwrap().clone();
    let resolved = line("active config resolved");
    for (name, value) in [
        ("source", Value::from("defaults")),
        ("strategy", "fallback".into()),
        ("targets", 1.into()),
        ("plugins", 0.into()),
        ("max_request_bytes", 67_108_864.into()),
        ("file", Value::Null),
    ] {
        assert_eq!(resolved[name], value, "{name}");
    }
    let started = line("ferrogw started");
    assert_eq!((&started["version"], &started["providers"]), (&env!("CARGO_PKG_VERSION").into(), &"openai".into()));
    let banner = gateway.banner();
    assert!(!banner.contains("sk-secret") && !banner.contains('\u{1b}'), "{banner}");
    insta::assert_snapshot!(banner);
}

#[test]
fn settings_in_vain_are_warnings() {
    let place = Place::new();
    let env = [
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("API_KEY_STORE_BACKEND", "sqlite"),
        ("RATE_LIMIT_RPS", "many"),
        ("NO_COLOR", "1"),
    ];
    let mut gateway = place.serve(&[], &env);
    for name in ["LOG_LEVEL", "LOG_FORMAT", "API_KEY_STORE_BACKEND", "RATE_LIMIT_RPS"] {
        assert_eq!(gateway.until(name)["level"], "WARN");
    }
    insta::assert_snapshot!(gateway.banner());
}

#[tokio::test]
async fn a_level_hides_what_is_less_important() {
    let place = Place::new();
    let mut gateway = place.serve(&["--log-level", "info"], &[("LOG_LEVEL", "error")]);
    let get = |path: &str| http().get(format!("{}{path}", gateway.url)).send();
    assert_eq!(get("/v1/models").await.unwrap().status(), 200);
    assert_eq!(gateway.until("http request")["level"], "INFO");
    gateway.signal("-INT");
    gateway.until("server stopped");
    assert_eq!(gateway.end().0, 0);
    let quiet = place.run(&["--log-level", "warn", "--port", "http"], &[]);
    assert_eq!(quiet.code, 2);
}

#[tokio::test]
async fn access_lines_can_go_to_a_file_or_nowhere() {
    let place = Place::new();
    for args in [["--access-log", "access.log"], ["--access-log", "off"]] {
        let mut gateway = place.serve(&args, &[]);
        assert_eq!(http().get(format!("{}/v1/models", gateway.url)).send().await.unwrap().status(), 200);
        gateway.signal("-TERM");
        gateway.until("server stopped");
        assert_eq!(gateway.end().0, 0);
        assert!(gateway.log.iter().all(|line| line["msg"] != "http request"));
    }
    let lines = place.read("access.log");
    let line: Value = serde_json::from_str(lines.trim_end()).unwrap();
    assert_eq!((&line["msg"], &line["path"]), (&"http request".into(), &"/v1/models".into()));
    let ended = place.run(&["--access-log", "no/such/folder"], &[("PORT", "0")]);
    assert!(ended.code == 1 && ended.err.starts_with("error: --access-log: cannot write to"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_of_the_file_do_not_come_back_in_errors() {
    let (key, header) = ("kept-secret-0123456789", "hush-hush-0123456789");
    let echo = format!(r#"{{"error":{{"message":"bad key {key}, bad header {header}","type":"x"}}}}"#);
    let upstream = Upstream::says([Say::json(400, &echo)]).await;
    let place = Place::new();
    let url = &upstream.url;
    let target = format!("  - {{ virtual_key: t, provider: openai, base_url: \"{url}\", api_key: {key}, models: [m],");
    place.write("config.yaml", &format!("targets:\n{target} headers: {{ x-token: Token {header} }} }}\n"));
    let mut gateway = place.serve(&["--log-level", "debug"], &[]);
    let request = http().post(format!("{}/v1/chat/completions", gateway.url));
    let answer = request.header("content-type", "application/json").body(ASK).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let text = answer.text().await.unwrap();
    assert!(text.contains("[REDACTED") && !text.contains(key) && !text.contains(header), "{text}");
    gateway.until("http request");
    let log = format!("{:?}", gateway.log) + &gateway.banner();
    assert!(!log.contains(key) && !log.contains(header));
}

#[tokio::test]
async fn the_health_check_follows_readiness() {
    let place = Place::new();
    let gateway = place.serve(&[], &[("MASTER_KEY", "0123456789abcdef0123")]);
    let port = gateway.port().to_owned();
    let env = [("PORT", port.as_str()), ("FERROGW_HOST", "::")];
    let ended = place.run(&["healthcheck"], &env);
    assert_eq!((ended.code, ended.shown()), (0, "status 0\n-- stdout\n-- stderr\n".to_owned()));
    gateway.stop();
    let ended = place.run(&["healthcheck"], &env);
    assert!(ended.code == 1 && ended.err.contains("refused"), "{}", ended.err);
}

#[tokio::test]
async fn sigterm_lets_what_has_begun_finish() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", upstream.local_addr().unwrap());
    let place = Place::new();
    let target = format!("  - {{ virtual_key: t0, provider: openai, base_url: \"{url}\", api_key: k, models: [m] }}\n");
    place.write("config.yaml", &format!("targets:\n{target}"));
    let mut gateway = place.serve(&[], &[]);
    let request = http().post(format!("{}/v1/chat/completions", gateway.url));
    let request = request.header("content-type", "application/json").body(ASK);
    let asked = tokio::spawn(async move { request.send().await.unwrap().status() });
    let (mut held, _) = upstream.accept().await.unwrap();
    gateway.signal("-TERM");
    gateway.until("shutting down");
    let body = chat("late");
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    held.write_all((head + &body).as_bytes()).await.unwrap();
    assert_eq!(asked.await.unwrap(), 200);
    gateway.until("server stopped");
    assert_eq!(gateway.end().0, 0);
}

#[tokio::test]
async fn what_is_recorded_in_one_process_is_played_in_the_next() {
    let (place, upstream) = (Place::new(), Upstream::says([Say::text("hello")]).await);
    let target = "targets: [{ virtual_key: t0, provider: openai, models: [m], api_key: \"\", base_url: \"";
    place.write("config.yaml", &format!("{target}{}/v1\" }}]\n", upstream.url));
    let strange = place.run(&["record", "--out", "tapes", "--target", "t1"], &[]);
    assert_eq!(strange.code, 1);
    assert!(strange.err.contains("there is no target `t1`; there are t0"), "{}", strange.err);
    let ask = async |url: &str| {
        let request = http().post(format!("{url}/v1/chat/completions")).header("content-type", "application/json");
        request.body(ASK).send().await.unwrap().text().await.unwrap()
    };
    let gateway = place.serve(&["record", "--out", "tapes"], &[]);
    assert_eq!(ask(&gateway.url).await, chat("hello"));
    let (code, told) = gateway.stop();
    assert_eq!(code, 0);
    assert!(told.contains("is written into tapes"), "{told}");
    assert!(place.read("tapes/000001-t0-chat.json").contains(r#""operation": "chat""#));

    place.write("config.yaml", &format!("{target}replay://tapes\" }}]\n"));
    let gateway = place.serve(&[], &[]);
    assert_eq!(ask(&gateway.url).await, chat("hello"));
    assert_eq!(upstream.seen().len(), 1);
    let doctor = place.run(&["doctor", "--port", "0"], &[]);
    assert!(doctor.out.contains("plays the recordings in tapes"), "{}", doctor.out);
}
