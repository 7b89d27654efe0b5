//! Recordings that providers take in a form of their own: as base64 in JSON, or as they are with a query.

use serde_json::{Value, json};

use super::{Form, gateway, metric};
use crate::support::{Reply, Say, TestGateway, Upstream, target};

const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";

async fn send(gateway: &TestGateway, path: &str, form: Form) -> Reply {
    gateway.send(form.on(gateway.http.post(format!("{}{path}", gateway.url)).bearer_auth("any"))).await
}

/// Noise whose length is no multiple of three.
fn noise(length: u32) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn form(sound: Vec<u8>) -> Form {
    Form::default().text("model", "m").part("name=\"file\"; filename=\"tide.wav\"", &sound)
}

fn decoded(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => u32::from(c - b'A'),
        b'a'..=b'z' => u32::from(c - b'a') + 26,
        b'0'..=b'9' => u32::from(c - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} is no digit"),
    };
    let group = |group: &[u8]| {
        let digits: Vec<u8> = group.iter().copied().filter(|c| *c != b'=').collect();
        let word = digits.iter().fold(0, |word, c| word << 6 | digit(*c)) << (6 * (4 - digits.len()));
        word.to_be_bytes()[1..digits.len()].to_vec()
    };
    text.as_bytes().chunks(4).flat_map(group).collect()
}

fn said(text: &str, finish: &str) -> Value {
    let usage = json!({
        "promptTokenCount": 40,
        "candidatesTokenCount": 4,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 32}, {"modality": "TEXT", "tokenCount": 8}],
    });
    let content = json!({"parts": [{"text": text}]});
    json!({"candidates": [{"content": content, "finishReason": finish}], "usageMetadata": usage})
}

#[tokio::test]
async fn a_recording_goes_to_google_as_base64_each_time_it_is_asked() {
    for length in [1000, 1_200_001] {
        let answer = said("High tide.", "STOP").to_string();
        let upstream = Upstream::says([Say::json(503, "{}"), Say::json(200, &answer)]).await;
        let retry = "    retry: { attempts: 2, initial_backoff_ms: 1 }\n";
        let targets = target("t0", "gemini", &upstream, "m", retry);
        let gateway = TestGateway::configured(&format!("targets:\n{targets}"), &[]).await;
        let reply = send(&gateway, TRANSCRIPTIONS, form(noise(length))).await;
        assert_eq!((reply.status, reply.header("x-ferro-attempts")), (200, "2"), "{}", reply.body);
        let usage = json!({
            "type": "tokens",
            "input_tokens": 40,
            "input_token_details": {"text_tokens": 8, "audio_tokens": 32},
            "output_tokens": 4,
            "total_tokens": 44,
        });
        assert_eq!(reply.json(), json!({"text": "High tide.", "usage": usage}));
        let seen = upstream.seen();
        assert_eq!(seen.len(), 2);
        for seen in seen {
            assert_eq!(seen.path, "/v1/models/m:generateContent");
            assert_eq!(seen.header("content-length"), seen.body.len().to_string());
            let sent = &seen.json()["contents"][0]["parts"][1]["inlineData"];
            assert_eq!(sent["mimeType"], "audio/wav");
            assert!(decoded(sent["data"].as_str().unwrap()) == noise(length), "the recording is what it was");
        }
        let labels = r#"{model="m",provider="gemini",target="t0"}"#;
        assert_eq!(metric(&gateway, &format!("gateway_tokens_input_total{labels}")).await, Some(40.0));
    }
}

#[tokio::test]
async fn a_recording_too_large_for_its_provider_is_refused_before_anything_is_sent() {
    let upstream = Upstream::says([]).await;
    let options = "    options: { project_id: p-1, region: europe-west4 }\n";
    let targets = target("t0", "vertex-ai", &upstream, "m", options);
    let gateway = TestGateway::configured(&format!("targets:\n{targets}"), &[]).await;
    let reply = send(&gateway, TRANSCRIPTIONS, form(vec![0; 16 << 20])).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &"file".into()), "{}", reply.body);
    assert!(reply.body.contains("20971520") && reply.body.contains("in shorter parts"), "{}", reply.body);
    assert!(upstream.seen().is_empty());
}

