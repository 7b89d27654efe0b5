//! The commands that look and change nothing: validate, doctor, status, version, config, completion.

use serde_json::Value;

use super::support::{Place, http};
use crate::support::{Say, Upstream};

const DEMO: &str = "targets:\n  - virtual_key: demo\naliases: { fast: demo }\n";

#[test]
fn a_good_file_is_shown_in_short_or_whole() {
    let place = Place::new();
    place.write("config.yaml", DEMO);
    insta::assert_snapshot!("validate", place.run(&["validate"], &[]).shown());
    assert_eq!(
        place.run(&["validate", "--format", "text"], &[]).out,
        place.run(&["validate", "--format", "Table"], &[]).out
    );
    let json = place.run(&["validate", "--format", "json"], &[]).json();
    assert_eq!((&json["apiVersion"], &json["strategy"]["mode"]), (&"v1".into(), &"single".into()));
    let yaml = place.run(&["--format", "yaml", "validate", "config.yaml"], &[]).out;
    assert!(yaml.contains("max_request_bytes: 67108864\n"), "{yaml}");
    // What is printed is a configuration again.
    place.write("again.yaml", &yaml);
    assert_eq!(place.run(&["validate", "again.yaml"], &[]).code, 0);
}

#[test]
fn secrets_of_a_file_are_masked() {
    let place = Place::new();
    let target =
        "targets:\n  - virtual_key: openai\n    api_key: sk-live-0123456789\n    headers: { x-key: hush-hush }\n";
    place.write("config.yaml", target);
    for args in [
        &["validate", "--format", "json"][..],
        &["config", "show"],
        &["config", "show", "--format", "json"],
        &["doctor"],
    ] {
        let shown = place.run(args, &[("PORT", "0")]).shown();
        assert!(!shown.contains("sk-live") && !shown.contains("hush-hush"), "{shown}");
    }
}

