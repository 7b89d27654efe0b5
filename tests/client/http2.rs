//! HTTP/2 against servers of hyper: one connection, many requests.

mod ends;

use std::convert::Infallible;
use std::time::Instant;

use ferrogw::providers::client::Outgoing;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming as Received};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Notify;

use super::egress::{ESTABLISHED, authority, proxy, through, trusting};
use super::*;
use crate::support::{TestGateway, Upstream};

type Reply = Response<BoxBody<Bytes, Infallible>>;

fn says_whole(body: impl Into<Bytes>) -> Reply {
    Response::new(Full::new(body.into()).boxed())
}

/// An answer in the pieces that are sent there; dropped when nobody takes it any more.
fn says_pieces() -> (mpsc::Sender<&'static [u8]>, Reply) {
    let (tell, pieces) = mpsc::channel(1);
    let pieces = futures_util::stream::unfold(pieces, |mut pieces| async move {
        let piece: &[u8] = pieces.recv().await?;
        Some((Ok(Frame::data(Bytes::from_static(piece))), pieces))
    });
    (tell, Response::new(BodyExt::boxed(StreamBody::new(Box::pin(pieces) as SyncPieces))))
}

type SyncPieces = std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + Sync>>;

async fn serve<S, F, R>(stream: S, most: u32, leaves: Arc<Notify>, reply: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Received>) -> R + Send + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(most);
    let service = service_fn(move |request| {
        let reply = reply(request);
        async move { Ok::<_, Infallible>(reply.await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = leaves.notified() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// An upstream without TLS that takes `most` requests at a time on each connection, and is told when to leave.
async fn upstream<F, R>(most: u32, reply: F) -> (SocketAddr, Arc<Notify>)
where
    F: Fn(usize, Request<Received>) -> R + Send + Sync + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    let (reply, leaves) = (Arc::new(reply), Arc::new(Notify::new()));
    let leave = leaves.clone();
    let address = listen(move |n, stream| {
        let reply = reply.clone();
        serve(stream, most, leave.clone(), move |request| reply(n, request))
    })
    .await;
    (address, leaves)
}

fn over(base: &str, timeouts: Timeouts, options: Options) -> Arc<Origin> {
    Client::new(options).unwrap().origin(&base.parse().unwrap(), timeouts, Protocol::Http2).unwrap()
}

fn to(address: SocketAddr, timeouts: Timeouts) -> Arc<Origin> {
    over(&format!("http://{address}"), timeouts, Options::default())
}

#[tokio::test]
async fn a_request_arrives_as_it_was_meant_and_so_does_its_answer() {
    let (address, _) = upstream(100, |n, request| async move {
        let head = format!("{n} {:?} {} {}", request.version(), request.method(), request.uri());
        let mut fields: Vec<_> = request.headers().iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        fields.sort();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut reply = says_whole(format!("{head} {fields:?} {}", body.escape_ascii()));
        reply.headers_mut().insert("content-type", "application/json".parse().unwrap());
        reply
    })
    .await;
    let origin = to(address, QUICK);
    let mut headers = HeaderMap::new();
    for (name, value) in [("x-key", "k"), ("connection", "close"), ("keep-alive", "5"), ("te", "gzip")] {
        headers.insert(name, value.parse().unwrap());
    }
    let mut more = Lines::default();
    more.text("x-one", "1");
    for (method, body, fields) in [
        (Method::POST, "{}", r#"["content-length=\"2\"", "x-key=\"k\"", "x-one=\"1\""] {}"#),
        (Method::POST, "", r#"["content-length=\"0\"", "x-key=\"k\"", "x-one=\"1\""] "#),
        (Method::GET, "", r#"["x-key=\"k\"", "x-one=\"1\""] "#),
    ] {
        let body = Bytes::from_static(body.as_bytes());
        let path = "/v1/chat?x=1".parse().unwrap();
        let answer = origin.ask(&method, &path, &Lines::from(&headers), &more, body.into()).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.fields.content_type()), (200, "application/json"));
        let length = answer.fields.content_length();
        let got = text(answer).await.unwrap();
        assert_eq!(length, Some(got.len() as u64));
        assert_eq!(got, format!("0 HTTP/2.0 {method} http://{address}/v1/chat?x=1 {fields}"));
    }
    assert_eq!(origin.resting(), 1);
    origin.sweep(Instant::now() + Duration::from_secs(91));
    assert_eq!(origin.resting(), 0);
    assert!(ask(&origin).await.unwrap().starts_with("1 "));
}

/// What so many requests that are all made before any is answered say of the connection they came on, if one takes no
/// more than `streams`.
async fn at_once(streams: u32, requests: usize) -> Vec<String> {
    let all = Arc::new(tokio::sync::Barrier::new(requests));
    let (address, _) = upstream(streams, move |n, _| {
        let all = all.clone();
        async move {
            all.wait().await;
            says_whole(n.to_string())
        }
    })
    .await;
    let origin = to(address, QUICK);
    let answers = futures_util::future::join_all((0..requests).map(|_| ask(&origin))).await;
    let mut numbers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    numbers.sort();
    numbers
}

#[tokio::test]
async fn two_hundred_requests_at_a_time_share_a_connection() {
    assert_eq!(at_once(200, 200).await, ["0"; 200]);
}

#[tokio::test]
async fn a_connection_that_is_full_gets_a_second_beside_it() {
    assert_eq!(at_once(2, 6).await, ["0", "0", "1", "1", "2", "2"]);
}

#[tokio::test]
async fn uploads_arrive_whole_however_they_are_read() {
    const SIZE: usize = 5 << 20;
    let (address, _) = upstream(100, |_, request| async move {
        let said = request.headers().get("content-length").map_or("none", |value| value.to_str().unwrap()).to_owned();
        let body = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
        says_whole(format!("{said} {body}"))
    })
    .await;
    let origin = to(address, QUICK);
    let send = async |body: Outgoing| {
        let (path, none) = ("/files".parse().unwrap(), Lines::default());
        text(origin.ask(&Method::POST, &path, &none, &none, body).await?).await
    };
    let pieces = |length| Outgoing::Elsewhere {
        length,
        open: Arc::new(|| futures_util::stream::iter((0..5).map(|_| Ok(Bytes::from(vec![7; 1 << 20])))).boxed()),
    };
    assert_eq!(send(Bytes::from(vec![7; SIZE]).into()).await.unwrap(), format!("{SIZE} {SIZE}"));
    assert_eq!(send(pieces(Some(SIZE as u64))).await.unwrap(), format!("{SIZE} {SIZE}"));
    assert_eq!(send(pieces(None)).await.unwrap(), format!("none {SIZE}"));
    for (length, cause) in [(SIZE + 1, "shorter"), (SIZE - 1, "longer")] {
        let error = send(pieces(Some(length as u64))).await.unwrap_err();
        assert!(matches!(error, SendError::Body { .. }) && error.to_string().contains(cause), "{error}");
    }
    assert_eq!(origin.resting(), 1);
}

#[tokio::test]
async fn who_leaves_resets_its_stream_and_no_other() {
    let (tell, mut dropped) = mpsc::unbounded_channel();
    let (address, _) = upstream(100, move |n, request| {
        let tell = tell.clone();
        async move {
            let (pieces, reply) = says_pieces();
            match request.uri().path() {
                "/streams" => drop(tokio::spawn(async move {
                    pieces.send(b"one").await.unwrap();
                    pieces.closed().await;
                    tell.send("body").unwrap();
                })),
                "/waits" => {
                    let _guard = OnDrop(tell);
                    std::future::pending::<()>().await;
                }
                _ => return says_whole(n.to_string()),
            }
            reply
        }
    })
    .await;
    let origin = to(address, QUICK);
    let mut stays = send(&origin, "/streams").await.unwrap().body;
    assert_eq!(next(&mut stays).await.unwrap().unwrap(), "one");
    let mut leaves = send(&origin, "/streams").await.unwrap().body;
    assert_eq!(next(&mut leaves).await.unwrap().unwrap(), "one");
    drop(leaves);
    assert_eq!(dropped.recv().await, Some("body"));
    let waits = tokio::time::timeout(Duration::from_millis(50), send(&origin, "/waits"));
    assert!(waits.await.is_err());
    assert_eq!(dropped.recv().await, Some("request"));
    assert_eq!(ask(&origin).await.unwrap(), "0");
    drop(stays);
    assert_eq!(dropped.recv().await, Some("body"));
    assert_eq!(origin.resting(), 1);
}

struct OnDrop(mpsc::UnboundedSender<&'static str>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send("request");
    }
}

#[tokio::test]
async fn answers_that_nobody_reads_hold_up_no_other() {
    static LARGE: [u8; 4 << 20] = [7; 4 << 20];
    let (address, _) = upstream(100, |_, request| async move {
        match request.uri().path() {
            "/large" => says_whole(&LARGE[..]),
            _ => says_whole("small"),
        }
    })
    .await;
    let origin = to(address, QUICK);
    let mut unread = Vec::new();
    for _ in 0..30 {
        unread.push(send(&origin, "/large").await.unwrap().body);
    }
    assert_eq!(ask(&origin).await.unwrap(), "small");
    assert_eq!(whole(unread.pop().unwrap()).await.unwrap(), LARGE);
}

#[tokio::test]
async fn it_is_agreed_on_in_tls_and_goes_through_tunnels() {
    let (file, tls) = authority(&["127.0.0.1", "api.vendor.test"], &[b"h2", b"http/1.1"]);
    let secure = listen(move |n, stream| {
        let tls = tls.clone();
        async move {
            let stream = tls.accept(stream).await.unwrap();
            let reply = move |request: Request<Received>| async move { says_whole(format!("{n} {}", request.uri())) };
            serve(stream, 100, Arc::default(), reply).await;
        }
    })
    .await;
    let direct = over(&format!("https://{secure}"), QUICK, trusting(&file));
    for _ in 0..2 {
        assert_eq!(ask(&direct).await.unwrap(), format!("0 https://{secure}/chat"));
    }
    let (address, mut asked) = proxy(secure, ESTABLISHED).await;
    let options = Options { ca_file: trusting(&file).ca_file, ..through(format!("http://{address}")) };
    let proxied = over("https://api.vendor.test", QUICK, options);
    assert_eq!(ask(&proxied).await.unwrap(), "1 https://api.vendor.test/chat");
    assert!(asked.recv().await.unwrap().starts_with("CONNECT api.vendor.test:443 "));

    let (plain, _) = upstream(100, |_, request| async move { says_whole(request.uri().to_string()) }).await;
    let (address, mut asked) = proxy(plain, ESTABLISHED).await;
    let proxied = over("http://vendor.test:8080", QUICK, through(format!("http://{address}")));
    assert_eq!(ask(&proxied).await.unwrap(), "http://vendor.test:8080/chat");
    assert!(asked.recv().await.unwrap().starts_with("CONNECT vendor.test:8080 "));
}

#[tokio::test]
async fn a_target_that_says_so_is_asked_over_http2() {
    let (address, _) = upstream(100, |_, request| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let is_stream = body.windows(13).any(|part| part == b"\"stream\":true");
        if !is_stream {
            return says_whole(r#"{"choices":[{"message":{"content":"hello"}}]}"#);
        }
        let (pieces, mut reply) = says_pieces();
        reply.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
        tokio::spawn(async move {
            pieces.send(b"data: {\"choices\":[{\"delta\":{\"content\":\"hel\"}}]}\n\n").await.unwrap();
            pieces
                .send(b"data: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n")
                .await
                .unwrap();
            pieces.send(b"data: [DONE]\n\n").await.unwrap();
        });
        reply
    })
    .await;
    let down = Upstream::down().await;
    let gateway = TestGateway::configured(
        &format!(
            "strategy: {{ mode: fallback }}\ntargets:\n  - {{ virtual_key: a, provider: openai, base_url: {}/v1, \
             api_key: \"\", models: [m], http2: true }}\n  - {{ virtual_key: b, provider: openai, \
             base_url: http://{address}/v1, api_key: \"\", models: [m], http2: true }}\n",
            down.url
        ),
        &[],
    )
    .await;
    let reply = gateway.chat().await;
    assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "b"), "{}", reply.body);
    assert!(reply.body.contains("hello"), "{}", reply.body);
    let reply = gateway.stream().await;
    assert!(reply.is_done() && reply.body.contains("\"lo\""), "{}", reply.body);
}
