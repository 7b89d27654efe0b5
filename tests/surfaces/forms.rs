//! Operations that take a form: transcriptions, translations, edits and variations of images.

use super::{Form, gateway, metric};
use crate::support::{Reply, Say, TestGateway, Upstream};

fn form(sound: Vec<u8>) -> Form {
    Form::default()
        .text("model", "whisper")
        .file("file", "tide %221%22.mp3", sound)
        .text("timestamp_granularities[]", "word")
        .text("timestamp_granularities[]", "segment")
        .text("language", "br")
}

/// Noise in which boundaries have no place, but line ends and dashes do.
fn noise(length: usize) -> Vec<u8> {
    b"\r\n--\0\xff"
        .iter()
        .copied()
        .cycle()
        .zip(0_u32..)
        .map(|(byte, at)| byte ^ (at / 7 % 3) as u8)
        .take(length)
        .collect()
}

async fn send(gateway: &TestGateway, path: &str, form: Form) -> Reply {
    gateway.send(form.on(gateway.http.post(format!("{}{path}", gateway.url)).bearer_auth("any"))).await
}

/// The parts of a form that an upstream was sent: head and content.
fn parts(seen: &crate::support::Seen) -> Vec<(String, Vec<u8>)> {
    let boundary = format!("--{}", seen.header("content-type").split_once("boundary=").unwrap().1);
    let body = &seen.body[..];
    let marks: Vec<usize> = memchr::memmem::find_iter(body, boundary.as_bytes()).collect();
    assert_eq!(body[marks[marks.len() - 1]..], *format!("{boundary}--\r\n").as_bytes());
    let part = |mark: &[usize]| {
        let part = &body[mark[0] + boundary.len() + 2..mark[1] - 2];
        let head = memchr::memmem::find(part, b"\r\n\r\n").unwrap();
        (String::from_utf8(part[..head].to_vec()).unwrap(), part[head + 4..].to_vec())
    };
    marks.windows(2).map(part).collect()
}

#[tokio::test]
async fn a_recording_is_transcribed_and_asked_for_again_with_the_same_form() {
    let answer =
        r#"{"text":"High tide.","usage":{"type":"tokens","input_tokens":14,"output_tokens":4,"total_tokens":18}}"#;
    for length in [1000, 3 << 20] {
        let (first, second) = (
            Upstream::says([Say::json(500, ""), Say::json(503, "")]).await,
            Upstream::says([Say::json(200, answer)]).await,
        );
        let yaml = format!(
            "strategy: {{ mode: fallback }}\naliases: {{ whisper: m }}\ntargets:\n{}{}",
            crate::support::target("t0", "openai", &first, "m", "    retry: { attempts: 2, initial_backoff_ms: 1 }\n"),
            crate::support::target("t1", "openai", &second, "m", "    model_map: { m: whisper-9 }\n"),
        );
        let gateway = TestGateway::configured(&yaml, &[]).await;
        let reply = send(&gateway, "/v1/audio/transcriptions", form(noise(length))).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, answer), "{}", reply.body);
        assert_eq!((reply.header("x-ferro-attempts"), reply.header("x-ferro-target")), ("3", "t1"));
        let (asked, last) = (first.seen(), second.seen().remove(0));
        assert_eq!(last.path, "/v1/audio/transcriptions");
        for (seen, model) in [(&asked[0], "m"), (&asked[1], "m"), (&last, "whisper-9")] {
            let parts = parts(seen);
            assert_eq!(parts.len(), 5);
            assert_eq!(
                parts[0],
                ("\r\nContent-Disposition: form-data; name=\"model\"".trim_start().to_owned(), model.into())
            );
            assert!(parts[1].0.contains(r#"filename="tide %221%22.mp3""#), "{}", parts[1].0);
            assert!(parts[1].1 == noise(length), "the recording is what it was");
            assert_eq!((&parts[3].1[..], &parts[4].1[..]), (&b"segment"[..], &b"br"[..]));
        }
        let labels = r#"{model="whisper-9",provider="openai",target="t1"}"#;
        assert_eq!(metric(&gateway, &format!("gateway_tokens_input_total{labels}")).await, Some(14.0));
    }
}

