//! The mock upstream: raw sockets, prepared answers; the model in the request says which one, and when.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{child, tls, traffic};

/// Every answer as it goes over the wire.
struct Answers {
    small: Vec<u8>,
    /// The small answer with all the headers of a vendor.
    vendor: Vec<u8>,
    large: Vec<u8>,
    models: Vec<u8>,
    stream_head: Vec<u8>,
    /// Framed as chunks; the last one ends the answer.
    events: Vec<Vec<u8>>,
}

/// `<certificate file>`: listens on two free ports, plain and TLS, and prints them.
pub(crate) fn main(args: &[String]) -> anyhow::Result<()> {
    let [certificate] = args else { anyhow::bail!("mock: a path for the certificate is needed") };
    child::end_with_the_driver();
    let acceptor = tls::acceptor(Path::new(certificate))?;
    let answers = Arc::new(Answers::new());
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (plain, secure) = (listen()?, listen()?);
        writeln!(std::io::stdout(), "{} {}", plain.local_addr()?.port(), secure.local_addr()?.port())?;
        loop {
            tokio::select! {
                Ok(stream) = accept(&plain) => {
                    tokio::spawn(serve(stream, answers.clone()));
                }
                Ok(stream) = accept(&secure) => {
                    let (acceptor, answers) = (acceptor.clone(), answers.clone());
                    tokio::spawn(async move {
                        serve(acceptor.accept(stream).await?, answers).await
                    });
                }
            }
        }
    })
}

/// A listener on a free port with room for all callers at once.
fn listen() -> std::io::Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    socket.listen(4096)
}

async fn accept(listener: &TcpListener) -> std::io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answers: Arc<Answers>) -> std::io::Result<()> {
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    loop {
        let head = loop {
            if let Some(at) = memmem::find(&buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let length = length(&buffer[..head]);
        buffer.reserve(length.unwrap_or(0).saturating_sub(buffer.len()) + 1024);
        let end = loop {
            match length {
                Some(length) if buffer.len() >= head + length => break head + length,
                // nobody pipelines here, so a chunked body ends where the bytes do
                None if buffer.ends_with(b"0\r\n\r\n") => break buffer.len(),
                _ => {}
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        answers.write(&mut stream, &buffer[..end]).await?;
        buffer.advance(end);
    }
}

/// The length of the body, or `None` for a chunked one.
fn length(head: &[u8]) -> Option<usize> {
    let mut chunked = false;
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            return std::str::from_utf8(value).ok()?.parse().ok();
        }
        chunked |= name.eq_ignore_ascii_case(b"transfer-encoding");
    }
    (!chunked).then_some(0)
}

impl Answers {
    fn new() -> Answers {
        let models: Vec<String> =
            traffic::MODELS.iter().map(|id| format!(r#"{{"id":"{id}","object":"model"}}"#)).collect();
        let mut events: Vec<Vec<u8>> = traffic::events().iter().map(|event| chunk(event)).collect();
        if let Some(last) = events.last_mut() {
            last.extend_from_slice(b"0\r\n\r\n");
        }
        // nginx passes events on as they come when the upstream asks for it with x-accel-buffering
        let stream_head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
                           x-accel-buffering: no\r\ntransfer-encoding: chunked\r\n\r\n";
        Answers {
            small: whole("", &traffic::completion(traffic::SMALL)),
            vendor: whole(traffic::VENDOR_HEADERS, &traffic::completion(traffic::SMALL)),
            large: whole("", &traffic::completion(traffic::LARGE)),
            models: whole("", format!(r#"{{"object":"list","data":[{}]}}"#, models.join(",")).as_bytes()),
            stream_head: stream_head.into(),
            events,
        }
    }

    async fn write<S: AsyncWrite + Unpin>(&self, stream: &mut S, request: &[u8]) -> std::io::Result<()> {
        let model = memmem::find(request, b"bench-").map_or(&b""[..], |at| &request[at + b"bench-".len()..]);
        match model {
            _ if request.starts_with(b"GET ") => stream.write_all(&self.models).await?,
            [b'6', b'0', ..] => {
                sleep(Duration::from_millis(60)).await;
                stream.write_all(&self.small).await?;
            }
            [b's', b'd', b'k', ..] => stream.write_all(&self.vendor).await?,
            [b'1', b'm', ..] => stream.write_all(&self.large).await?,
            _ if model.starts_with(b"stream-0") => self.stream(stream, Duration::ZERO).await?,
            _ if model.starts_with(b"stream") => self.stream(stream, traffic::GAP).await?,
            _ => stream.write_all(&self.small).await?,
        }
        stream.flush().await
    }

    async fn stream<S: AsyncWrite + Unpin>(&self, stream: &mut S, gap: Duration) -> std::io::Result<()> {
        stream.write_all(&self.stream_head).await?;
        stream.flush().await?;
        let since = Instant::now();
        for (n, event) in self.events.iter().enumerate() {
            if !gap.is_zero() && n <= traffic::EVENTS {
                sleep_until(since + gap * n as u32).await;
            }
            stream.write_all(event).await?;
            stream.flush().await?;
        }
        Ok(())
    }
}

fn whole(headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn chunk(event: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", event.len()).as_bytes(), event, b"\r\n"].concat()
}
