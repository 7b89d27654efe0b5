//! References, secrets, failover words, and which file is read.

use std::path::Path;

use ferrogw::call::Fault;
use ferrogw::config::{self, Env, Failure, Text};

use super::{codes, words, yaml};

#[test]
fn references_are_resolved_late_and_all_missing_names_are_listed() {
    let env = Env::from([("A", "1"), ("EMPTY", ""), ("_b2", " x ")]);
    let resolve = |text: &str| Text::from(text).resolve(&env).map(|secret| secret.expose().to_owned());
    for (text, expected) in [
        ("", ""),
        ("${A}", "1"),
        ("a${A}b${A}c", "a1b1c"),
        ("[${EMPTY}]", "[]"),
        ("${_b2}", " x "),
        ("$A $$ ${ ${} ${2} ${A", "$A $$ ${ ${} ${2} ${A"),
        ("${${A}}", "${1}"),
        ("é${A}é", "é1é"),
    ] {
        assert_eq!(resolve(text).unwrap(), expected, "{text}");
    }
    let invalid = resolve("${X}-${A}-${Y}-${X}").unwrap_err().under("targets[0].api_key");
    assert_eq!(
        invalid.to_string(),
        "error[undefined_variable]: targets[0].api_key: the environment variables `X`, `Y` are not set\n"
    );
    assert_eq!((env.get("EMPTY"), env.get("_b2"), env.get("C")), (None, Some("x"), None));
}

#[test]
fn every_reference_of_a_file_that_names_nothing_is_found() {
    let text = "targets:\n  - virtual_key: openai\n    base_url: https://${HOST}/v1\n    api_key: ${KEY}\n    headers: { x-a: 'Bearer ${TOKEN}' }\n    options: { project: '${PROJECT}' }\n";
    let loaded = yaml(text).unwrap();
    let problems = config::undefined(&loaded.config, &Env::from([("KEY", "")]));
    insta::assert_snapshot!(loaded.source.blame(problems));
    let outcome = yaml("targets: [{ virtual_key: '${NAME}' }]");
    assert_eq!(codes(&outcome), [("targets[0].virtual_key", "invalid_value")]);
}

#[test]
fn a_secret_is_never_shown() {
    let text = "targets:\n  - virtual_key: openai\n    base_url: https://me:hunter2@host/v1\n    api_key: hunter2\n    headers: { authorization: hunter2, x-a: '${A}' }\n    options: { client_secret: hunter2, region: eu }\n";
    let loaded = yaml(text).unwrap();
    let shown = serde_json::to_string(&loaded.config).unwrap() + &format!("{loaded:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    for kept in ["\"region\":\"eu\"", "\"x-a\":\"${A}\"", "https://[REDACTED]@host/v1"] {
        assert!(shown.contains(kept), "{kept} in {shown}");
    }
    assert_eq!(loaded.config.targets[0].api_key.as_ref().unwrap().texts()[0].as_written(), "hunter2");
    for broken in ["weight: x", "wieght: 1", "retry: [", "virtual_key: again"] {
        let shown = words(yaml(&format!("{text}    {broken}\n")));
        assert!(!shown.contains("hunter2") && !shown.is_empty(), "{shown}");
    }
}

#[test]
fn failover_words_mean_what_they_say() {
    let cases = [
        ("429", Fault::RateLimited, Some(429), true),
        ("429", Fault::Overloaded, Some(503), false),
        ("5xx", Fault::Server, Some(500), true),
        ("4xx", Fault::BadRequest, Some(400), true),
        ("timeout", Fault::Timeout, None, true),
        ("connect", Fault::Unreachable, None, true),
        ("broken", Fault::Truncated, Some(200), true),
        ("broken", Fault::Server, Some(500), false),
        ("connect", Fault::Timeout, None, false),
    ];
    for (word, fault, status, expected) in cases {
        let failure: Failure = word.parse().unwrap();
        assert_eq!(failure.covers(fault, status), expected, "{word} {fault:?}");
        assert_eq!(failure.to_string(), word);
    }
    for wrong in ["", "200", "600", "6xx", "timeouts", "-1"] {
        assert!(wrong.parse::<Failure>().is_err(), "{wrong}");
    }
}

#[test]
fn the_file_is_the_one_named_or_the_first_in_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let none = Env::from([]);
    let named = Env::from([("GATEWAY_CONFIG", " /etc/gw.yaml ")]);
    assert_eq!(config::find(None, &none, dir.path()), None);
    for name in ["config.json", "config.yml"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    let found = config::find(None, &none, dir.path()).unwrap();
    assert_eq!((found.path, found.warnings.len()), (dir.path().join("config.yml"), 1));
    let found = config::find(None, &named, dir.path()).unwrap();
    assert_eq!((found.path.as_path(), found.why), (Path::new("/etc/gw.yaml"), "GATEWAY_CONFIG"));
    let found = config::find(Some(Path::new("a.json")), &named, dir.path()).unwrap();
    assert_eq!((found.path.as_path(), found.why), (Path::new("a.json"), "--config"));
}
