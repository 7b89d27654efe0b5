//! The upstream client against sockets that follow a script: what it sends and what it makes of the answer.

pub(crate) mod egress;
mod failure;
mod fuzz;
mod http2;
mod reuse;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferrogw::call::Fault;
use ferrogw::providers::client::{
    Answer, Client, Incoming, Lines, Options, Origin, Phase, Protocol, SendError, Timeouts,
};
use http::{HeaderMap, Method};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// Limits that no test of something else comes near.
const QUICK: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(10),
    total: None,
};

/// Listens on a free port and hands each connection, with its number, to `serve`.
async fn listen<F, R>(serve: F) -> SocketAddr
where
    F: Fn(usize, TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for n in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(n, stream));
        }
    });
    address
}

/// An upstream that answers every request with `answer`, and tells each with the number of its connection.
async fn says(answer: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<(usize, String)>) {
    let (tell, asked) = mpsc::unbounded_channel();
    let address = listen(move |n, mut stream| {
        let tell = tell.clone();
        async move {
            while let Some(request) = request(&mut stream).await {
                let _ = tell.send((n, request));
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    })
    .await;
    (address, asked)
}

/// The next request on `stream`, head and body, or `None` at its end.
async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + std::str::from_utf8(&body).unwrap())
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// Returns once the other side is gone.
async fn gone<S: AsyncRead + Unpin>(stream: &mut S) {
    while !matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_)) {}
}

fn origin_with(base: &str, timeouts: Timeouts, options: Options) -> Arc<Origin> {
    Client::new(options).unwrap().origin(&base.parse().unwrap(), timeouts, Protocol::Http1).unwrap()
}

fn origin(address: SocketAddr, timeouts: Timeouts) -> Arc<Origin> {
    origin_with(&format!("http://{address}"), timeouts, Options::default())
}

async fn send(origin: &Arc<Origin>, path: &str) -> Result<Answer, SendError> {
    let (path, body) = (path.parse().unwrap(), Bytes::from_static(b"{}"));
    origin.ask(&Method::POST, &path, &Lines::default(), &Lines::default(), body.into()).await
}

async fn ask(origin: &Arc<Origin>) -> Result<String, SendError> {
    text(send(origin, "/chat").await?).await
}

async fn text(answer: Answer) -> Result<String, SendError> {
    let body = whole(answer.body).await?;
    Ok(String::from_utf8(body).unwrap())
}

async fn whole(mut body: Incoming) -> Result<Vec<u8>, SendError> {
    let mut whole = Vec::new();
    while let Some(piece) = next(&mut body).await {
        whole.extend_from_slice(&piece?);
    }
    Ok(whole)
}

async fn next(body: &mut Incoming) -> Option<Result<Bytes, SendError>> {
    std::future::poll_fn(|cx| body.poll(cx)).await
}

#[tokio::test]
async fn a_request_arrives_as_it_was_meant() {
    let (address, mut asked) = says(HELLO).await;
    let origin = origin_with(&format!("http://user:secret@{address}/ignored"), QUICK, Options::default());
    let mut headers = HeaderMap::new();
    headers.insert("x-key", "k".parse().unwrap());
    let path = "/v1/chat?x=1".parse().unwrap();
    let mut more = Lines::default();
    more.text("x-one", "1");
    more.text("x-two", "not\r\na: field");
    let body = Bytes::from_static(b"{}");
    let answer = origin.ask(&Method::POST, &path, &Lines::from(&headers), &more, body.into()).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "hello");
    let sent = format!(
        "POST /v1/chat?x=1 HTTP/1.1\r\nx-key: k\r\nx-one: 1\r\nhost: {address}\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    assert_eq!(asked.recv().await, Some((0, sent)));

    headers.insert("host", "other.test".parse().unwrap());
    let answer =
        origin.ask(&Method::GET, &path, &Lines::from(&headers), &Lines::default(), Bytes::new().into()).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "hello");
    let sent = "GET /v1/chat?x=1 HTTP/1.1\r\nx-key: k\r\nhost: other.test\r\n\r\n".to_owned();
    assert_eq!(asked.recv().await, Some((0, sent)));
}

