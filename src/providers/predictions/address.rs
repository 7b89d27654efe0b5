//! The addresses that answers name: which of them may be asked, and with the credential or without.

use http::Uri;
use http::uri::PathAndQuery;

/// The hosts on which Replicate streams, beside its API's: whatever ends so. They take no credential.
const STREAMS: &[&str] = &[".replicate.com", ".replicate.net"];

/// Where the API stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    scheme: String,
    host: String,
    port: Option<u16>,
    /// The path of its root, without a slash at its end.
    path: String,
}

/// Where a stream is.
#[derive(Debug, PartialEq)]
pub(super) enum Stream {
    /// At the API's own host.
    Own(PathAndQuery),
    /// At a host that is known for streams.
    Known(Uri, PathAndQuery),
}

impl Place {
    /// The place of a root; `None` if it is none.
    pub(super) fn read(base: &str) -> Option<Self> {
        let uri: Uri = base.parse().ok()?;
        let path = uri.path().trim_end_matches('/').to_owned();
        let (scheme, host) = (uri.scheme_str()?.to_owned(), uri.host()?.to_ascii_lowercase());
        Some(Self { port: port(&uri), scheme, host, path })
    }

    /// A path below the root.
    pub(super) fn below(&self, path: &str) -> Option<PathAndQuery> {
        format!("{}{path}", self.path).try_into().ok()
    }

    /// The path of an address, if it is at this very place: same scheme, host and port, and no user.
    pub(super) fn own(&self, url: &str) -> Option<PathAndQuery> {
        let uri = plain(url)?;
        let same = uri.scheme_str()? == self.scheme && uri.host()?.eq_ignore_ascii_case(&self.host);
        (same && port(&uri) == self.port).then(|| uri.path_and_query().cloned()).flatten()
    }
}

/// Where a stream is, if it is where a stream may be.
pub(super) fn stream(place: &Place, url: &str) -> Option<Stream> {
    if let Some(path) = place.own(url) {
        return Some(Stream::Own(path));
    }
    let uri = plain(url)?;
    let host = uri.host()?.to_ascii_lowercase();
    let known =
        uri.scheme_str()? == "https" && port(&uri) == Some(443) && STREAMS.iter().any(|end| host.ends_with(end));
    let path = uri.path_and_query()?.clone();
    known.then_some(Stream::Known(uri, path))
}

/// The host and path of a file, if it may be asked for: at a host whose name ends so, or at the place that is `own`.
/// What a vendor names without TLS at its own hosts is asked for with it.
pub(super) fn file(own: Option<&Place>, hosts: &[&str], url: &str) -> Option<(Uri, PathAndQuery)> {
    let uri = plain(url)?;
    let path = uri.path_and_query()?.clone();
    if own.is_some_and(|place| place.own(url).is_some()) {
        return Some((uri, path));
    }
    let host = uri.host()?.to_ascii_lowercase();
    let usual = matches!((uri.scheme_str()?, port(&uri)?), ("https", 443) | ("http", 80));
    let known = |end: &&str| host.ends_with(end) || end.strip_prefix('.') == Some(&host);
    (usual && hosts.iter().any(known)).then_some(())?;
    Some((format!("https://{host}/").parse().ok()?, path))
}

/// An address without a user in it.
fn plain(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    (!uri.authority()?.as_str().contains('@')).then_some(uri)
}

fn port(uri: &Uri) -> Option<u16> {
    uri.port_u16().or_else(|| match uri.scheme_str()? {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_places_own_addresses_are_asked() {
        let place = Place::read("https://api.replicate.com/v1").expect("it is one");
        let check = |url: &str, path: Option<&str>| {
            assert_eq!(place.own(url).map(|path| path.to_string()).as_deref(), path, "{url}");
        };
        check("https://api.replicate.com/v1/predictions/p1", Some("/v1/predictions/p1"));
        check("https://API.replicate.com:443/v1/predictions/p1?x=1", Some("/v1/predictions/p1?x=1"));
        for foreign in [
            "http://api.replicate.com/v1/predictions/p1",
            "https://api.replicate.com:8443/v1/predictions/p1",
            "https://api.replicate.com@evil.example/v1",
            "https://user@api.replicate.com/v1",
            "https://evil.example/v1/predictions/p1",
            "https://api.replicate.com.evil.example/",
            "https://stream.replicate.com/v1",
            "/v1/predictions/p1",
            "",
            "nonsense",
        ] {
            check(foreign, None);
        }
        let local = Place::read("http://127.0.0.1:9/v1/").expect("it is one");
        assert_eq!(local.below("/predictions").map(|path| path.to_string()).as_deref(), Some("/v1/predictions"));
        assert!(local.own("http://127.0.0.1:9/x").is_some() && local.own("http://127.0.0.1/x").is_none());
    }

    #[test]
    fn files_are_at_hosts_that_are_known_for_them() {
        let at = |own: Option<&Place>, url: &str| {
            file(own, &[".aliyuncs.com", ".replicate.delivery"], url).map(|(host, path)| format!("{host}|{path}"))
        };
        let check = |url: &str, found: Option<&str>| assert_eq!(at(None, url).as_deref(), found, "{url}");
        let sound = "https://dashscope-result-sgp.oss-ap-southeast-1.aliyuncs.com/|/a.wav?Expires=1";
        check("https://dashscope-result-sgp.oss-ap-southeast-1.aliyuncs.com/a.wav?Expires=1", Some(sound));
        check("http://dashscope-result-sgp.oss-ap-southeast-1.aliyuncs.com/a.wav?Expires=1", Some(sound));
        check("https://replicate.delivery/xezq/a.mp3", Some("https://replicate.delivery/|/xezq/a.mp3"));
        check("https://PBXT.replicate.delivery:443/a", Some("https://pbxt.replicate.delivery/|/a"));
        for foreign in [
            "https://evilreplicate.delivery/a",
            "https://replicate.delivery.evil.example/a",
            "https://replicate.delivery:8443/a",
            "https://u:p@replicate.delivery/a",
            "https://replicate.delivery@evil.example/a",
            "http://169.254.169.254/latest/meta-data",
            "http://127.0.0.1:9/a",
            "file:///etc/passwd",
            "/a",
            "",
        ] {
            check(foreign, None);
        }
        let own = Place::read("http://127.0.0.1:9/v1").expect("it is one");
        assert_eq!(at(Some(&own), "http://127.0.0.1:9/a.wav").as_deref(), Some("http://127.0.0.1:9/a.wav|/a.wav"));
        assert_eq!(at(Some(&own), "http://127.0.0.1:10/a.wav"), None);
    }

    #[test]
    fn streams_may_be_elsewhere_at_hosts_that_are_known_for_them() {
        let place = Place::read("https://api.replicate.com/v1").expect("it is one");
        let known = |url: &str| matches!(stream(&place, url), Some(Stream::Known(..)));
        assert!(known("https://stream.replicate.com/v1/files/abc"));
        assert!(known("https://streaming-api.svc.us.c.replicate.net/v1/streams/abc"));
        assert_eq!(stream(&place, "https://api.replicate.com/s"), Some(Stream::Own(PathAndQuery::from_static("/s"))));
        for foreign in [
            "http://stream.replicate.com/v1/files/abc",
            "https://stream.replicate.com:8443/v1/files/abc",
            "https://replicate.net/",
            "https://evilreplicate.com/",
            "https://stream.replicate.com.evil.example/",
            "https://u:p@stream.replicate.com/",
            "https://169.254.169.254/",
            "wss://stream.replicate.com/",
            "stream",
        ] {
            assert_eq!(stream(&place, foreign), None, "{foreign}");
        }
    }
}
