//! A configuration that changes under a running process: SIGHUP, `ferrogw plan`, `ferrogw status`.

use super::support::{Gateway, Place};

const KEY: &str = "a-master-key-of-36-characters-012345";

const OLD: &str = "strategy: { mode: single }
targets:
  - { virtual_key: openai, api_key: sk-first-0123456789, models: [a, b] }
  - { virtual_key: groq, api_key: \"${GROQ_KEY}\" }
  - { virtual_key: xai, api_key: k, weight: 1 }
";

const NEW: &str = "strategy: { mode: fallback }
targets:
  - { virtual_key: xai, api_key: \"${XAI_KEY}\", weight: 0 }
  - { virtual_key: openai, api_key: sk-other-0123456789, models: [b, c], timeouts: { connect: 1s } }
  - { virtual_key: mistral, api_key: \"${MISTRAL_KEY}\" }
aliases: { fast: c }
server: { drain: 20s }
";

fn serve(place: &Place) -> Gateway {
    place.serve(&[], &[("MASTER_KEY", KEY), ("GROQ_KEY", "g"), ("XAI_KEY", "x"), ("MISTRAL_KEY", "m")])
}

/// What a command says of a gateway, without what differs between two runs.
fn asks(place: &Place, gateway: &Gateway, args: &[&str]) -> (i32, String) {
    let ended = place.run(args, &[("FERROGW_URL", &gateway.url), ("FERROGW_API_KEY", KEY)]);
    let shown = ended.shown().replace(gateway.port(), "PORT");
    let time = |text: &str| text.split_once(", loaded ").map(|(_, rest)| rest.split(')').next().unwrap().to_owned());
    (ended.code, time(&shown).map_or(shown.clone(), |at| shown.replace(&at, "TIME")))
}

#[test]
fn a_plan_names_what_a_new_file_would_change() {
    let place = Place::new();
    place.write("config.yaml", OLD);
    let gateway = serve(&place);
    place.write("new.yaml", NEW);
    let (code, shown) = asks(&place, &gateway, &["plan", "new.yaml"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(shown);
    assert_eq!(asks(&place, &gateway, &["plan", "new.yaml", "--exit-code"]).0, 2);
    let (code, same) = asks(&place, &gateway, &["plan", "--exit-code"]);
    assert!(code == 0 && same.contains("No changes.\n"), "{same}");

    let json = place.run(&["plan", "new.yaml", "--format", "json", "--url", &gateway.url], &[("MASTER_KEY", KEY)]);
    let json = json.json();
    assert_eq!(json["changes"][0]["path"], "strategy.mode");
    assert_eq!((&json["changes"][0]["from"], &json["changes"][0]["to"]), (&"single".into(), &"fallback".into()));
    assert_eq!(json["masked"], serde_json::json!(["targets[openai].api_key"]));
    assert_eq!(json["running"]["file"], "config.yaml");
    assert_eq!(json["new"]["hash"], ferrogw::config::hash(NEW.as_bytes()));
}

#[test]
fn a_plan_that_cannot_be_made_says_why() {
    let place = Place::new();
    place.write("config.yaml", OLD);
    let gateway = serve(&place);
    place.write("bad.yaml", "targets: [{ virtual_key: nobody }]\n");
    let (code, shown) = asks(&place, &gateway, &["plan", "bad.yaml"]);
    assert!(code == 1 && shown.contains("--> bad.yaml:1"), "{shown}");
    let ended = place.run(&["plan", "--url", &gateway.url], &[]);
    assert!(ended.code == 1 && ended.err.contains("error: GET /admin/config: no API key"), "{}", ended.err);
    let url = gateway.url.clone();
    gateway.stop();
    let ended = place.run(&["plan", "--url", &url], &[]);
    assert!(ended.code == 1 && ended.err.contains("refused"), "{}", ended.err);
}

#[test]
fn sighup_reads_the_file_again() {
    let place = Place::new();
    place.write("config.yaml", OLD);
    let mut gateway = serve(&place);
    place.write("config.yaml", NEW);
    gateway.signal("-HUP");
    let line = gateway.until("configuration reloaded");
    assert_eq!((&line["file"], &line["targets"], &line["level"]), (&"config.yaml".into(), &3.into(), &"INFO".into()));
    let said = line["msg"].as_str().unwrap();
    for part in
        ["~ strategy.mode: single -> fallback", "- targets[groq]", "targets[openai].api_key: another [REDACTED]"]
    {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(gateway.until("a change that takes effect at the next start")["path"], "server.drain");
    // what is served now is the file, but for what takes a restart
    let (_, shown) = asks(&place, &gateway, &["plan"]);
    assert!(shown.contains("No changes.\n"), "{shown}");
    assert!(!asks(&place, &gateway, &["status"]).1.contains("stale"));

    place.write("config.yaml", "targets:\n  - virtual_key: openai\n    wieght: 1\n    api_key: sk-third-0123456789\n");
    gateway.signal("-HUP");
    let line = gateway.until("the configuration cannot be used");
    assert_eq!((&line["level"], &line["line"], &line["code"]), (&"ERROR".into(), &3.into(), &"unknown_key".into()));
    assert!(line["msg"].as_str().unwrap().contains("config.yaml:3:5: targets[0].wieght: "), "{line}");
    let (code, shown) = asks(&place, &gateway, &["status"]);
    assert!(code == 0 && shown.contains("Config:    stale since "), "{shown}");
    let log = format!("{:?}", gateway.log);
    assert!(!log.contains("sk-first") && !log.contains("sk-other") && !log.contains("sk-third"));
}

#[test]
fn without_a_file_there_is_nothing_to_read_again() {
    let place = Place::new();
    let mut gateway = place.serve(&[], &[]);
    gateway.signal("-HUP");
    gateway.until("nothing to reload");
    assert_eq!(gateway.stop().0, 0);
}
