//! What is large passes in pieces: a gateway in a process of its own, whose memory is looked at.
#![cfg(target_os = "linux")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::anthropic::{NAME, job};
use super::chat;
use crate::cli::support::Place;

/// So much goes in and comes out, lines.
const LINES: usize = 5_000;

/// About what a line has, bytes.
const LONG: usize = 4 << 10;

/// So much more memory that may take, bytes.
const ROOM: u64 = 14 << 20;

fn line(at: usize) -> Value {
    let mut line = chat(&format!("line-{at}"), "claude-haiku-4-5");
    line["body"]["messages"][0]["content"] = "tide ".repeat(LONG / 5).into();
    line
}

fn result(at: usize) -> Value {
    let text = json!({"type": "text", "text": "tide ".repeat(LONG / 5)});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [text],
        "stop_reason": "end_turn", "usage": {"input_tokens": 5, "output_tokens": 2}});
    json!({"custom_id": format!("line-{at}"), "result": {"type": "succeeded", "message": message}})
}

fn pieces(lines: usize, line: fn(usize) -> Value) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    stream::iter(0..lines).map(move |at| Ok(Bytes::from(format!("{}\n", line(at)))))
}

/// An API that counts what it is sent and sends as much back.
async fn vendor(counted: Arc<Mutex<u64>>) -> String {
    let answer = async move |request: Request| {
        let path = request.uri().path().to_owned();
        let mut body = request.into_body().into_data_stream();
        while let Some(chunk) = body.next().await {
            *counted.lock().unwrap() += chunk.unwrap().len() as u64;
        }
        if path.ends_with("/results") {
            return Response::new(Body::from_stream(pieces(LINES, result)));
        }
        let ended = if path.ends_with("batches") { "in_progress" } else { "ended" };
        let kind = [("content-type", "application/json")];
        axum::response::IntoResponse::into_response((kind, job(NAME, ended, [0, LINES as u64, 0, 0, 0]).to_string()))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
    url
}

/// The most memory that a process has had, bytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Uploads lines, makes a batch of them and reads its results; returns how many there are.
async fn run(url: &str, lines: usize) -> usize {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let head = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: form-data; \
                name=\"file\"; filename=\"in.jsonl\"\r\n\r\n";
    let part = |text: &'static str| stream::iter([Ok(Bytes::from_static(text.as_bytes()))]);
    let form = part(head).chain(pieces(lines, line)).chain(part("\r\n--b--\r\n"));
    let post = |path: &str| http.post(format!("{url}{path}")).bearer_auth("any");
    let upload = post("/v1/files")
        .header("content-type", "multipart/form-data; boundary=b")
        .body(reqwest::Body::wrap_stream(form));
    let json = async |request: reqwest::RequestBuilder| {
        let (status, text) = {
            let reply = request.send().await.unwrap();
            (reply.status(), reply.text().await.unwrap())
        };
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let file = json(upload).await;
    let order = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let batch = json(post("/v1/batches").header("content-type", "application/json").body(order.to_string())).await;
    let batch = json(http.get(format!("{url}/v1/batches/{}", batch["id"].as_str().unwrap()))).await;
    let content = format!("{url}/v1/files/{}/content", batch["output_file_id"].as_str().unwrap());
    let mut content = http.get(content).send().await.unwrap().bytes_stream();
    let mut found = 0;
    while let Some(chunk) = content.next().await {
        found += memchr::memchr_iter(b'\n', &chunk.unwrap()).count();
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_of_20_mb_and_its_results_take_no_memory() {
    let counted = Arc::new(Mutex::new(0));
    let upstream = vendor(counted.clone()).await;
    let place = Place::new();
    let target = format!(
        "targets:\n  - virtual_key: t\n    provider: anthropic\n    base_url: {upstream}/v1\n    api_key: k\n    models: [m]\n"
    );
    place.write("config.yaml", &format!("{target}batch_target: t\n"));
    let gateway = tokio::task::spawn_blocking(move || (place.serve(&[], &[]), place)).await.unwrap();
    let (gateway, _place) = gateway;
    let (url, pid) = (gateway.url.clone(), gateway.pid());
    run(&url, 100).await;
    let before = peak(pid);
    assert_eq!(run(&url, LINES).await, LINES);
    let grown = peak(pid) - before;
    assert!(*counted.lock().unwrap() > (LINES * LONG) as u64);
    assert!(grown < ROOM, "{} MiB", grown >> 20);
    tokio::task::spawn_blocking(move || gateway.stop()).await.unwrap();
}
