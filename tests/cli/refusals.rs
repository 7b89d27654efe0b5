//! What keeps the gateway from starting, and commands that are used wrongly.

use super::support::Place;

const BROKEN: &str = "strategy: { mode: fallbak }\ntargets:\n  - virtual_key: opnai\n    wieght: 2\n";

#[test]
fn a_broken_file_is_shown_line_by_line() {
    let place = Place::new();
    place.write("config.yaml", BROKEN);
    for args in [&[][..], &["validate"], &["validate", "config.yaml"]] {
        let ended = place.run(args, &[("PORT", "0")]);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""));
        insta::assert_snapshot!("broken_file", ended.err);
    }
    let ended = place.run(&["validate", "--format", "json"], &[]);
    let problems = ended.json();
    assert_eq!((ended.code, ended.err.as_str()), (1, ""));
    assert!(problems.as_array().unwrap().iter().any(|one| one["line"] == 4 && one["file"] == "config.yaml"));
    let yaml = place.run(&["validate", "--format", "YAML"], &[]);
    assert!(yaml.code == 1 && yaml.out.contains("code: unknown_key"), "{}", yaml.out);
}

#[test]
fn an_unknown_provider_is_an_error_with_its_line() {
    let place = Place::new();
    place.write("config.yaml", "targets:\n  - virtual_key: opnai\n");
    insta::assert_snapshot!(place.run(&["validate"], &[]).shown());
}

#[test]
fn missing_credentials_are_warnings_to_validate_and_errors_to_serve() {
    let place = Place::new();
    let target =
        "targets:\n  - virtual_key: eu\n    provider: openai\n    base_url: ${EU_URL}\n    api_key: ${EU_KEY}\n";
    place.write("config.yaml", &format!("strategy: {{ mode: fallback }}\n{target}  - virtual_key: openai\n"));
    insta::assert_snapshot!("lacks_validate", place.run(&["validate"], &[]).shown());
    assert_eq!(place.run(&["validate", "--strict"], &[]).code, 1);
    insta::assert_snapshot!("lacks_serve", place.run(&[], &[("PORT", "0")]).shown());
    let env = [("EU_URL", "https://eu.test/v1"), ("EU_KEY", "k"), ("OPENAI_API_KEY", "k")];
    assert_eq!(place.run(&["validate", "--strict"], &env).code, 0);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let place = Place::new();
    place.write("config.yaml", "targets:\n  - virtual_key: opnai\n");
    let env = [
        ("GATEWAY_ENV", "production"),
        ("ALLOW_UNAUTHENTICATED_PROXY", "true"),
        ("CORS_ORIGINS", "*"),
        ("TRUSTED_PROXIES", "ten"),
        ("PORT", "http"),
        ("FERROGW_HOST", "example.com"),
    ];
    let ended = place.run(&[], &env);
    insta::assert_snapshot!(ended.shown());
}

#[test]
fn an_address_others_reach_needs_a_master_key() {
    let place = Place::new();
    for (args, env) in [
        (&["--host", "0.0.0.0"][..], &[][..]),
        (&["serve"], &[("FERROGW_HOST", "::")]),
        (&[], &[("FERROGW_HOST", "10.0.0.1")]),
    ] {
        let ended = place.run(args, env);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""));
        assert!(ended.err.contains("MASTER_KEY=<the output of `openssl rand -hex 24`>"), "{}", ended.err);
        assert!(!ended.err.contains("fgw_"));
    }
    for env in [&[("MASTER_KEY", "0123456789abcdef")][..], &[("ALLOW_UNAUTHENTICATED_PROXY", "true")]] {
        place.serve(&["--host", "0.0.0.0"], env).stop();
    }
}

#[test]
fn settings_that_cannot_be_read_are_named() {
    let place = Place::new();
    for (env, name) in [
        (("PORT", "http"), "PORT: `http` is not a port"),
        (("PORT", "70000"), "PORT: `70000` is not a port"),
        (("FERROGW_HOST", "example.com"), "FERROGW_HOST: `example.com` is not an address"),
        (("GATEWAY_CONFIG", "nowhere.yaml"), "nowhere.yaml"),
        (("GATEWAY_CONFIG", "config.toml"), "ends neither in .yaml or .yml nor in .json"),
    ] {
        let ended = place.run(&[], &[env]);
        assert_eq!(ended.code, 1);
        assert!(ended.err.starts_with("error") && ended.err.contains(name), "{}", ended.err);
    }
    let json = place.run(&["--format", "json"], &[("PORT", "http")]);
    let errors: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    assert!(errors["errors"][0]["message"].as_str().unwrap().starts_with("PORT"));
}

#[test]
fn a_port_in_use_is_an_error_that_says_what_to_do() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = place.run(&[], &[("PORT", &port)]);
    assert_eq!(ended.code, 1);
    let words = "already in use: stop what listens there, or set PORT or --port";
    assert!(ended.err.starts_with("error: ") && ended.err.contains(words), "{}", ended.err);
}

#[test]
fn wrong_usage_ends_with_status_2() {
    let place = Place::new();
    for (args, word) in [
        (&["serv"][..], "a similar subcommand exists: 'serve'"),
        (&["serve", "extra"], "unexpected argument 'extra'"),
        (&["--format", "xml", "version"], "invalid value 'xml'"),
        (&["--prot", "1"], "a similar argument exists: '--port'"),
        (&["--port", "1", "validate"], "cannot stand before another command"),
        (&["--log-level", "loud"], "the levels are debug, info, warn and error"),
        (&["config", "bogus"], "unrecognized subcommand 'bogus'"),
        (&["config"], "Usage:"),
    ] {
        let ended = place.run(args, &[]);
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.err);
        assert!(ended.err.contains(word), "{args:?}: {}", ended.err);
    }
}

#[test]
fn a_key_is_never_repeated() {
    let place = Place::new();
    let env =
        [("FERROGW_API_KEY", "fgw_hidden"), ("MASTER_KEY", "fgw_hidden_too"), ("FERROGW_URL", "http://127.0.0.1:9")];
    for args in [
        &["--help"][..],
        &["status", "--help"],
        &["status", "--api-key", "fgw_hidden"],
        &["status", "--api-key", "fgw_hidden", "--bogus"],
        &["status", "--api-key", "fgw_hidden\n"],
        &["doctor", "--port", "0"],
        &["config", "show"],
    ] {
        let ended = place.run(args, &env);
        assert!(!ended.shown().contains("fgw_hidden"), "{args:?}: {}", ended.shown());
    }
}
