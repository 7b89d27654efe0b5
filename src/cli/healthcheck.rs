//! `ferrogw healthcheck`: asks the gateway on this machine whether it takes requests. For containers that have neither
//! a shell nor curl; it runs every few seconds, so it is a socket and one line of HTTP.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::listen;
use super::output::Failed;
use crate::config::Env;

/// Shorter than the 5 s that Docker and Compose files give it.
const PATIENCE: Duration = Duration::from_secs(4);

/// Whom to ask.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    listen: listen::Args,
}

/// Asks `GET /readyz`.
pub(super) fn run(args: &Args, env: &Env) -> Result<(), Failed> {
    let port = args.listen.port(env).map_err(Failed::because)?;
    let hosts = args.listen.hosts(env).map_err(Failed::because)?;
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let hosts = hosts.unwrap_or_default().into_iter().filter(|host| !host.is_unspecified()).chain(loopback);
    let mut failed = String::new();
    for address in hosts.map(|host| SocketAddr::new(host, port)) {
        match ask(address) {
            Ok(200) => return Ok(()),
            Ok(status) => return Err(Failed::because(format!("{address} answers /readyz with status {status}"))),
            Err(error) if failed.is_empty() => failed = format!("{address}: {error}"),
            Err(_) => {}
        }
    }
    Err(Failed::because(failed))
}

/// The status of the answer.
fn ask(address: SocketAddr) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}
