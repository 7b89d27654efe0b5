//! The process around the gateway: who serves, who is let go, and how it ends.

mod drain;
mod hostile;
mod process;
mod support;

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use ferrogw::server::{Options, Threads, bind};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{Client, Server, get, until, within};
use tokio::net::TcpStream;

#[tokio::test]
async fn port_0_becomes_one_free_port_for_all_addresses() {
    let listeners = bind(&[(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()]).unwrap();
    let server = Server::on(listeners, Options::default());
    for address in server.handle.addresses() {
        assert_eq!(address.port(), server.address().port());
        assert_eq!(Client::to(*address).await.ask(&get("/")).await.status, 200);
    }
}

#[tokio::test]
async fn an_address_in_use_is_named_with_the_mend() {
    let first = bind(&[(Ipv4Addr::LOCALHOST, 0).into()]).unwrap();
    let taken: SocketAddr = first[0].local_addr().unwrap();
    let error = bind(&[taken]).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("cannot listen on {taken}: address already in use: stop what listens there, or set PORT or --port")
    );
    let error = bind(&[]).unwrap_err().to_string();
    assert_eq!(error, "no address to listen on: set FERROGW_HOST or --host");
}

#[tokio::test]
async fn long_lived_connections_spread_evenly_and_newcomers_fill_the_gaps() {
    let server = Server::with(Options { threads: Threads::Exactly(4), ..Options::default() });
    let mut by_thread: HashMap<String, Vec<Client>> = HashMap::new();
    for _ in 0..40 {
        let mut client = server.client().await;
        let thread = client.ask(&get("/thread")).await.body;
        by_thread.entry(thread).or_default().push(client);
    }
    let spread = || server.handle.connections().each().map(|worker| worker.active + worker.idle).collect::<Vec<_>>();
    assert_eq!(spread(), [10; 4]);
    assert_eq!(by_thread.len(), 4);

    by_thread.remove("worker-2");
    until(|| spread() == [10, 10, 0, 10]).await;
    for _ in 0..10 {
        let mut client = server.client().await;
        assert_eq!(client.ask(&get("/thread")).await.body, "worker-2");
        by_thread.entry("worker-2".into()).or_default().push(client);
    }
}

#[tokio::test]
async fn a_worker_knows_its_index_before_it_serves() {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let on_start = |index: usize| _ = STARTED.fetch_or(1_usize << index, Relaxed);
    let server = Server::with(Options { threads: Threads::Exactly(3), on_start, ..Options::default() });
    let _clients = [server.client().await, server.client().await, server.client().await];
    until(|| STARTED.load(Relaxed) == 0b111).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runtime_of_an_embedding_program_can_serve_too() {
    let server = Server::with(Options { threads: Threads::Shared, ..Options::default() });
    let mut client = server.client().await;
    assert!(!client.ask(&get("/thread")).await.body.starts_with("worker-"));
    server.finish().await;
}

#[tokio::test]
async fn one_connection_serves_many_requests_and_is_counted_once() {
    let server = Server::with(Options::default());
    let counts = || server.handle.connections().counts();
    let mut client = server.client().await;
    for _ in 0..3 {
        assert_eq!(client.ask(&get("/")).await.status, 200);
    }
    until(|| counts().active == 0).await;
    let now = counts();
    assert_eq!((now.opened, now.idle, now.activated, now.idled, now.closed), (1, 1, 3, 3, 0));

    assert_eq!(server.unseen().await, 3);
    client.send(get("/wait")).await;
    server.arrived().await;
    assert_eq!((counts().active, counts().idle), (1, 0));
    drop(client);
    until(|| counts().closed == 1).await;
    assert_eq!((counts().active, counts().idle), (0, 0));
}

#[tokio::test]
async fn a_client_that_leaves_drops_the_handler_that_waits_for_an_upstream() {
    let server = Server::with(Options::default());
    let mut client = server.client().await;
    client.send("POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}".into()).await;
    server.arrived().await;
    drop(client);
    server.left().await;
}

#[tokio::test]
async fn a_client_that_leaves_drops_its_silent_stream() {
    let server = Server::with(Options::default());
    let mut client = server.client().await;
    client.send(get("/stream")).await;
    server.arrived().await;
    client.until("first").await;
    drop(client);
    server.left().await;
}

#[tokio::test]
async fn http2_is_spoken_to_who_begins_with_it_and_a_reset_drops_the_handler() {
    let server = Server::with(Options::default());
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = |path| http::Request::get(format!("http://x{path}")).body(Empty::<bytes::Bytes>::new()).unwrap();
    let answer = within(sender.send_request(request("/"))).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");

    let waiting = tokio::spawn(sender.send_request(request("/wait")));
    server.arrived().await;
    waiting.abort();
    server.left().await;
    assert_eq!(within(sender.send_request(request("/"))).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_preface_and_a_method_may_arrive_in_pieces() {
    let server = Server::with(Options::default());
    let mut client = server.client().await;
    client.send("P".into()).await;
    until(|| server.handle.connections().counts().opened == 1).await;
    client.send("OST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".into()).await;
    assert_eq!(client.answer().await.status, 200);

    let mut client = server.client().await;
    client.send("PRI * HT".into()).await;
    until(|| server.handle.connections().counts().opened == 2).await;
    client.send("TP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".into()).await;
    // The server's SETTINGS: a frame of type 4 on stream 0.
    let settings = client.bytes(9).await;
    assert_eq!((settings[3], &settings[5..9]), (4, &[0; 4][..]));
}

#[tokio::test]
async fn a_body_is_read_to_its_end_in_whatever_pieces_it_arrives() {
    let server = Server::with(Options::default());
    let mut client = server.client().await;
    for framing in ["Content-Length: 15", "Transfer-Encoding: chunked"] {
        client.send(format!("POST /pieces HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n")).await;
        for piece in ["one--", "two--", "three"] {
            let chunk = if framing.starts_with('T') { format!("5\r\n{piece}\r\n") } else { piece.to_owned() };
            client.send(chunk).await;
            client.until(piece).await;
        }
        if framing.starts_with('T') {
            client.send("0\r\n\r\n".into()).await;
            client.until("0\r\n\r\n").await;
        }
    }
    assert_eq!(client.ask(&get("/")).await.status, 200);
}

#[tokio::test]
async fn beyond_the_cap_a_connection_waits_until_another_ends() {
    let server = Server::with(Options { max_connections: 1, ..Options::default() });
    let mut first = server.client().await;
    assert_eq!(first.ask(&get("/")).await.status, 200);
    let mut second = server.client().await;
    second.send(get("/")).await;
    assert_eq!(first.ask(&get("/")).await.status, 200);
    assert_eq!(server.handle.connections().counts().opened, 1);
    drop(first);
    assert_eq!(second.answer().await.status, 200);
}

#[tokio::test]
async fn a_client_still_sending_reads_an_early_answer() {
    let server = Server::with(Options::default());
    let mut client = server.client().await;
    let sent = 8 << 20;
    client.send(format!("POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: {sent}\r\n\r\n")).await;
    client.send("x".repeat(sent)).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (413, "too much"));
    assert!(client.closed().await.is_empty());
}
