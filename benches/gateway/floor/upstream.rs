//! The floor's upstream client: hyper connections driven inside the request's own task, and a pool a worker.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The idle connections of one worker to the one upstream.
pub(super) struct Pool {
    upstream: SocketAddr,
    connector: Option<TlsConnector>,
    idle: Mutex<Vec<Connection>>,
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Driver = http1::Connection<TokioIo<Box<dyn Io>>, Incoming>;

struct Connection {
    sender: SendRequest<Incoming>,
    driver: Pin<Box<Driver>>,
}

impl Pool {
    pub(super) fn new(upstream: SocketAddr, connector: Option<TlsConnector>) -> Pool {
        Pool { upstream, connector, idle: Mutex::new(Vec::new()) }
    }

    /// Sends the request and waits for the head of the answer; fails when the upstream cannot be reached or breaks off.
    pub(super) async fn send(self: &Arc<Pool>, request: Request<Incoming>) -> anyhow::Result<Response<Relayed>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut answer = Box::pin(connection.sender.send_request(request));
        let response = std::future::poll_fn(|cx| {
            let driven = connection.driver.as_mut().poll(cx);
            match answer.as_mut().poll(cx) {
                Poll::Pending if driven.is_ready() => Poll::Ready(Err(anyhow::anyhow!("the upstream hung up"))),
                answer => answer.map(|answer| answer.map_err(anyhow::Error::from)),
            }
        });
        let response = response.await?;
        drop(answer);
        Ok(response.map(|incoming| Relayed { from: Some((connection, incoming)), pool: Some(self.clone()) }))
    }

    async fn connect(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let io: Box<dyn Io> = match &self.connector {
            None => Box::new(stream),
            Some(connector) => Box::new(connector.connect(ServerName::from(self.upstream.ip()), stream).await?),
        };
        let (sender, driver) = http1::handshake(TokioIo::new(io)).await?;
        Ok(Connection { sender, driver: Box::pin(driver) })
    }
}

/// The body of an answer, which drives its connection and gives it back at the end.
pub(super) struct Relayed {
    from: Option<(Connection, Incoming)>,
    pool: Option<Arc<Pool>>,
}

impl Relayed {
    pub(super) fn empty() -> Relayed {
        Relayed { from: None, pool: None }
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some((connection, incoming)) = &mut self.from else { return Poll::Ready(None) };
        let closed = connection.driver.as_mut().poll(cx).is_ready();
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        if frame.is_none() || incoming.is_end_stream() {
            // one more turn takes the connection from "answer complete" to "idle"
            let closed = closed || connection.driver.as_mut().poll(cx).is_ready();
            if let (false, true, Some((connection, _)), Some(pool)) =
                (closed, connection.sender.is_ready(), self.from.take(), &self.pool)
            {
                pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.from.as_ref().is_none_or(|(_, incoming)| incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.from.as_ref().map_or(SizeHint::with_exact(0), |(_, incoming)| incoming.size_hint())
    }
}
