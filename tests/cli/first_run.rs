//! What a newcomer does: start without anything, `init`, start again.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::support::{Place, http};

/// The request of the first curl in a text: URL, key header if there is one, body.
fn curl(text: &str) -> (String, bool, String) {
    let words = |line: &str| line.trim().trim_end_matches('\\').trim().to_owned();
    let mut lines = text.lines().map(words).skip_while(|line| !line.starts_with("curl "));
    let url = lines.next().unwrap()["curl ".len()..].to_owned();
    let rest: Vec<String> = lines.take_while(|line| line.starts_with('-')).collect();
    let body = rest.iter().find_map(|line| line.strip_prefix("-d '")?.strip_suffix('\''));
    let has_key = rest.iter().any(|line| line == "-H \"Authorization: Bearer $MASTER_KEY\"");
    assert!(body.is_none() || rest.iter().any(|line| line == "-H \"Content-Type: application/json\""));
    (url, has_key, body.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn without_anything_the_demo_serves_and_the_printed_curl_answers() {
    let place = Place::new();
    let gateway = place.serve(&[], &[]);
    let twin = place.serve(&[], &[]);
    let port = gateway.port().to_owned();
    // The text is complete only when the process has ended, so the twin says it.
    let text = twin.banner().replace("PORT", &port);
    let (url, has_key, body) = curl(&text);
    assert!(!has_key);
    for body in [body.clone(), body.replace("{\"model\"", "{\"stream\":true,\"model\"")] {
        let request = http().post(&url).header("content-type", "application/json").body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.unwrap();
        assert!(text.contains("Hello!"), "{text}");
    }
    let (code, text) = gateway.stop();
    assert_eq!(code, 0);
    insta::assert_snapshot!(text.replace(&port, "PORT"));
}

#[tokio::test]
async fn init_then_a_bare_start_uses_the_file_and_the_key() {
    let place = Place::new();
    let ended = place.run(&["init"], &[]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    let key = ended.out.lines().find_map(|line| line.trim().strip_prefix("fgw_")).unwrap().to_owned();
    assert!(key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    let file = place.read("config.yaml");
    assert!(!file.contains(&key) && !file.contains("fgw_"));
    assert_eq!(std::fs::metadata(place.path().join("config.yaml")).unwrap().permissions().mode() & 0o777, 0o600);
    insta::assert_snapshot!("init", ended.out.replace(&key, "KEY"));
    insta::assert_snapshot!("init_file", file);

    let key = format!("fgw_{key}");
    let mut gateway = place.serve(&[], &[("MASTER_KEY", &key)]);
    let resolved = gateway.log.iter().find(|line| line["msg"] == "active config resolved").unwrap().clone();
    assert_eq!((&resolved["source"], &resolved["file"]), (&"file".into(), &"config.yaml".into()));
    let (_, has_key, body) = curl(&ended.out);
    assert!(has_key);
    let url = format!("{}/v1/chat/completions", gateway.url);
    let ask = |key: &str| {
        let request = http().post(&url).header("content-type", "application/json").body(body.clone());
        request.bearer_auth(key).send()
    };
    assert_eq!(ask(&key).await.unwrap().status(), 200);
    assert_eq!(ask("fgw_wrong").await.unwrap().status(), 401);
    assert_eq!(gateway.until("http request")["status"], 200);
    assert!(!format!("{:?}", gateway.log).contains(&key));
    let said = gateway.banner();
    assert!(!said.contains(&key) && said.contains("requests need the MASTER_KEY"), "{said}");
}

#[test]
fn a_second_init_touches_nothing() {
    let place = Place::new();
    place.run(&["init"], &[]);
    let file = place.path().join("config.yaml");
    let before = (std::fs::read(&file).unwrap(), std::fs::metadata(&file).unwrap().modified().unwrap());
    for args in [&["init"][..], &["init", "--config-format", "json"], &["init", "-o", "config.yaml"]] {
        let ended = place.run(args, &[("OPENAI_API_KEY", "sk-1")]);
        assert_eq!(ended.code, 0);
        assert!(!ended.out.contains("fgw_") && ended.out.contains("nothing was changed"), "{}", ended.out);
    }
    let after = (std::fs::read(&file).unwrap(), std::fs::metadata(&file).unwrap().modified().unwrap());
    assert!(before == after);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn init_names_the_providers_whose_keys_are_present() {
    let place = Place::new();
    let env = [("OPENAI_API_KEY", "sk-very-secret-1")];
    let yaml = place.run(&["init"], &env);
    assert!(yaml.out.contains("Targets: openai"), "{}", yaml.out);
    assert!(place.read("config.yaml").contains("\n  - virtual_key: openai # OPENAI_API_KEY\n"));
    let json = place.run(&["init", "-o", "other.json", "--format", "json"], &env);
    assert_eq!(json.json()["targets"], serde_json::json!(["openai"]));
    let file: Value = serde_json::from_str(&place.read("other.json")).unwrap();
    assert_eq!(file["targets"][0]["virtual_key"], "openai");
    for file in ["config.yaml", "other.json"] {
        assert!(!place.read(file).contains("very-secret"));
        let ended = place.run(&["validate", "--strict", file], &env);
        assert_eq!(ended.code, 0, "{}", ended.err);
    }
    let several =
        [("XAI_API_KEY", "k"), ("GROQ_API_KEY", "k"), ("OLLAMA_HOST", "http://localhost:1"), ("AI21_API_KEY", " ")];
    let found = Place::new().run(&["init", "--format", "json"], &several).json();
    assert_eq!(found["targets"], serde_json::json!(["groq", "ollama", "xai"]));
    let elsewhere = place.run(&["init", "-o", "third.yaml"], &env);
    assert!(elsewhere.out.contains("ferrogw --config third.yaml"), "{}", elsewhere.out);
}

#[test]
fn a_key_that_no_target_of_the_file_uses_is_pointed_out() {
    let place = Place::new();
    place.run(&["init"], &[]);
    let said = place.serve(&[], &[("OPENAI_API_KEY", "sk-1")]).banner();
    assert!(said.contains("no target uses the keys of openai: add `- virtual_key: openai` to config.yaml"), "{said}");
}