#[tokio::test]
async fn redirects_are_answers() {
    let (address, mut asked) = says("HTTP/1.1 307 Moved\r\nlocation: /else\r\ncontent-length: 0\r\n\r\n").await;
    let answer = send(&origin(address, QUICK), "/chat").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.fields.get("Location")), (307, Some("/else")));
    asked.recv().await.unwrap();
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_large_answer_arrives_whole() {
    const SIZE: usize = 3 << 20;
    let address = listen(|_, mut stream| async move {
        let body: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
        while let Some(head) = request(&mut stream).await {
            let (before, after) = match head.contains("/chunked") {
                true => (format!("{CHUNKED}{SIZE:x}\r\n"), "\r\n0\r\n\r\n"),
                false => (format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n"), ""),
            };
            for part in [before.as_bytes(), &body, after.as_bytes()] {
                stream.write_all(part).await.unwrap();
            }
        }
    })
    .await;
    let origin = origin(address, QUICK);
    for path in ["/plain", "/chunked", "/plain"] {
        let answer = send(&origin, path).await.unwrap();
        let body = whole(answer.body).await.unwrap();
        assert!(body.len() == SIZE && body.iter().enumerate().all(|(n, byte)| *byte == (n % 251) as u8));
        assert_eq!(origin.resting(), 1);
    }
}

#[tokio::test]
async fn a_piece_of_a_body_wakes_its_reader_once() {
    let (more, wanted) = mpsc::unbounded_channel::<()>();
    let wanted = Arc::new(tokio::sync::Mutex::new(wanted));
    let address = listen(move |_, mut stream| {
        let wanted = wanted.clone();
        async move {
            request(&mut stream).await;
            write(&mut stream, CHUNKED).await;
            while wanted.lock().await.recv().await.is_some() {
                write(&mut stream, "5\r\nhello\r\n").await;
            }
        }
    })
    .await;
    let mut body = send(&origin(address, QUICK), "/chat").await.unwrap().body;
    let (tell, mut polled) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let piece = std::future::poll_fn(|cx| {
                let poll = body.poll(cx);
                let _ = tell.send(poll.is_ready());
                poll
            });
            piece.await.unwrap().unwrap();
        }
    });
    for _ in 0..20 {
        assert_eq!(polled.recv().await, Some(false));
        // Whoever is awake has a turn now.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(polled.is_empty());
        more.send(()).unwrap();
        assert_eq!(polled.recv().await, Some(true));
    }
}

/// Whoever embeds the gateway may run it on a runtime that moves tasks between threads.
#[test]
fn requests_and_bodies_can_move_between_threads() {
    fn is_send<T: Send>(_: impl FnOnce(Arc<Origin>) -> T) {}
    is_send(|origin| async move { ask(&origin).await });
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Origin>();
    is_shared::<Client>();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_streams_at_once_on_a_runtime_that_moves_tasks_arrive_whole() {
    let address = listen(|_, mut stream| async move {
        while request(&mut stream).await.is_some() {
            write(&mut stream, CHUNKED).await;
            for _ in 0..50 {
                write(&mut stream, "5\r\nhello\r\n").await;
                tokio::task::yield_now().await;
            }
            write(&mut stream, "0\r\n\r\n").await;
        }
    })
    .await;
    let origin = origin(address, QUICK);
    let streams: Vec<_> = (0..64)
        .map(|_| {
            let origin = origin.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    assert_eq!(ask(&origin).await.unwrap().len(), 250);
                }
            })
        })
        .collect();
    for stream in streams {
        stream.await.unwrap();
    }
    assert!((1..=64).contains(&origin.resting()));
}