fn frame(text: &str, finish: Option<&str>) -> String {
    let mut frame = said(text, "");
    match finish {
        Some(finish) => frame["candidates"][0]["finishReason"] = finish.into(),
        None => _ = frame["candidates"][0].as_object_mut().unwrap().remove("finishReason"),
    }
    format!("data: {frame}\r\n\r\n")
}

#[tokio::test]
async fn a_transcript_at_google_is_told_while_it_is_written() {
    let events = [frame("High", None), frame(" tide.", None), frame("", Some("STOP"))];
    let upstream = Upstream::says([Say::raw_events(events)]).await;
    let gateway = gateway(&[("gemini", &upstream)], "").await;
    let reply = send(&gateway, TRANSCRIPTIONS, form(vec![1]).text("stream", "true")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"), "{}", reply.body);
    let told: Vec<Value> =
        reply.body.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    assert_eq!(told[0], json!({"type": "transcript.text.delta", "delta": "High"}));
    assert_eq!(told[1], json!({"type": "transcript.text.delta", "delta": " tide."}));
    assert_eq!((&told[2]["type"], &told[2]["text"]), (&"transcript.text.done".into(), &"High tide.".into()));
    assert_eq!((told.len(), &told[2]["usage"]["input_token_details"]["audio_tokens"]), (3, &32.into()));
    assert_eq!(upstream.seen().remove(0).path, "/v1/models/m:streamGenerateContent?alt=sse");
    let labels = r#"{model="m",provider="gemini",target="t0"}"#;
    assert_eq!(metric(&gateway, &format!("gateway_tokens_output_total{labels}")).await, Some(4.0));
}

#[tokio::test]
async fn a_transcript_that_is_kept_back_or_breaks_off_is_no_transcript() {
    let blocked = format!("data: {}\n\n", json!({"promptFeedback": {"blockReason": "SAFETY"}}));
    let upstream = Upstream::says([
        Say::raw_events([blocked]),
        Say::raw_events([frame("High", None)]),
        Say::raw_events([frame("High", None), frame("", Some("MAX_TOKENS"))]),
    ])
    .await;
    let gateway = gateway(&[("gemini", &upstream)], "").await;
    let ask = || form(vec![1]).text("stream", "true");
    let reply = send(&gateway, TRANSCRIPTIONS, ask()).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "content_filter"), "{}", reply.body);
    // what has not been passed on yet is told by a status, the rest by an event
    for words in ["before its answer was finished", "MAX_TOKENS"] {
        let reply = send(&gateway, TRANSCRIPTIONS, ask()).await;
        assert!(reply.body.contains("\"error\"") && reply.body.contains(words), "{}", reply.body);
        assert!(!reply.body.contains("transcript.text.done"), "{}", reply.body);
    }
}

#[tokio::test]
async fn a_recording_goes_to_deepgram_as_it_is_with_the_rest_in_the_query() {
    let answer = json!({
        "result": {"results": {"channels": [{"alternatives": [{"transcript": "High tide."}]}]}, "metadata": {"duration": 1.5}},
        "success": true,
    });
    let upstream = Upstream::says([Say::json(200, &answer.to_string())]).await;
    let targets = target("t0", "cloudflare", &upstream, "\"@cf/deepgram/nova-3\"", "    options: { account_id: a }\n");
    let gateway = TestGateway::configured(&format!("targets:\n{targets}"), &[]).await;
    let form = || {
        let form = Form::default().text("model", "@cf/deepgram/nova-3").text("keyterm", "high & low");
        form.part("name=\"file\"; filename=\"a.flac\"\r\nContent-Type: audio/flac", &noise(1_200_001))
    };
    let reply = send(&gateway, TRANSCRIPTIONS, form()).await;
    assert_eq!(
        reply.json(),
        json!({"text": "High tide.", "usage": {"type": "duration", "seconds": 1.5}}),
        "{}",
        reply.body
    );
    let seen = upstream.seen().remove(0);
    let expected = "/run/@cf/deepgram/nova-3?detect_language=true&smart_format=true&keyterm=high%20%26%20low";
    assert_eq!((seen.path.as_str(), seen.header("content-type")), (expected, "audio/flac"));
    assert!(seen.body == noise(1_200_001), "the recording is what it was");
    let reply = send(&gateway, "/v1/audio/translations", form()).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &"model".into()), "{}", reply.body);
}

