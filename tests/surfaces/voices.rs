//! Sound that an answer only names, and recordings that are written into JSON: fetched and sent as they must be.

use serde_json::{Value, json};

use super::{Form, decoded, gateway, metric};
use crate::support::{Reply, Say, TestGateway, Upstream, target};

const SPEECH: &str = "/v1/audio/speech";
const ASK: &str = r#"{"model":"m","input":"High tide","voice":"Cherry"}"#;

/// What Model Studio says of speech that is at this address.
fn spoken(url: &str) -> Say {
    let audio = json!({"data": "", "url": url, "id": "audio_1", "expires_at": 1_764_000_000});
    let said = json!({"output": {"audio": audio, "finish_reason": "stop"}, "usage": {"characters": 9}});
    Say::json(200, &said.to_string())
}

fn sound(status: u16) -> Say {
    Say::bytes(status, b"RIFF sound".to_vec()).header("content-type", "audio/wav")
}

async fn speak(says: impl IntoIterator<Item = Say>) -> (Reply, Upstream) {
    let upstream = Upstream::says([]).await;
    upstream.tell([spoken(&format!("{}/a.wav?Signature=s3cr3t", upstream.url))]);
    upstream.tell(says);
    let gateway = gateway(&[("qwen", &upstream)], "").await;
    (gateway.post(SPEECH, ASK).await, upstream)
}

