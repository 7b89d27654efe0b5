//! From a host name to a stream that HTTP can be spoken on: names, TCP, egress proxy, TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::{SendError, words};
use super::http2::NOT_SPOKEN;
use super::origin::Protocol;
use super::stream::Stream;
use super::tls;

/// Silence on a connection after which the kernel asks whether the other side is still there. Long thinking models are
/// silent for minutes, and middleboxes forget such connections.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Longest answer of a proxy to CONNECT (bytes).
const LONGEST_TUNNEL_REPLY: usize = 8 * 1024;

/// A host and port, without the brackets of an IPv6 address.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    /// `host:port` as messages and CONNECT have it.
    pub(super) name: Arc<str>,
}

/// TLS to one host.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) server: ServerName<'static>,
}

/// An egress proxy as one upstream uses it.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) place: Place,
    /// Set when the proxy itself is reached over TLS.
    pub(super) tls: Option<Tls>,
    /// `Proxy-Authorization`.
    pub(super) auth: Option<HeaderValue>,
}

/// How to reach one upstream.
pub(super) struct Way {
    pub(super) to: Place,
    pub(super) tls: Option<Tls>,
    pub(super) proxy: Option<Proxy>,
    /// What is spoken at its end.
    pub(super) protocol: Protocol,
}

impl Way {
    /// Connects within `within`, without saying so when it takes longer: the caller sets that limit. `tunnels`: a proxy is
    /// asked for a tunnel even where there is no TLS.
    pub(super) async fn connect(&self, within: Duration, tunnels: bool) -> Result<Stream, SendError> {
        let host = &self.to.name;
        let Some(proxy) = &self.proxy else {
            let tcp = dial(&self.to, within).await?;
            return match &self.tls {
                None => Ok(Stream::Plain(tcp)),
                Some(tls) => Ok(Stream::Tls(Box::new(tls.handshake(tcp, host).await?))),
            };
        };
        let blame = |error: SendError| error.of_proxy(host, &proxy.place.name);
        let tcp = dial(&proxy.place, within).await.map_err(blame)?;
        match (&proxy.tls, &self.tls) {
            (None, None) if tunnels => Ok(Stream::Plain(proxy.tunnel(tcp, host).await?)),
            (None, None) => Ok(Stream::Plain(tcp)),
            (None, Some(tls)) => {
                let tcp = proxy.tunnel(tcp, host).await?;
                Ok(Stream::Tls(Box::new(tls.handshake(tcp, host).await?)))
            }
            (Some(outer), inner) => {
                let stream = outer.handshake(tcp, &proxy.place.name).await.map_err(blame)?;
                let stream = match inner {
                    None if !tunnels => return Ok(Stream::Tls(Box::new(stream))),
                    _ => proxy.tunnel(stream, host).await?,
                };
                let Some(inner) = inner else { return Ok(Stream::Tls(Box::new(stream))) };
                Ok(Stream::Nested(Box::new(inner.handshake(stream, host).await?)))
            }
        }
    }
}

impl Tls {
    async fn handshake<S>(&self, stream: S, host: &Arc<str>) -> Result<TlsStream<S>, SendError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsConnector::from(self.config.clone()).connect(self.server.clone(), stream).await.map_err(|error| {
            match self.is_disagreed(&error) {
                true => SendError::Connect { host: host.clone(), cause: NOT_SPOKEN.into() },
                false => SendError::Tls { host: host.clone(), cause: words(&error) },
            }
        })
    }
}

impl Tls {
    /// Whether HTTP/2 was offered and is not spoken there.
    fn is_disagreed(&self, error: &io::Error) -> bool {
        let alert = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        let disagreed = matches!(alert, Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
        disagreed && self.config.alpn_protocols == [tls::HTTP2]
    }
}

impl Proxy {
    /// Asks the proxy for a tunnel to `host`.
    async fn tunnel<S>(&self, mut stream: S, host: &Arc<str>) -> Result<S, SendError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let refused =
            |cause: &str| SendError::Proxy { host: host.clone(), proxy: self.place.name.clone(), cause: cause.into() };
        let broken = |error: io::Error| refused(&words(&error));
        let mut ask = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
        if let Some(auth) = &self.auth {
            ask.extend_from_slice(b"Proxy-Authorization: ");
            ask.extend_from_slice(auth.as_bytes());
            ask.extend_from_slice(b"\r\n");
        }
        ask.extend_from_slice(b"\r\n");
        stream.write_all(&ask).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut reply = Vec::with_capacity(512);
        while !reply.ends_with(b"\r\n\r\n") {
            if reply.len() >= LONGEST_TUNNEL_REPLY {
                return Err(refused("answer to CONNECT too long"));
            }
            // In TLS the client speaks first, so nothing may follow the head of the proxy's answer.
            if reply.windows(4).any(|window| window == b"\r\n\r\n") {
                break;
            }
            if stream.read_buf(&mut reply).await.map_err(broken)? == 0 {
                return Err(refused("closed before an answer to CONNECT"));
            }
        }
        match reply.get(..12) {
            Some([b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'2', _, _]) if reply.ends_with(b"\r\n\r\n") => {
                Ok(stream)
            }
            Some([b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', status @ ..]) => {
                Err(refused(&format!("CONNECT answered with status {}", String::from_utf8_lossy(status))))
            }
            _ => Err(refused("answer to CONNECT not understood")),
        }
    }
}

/// Connects to the first address that takes the connection, in the resolver's order. An address that does not answer
/// leaves a fair part of the time to those after it.
async fn dial(place: &Place, within: Duration) -> Result<TcpStream, SendError> {
    let connect = |cause| SendError::Connect { host: place.name.clone(), cause };
    let resolve = |cause| SendError::Resolve { host: place.name.clone(), cause };
    let end = Instant::now() + within;
    let addresses = tokio::net::lookup_host((&*place.host, place.port));
    let addresses: Vec<SocketAddr> = addresses.await.map_err(|error| resolve(words(&error)))?.collect();
    let mut last = resolve("no address".into());
    for (n, address) in addresses.iter().enumerate() {
        let after = u32::try_from(addresses.len() - n - 1).unwrap_or(u32::MAX);
        let attempt = TcpStream::connect(address);
        let attempt = match after {
            0 => attempt.await,
            _ => {
                let share = end.saturating_duration_since(Instant::now()) / (after + 1);
                timeout(share, attempt).await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
            }
        };
        match attempt.and_then(tuned) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = connect(words(&error)),
        }
    }
    Err(last)
}

fn tuned(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    Ok(stream)
}
