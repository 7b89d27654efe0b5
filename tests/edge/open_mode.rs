//! Without a master key: this machine's programs are served, its browser's pages and tunnels are not.

use super::*;

const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

/// The reason of the refusal, or "" if the request was served.
async fn reason(method: &str, headers: &[(&str, &str)]) -> String {
    let path = if method == "POST" { "/v1/echo" } else { "/v1/models" };
    let seen = Door::with(&[("CORS_ORIGINS", "https://mine.example")]).send(method, path, headers).await;
    if seen.status == 200 {
        return String::new();
    }
    assert_eq!((seen.status, seen.code().as_str()), (403, "open_mode"));
    assert!(seen.body.contains("MASTER_KEY"), "{}", seen.body);
    seen.body
}

#[tokio::test]
async fn programs_of_this_machine_are_served_without_a_key() {
    for host in ["localhost", "localhost:8080", "LOCALHOST:1", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080"] {
        assert_eq!(reason("GET", &[("host", host)]).await, "", "{host}");
    }
    assert_eq!(reason("POST", &[JSON]).await, "");
    assert_eq!(reason("POST", &[JSON, ("authorization", "Bearer anything")]).await, "");
}

#[tokio::test]
async fn a_rebound_name_is_refused() {
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "localhost@evil.example", ""]
    {
        assert!(reason("GET", &[("host", host)]).await.contains("Host"), "{host}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_unless_they_are_listed() {
    for origin in ["https://evil.example", "null", "http://localhost.evil.example", "file://"] {
        assert!(reason("POST", &[JSON, ("origin", origin)]).await.contains("CORS_ORIGINS"), "{origin}");
    }
    for origin in ["https://mine.example", "http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:80"] {
        assert_eq!(reason("POST", &[JSON, ("origin", origin)]).await, "", "{origin}");
    }
}

#[tokio::test]
async fn what_a_page_can_post_unasked_is_refused() {
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain;application/json"]
    {
        assert!(reason("POST", &[("content-type", kind)]).await.contains("Content-Type"), "{kind}");
    }
    assert!(reason("POST", &[]).await.contains("Content-Type"));
}

#[tokio::test]
async fn what_a_tunnel_forwards_is_refused() {
    for name in
        ["x-forwarded-for", "x-real-ip", "forwarded", "x-forwarded-host", "x-forwarded-proto", "cf-connecting-ip"]
    {
        assert!(reason("GET", &[(name, "127.0.0.1")]).await.contains("forwarded"), "{name}");
    }
}

#[tokio::test]
async fn other_machines_are_refused() {
    let seen = Door::with(&[]).from("192.0.2.7").send("GET", "/v1/models", &[]).await;
    assert_eq!((seen.status, seen.code().as_str()), (403, "open_mode"));
}

#[tokio::test]
async fn metrics_are_guarded_like_the_api_and_probes_are_not() {
    let door = Door::with(&[]);
    let foreign = [("host", "evil.example")];
    assert_eq!(door.send("GET", "/metrics", &foreign).await.status, 403);
    assert_eq!(door.send("GET", "/metrics", &[]).await.status, 200);
    assert_eq!(door.send("GET", "/health", &foreign).await.status, 200);
}

#[tokio::test]
async fn an_opened_data_plane_serves_everybody_but_keeps_metrics_closed() {
    let door = Door::with(&[("ALLOW_UNAUTHENTICATED_PROXY", "TRUE")]).from("192.0.2.7");
    let foreign = [("host", "gateway.example")];
    assert_eq!(door.send("GET", "/v1/models", &foreign).await.status, 200);
    assert_eq!(door.send("GET", "/metrics", &foreign).await.status, 403);
    // pages cannot read what they get, but they could a WebSocket
    let socket = [("host", "gateway.example"), ("connection", "upgrade"), ("upgrade", "websocket")];
    for (origin, refused) in [("https://evil.example", true), ("null", true), ("https://gateway.example", false)] {
        let reply = door.send("GET", "/v1/realtime?model=m", &[&socket[..], &[("origin", origin)]].concat()).await;
        assert_eq!(reply.status == 403, refused, "{origin}: {} {}", reply.status, reply.body);
    }
    let door = Door::with(&[("ALLOW_UNAUTHENTICATED_PROXY", "true"), ("MASTER_KEY", KEY)]).from("192.0.2.7");
    assert_eq!(door.send("GET", "/v1/models", &[("x-api-key", "sk-whatever")]).await.status, 200);
    assert_eq!(door.send("GET", "/metrics", &foreign).await.status, 401);
    assert_eq!(door.get("/metrics").await.status, 200);
    assert!(door.get("/v1/caller").await.body.contains("master-key:"));
}
