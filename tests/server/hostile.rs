//! Slow clients, floods, and requests that two parsers read differently.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use ferrogw::server::Options;

use super::support::{Server, get, until};

const SHORT: Duration = Duration::from_millis(80);
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_connection_that_says_nothing_or_half_a_head_is_cut() {
    for beginning in ["", "P", "GET / HTTP/1.1\r\nHo"] {
        let server = Server::with(Options { head_timeout: SHORT, idle_timeout: LONG, ..Options::default() });
        let since = Instant::now();
        let mut client = server.client().await;
        client.send(beginning.into()).await;
        assert_eq!(client.closed().await, "", "{beginning}");
        assert!(since.elapsed() >= SHORT, "{beginning}");
    }
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_on_a_used_connection_too() {
    let server = Server::with(Options { head_timeout: SHORT, idle_timeout: LONG, ..Options::default() });
    let mut client = server.client().await;
    assert_eq!(client.ask(&get("/")).await.status, 200);
    let since = Instant::now();
    client.send("GET / HTTP/1.1\r\na: ".into()).await;
    while client.try_send(b"b").await {
        tokio::task::yield_now().await;
    }
    assert!(since.elapsed() >= SHORT);
    assert_eq!(client.closed().await, "");
}

#[tokio::test]
async fn an_idle_connection_outlives_the_head_timeout_and_ends_at_its_own() {
    let server = Server::with(Options { head_timeout: SHORT / 4, idle_timeout: SHORT * 2, ..Options::default() });
    let mut client = server.client().await;
    assert_eq!(client.ask(&get("/")).await.status, 200);
    let since = Instant::now();
    assert_eq!(client.closed().await, "");
    assert!(since.elapsed() >= SHORT, "closed after {:?}", since.elapsed());
}

#[tokio::test]
async fn a_request_in_hand_outlives_every_timeout() {
    let server =
        Server::with(Options { head_timeout: SHORT, idle_timeout: SHORT, drain: SHORT * 4, ..Options::default() });
    let mut client = server.client().await;
    client.send(get("/patient")).await;
    server.arrived().await;
    server.handle.shutdown();
    assert_eq!(client.answer().await.body, "hurried");
}

#[tokio::test]
async fn a_client_that_takes_none_of_its_answer_is_cut() {
    let server = Server::with(Options { stall_timeout: SHORT, ..Options::default() });
    let mut client = server.client().await;
    client.send(get("/endless")).await;
    until(|| server.handle.connections().counts().closed == 1).await;
}

#[tokio::test]
async fn floods_of_headers_are_answered_431_and_long_targets_414() {
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(200));
    let big = format!("GET / HTTP/1.1\r\nHost: x\r\na: {}\r\n\r\n", "b".repeat(300_000));
    let endless = format!("GET / HTTP/1.1\r\nHost: x\r\na: {}", "b".repeat(2_000_000));
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000));
    for (request, status) in [(many, 431), (big, 431), (endless, 431), (long, 414)] {
        let refusal = |status: StatusCode| if status.as_u16() == 414 { "" } else { r#"{"error":{}}"# };
        let server = Server::with(Options { refusal, ..Options::default() });
        let mut client = server.client().await;
        client.try_send(request.as_bytes()).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), (status, refusal(StatusCode::from_u16(status).unwrap())));
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
        assert_eq!(client.closed().await, "");
        assert_eq!(server.unseen().await, 0);
    }
}

#[tokio::test]
async fn heads_within_the_limits_are_served() {
    let server = Server::with(Options::default());
    let headers = (0..98).map(|i| format!("a{i}: {}\r\n", "b".repeat(2_000))).collect::<String>();
    let answer = server.client().await.ask(&format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
    assert_eq!(answer.status, 200);
}

/// Sends a request of a doubtful shape with another one hidden behind it: the first is refused, or served as it should
/// be read; the second is never served.
async fn smuggle(shape: &str, expected: u16) {
    let server = Server::with(Options::default());
    let mut client = server.client().await;
    client.try_send(format!("{shape}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
    let answers = client.closed().await;
    assert!(answers.starts_with(&format!("HTTP/1.1 {expected} ")), "{shape:?} got {answers:?}");
    assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{shape:?} got {answers:?}");
    assert_eq!(server.unseen().await, usize::from(expected == 200), "{shape:?}");
}

#[tokio::test]
async fn what_two_parsers_could_read_differently_hides_no_second_request() {
    for headers in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length:\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n",
        "a: b\r\n folded: c\r\n",
        " a: b\r\n",
        "a: b\0c\r\n",
        "a: b\rc: d\r\n",
        "a\r\n",
    ] {
        smuggle(&format!("POST /echo HTTP/1.1\r\nHost: x\r\n{headers}\r\nhello"), 400).await;
    }
    for line in ["GET  /\tHTTP/1.1", "GET / HTTP/1.2", "GET / HTTP/11", "GET /\r", "G@T / HTTP/1.1", "GET / HTTP/2.0"] {
        smuggle(&format!("{line}\r\nHost: x\r\n\r\n"), 400).await;
    }
}

/// RFC 9112 §6.1: chunked wins over a length, and the connection ends after the answer.
#[tokio::test]
async fn a_length_beside_chunks_is_ignored_and_the_connection_ends() {
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\nConnection: keep-alive\r\n",
    ] {
        smuggle(&format!("POST /echo HTTP/1.1\r\nHost: x\r\n{headers}\r\n5\r\nhello\r\n0\r\n\r\n"), 200).await;
    }
    smuggle("POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400).await;
}

#[tokio::test]
async fn malformed_chunks_end_the_request_and_the_connection() {
    for chunks in [
        "5;\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "-5\r\nhello",
        "fffffffffffffffff\r\nhello",
        "5\r\nhelloXX0\r\n\r\n",
        "x\r\n",
    ] {
        smuggle(&format!("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"), 400).await;
    }
}

/// RFC 9112 §2.2 lets a recipient take a lone LF for the end of a line; hyper does. The framing it finds by that is
/// the framing it keeps to: a length after a lone LF counts.
#[tokio::test]
async fn a_lone_line_feed_ends_a_line_and_the_framing_is_kept_to() {
    let server = Server::with(Options::default());
    let mut client = server.client().await;
    client
        .send("POST /echo HTTP/1.1\nHost: x\na: b\nContent-Length: 32\n\nGET /smuggled HTTP/1.1\nHost: x\n\n".into())
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "GET /smuggled HTTP/1.1\nHost: x\n\n"));
    assert_eq!(server.unseen().await, 1);
}
