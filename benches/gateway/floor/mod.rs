//! The floor: the least a hyper proxy can do, one current-thread runtime a core. What the gateway adds stands above it.

mod upstream;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};

use crate::tls;
use upstream::{Pool, Relayed};

/// `<port> <upstream address> [<certificate it is trusted by>]`
pub(crate) fn main(args: &[String]) -> anyhow::Result<()> {
    let (port, upstream, connector) = match args {
        [port, upstream] => (port, upstream.parse()?, None),
        [port, upstream, certificate] => (port, upstream.parse()?, Some(tls::connector(Path::new(certificate))?)),
        _ => anyhow::bail!("floor: a port and the address of an upstream are needed"),
    };
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse()?));
    let runtime = runtime()?;
    // the accept queues of all workers share one port, and the kernel spreads the connections over them
    let first = listen(&runtime, address)?;
    for _ in 1..available_parallelism()?.get() {
        let runtime = self::runtime()?;
        let listener = listen(&runtime, address)?;
        let pool = Arc::new(Pool::new(upstream, connector.clone()));
        std::thread::spawn(move || runtime.block_on(serve(listener, pool)));
    }
    runtime.block_on(serve(first, Arc::new(Pool::new(upstream, connector))));
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn listen(runtime: &tokio::runtime::Runtime, address: SocketAddr) -> std::io::Result<TcpListener> {
    let _inside = runtime.enter();
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

async fn serve(listener: TcpListener, pool: Arc<Pool>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        drop(stream.set_nodelay(true));
        let pool = pool.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| forward(pool.clone(), request));
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
        });
    }
}

async fn forward(pool: Arc<Pool>, mut request: Request<Incoming>) -> Result<Response<Relayed>, Infallible> {
    request.headers_mut().remove(CONNECTION);
    let mut response = pool.send(request).await.unwrap_or_else(|error| {
        let mut response = Response::new(Relayed::empty());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        if let Ok(reason) = HeaderValue::from_str(&error.to_string()) {
            response.headers_mut().insert("x-floor-error", reason);
        }
        response
    });
    response.headers_mut().remove(CONNECTION);
    response.headers_mut().remove(TRANSFER_ENCODING);
    Ok(response)
}