#[test]
fn the_example_is_valid_and_the_schema_knows_its_members() {
    let place = Place::new();
    let schema: Value = serde_json::from_str(&place.run(&["config", "schema"], &[]).out).unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.yaml");
    let ended = place.run(&["validate", example, "--format", "json"], &[]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    for member in ended.json().as_object().unwrap().keys() {
        assert!(schema["properties"].get(member).is_some(), "{member}");
    }
}

#[test]
fn every_provider_is_a_valid_target_without_its_credentials() {
    let place = Place::new();
    for spec in ferrogw::providers::table::PROVIDERS {
        place.write("config.yaml", &format!("targets:\n  - virtual_key: {}\n", spec.id));
        let ended = place.run(&["validate"], &[]);
        assert_eq!(ended.code, 0, "{}", ended.err);
        assert!(ended.err.starts_with("warning[missing_setting]: targets[0]."), "{}: {}", spec.id, ended.err);
    }
}

#[test]
fn version_has_the_same_facts_in_every_format() {
    let place = Place::new();
    let json = place.run(&["version", "--format", "json"], &[]).json();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["version", "commit", "built", "rust", "os_arch"]);
    let yaml = place.run(&["version", "--format", "yaml"], &[]).out;
    let text = place.run(&["version"], &[]).out;
    for key in keys {
        assert!(yaml.contains(&format!("{key}: ")) && text.contains(&format!("{key}:")), "{yaml}{text}");
    }
    assert_eq!(place.run(&["-V"], &[]).out, concat!("ferrogw ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn every_shell_gets_completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.run(&["completion", shell], &[]).out;
        assert!(script.contains("healthcheck") && script.contains("gateway-url"), "{shell}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_finds_what_is_broken() {
    let upstream = Upstream::says([Say::json(404, "{}")]).await;
    let place = Place::new();
    let down = Upstream::down().await;
    let target = |name: &str, url: &str| {
        format!("  - {{ virtual_key: {name}, provider: openai, base_url: \"{url}\", api_key: sk-hush-0123 }}\n")
    };
    let good = format!("strategy: {{ mode: fallback }}\ntargets:\n{}", target("up", &upstream.url));
    place.write("config.yaml", &good);
    let env = [("PORT", "0"), ("OPENAI_API_KEY", "sk-hush-4567")];
    let ended = place.run(&["doctor"], &env);
    assert_eq!(ended.code, 0, "{}", ended.shown());
    let redacted = |text: String| {
        let text = text.replace(&upstream.url["http://".len()..], "UPSTREAM");
        let end = text.find(" ms)").map(|end| (text[..end].rfind('(').unwrap() + 1, end));
        end.map_or(text.clone(), |(start, end)| format!("{}N{}", &text[..start], &text[end..]))
    };
    insta::assert_snapshot!("doctor_good", redacted(ended.shown()));
    let seen = upstream.seen();
    assert_eq!(seen.len(), 1);
    assert!(!format!("{:?}", seen[0].headers).contains("hush"));

    place.write("config.yaml", &(good + &target("down", &down.url)));
    let ended = place.run(&["doctor", "--format", "json"], &[("PORT", "0"), ("MASTER_KEY", "short")]);
    assert_eq!(ended.code, 1);
    let checks = ended.json()["checks"].as_array().unwrap().clone();
    let mark = |area: &str, name: &str| {
        checks.iter().find(|check| check["area"] == area && check["name"] == name).map(|check| check["mark"].clone())
    };
    assert_eq!(mark("Upstreams", "up"), Some("ok".into()));
    assert_eq!(mark("Upstreams", "down"), Some("broken".into()));
    assert!(checks.iter().any(|check| check["area"] == "Access" && check["mark"] == "warning"), "{checks:?}");
    place.write("config.yaml", "targets:\n  - virtual_key: openai\n");
    insta::assert_snapshot!("doctor_lacks", place.run(&["doctor"], &[("PORT", "0")]).shown());
}

#[tokio::test]
async fn status_tells_health_and_whether_the_key_fits() {
    let place = Place::new();
    let key = "fgw_0123456789abcdef";
    let gateway = place.serve(&["--host", "127.0.0.1"], &[("MASTER_KEY", key)]);
    let url = gateway.url.clone();
    let status = |env: &[(&str, &str)]| place.run(&["status", "--format", "json", "--gateway-url", &url], env).json();
    assert_eq!(status(&[("FERROGW_API_KEY", key)])["key"], "accepted");
    assert_eq!(status(&[("MASTER_KEY", key)])["models"], 2);
    assert!(status(&[("MASTER_KEY", "wrong")])["key"].as_str().unwrap().starts_with("refused"));
    let without = status(&[]);
    assert!(without["key"].as_str().unwrap().starts_with("needed"));
    assert_eq!((&without["healthy"], &without["version"]), (&true.into(), &env!("CARGO_PKG_VERSION").into()));
    assert_eq!(http().get(format!("{url}/livez")).send().await.unwrap().status(), 200);
    let text = place.run(&["status"], &[("FERROGW_URL", &url), ("FERROGW_API_KEY", key)]);
    assert!(text.out.starts_with(&format!("[OK] {url} -- healthy (")), "{}", text.out);
    assert!(text.out.contains("\nTARGET   PROVIDER   STATUS      CIRCUIT   MODELS\n------   "), "{}", text.out);
    gateway.stop();
    let gone = place.run(&["status"], &[("FERROGW_URL", &url)]);
    assert!(gone.code == 1 && gone.err.starts_with("error: GET /health: "), "{}", gone.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_of_a_gateway_that_serves_with_some_of_its_targets_is_a_warning() {
    let place = Place::new();
    let says = async |status: &str, unavailable: u8| {
        let targets = format!(r#"{{"total":3,"available":0,"resting":1,"unavailable":{unavailable}}}"#);
        let health = format!(r#"{{"status":"{status}","targets":{targets}}}"#);
        let upstream = Upstream::says([Say::json(200, &health), Say::json(200, "{}"), Say::json(200, "{}")]).await;
        place.run(&["status", "--gateway-url", &upstream.url], &[])
    };
    let some = says("degraded", 2).await;
    assert!(
        some.code == 0 && some.out.contains("-- degraded: of 3 targets 2 unavailable, 1 resting ("),
        "{}",
        some.shown()
    );
    let none = says("unavailable", 3).await;
    assert!(
        none.code == 1 && none.out.contains("-- unavailable: the circuits of all targets are open"),
        "{}",
        none.shown()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_of_an_unhealthy_gateway_is_a_failure_and_a_redirect_is_not_followed() {
    let place = Place::new();
    let trap = Upstream::says([Say::json(200, r#"{"status":"ok","providers":[]}"#)]).await;
    let away = || Say::json(302, "").header("location", &format!("{}/health", trap.url));
    let upstream = Upstream::says([away(), away()]).await;
    let ended = place.run(&["status", "--gateway-url", &upstream.url], &[("FERROGW_API_KEY", "k")]);
    assert!(ended.code == 1 && ended.out.starts_with("[X] "), "{}", ended.shown());
    assert!(trap.seen().is_empty());
}
