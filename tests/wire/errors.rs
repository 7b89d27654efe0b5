//! Error bodies in every shape of `providers.md` 1.7.

use ferrogw::wire::openai::answer::{self, Whole};
use ferrogw::wire::openai::errors::{Complaint, read};

/// What a body says: message, kind, code, param.
fn check(body: &str, expected: [&str; 4]) {
    let said = read(body.as_bytes());
    let words = [said.message, said.kind, said.code, said.param].map(Option::unwrap_or_default);
    assert_eq!(words.each_ref().map(String::as_str), expected, "{body}");
}

#[test]
fn an_error_body_is_read_in_every_shape() {
    // OpenAI and most; the code may be a string, a number or null
    check(
        r#"{"error":{"message":"no such model","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#,
        ["no such model", "invalid_request_error", "model_not_found", "model"],
    );
    check(r#"{"error":{"message":"no","type":"x","param":null,"code":404}}"#, ["no", "x", "404", ""]);
    check(r#"{"error":{"message":"no","code":null}}"#, ["no", "", "", ""]);
    // a text: Ollama, Hugging Face, xAI
    check(r#"{"error":"model is loading"}"#, ["model is loading", "", "", ""]);
    check(r#"{"code":"invalid-argument","error":"bad model"}"#, ["bad model", "", "invalid-argument", ""]);
    check(r#"{"error":["a","b"]}"#, ["a; b", "", "", ""]);
    // Cohere, Bedrock
    check(r#"{"message":"no credit","id":"7"}"#, ["no credit", "", "", ""]);
    // FastAPI: Mistral, AI21, DeepInfra, NVIDIA
    check(r#"{"detail":"Unauthorized"}"#, ["Unauthorized", "", "", ""]);
    check(
        r#"{"detail":[{"loc":["body","messages",0,"role"],"msg":"field required","type":"missing"},{"loc":["body"],"msg":"x"}]}"#,
        ["body.messages.0.role: field required; body: x", "", "", ""],
    );
    check(r#"{"detail":[{"msg":"field required"}]}"#, ["field required", "", "", ""]);
    check(r#"{"detail":{"error":"busy"}}"#, ["busy", "", "", ""]);
    // Mistral and older vLLM, with the validation inside the message, as JSON or as a text of JSON
    check(
        r#"{"object":"error","message":"bad","type":"BadRequestError","param":null,"code":40001}"#,
        ["bad", "BadRequestError", "40001", ""],
    );
    check(
        r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","x"],"msg":"not permitted"}]},"type":"invalid_request_error"}"#,
        ["body.x: not permitted", "invalid_request_error", "", ""],
    );
    check(
        r#"{"object":"error","message":"{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"m\"}]}"}"#,
        ["body: m", "", "", ""],
    );
    // Anthropic
    check(
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
        ["Overloaded", "overloaded_error", "", ""],
    );
    // Google, bare and in an array
    let google = r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}"#;
    check(google, ["quota", "RESOURCE_EXHAUSTED", "429", ""]);
    check(&format!("[{google}]"), ["quota", "RESOURCE_EXHAUSTED", "429", ""]);
    // Databricks, plain and around the vendor's own error
    check(r#"{"error_code":"BAD_REQUEST","message":"no"}"#, ["no", "", "BAD_REQUEST", ""]);
    check(r#"{"error_code":"X","message":"{\"error\":{\"message\":\"inner\"}}"}"#, ["inner", "", "X", ""]);
    check(r#"{"error_code":"X","message":"{not json"}"#, ["{not json", "", "X", ""]);
    // Cloudflare
    check(
        r#"{"success":false,"errors":[{"code":7003,"message":"no route"}],"messages":[],"result":null}"#,
        ["no route", "", "7003", ""],
    );
    check(r#"{"errors":["plain"]}"#, ["plain", "", "", ""]);
    // problem details: Replicate, NVIDIA
    check(
        r#"{"title":"Unauthenticated","detail":"token missing","status":401,"type":"about:blank"}"#,
        ["token missing", "Unauthenticated", "401", ""],
    );
    check(r#"{"title":"Not Found","status":404}"#, ["Not Found", "", "404", ""]);
    check(
        r#"{"title":"Input validation failed","detail":"- input.prompt is required","status":422,"invalid_fields":[{"type":"required","field":"input.prompt","description":"prompt is required"}]}"#,
        ["- input.prompt is required", "", "422", "input.prompt"],
    );
    // OpenRouter keeps the vendor's words in its metadata
    check(
        r#"{"error":{"code":400,"message":"Provider returned error","metadata":{"provider_name":"X","raw":"{\"error\":{\"message\":\"inner\"}}"}}}"#,
        ["inner", "", "400", ""],
    );
    check(r#"{"error":{"message":"outer","metadata":{"raw":"plain words"}}}"#, ["plain words", "", "", ""]);
    check(r#"{"error":{"message":"outer","metadata":{"raw":"<html>"}}}"#, ["outer", "", "", ""]);
    // DashScope, Novita, Apigee
    check(r#"{"code":"InvalidParameter","message":"bad","request_id":"r"}"#, ["bad", "", "InvalidParameter", ""]);
    check(r#"{"code":401,"reason":"UNAUTHORIZED","message":"no key","metadata":{}}"#, ["no key", "", "401", ""]);
    check(r#"{"fault":{"faultstring":"quota","detail":{"errorcode":"policies.Quota"}}}"#, ["quota", "", "", ""]);
    // gateways in front
    check(r#"{"status":"error","code":"E1","message":"down"}"#, ["down", "error", "E1", ""]);
    check("Bad Gateway", ["Bad Gateway", "", "", ""]);
    check("\"text\"", ["text", "", "", ""]);
    for empty in
        ["", " \n", "<html><body>502</body></html>", "null", "{}", "[]", "7", r#"{"error":null}"#, r#"{"error":""}"#]
    {
        check(empty, ["", "", "", ""]);
    }
    // a part that says nothing does not hide one that does
    check(r#"{"error":"","message":"real"}"#, ["real", "", "", ""]);
    check(r#"{"error":{},"message":"real"}"#, ["real", "", "", ""]);
    check(r#"{"error":false,"message":"real"}"#, ["real", "", "", ""]);
}

#[test]
fn a_body_may_name_its_status_and_a_time_to_wait() {
    let status = |body: &str| read(body.as_bytes()).status;
    assert_eq!(status(r#"{"error":{"code":529,"message":"x"}}"#), Some(529));
    assert_eq!(status(r#"{"error":{"status":503}}"#), Some(503));
    assert_eq!(status(r#"{"object":"error","code":40001,"raw_status_code":422}"#), Some(422));
    assert_eq!(status(r#"{"status_code":500}"#), Some(500));
    for none in [r#"{"error":{"code":"529"}}"#, r#"{"code":200}"#, r#"{"code":70003}"#, r#"{"code":-1}"#, "{}"] {
        assert_eq!(status(none), None, "{none}");
    }
    let wait = |body: &str| read(body.as_bytes()).wait;
    assert_eq!(wait(r#"{"error":"loading","estimated_time":20.5}"#), Some(20.5));
    let google = |delay: &str| {
        format!(
            r#"{{"error":{{"code":429,"details":[{{"@type":"QuotaFailure"}},{{"@type":"RetryInfo","retryDelay":"{delay}"}}]}}}}"#
        )
    };
    assert_eq!(wait(&google("37s")), Some(37.0));
    assert_eq!(wait(&google("1.5s")), Some(1.5));
    assert_eq!(wait(&google("soon")), None);
    assert_eq!(wait(r#"{"detail":"Request was throttled. Your rate limit resets in ~6s."}"#), Some(6.0));
    assert_eq!(wait(r#"{"detail":"Your rate limit resets in ~ages"}"#), None);
    let said = |words: &str| wait(&format!(r#"{{"error":{{"message":"Rate limit reached. {words}","code":"x"}}}}"#));
    for (words, seconds) in [
        ("Please try again in 1.2s. Visit …", 1.2),
        ("Please try again in 350ms.", 0.35),
        ("Please try again in 1m30s", 90.0),
        ("Please try again in 6m0s.", 360.0),
        ("Please try again in 7m12.5s.", 432.5),
        ("Please try again in 1h2m3s.", 3723.0),
        ("Please retry after 3 seconds.", 3.0),
        ("Try again in 2 minutes", 120.0),
    ] {
        assert!((said(words).unwrap() - seconds).abs() < 1e-9, "{words}: {:?}", said(words));
    }
    for words in ["Please try again in a moment.", "try again in ", "try again in 5", "try again in .s", "try again"] {
        assert_eq!(said(words), None, "{words}");
    }
}

#[test]
fn an_error_with_a_good_status_is_an_error() {
    let error = |body: &str| match answer::read(body.to_owned().into()) {
        Ok(Whole::Error(said)) => Some(said),
        _ => None,
    };
    for bad in [
        r#"{"error":{"message":"no","code":529}}"#,
        r#"{"choices":[],"error":{"message":"no","code":529}}"#,
        r#"{"choices": [ ],"error":{"message":"no","code":529}}"#,
        r#"{"choices":null,"error":{"message":"no","code":529}}"#,
        r#"{"data":[],"error":{"message":"no","code":529}}"#,
        "\n \n{\"error\":{\"message\":\"no\",\"code\":529}} ",
    ] {
        let said = error(bad).unwrap_or_else(|| panic!("{bad}"));
        assert_eq!((said.message.as_deref(), said.status), (Some("no"), Some(529)), "{bad}");
    }
    // what nobody can read in full is an error all the same
    assert_eq!(error(&format!(r#"{{"error":{}{}}}"#, "[".repeat(500), "]".repeat(500))), Some(Complaint::default()));
    assert_eq!(error(r#"{"error":1e999}"#), Some(Complaint::default()));
    for good in [
        r#"{"choices":[{"message":{"content":"x"}}],"error":null}"#,
        r#"{"choices":[{"message":{"content":"x"}}],"error":{"message":"a warning"}}"#,
        r#"{"data":[{}],"error":{"message":"a warning"}}"#,
        r#"{"choices":[]}"#,
    ] {
        assert_eq!(error(good), None, "{good}");
    }
}
