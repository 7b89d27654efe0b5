//! Both ends of a WebSocket, by hand: what is sent is what stands here.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// Those of RFC 6455, 1.3.
pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(super) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Long enough for any machine; nothing waits this long unless it fails.
const LONG: Duration = Duration::from_secs(20);

pub(super) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.expect("in time")
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One end of a connection, behind a head.
pub(super) struct Peer {
    pub(super) stream: Box<dyn Stream>,
    pub(super) head: String,
}

/// A frame: its first byte, and its content without the mask.
pub(super) type Frame = (u8, Vec<u8>);

/// A frame as a client sends it with `mask`, else as a server does.
pub(super) fn frame(first: u8, content: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![first];
    match content.len() {
        short @ ..126 => frame.push(short as u8 | masked),
        long @ ..65_536 => {
            frame.push(126 | masked);
            frame.extend_from_slice(&(long as u16).to_be_bytes());
        }
        long => {
            frame.push(127 | masked);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask.unwrap_or_default()[..mask.map_or(0, |_| 4)]);
    let mask = mask.unwrap_or_default();
    frame.extend(content.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    frame
}

impl Peer {
    async fn of(mut stream: Box<dyn Stream>) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        Some(Self { stream, head: String::from_utf8(head).unwrap() })
    }

    /// Its headers, by names in lower case.
    pub(super) fn headers(&self) -> HashMap<String, String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect()
    }

    /// Its first line.
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Agrees to speak WebSocket, as a server.
    pub(super) async fn agree(&mut self, more: &str) {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {ACCEPT}\r\n{more}\r\n"
        );
        self.write(head.as_bytes()).await;
    }

    pub(super) async fn text(&mut self, text: &str) {
        self.write(&frame(0x81, text.as_bytes(), None)).await;
    }

    pub(super) async fn masked(&mut self, first: u8, content: &[u8]) {
        self.write(&frame(first, content, Some([1, 2, 3, 4]))).await;
    }

    /// The next frame; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        within(async {
            let first = self.stream.read_u8().await.ok()?;
            let second = self.stream.read_u8().await.unwrap();
            let length = match second & 0x7f {
                126 => u64::from(self.stream.read_u16().await.unwrap()),
                127 => self.stream.read_u64().await.unwrap(),
                short => u64::from(short),
            };
            let mut mask = [0; 4];
            if second & 0x80 != 0 {
                self.stream.read_exact(&mut mask).await.unwrap();
            }
            let mut content = vec![0; length as usize];
            self.stream.read_exact(&mut content).await.unwrap();
            Some((first, content.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect()))
        })
        .await
    }

    /// The next frame, which is a text.
    pub(super) async fn said(&mut self) -> String {
        let (first, content) = self.next().await.expect("a frame");
        assert_eq!(first, 0x81);
        String::from_utf8(content).unwrap()
    }

    /// The body behind the head, which tells its length.
    pub(super) async fn body(&mut self) -> serde_json::Value {
        let mut body = vec![0; self.headers()["content-length"].parse().unwrap()];
        within(self.stream.read_exact(&mut body)).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

/// A vendor whose part the test plays.
pub(super) struct Vendor {
    pub(super) url: String,
    arrivals: mpsc::UnboundedReceiver<Peer>,
}

impl Vendor {
    pub(super) async fn plain() -> Self {
        Self::listen(None).await
    }

    pub(super) async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let (sender, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, tls) = (sender.clone(), tls.clone());
                tokio::spawn(async move {
                    let stream: Box<dyn Stream> = match tls {
                        None => Box::new(stream),
                        Some(tls) => Box::new(tls.accept(stream).await.unwrap()),
                    };
                    if let Some(peer) = Peer::of(stream).await {
                        let _ = sender.send(peer);
                    }
                });
            }
        });
        Self { url, arrivals }
    }

    /// Who has asked for something.
    pub(super) async fn asked(&mut self) -> Peer {
        within(self.arrivals.recv()).await.unwrap()
    }

    pub(super) fn is_unasked(&mut self) -> bool {
        self.arrivals.try_recv().is_err()
    }
}

/// A caller who asks for a WebSocket; the answer is still to come.
pub(super) async fn ask(url: &str, path: &str, more: &str) -> TcpStream {
    let headers = format!(
        "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n{more}"
    );
    ask_with(url, path, &headers).await
}

/// A caller who asks with these headers alone.
pub(super) async fn ask_with(url: &str, path: &str, headers: &str) -> TcpStream {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").as_bytes()).await.unwrap();
    stream
}

/// What it is answered.
pub(super) async fn answer(stream: TcpStream) -> Peer {
    within(Peer::of(Box::new(stream))).await.unwrap()
}