#[tokio::test]
async fn what_a_provider_cannot_hear_for_is_refused_where_the_operator_wants_that() {
    let upstream = Upstream::says([]).await;
    let targets = target("t0", "gemini", &upstream, "m", "");
    let gateway = TestGateway::configured(
        &format!("compatibility: {{ on_unsupported_param: reject }}\ntargets:\n{targets}"),
        &[],
    )
    .await;
    let ask = form(vec![1]).text("known_speaker_names[]", "Ann");
    let reply = send(&gateway, TRANSCRIPTIONS, ask).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "unsupported_parameter"), "{}", reply.body);
    assert_eq!(reply.json()["error"]["param"], "known_speaker_names[]");
    let json = gateway.post(TRANSCRIPTIONS, r#"{"model":"m","url":"https://example.test/a.mp3"}"#).await;
    assert_eq!((json.status, &json.json()["error"]["param"]), (400, &"file".into()), "{}", json.body);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_transcript_that_came_whole_is_told_as_events_where_a_stream_was_asked_for() {
    let answer = r#"{"text":"High \"tide\".","duration":1.5}"#;
    let upstream = Upstream::says([Say::json(200, answer)]).await;
    let gateway = gateway(&[("groq", &upstream)], "").await;
    let reply = send(&gateway, TRANSCRIPTIONS, form(vec![1]).text("stream", "true")).await;
    let delta = r#"data: {"type":"transcript.text.delta","delta":"High \"tide\"."}"#;
    let done =
        r#"data: {"type":"transcript.text.done","text":"High \"tide\".","usage":{"type":"duration","seconds":1.5}}"#;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"), "{}", reply.body);
    assert!(reply.body.starts_with(&format!("{delta}\n\n{done}\n\n")), "{}", reply.body);
    let verbose = form(vec![1]).text("stream", "true").text("response_format", "verbose_json");
    assert_eq!(send(&gateway, TRANSCRIPTIONS, verbose).await.body, answer);
}

#[tokio::test]
async fn a_stream_of_what_is_no_text_is_refused() {
    for provider in ["qwen", "replicate"] {
        let upstream = Upstream::says([Say::json(200, "{}")]).await;
        let targets = target("t0", provider, &upstream, "o/n", "");
        let gateway = TestGateway::configured(&format!("targets:\n{targets}"), &[]).await;
        for format in ["verbose_json", "srt"] {
            let asked = Form::default().text("model", "o/n").text("stream", "true").text("response_format", format);
            let asked = asked.part("name=\"file\"; filename=\"tide.wav\"", b"x");
            let reply = send(&gateway, TRANSCRIPTIONS, asked).await;
            assert_eq!(reply.status, 400, "{provider} {format}: {}", reply.body);
            assert_eq!(reply.json()["error"]["param"], "response_format", "{provider} {format}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_made_here_is_not_asked_of_cohere() {
    let upstream = Upstream::says([Say::json(200, r#"{"text":"High tide."}"#)]).await;
    let targets = target("t0", "cohere", &upstream, "m", "");
    let yaml = format!("compatibility: {{ on_unsupported_param: reject }}\ntargets:\n{targets}");
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let reply = send(&gateway, TRANSCRIPTIONS, form(vec![1]).text("language", "en").text("stream", "true")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"), "{}", reply.body);
    assert_eq!(reply.header("x-ferro-warnings"), "");
    assert!(reply.body.contains("transcript.text.done"), "{}", reply.body);
    assert!(!String::from_utf8_lossy(&upstream.seen().remove(0).body).contains("name=\"stream\""));
}
