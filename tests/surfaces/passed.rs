//! What is passed on as it is: files, batches, and every path nobody else has.

use super::{Form, gateway, metric};
use crate::support::{Say, TestGateway, Upstream};

#[tokio::test]
async fn files_and_batches_are_with_the_one_target_that_keeps_them() {
    let (other, keeper) =
        (Upstream::says([Say::json(500, "")]).await, Upstream::says([Say::json(200, r#"{"id":"file-1"}"#)]).await);
    let gateway = gateway(&[("openai", &other), ("groq", &keeper)], "batch_target: t1\n").await;
    let url = |path: &str| format!("{}{path}", gateway.url);
    let form = Form::default().text("purpose", "batch").text("model", "untouched");
    let form = form.file("file", "lines.jsonl", vec![b'x'; 2 << 20]);
    for ask in [
        form.on(gateway.http.post(url("/v1/files")).bearer_auth("any")),
        gateway.http.get(url("/v1/files?limit=2")),
        gateway.http.get(url("/v1/files/file-1/content")),
        gateway.http.delete(url("/v1/files/file-1")),
        gateway.request("/v1/batches", r#"{"input_file_id":"file-1","endpoint":"/v1/chat/completions"}"#),
        gateway.request("/v1/batches/batch_1/cancel", ""),
        gateway.http.get(url("/v1/batches/batch_1")),
    ] {
        let reply = gateway.send(ask).await;
        assert_eq!(
            (reply.status, reply.body.as_str(), reply.header("x-gateway-provider")),
            (200, r#"{"id":"file-1"}"#, "groq")
        );
    }
    let seen = keeper.seen();
    let asked: Vec<_> = seen.iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect();
    assert_eq!(
        asked,
        [
            "POST /v1/files",
            "GET /v1/files?limit=2",
            "GET /v1/files/file-1/content",
            "DELETE /v1/files/file-1",
            "POST /v1/batches",
            "POST /v1/batches/batch_1/cancel",
            "GET /v1/batches/batch_1",
        ]
    );
    assert!(
        seen[0].body.len() > 2 << 20 && seen[0].header("content-type").starts_with("multipart/form-data; boundary=")
    );
    assert_eq!(seen[4].json()["input_file_id"], "file-1");
    assert!(seen.iter().all(|seen| seen.header("authorization") == "Bearer sk-test-t1-0123456789"));
    assert!(other.seen().is_empty());
    assert_eq!(
        metric(&gateway, r#"gateway_surface_requests_total{status="success",surface="files"}"#).await,
        Some(4.0)
    );
    assert_eq!(
        metric(&gateway, r#"gateway_requests_total{model="none",provider="groq",status="success",target="t1"}"#).await,
        Some(7.0)
    );
}

#[tokio::test]
async fn a_files_content_arrives_with_what_is_said_about_it() {
    let content = [0_u8, 159, 146, 150].repeat(50_000);
    let said = Say::bytes(200, content.clone())
        .header("content-type", "application/octet-stream")
        .header("content-disposition", "attachment; filename=\"out.jsonl\"")
        .header("set-cookie", "session=1")
        .header("x-echo", "sk-test-t0-0123456789")
        .header("etag", "sk-test-t0-0123456789");
    let upstream = Upstream::says([said]).await;
    let gateway = gateway(&[("openai", &upstream)], "batch_target: t0\n").await;
    let reply = gateway.http.get(format!("{}/v1/files/f/content", gateway.url)).send().await.unwrap();
    let headers = reply.headers().clone();
    assert_eq!(
        (headers["content-length"].to_str().unwrap(), headers["content-disposition"].to_str().unwrap()),
        ("200000", "attachment; filename=\"out.jsonl\"")
    );
    assert!(["set-cookie", "x-echo", "etag"].iter().all(|name| !headers.contains_key(*name)), "{headers:?}");
    assert_eq!(reply.bytes().await.unwrap(), content);
}

#[tokio::test]
async fn without_a_keeper_there_are_no_files() {
    let upstream = Upstream::says([Say::json(200, "{}")]).await;
    let reply = TestGateway::fallback(&[&upstream]).await.get("/v1/files").await;
    assert_eq!((reply.status, reply.code().as_str()), (501, "batch_not_configured"));
    let gateway = gateway(&[("moonshot", &upstream)], "batch_target: t0\n").await;
    assert_eq!(gateway.get("/v1/files").await.status, 200);
    let reply = gateway.get("/v1/batches").await;
    assert_eq!((reply.status, reply.code().as_str()), (501, "batch_not_supported"));
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_a_model_that_is_not_there() {
    let upstream = Upstream::says([
        Say::json(404, r#"{"error":{"message":"No such File object: file-9"}}"#),
        Say::json(401, "{}"),
    ])
    .await;
    let gateway = gateway(&[("openai", &upstream)], "batch_target: t0\n").await;
    let reply = gateway.get("/v1/files/file-9").await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "resource_not_found"));
    assert!(reply.body.contains("No such File object: file-9"), "{}", reply.body);
    let reply = gateway.get("/v1/files/file-9").await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_auth_error"));
}

#[tokio::test]
async fn any_other_path_goes_where_its_model_is_served() {
    let (first, second) =
        (Upstream::says([Say::json(200, r#"{"n":1}"#)]).await, Upstream::says([Say::json(200, r#"{"n":2}"#)]).await);
    let gateway = gateway(&[("openai", &first), ("fireworks", &second)], "aliases: { house: m }\n").await;
    let reply = gateway.post("/v1/tokenize/now?x=a%20b", r#"{"model":"house","x_new":1.50}"#).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"n":1}"#));
    let seen = first.seen().remove(0);
    assert_eq!(
        (seen.path.as_str(), &seen.body[..]),
        ("/v1/tokenize/now?x=a%20b", &br#"{"model":"m","x_new":1.50}"#[..])
    );
    let named = gateway.request("/v1/fine_tuning/jobs", r#"[{"model":"house"}]"#).header("x-provider", "fireworks");
    assert_eq!(gateway.send(named).await.header("x-ferro-target"), "t1");
    assert_eq!(second.seen().remove(0).body, r#"[{"model":"house"}]"#);
    for (ask, status, code) in [
        (gateway.request("/v1/fine_tuning/jobs", "{}"), 400, "provider_not_resolved"),
        (gateway.request("/v1/fine_tuning/jobs", r#"{"model":"nobodys"}"#), 404, "model_not_found"),
        (gateway.request("/v1/fine_tuning/jobs", "{}").header("x-provider", "anthropic"), 404, "provider_not_found"),
    ] {
        let reply = gateway.send(ask).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code));
    }
}

#[tokio::test]
async fn a_vendor_of_another_format_takes_no_such_requests() {
    let upstream = Upstream::says([Say::json(200, "{}")]).await;
    let gateway = gateway(&[("cohere", &upstream)], "").await;
    let by_model = gateway.request("/v1/tokenize", r#"{"model":"m"}"#);
    let by_name = gateway.request("/v1/tokenize", "{}").header("x-provider", "t0");
    for ask in [by_model, by_name] {
        let reply = gateway.send(ask).await;
        assert_eq!((reply.status, reply.code().as_str()), (501, "proxy_not_supported"));
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn what_is_the_callers_own_affair_stays_here() {
    let upstream = Upstream::says([Say::json(200, "{}")]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let own = [
        ("authorization", "Bearer callers-own"),
        ("x-api-key", "callers-own"),
        ("api-key", "callers-own"),
        ("x-goog-api-key", "callers-own"),
        ("cookie", "callers-own"),
        ("x-auth-token", "callers-own"),
        ("x-amz-security-token", "callers-own"),
        ("openai-organization", "callers-own"),
        ("proxy-authorization", "callers-own"),
        ("connection", "x-hop"),
        ("x-hop", "callers-own"),
        ("te", "trailers"),
        ("x-ferro-anything", "callers-own"),
        ("x-stainless-os", "callers-own"),
    ];
    let ask = own.iter().fold(gateway.request("/v1/x", "{}"), |ask, (name, value)| ask.header(*name, *value));
    let ask = ask
        .header("x-provider", "t0")
        .header("openai-beta", "assistants=v2")
        .header("idempotency-key", "1")
        .header("x-trace", "kept");
    assert_eq!(gateway.send(ask).await.status, 200);
    let seen = upstream.seen().remove(0);
    for (name, _) in own.iter().skip(1).chain([&("x-provider", "")]) {
        assert!(!seen.headers.contains_key(*name), "{name}");
    }
    let kept = ["openai-beta", "idempotency-key", "x-trace", "authorization", "accept-encoding", "content-type"]
        .map(|name| seen.header(name));
    assert_eq!(kept, ["assistants=v2", "1", "kept", "Bearer sk-test-t0-0123456789", "identity", "application/json"]);
}

#[tokio::test]
async fn no_path_leaves_the_root_of_the_provider() {
    let upstream = Upstream::says([Say::json(200, "{}")]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let address = gateway.url.trim_start_matches("http://").to_owned();
    for path in [
        "/v1/../admin",
        "/v1/x/%2e%2e/%2e%2e/admin",
        "/v1/x%2f..%2f..%2fadmin",
        "/v1/%252e%252e/admin",
        "/v1/..;x/admin",
        "/v1/x\\..\\admin",
        "/v1/files/../../admin",
    ] {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        let ask = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-provider: t0\r\nconnection: close\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut socket, ask.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut socket, &mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("invalid_proxy_path"), "{path}: {answer}");
    }
    let odd = gateway.http.get(format!("{}/v1/a%2Fb/%40evil.test/c?d=//e", gateway.url)).header("x-provider", "t0");
    assert_eq!(gateway.send(odd).await.status, 200);
    let seen = upstream.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, "/v1/a%2Fb/%40evil.test/c?d=//e");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Upstream::says([Say::json(200, "{}")]).await;
    let upstream = Upstream::says([Say::json(307, "").header("location", &format!("{}/v1/x", elsewhere.url))]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let reply = gateway.send(gateway.request("/v1/x", "{}").header("x-provider", "t0")).await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"));
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn events_of_a_path_nobody_knows_pass_as_they_come() {
    let events = ["data: {\"anything\":1}\n\n".to_owned(), ": done\n\n".to_owned()];
    let upstream = Upstream::says([Say::raw_events(events.clone())]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let reply = gateway.post("/v1/threads/runs", r#"{"model":"m","stream":true}"#).await;
    assert_eq!((reply.status, reply.header("content-type"), &reply.body), (200, "text/event-stream", &events.concat()));
}

#[tokio::test]
async fn files_have_a_limit_of_their_own_and_the_refusal_names_it() {
    let upstream = Upstream::says([Say::json(200, "{}")]).await;
    let gateway =
        gateway(&[("openai", &upstream)], "batch_target: t0\nmax_request_bytes: 1000\nmax_file_bytes: 5000\n").await;
    let send = |path: &str, body: reqwest::Body| {
        let ask = gateway.http.post(format!("{}{path}", gateway.url)).bearer_auth("any").header("x-provider", "t0");
        gateway.send(ask.body(body))
    };
    let chunks = |length: usize| {
        let pieces =
            vec![b'x'; length].chunks(1000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    };
    assert_eq!(send("/v1/files", vec![b'x'; 5000].into()).await.status, 200);
    assert_eq!(send("/v1/files", chunks(5000)).await.status, 200);
    for (path, body, word) in [
        ("/v1/files", vec![b'x'; 5001].into(), "5000 bytes, the gateway's max_file_bytes"),
        ("/v1/files", chunks(5001), "5000 bytes, the gateway's max_file_bytes"),
        ("/v1/else", vec![b'x'; 1001].into(), "1000 bytes, the gateway's max_request_bytes"),
        ("/v1/else", chunks(1001), "1000 bytes, the gateway's max_request_bytes"),
    ] {
        let reply = send(path, body).await;
        assert_eq!((reply.status, reply.code().as_str()), (413, "request_too_large"));
        assert!(reply.body.contains(word), "{}", reply.body);
    }
    assert_eq!(upstream.seen().len(), 2);
}