#[tokio::test]
async fn a_form_with_nothing_to_change_goes_on_as_it_came() {
    let upstream = Upstream::says([Say::json(200, r#"{"text":"x"}"#)]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let body = "--b-1\r\nContent-Disposition: form-data; name=\"model\"\r\nX-Odd: 1\r\n\r\nm\r\n--b-1\r\ncontent-disposition: form-data; name=file; filename=a.mp3\r\n\r\nsound\r\n--b-1--\r\nepilogue";
    let ask = gateway.http.post(format!("{}/v1/audio/translations", gateway.url)).bearer_auth("any");
    let reply = gateway.send(ask.header("content-type", "multipart/form-data; boundary=\"b-1\"").body(body)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let seen = upstream.seen().remove(0);
    assert_eq!(
        (seen.path.as_str(), seen.header("content-type")),
        ("/v1/audio/translations", "multipart/form-data; boundary=\"b-1\"")
    );
    assert_eq!(seen.body, body);
    assert_eq!(seen.header("content-length"), body.len().to_string());
}

#[tokio::test]
async fn subtitles_come_as_text() {
    let subtitles = "1\n00:00:00,000 --> 00:00:01,000\nHigh tide.\n";
    let said = Say::json(200, subtitles).header("content-type", "text/plain; charset=utf-8");
    let upstream = Upstream::says([said]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let reply = send(&gateway, "/v1/audio/transcriptions", form(vec![1]).text("response_format", "srt")).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "model_not_found"));
    let srt = Form::default().text("model", "m").text("response_format", "srt").file("file", "a", vec![1]);
    let reply = send(&gateway, "/v1/audio/transcriptions", srt).await;
    assert_eq!(
        (reply.status, reply.header("content-type"), reply.body.as_str()),
        (200, "text/plain; charset=utf-8", subtitles)
    );
}

#[tokio::test]
async fn a_streamed_transcription_passes_as_it_came() {
    let events = [
        "data: {\"type\":\"transcript.text.delta\",\"delta\":\"High\"}\n\n",
        "data: {\"type\":\"transcript.text.done\",\"text\":\"High\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":6,\"output_tokens\":1}}\n\n",
    ];
    let upstream = Upstream::says([Say::raw_events(events.map(str::to_owned))]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let form = Form::default().text("model", "m").text("stream", "true").file("file", "a", vec![1]);
    let reply = send(&gateway, "/v1/audio/transcriptions", form).await;
    assert_eq!((reply.status, reply.header("content-type"), &reply.body), (200, "text/event-stream", &events.concat()));
    assert_eq!(
        metric(&gateway, r#"gateway_tokens_input_total{model="m",provider="openai",target="t0"}"#).await,
        Some(6.0)
    );
}

#[tokio::test]
async fn images_are_edited_and_varied() {
    let answer = r#"{"created":1,"data":[{"url":"https://example.test/a.png"}]}"#;
    let upstream = Upstream::says([Say::json(200, answer)]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let edit = Form::default().text("model", "m").text("prompt", "a boat").file("image[]", "a.png", noise(5000)).file(
        "image[]",
        "a.png",
        noise(5000),
    );
    assert_eq!(send(&gateway, "/v1/images/edits", edit).await.body, answer);
    assert_eq!(
        send(&gateway, "/v1/images/variations", Form::default().text("model", "m").file("image", "a.png", noise(5000)))
            .await
            .body,
        answer
    );
    let seen = upstream.seen();
    assert_eq!((parts(&seen[0]).len(), seen[0].path.as_str()), (4, "/v1/images/edits"));
    assert_eq!(seen[1].path, "/v1/images/variations");
}

#[tokio::test]
async fn what_is_no_form_or_lacks_a_file_is_refused() {
    let upstream = Upstream::says([Say::json(200, "{}")]).await;
    let gateway = gateway(&[("openai", &upstream)], "max_request_bytes: 4096\n").await;
    let raw = |kind: &str, body: &str| {
        let ask = gateway.http.post(format!("{}/v1/audio/transcriptions", gateway.url)).bearer_auth("any");
        gateway.send(ask.header("content-type", kind).body(body.to_owned()))
    };
    let form = "multipart/form-data; boundary=b";
    for (kind, body, status, code) in [
        ("text/plain", "x", 400, "invalid_request"),
        ("multipart/form-data", "x", 400, "invalid_request"),
        (form, "", 400, "invalid_request"),
        (form, "no form", 400, "invalid_request"),
        (form, "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n", 400, "invalid_request"),
        (form, "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--", 400, "invalid_request"),
        (
            form,
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nm\r\n--b--",
            400,
            "invalid_request",
        ),
        (form, "--b\r\n\r\nm\r\n--b--", 400, "invalid_request"),
        (form, &"x".repeat(5000), 413, "request_too_large"),
    ] {
        let reply = raw(kind, body).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{kind} {body}: {}", reply.body);
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_web_page_cannot_send_forms_to_an_open_gateway() {
    let upstream = Upstream::says([Say::json(200, "{}")]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let form = Form::default().text("model", "m").file("file", "a", vec![1]);
    let reply = gateway.send(form.on(gateway.http.post(format!("{}/v1/audio/transcriptions", gateway.url)))).await;
    assert_eq!((reply.status, reply.code().as_str()), (403, "open_mode"));
}

#[tokio::test]
async fn a_client_that_leaves_while_it_uploads_asks_nobody() {
    let upstream = Upstream::says([Say::json(200, "{}")]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let mut socket = tokio::net::TcpStream::connect(gateway.url.trim_start_matches("http://")).await.unwrap();
    let head = "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 100000\r\n\r\n--b\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut socket, head.as_bytes()).await.unwrap();
    drop(socket);
    let ask = Form::default().text("model", "m").file("file", "a", vec![1]);
    assert_eq!(send(&gateway, "/v1/audio/transcriptions", ask).await.status, 200);
    assert_eq!(upstream.seen().len(), 1);
}
