//! What is found, what is left alone, and that nothing planted is ever missed.

use super::*;
use proptest::prelude::*;

#[test]
fn credentials_are_named_by_what_they_are() {
    let check = |text: &str, expected: &str| assert_eq!(redact(text), expected);
    check("Incorrect API key provided: sk-abcd****wxyz1234.", "Incorrect API key provided: [REDACTED_OPENAI_KEY].");
    check("x-api-key: sk-ant-api03-abcdEFGH", "x-api-key: [REDACTED_ANTHROPIC_KEY]");
    check("sk-proj-0123456789abcdef_-ABC", "[REDACTED_OPENAI_KEY]");
    check("(gsk_0123456789abcdefghij)", "([REDACTED_GROQ_KEY])");
    check("AIzaSyA0123456789abcdefghijklmnopqrstuv", "[REDACTED_GOOGLE_KEY]");
    check("id AKIAIOSFODNN7EXAMPLE,", "id [REDACTED_AWS_KEY],");
    check("fgw_0123456789abcdef0123456789abcdef", "[REDACTED_GW_KEY]");
    check("Authorization: Bearer abcdefgh.ijkl", "Authorization: Bearer [REDACTED_BEARER_TOKEN]");
    check("authorization: Basic dXNlcjpwYXNzd29yZDE=", "authorization: Basic [REDACTED_SECRET]");
    check("jwt eyJhbGciOiJ9.eyJzdWIiOiIx.c2ln!", "jwt [REDACTED_JWT]!");
    check("mail jane.doe+x@mail.example.org.", "mail [REDACTED_EMAIL].");
    check("postgres://app:p@ss@db:5432/x", "postgres://app:[REDACTED_PASSWORD]@db:5432/x");
    check("GET /v1?a=1&api-key=abc%20def&b=2", "GET /v1?a=1&api-key=[REDACTED_URL_CREDENTIAL]&b=2");
    check(r#"{"password": "hunter2"}"#, r#"{"password": "[REDACTED_SECRET]"}"#);
    check(r#"{\"client_secret\":\"s3cr3t\"}"#, r#"{\"client_secret\":\"[REDACTED_SECRET]\"}"#);
    check("Invalid API key: 0123456789abcdef0", "Invalid API key: [REDACTED_SECRET]");
    check("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\n", "[REDACTED_PRIVATE_KEY]\n");
    check("-----BEGIN PRIVATE KEY-----\\nMIIcut", "[REDACTED_PRIVATE_KEY]");
}

#[test]
fn ordinary_error_texts_are_not_copied() {
    for text in [
        "",
        "This model's maximum context length is 8192 tokens: 9000 were requested",
        "Unexpected token: expected string at messages[0].content",
        "task-management-assistant-v2-long-name is not a model",
        "The model `meta-llama/Llama-3.3-70B-Instruct@fp8` does not exist",
        "see https://docs.example.org:443/errors?code=12#key for details",
        "Bearer realm",
        "-----BEGIN CERTIFICATE-----",
        "key: user",
    ] {
        assert!(matches!(redact(text), Cow::Borrowed(_)), "{text} became {}", redact(text));
    }
}

/// Would take minutes if any rule looked at the rest of the text from every place.
#[test]
fn hostile_texts_are_read_in_linear_time() {
    for piece in ["eyJ", "key=", "a@", "://a:", "?key", "-----BEGIN ", "sk-", "bearer ", "token=bearer ", "a.", "_key:"]
    {
        redact(&piece.repeat((1 << 18) / piece.len()));
    }
}

/// A credential and how to write it down so that it can be found.
fn planted() -> impl Strategy<Value = (String, String)> {
    let with = |before: &'static str, pattern: &'static str, after: &'static str| {
        pattern.prop_map(move |secret: String| (format!("{before}{secret}{after}"), secret))
    };
    prop_oneof![
        with("", "sk-ant-[A-Za-z0-9_-]{20,60}", ""),
        with("", "sk-(proj-)?[A-Za-z0-9_-]{20,60}", ""),
        with("", "gsk_[A-Za-z0-9]{20,60}", ""),
        with("", "AIza[A-Za-z0-9_-]{35}", ""),
        with("", "(AKIA|ASIA)[A-Z0-9]{16}", ""),
        with("", "fgw_[0-9a-f]{64}", ""),
        with("", "pplx-[A-Za-z0-9]{40}", ""),
        with("", r"eyJ[A-Za-z0-9_-]{20}\.[A-Za-z0-9_-]{20}\.[A-Za-z0-9_-]{20}", ""),
        with("", r"[a-z]{3,8}@[a-z]{3,8}\.(com|io)", ""),
        with("Bearer ", "[A-Za-z0-9._~+/-]{16,40}", ""),
        with("https://user:", "[A-Za-z0-9!$&*+,;=:._~@-]{6,20}", "@host/path"),
        with("https://host/?key=", "[A-Za-z0-9._~+-]{6,20}", "&x=1"),
        with("\"password\":\"", "[A-Za-z0-9!$%^._~-]{6,20}", "\""),
        with("-----BEGIN EC PRIVATE KEY-----\n", "[A-Za-z0-9+/]{64}", "\n-----END EC PRIVATE KEY-----"),
    ]
}

proptest! {
    #[test]
    fn a_planted_credential_never_survives(
        before in "(?s)(.{0,20}[ ,(\"'=\n])?",
        (text, secret) in planted(),
        after in "(?s)([ ,)\"'\n].{0,20})?",
    ) {
        let redacted = redact(&format!("{before}{text}{after}")).into_owned();
        prop_assert!(!redacted.contains(&secret), "{}", redacted);
    }

    #[test]
    fn redacting_twice_changes_nothing_more(
        pieces in proptest::collection::vec(prop_oneof![
            planted().prop_map(|(text, _)| text),
            "(?s).{0,12}",
            Just("password=".to_owned()), Just("token:".to_owned()), Just("Bearer ".to_owned()), Just("?key=".to_owned()),
            Just("[REDACTED_JWT]".to_owned()), Just("://".to_owned()), Just("@".to_owned()),
        ], 0..8),
    ) {
        let once = redact(&pieces.concat()).into_owned();
        let twice = redact(&once);
        prop_assert_eq!(&*twice, &*once);
    }
}
