//! The caller's address: the peer's, or what trusted proxies say it is.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use super::headers::Rare;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The address nearest to us that is not one of our proxies. All lines of `X-Forwarded-For` are read, from the last hop
/// backwards; what a stranger wrote in front of it is never reached. Strangers' headers are not read at all.
pub(super) fn of(proxies: &[IpNet], peer: IpAddr, headers: &HeaderMap, rare: Rare) -> IpAddr {
    if !rare.forwarded || !is_trusted(proxies, peer) {
        return peer;
    }
    let mut lines = headers.get_all(X_FORWARDED_FOR).iter();
    while let Some(line) = lines.next_back() {
        let hops = line.as_bytes().rsplit(|byte| *byte == b',').filter_map(address);
        if let Some(stranger) = hops.into_iter().find(|hop| !is_trusted(proxies, *hop)) {
            return stranger;
        }
    }
    headers.get(X_REAL_IP).and_then(|value| address(value.as_bytes())).unwrap_or(peer)
}

fn is_trusted(proxies: &[IpNet], address: IpAddr) -> bool {
    proxies.iter().any(|net| net.contains(&address))
}

/// An address as proxies write it: bare, in brackets, with a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}