fn error(reply: &Reply) -> String {
    reply.json()["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn sound_that_an_answer_names_is_fetched_without_the_credential() {
    let (reply, upstream) = speak([sound(200)]).await;
    assert_eq!((reply.status, reply.header("content-type"), reply.body.as_str()), (200, "audio/wav", "RIFF sound"));
    let [asked, fetched] = upstream.seen().try_into().unwrap();
    assert_eq!(asked.header("authorization"), "Bearer sk-test-t0-0123456789");
    assert_eq!((fetched.method.as_str(), fetched.path.as_str()), ("GET", "/a.wav?Signature=s3cr3t"));
    for name in ["authorization", "cookie", "x-client-request-id", "content-type"] {
        assert_eq!(fetched.header(name), "", "{name}");
    }
}

#[tokio::test]
async fn sound_at_other_hosts_is_not_asked_for() {
    let foreign = Upstream::says([sound(200)]).await;
    let upstream = Upstream::says([]).await;
    let gateway = gateway(&[("qwen", &upstream)], "").await;
    for url in [foreign.url.as_str(), "http://169.254.169.254/latest", "file:///etc/passwd", "nonsense"] {
        upstream.tell([spoken(url)]);
        let reply = gateway.post(SPEECH, ASK).await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"), "{url}");
        assert!(error(&reply).contains("not one of its own") && !reply.body.contains(url), "{}", reply.body);
        upstream.forget();
    }
    assert!(foreign.seen().is_empty());
}

#[tokio::test]
async fn what_is_no_sound_is_not_passed_on_as_such() {
    let away = Say::json(302, "").header("location", "http://127.0.0.1:1/");
    let expired = Say::bytes(403, b"<Error>Signature s3cr3t</Error>".to_vec()).header("content-type", "text/xml");
    let page = Say::bytes(200, b"<html>".to_vec()).header("content-type", "text/html");
    for (said, words) in [(away, "302"), (expired, "403"), (page, "text/html")] {
        let (reply, _) = speak([said]).await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"), "{}", reply.body);
        assert!(error(&reply).contains(words) && !reply.body.contains("s3cr3t"), "{}", reply.body);
    }
    // a store that stumbles is asked again: the speech is paid
    let (reply, upstream) = speak([sound(503), sound(200)]).await;
    assert_eq!((reply.status, upstream.seen().len()), (200, 3), "{}", reply.body);
}

#[tokio::test]
async fn sound_that_never_ends_is_cut() {
    let upstream = Upstream::says([]).await;
    upstream.tell([spoken(&format!("{}/a.wav", upstream.url))]);
    upstream.tell([Say::pieces("audio/wav", (0..65).map(|_| vec![0; 1 << 20]))]);
    let gateway = gateway(&[("qwen", &upstream)], "").await;
    let response = gateway.request(SPEECH, ASK).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn speech_is_metered_by_the_vendors_own_count() {
    let upstream = Upstream::says([]).await;
    upstream.tell([spoken(&format!("{}/a.wav", upstream.url)), sound(200)]);
    let prices = "catalog: { overrides: [{ provider: qwen, model: m, price: { input_per_character: 0.5 } }] }\n";
    let gateway = gateway(&[("qwen", &upstream)], prices).await;
    assert_eq!(gateway.post(SPEECH, ASK).await.status, 200);
    let success = r#"gateway_surface_requests_total{status="success",surface="speech"}"#;
    assert_eq!(metric(&gateway, success).await, Some(1.0));
    let cost = r#"gateway_request_cost_usd_total{model="m",provider="qwen",target="t0"}"#;
    assert_eq!(metric(&gateway, cost).await, Some(4.5));
}

async fn transcribe(gateway: &TestGateway, form: Form) -> Reply {
    let path = format!("{}/v1/audio/transcriptions", gateway.url);
    gateway.send(form.on(gateway.http.post(path).bearer_auth("any"))).await
}

#[tokio::test]
async fn a_long_recording_is_written_into_json_while_it_goes_out() {
    let heard =
        json!({"output": {"choices": [{"message": {"content": [{"text": "High tide."}]}}]}, "usage": {"seconds": 3}});
    let upstream = Upstream::says([Say::json(503, "{}"), Say::json(200, &heard.to_string())]).await;
    let target = target("t0", "qwen", &upstream, "m", "    retry: { attempts: 2, initial_backoff_ms: 1 }\n");
    let gateway = TestGateway::configured(&format!("targets:\n{target}"), &[]).await;
    // beyond what is kept in memory, and no multiple of three
    let recording: Vec<u8> = (0..1_300_001_u32).map(|at| (at % 251) as u8).collect();
    let form = Form::default().text("model", "m").file("file", "tide.wav", recording.clone());
    let reply = transcribe(&gateway, form).await;
    assert_eq!((reply.status, &reply.json()["text"]), (200, &"High tide.".into()), "{}", reply.body);
    let seen = upstream.seen();
    assert_eq!(seen.len(), 2, "a form can be sent again");
    for seen in seen {
        assert_eq!(seen.header("content-length"), seen.body.len().to_string());
        let sent: Value = seen.json();
        let url = sent["input"]["messages"][0]["content"][0]["audio"].as_str().unwrap();
        let coded = url.strip_prefix("data:audio/wav;base64,").unwrap();
        assert_eq!(coded.len(), recording.len().div_ceil(3) * 4);
        assert!(decoded(coded) == recording);
    }
}

#[tokio::test]
async fn a_long_recording_is_uploaded_before_a_prediction_is_made_of_it() {
    let inputs = json!({"audio": {"type": "string"}});
    let schema = json!({"components": {"schemas": {"Input": {"properties": inputs}}}});
    let described = json!({"latest_version": {"id": "v", "openapi_schema": schema}});
    let uploaded = json!({"id": "f1", "urls": {"get": "https://api.replicate.com/v1/files/f1"}});
    let done = json!({"id": "p", "status": "succeeded", "output": {"text": "High tide."}, "urls": {}});
    let upstream = Upstream::says([
        Say::json(200, &described.to_string()),
        Say::json(201, &uploaded.to_string()),
        Say::json(201, &done.to_string()),
        Say::json(413, r#"{"detail":"too large","status":413}"#),
    ]);
    let upstream = upstream.await;
    let gateway = gateway(&[("replicate", &upstream)], "").await;
    let recording = vec![7; 300 << 10];
    let form = Form::default().text("model", "t0/owner/whisper").file("file", "tide.wav", recording.clone());
    let reply = transcribe(&gateway, form.clone()).await;
    assert_eq!((reply.status, &reply.json()["text"]), (200, &"High tide.".into()), "{}", reply.body);
    let [_, upload, made] = upstream.seen().try_into().unwrap();
    assert_eq!((upload.path.as_str(), upload.header("authorization")), ("/v1/files", "Bearer sk-test-t0-0123456789"));
    let boundary = upload.header("content-type").strip_prefix("multipart/form-data; boundary=").unwrap();
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"content\"; filename=\"recording\"\r\nContent-Type: \
         audio/wav\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    assert!(upload.body == [head.as_bytes(), &recording, tail.as_bytes()].concat());
    assert_eq!(made.json(), json!({"input": {"audio": "https://api.replicate.com/v1/files/f1"}}));
    // what can't be uploaded makes no prediction
    let reply = transcribe(&gateway, form).await;
    assert_eq!((reply.status, upstream.seen().len()), (413, 1), "{}", reply.body);
}

#[tokio::test]
async fn a_task_is_asked_about_until_it_ends_and_no_longer_than_an_answer_may_take() {
    let ask = r#"{"model":"m","prompt":"a tide"}"#;
    let task = |status: &str| {
        let images = json!([{"image_url": "https://example.test/a.png"}]);
        Say::json(200, &json!({"task": {"task_id": "t-1", "status": status}, "images": images}).to_string())
    };
    let begun = || Say::json(200, r#"{"task_id":"t-1"}"#);
    let upstream = Upstream::says([begun(), Say::json(503, "{}"), task("TASK_STATUS_SUCCEED")]).await;
    let gateway = gateway(&[("novita", &upstream)], "").await;
    let reply = gateway.post("/v1/images/generations", ask).await;
    assert_eq!((reply.status, &reply.json()["data"][0]["url"]), (200, &"https://example.test/a.png".into()));
    let asked: Vec<_> = upstream.seen().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(asked[1..], ["/v3/async/task-result?task_id=t-1"; 2]);

    let more = "    timeouts: { total: 300ms }\n    retry: { attempts: 1 }\n";
    let upstream = Upstream::says([begun(), task("TASK_STATUS_PROCESSING")]).await;
    let target = target("t0", "novita", &upstream, "m", more);
    let gateway = TestGateway::configured(&format!("targets:\n{target}"), &[]).await;
    let reply = gateway.post("/v1/images/generations", ask).await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "upstream_timeout"), "{}", reply.body);

    // an id that would be a path of its own is none
    let upstream = Upstream::says([Say::json(200, r#"{"task_id":"../x?y"}"#)]).await;
    let gateway = super::gateway(&[("novita", &upstream)], "").await;
    let reply = gateway.post("/v1/images/generations", ask).await;
    assert_eq!((reply.status, upstream.seen().len()), (502, 1), "{}", reply.body);
}
