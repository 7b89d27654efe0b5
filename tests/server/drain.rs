//! The steps of the end.

use std::time::{Duration, Instant};

use ferrogw::server::{Ended, Options, Threads};
use tokio::net::TcpStream;

use super::support::{Server, get, until, within};

fn options(drain: Duration) -> Options {
    Options { threads: Threads::Exactly(2), drain, ..Options::default() }
}

const NEVER: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(60);

#[tokio::test]
async fn idle_connections_close_newcomers_are_refused_and_what_has_begun_finishes() {
    let server = Server::with(options(NEVER));
    let (mut idle, mut busy) = (server.client().await, server.client().await);
    assert_eq!(idle.ask(&get("/")).await.status, 200);
    server.arrived().await;
    busy.send(get("/patient")).await;
    server.arrived().await;

    server.handle.shutdown();
    assert_eq!(idle.closed().await, "");
    let (address, hurry) = (server.address(), server.stop.hurry.clone());
    assert!(TcpStream::connect(address).await.is_err());
    assert!(server.stop.draining.is_cancelled());
    assert!(!hurry.is_cancelled());
    // Only the test hurries here; the drain would wait for an hour.
    hurry.cancel();
    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hurried"));
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert_eq!(busy.closed().await, "");
    assert_eq!(within(server.handle.join()).await, Ended::Clean);
}

#[tokio::test]
async fn streams_are_hurried_when_the_drain_time_is_over() {
    let server = Server::with(options(SHORT));
    let mut client = server.client().await;
    client.send(get("/patient")).await;
    server.arrived().await;
    let since = Instant::now();
    server.handle.shutdown();
    assert_eq!(client.answer().await.body, "hurried");
    assert!(since.elapsed() >= SHORT);
    drop(client);
    assert_eq!(within(server.handle.join()).await, Ended::Clean);
}

#[tokio::test]
async fn what_does_not_end_when_hurried_is_cut() {
    let server = Server::with(options(SHORT));
    let (mut stuck, mut stream) = (server.client().await, server.client().await);
    stuck.send(get("/wait")).await;
    stream.send(get("/stream")).await;
    server.arrived().await;
    server.arrived().await;
    assert_eq!(server.finish().await, Ended::Cut(2));
    assert_eq!(stuck.closed().await, "");
    assert!(stream.closed().await.contains("first"));
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let server = Server::with(options(NEVER));
    let mut stuck = server.client().await;
    stuck.send(get("/wait")).await;
    server.arrived().await;
    server.handle.shutdown();
    server.stop.now.cancel();
    server.left().await;
    assert_eq!(within(server.handle.join()).await, Ended::Cut(1));
}

#[tokio::test]
async fn a_dropped_handle_ends_its_server() {
    let server = Server::with(options(NEVER));
    let (mut client, connections) = (server.client().await, server.handle.connections().clone());
    client.send(get("/wait")).await;
    server.arrived().await;
    drop(server);
    assert_eq!(client.closed().await, "");
    until(|| connections.counts().closed == 1).await;
}

#[tokio::test]
async fn while_the_lead_lasts_newcomers_are_served_though_not_ready() {
    let server = Server::with(Options { lead: NEVER, ..options(NEVER) });
    server.handle.shutdown();
    assert!(server.stop.draining.is_cancelled());
    assert_eq!(server.client().await.ask(&get("/")).await.status, 200);
    until(|| server.handle.connections().counts().closed == 1).await;
    server.stop.now.cancel();
    assert_eq!(within(server.handle.join()).await, Ended::Clean);
}

#[tokio::test]
async fn an_http2_connection_finishes_its_streams() {
    use http_body_util::{BodyExt, Empty};
    let server = Server::with(options(SHORT));
    let io = hyper_util::rt::TokioIo::new(TcpStream::connect(server.address()).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://x/patient").body(Empty::<bytes::Bytes>::new()).unwrap();
    let answer = tokio::spawn(sender.send_request(request));
    server.arrived().await;
    server.handle.shutdown();
    let answer = within(answer).await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hurried");
    within(connection).await.unwrap().unwrap();
    assert_eq!(within(server.handle.join()).await, Ended::Clean);
}
