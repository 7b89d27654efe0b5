//! Where the gateway listens: flags, then environment, then what is safe.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Env;
use crate::http::edge::EdgeSettings;

/// The port when nothing names one.
const PORT: u16 = 8080;

/// Where to listen.
#[derive(clap::Args, Clone, Default)]
#[group(skip)]
pub(super) struct Args {
    /// The port to listen on; 0 takes any free one [default: $PORT, else 8080]
    #[arg(long)]
    pub(super) port: Option<u16>,
    /// The addresses to listen on, separated by commas [default: $FERROGW_HOST, else this machine alone without a
    /// MASTER_KEY, everywhere with it]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) host: Option<String>,
}

impl Args {
    pub(super) fn is_empty(&self) -> bool {
        self.port.is_none() && self.host.is_none()
    }

    /// The port.
    pub(super) fn port(&self, env: &Env) -> Result<u16, String> {
        match (self.port, env.get("PORT")) {
            (Some(port), _) => Ok(port),
            (None, Some(text)) => {
                text.parse().map_err(|_| format!("PORT: `{text}` is not a port, a number from 0 to 65535"))
            }
            (None, None) => Ok(PORT),
        }
    }

    /// The addresses somebody has named, if anybody has.
    pub(super) fn hosts(&self, env: &Env) -> Result<Option<Vec<IpAddr>>, String> {
        let (name, list) = match (&self.host, env.get("FERROGW_HOST")) {
            (Some(list), _) => ("--host", list.as_str()),
            (None, Some(list)) => ("FERROGW_HOST", list),
            (None, None) => return Ok(None),
        };
        let mut hosts = Vec::new();
        for host in list.split(',').map(str::trim).filter(|host| !host.is_empty()) {
            match host.trim_matches(['[', ']']).parse() {
                Ok(address) => hosts.push(address),
                Err(_) if host.eq_ignore_ascii_case("localhost") => hosts.extend(THIS_MACHINE),
                Err(_) => return Err(format!("{name}: `{host}` is not an address, as 127.0.0.1, 0.0.0.0 or ::")),
            }
        }
        if hosts.is_empty() { Err(format!("{name}: names no address, as 127.0.0.1")) } else { Ok(Some(hosts)) }
    }

    /// What cannot be read, one line each.
    pub(super) fn problems(&self, env: &Env) -> Vec<String> {
        self.port(env).err().into_iter().chain(self.hosts(env).err()).collect()
    }

    /// The addresses to listen on. Fails with one line for each problem, and when others could reach a gateway that
    /// asks nobody for a key.
    pub(super) fn addresses(&self, env: &Env, edge: &EdgeSettings) -> Result<Vec<SocketAddr>, Vec<String>> {
        let (Ok(port), Ok(hosts)) = (self.port(env), self.hosts(env)) else { return Err(self.problems(env)) };
        let hosts = match hosts {
            Some(hosts) => hosts,
            None if edge.has_master_key() => vec![Ipv6Addr::UNSPECIFIED.into()],
            None => THIS_MACHINE.to_vec(),
        };
        let reachable = hosts.iter().find(|host| !host.to_canonical().is_loopback());
        if let Some(host) = reachable.filter(|_| !edge.has_master_key() && !edge.opens_data_plane()) {
            let host = SocketAddr::new(*host, port);
            return Err(vec![format!(
                "{host} can be reached from other machines, and there is no MASTER_KEY: everybody could spend your \
                 money. Add this line to the environment (or listen on 127.0.0.1):\n\n    MASTER_KEY=<the output of \
                 `openssl rand -hex 24`>\n"
            )]);
        }
        Ok(hosts.into_iter().map(|host| SocketAddr::new(host, port)).collect())
    }
}

const THIS_MACHINE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// The address to paste into a client on this machine.
pub(super) fn url(addresses: &[SocketAddr]) -> String {
    let here = |address: &&SocketAddr| THIS_MACHINE.contains(&address.ip()) || address.ip().is_unspecified();
    match (addresses.iter().find(here), addresses.first()) {
        (Some(address), _) => format!("http://localhost:{}", address.port()),
        (None, Some(address)) => format!("http://{address}"),
        (None, None) => String::new(),
    }
}
