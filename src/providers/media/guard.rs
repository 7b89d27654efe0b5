//! Which addresses of media are asked at all: judged as they are written, and again once their names are looked up.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{Reach, judge};
use crate::config;

/// What mends nearly everything.
pub(super) const SEND_DATA: &str = "send the data itself, as `data:image/png;base64,…`";

/// Why a medium is not to be had: what its address does, and what would mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Why {
    /// What the address does, as `answers with status 404`.
    pub(super) said: Cow<'static, str>,
    /// What would mend it.
    pub(super) mend: Cow<'static, str>,
}

impl Why {
    pub(super) fn new(said: impl Into<Cow<'static, str>>, mend: impl Into<Cow<'static, str>>) -> Self {
        Self { said: said.into(), mend: mend.into() }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Why {}

/// What the configuration says about addresses.
#[derive(Debug)]
pub(super) struct Guard {
    http: bool,
    /// As they are written, in lower case; none means all.
    hosts: Vec<String>,
    private: Vec<String>,
}

impl Guard {
    pub(super) fn of(fetch: &config::Fetch) -> Arc<Self> {
        let plain = |hosts: &[String]| hosts.iter().map(|host| plain(host)).collect();
        Arc::new(Self { http: fetch.http, hosts: plain(&fetch.hosts), private: plain(&fetch.private_hosts) })
    }

    /// Judge an address before anybody is asked about it. What its name stands for is judged when it is looked up.
    pub(super) fn admits(&self, url: &Url) -> Result<(), Why> {
        match url.scheme() {
            "https" => {}
            "http" if self.http => {}
            "http" => {
                return Err(Why::new("is not https", "give it as https, or let the operator set `media.fetch.http`"));
            }
            _ => return Err(Why::new("is neither https nor http", SEND_DATA)),
        }
        if !url.username().is_empty() || url.password().is_some() {
            let said = "names a user or a password, which are never sent";
            return Err(Why::new(said, "leave them out, or send the data itself"));
        }
        let host = plain(url.host_str().unwrap_or_default());
        let is_named = |pattern: &String| match pattern.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => host == *pattern,
        };
        if host.is_empty()
            || !(self.hosts.is_empty() || self.hosts.iter().any(is_named) || self.private.contains(&host))
        {
            let said = "is at a host that `media.fetch.hosts` does not name";
            return Err(Why::new(said, format!("{SEND_DATA}, or let the operator name the host there")));
        }
        match host.parse() {
            Ok(address) => self.admits_address(&host, address),
            Err(_name) => Ok(()),
        }
    }

    /// Judge what a host stands for. Of a name nothing is told but that it leads nowhere.
    pub(super) fn admits_peer(&self, host: &str, address: IpAddr) -> Result<(), Why> {
        let is_address = host.parse::<IpAddr>().is_ok();
        self.admits_address(host, address).map_err(|why| if is_address { why } else { nowhere() })
    }

    fn admits_address(&self, host: &str, address: IpAddr) -> Result<(), Why> {
        let (what, said) = match judge(address) {
            Reach::Public => return Ok(()),
            Reach::Private(_) if self.private.iter().any(|known| known == host) => return Ok(()),
            Reach::Private(what) => (what, "is at an address that is not public"),
            Reach::Closed(what) => (what, "is at an address that is never asked"),
        };
        tracing::info!(host, %address, what, "media are not fetched from this address");
        let mend = match judge(address) {
            Reach::Private(_) => {
                format!("{SEND_DATA}, or let the operator name the host in `media.fetch.private_hosts`")
            }
            _ => SEND_DATA.to_owned(),
        };
        Err(Why::new(said, mend))
    }

    /// Of the addresses of a name, those that may be asked. Fails if there is none.
    fn admitted(&self, host: &str, found: impl Iterator<Item = IpAddr>) -> Result<Vec<IpAddr>, Why> {
        let good: Vec<IpAddr> = found.filter(|address| self.admits_address(host, *address).is_ok()).collect();
        if good.is_empty() { Err(nowhere()) } else { Ok(good) }
    }
}

/// The connection goes to an address that this returns, so that a name cannot stand for another one by then.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Self { http: self.http, hosts: Vec::new(), private: self.private.clone() };
        Box::pin(async move {
            let host = plain(name.as_str());
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|error| {
                tracing::info!(host, %error, "media are not fetched from a host that is not found");
                nowhere()
            })?;
            let good = guard.admitted(&host, found.map(|address| address.ip()))?;
            Ok(Box::new(good.into_iter().map(|address| (address, 0_u16).into())) as Addrs)
        })
    }
}

/// Of a name that is not known, and of one that may not be asked: callers do not learn which names there are here. The log
/// says what it was.
fn nowhere() -> Why {
    let mend = format!("correct it, or {SEND_DATA}, or let the operator name the host in `media.fetch.private_hosts`");
    Why::new("has a host that is not found, or is at no public address", mend)
}

/// A host as hosts are compared: in lower case, without the dot at its end and the brackets around it.
pub(super) fn plain(host: &str) -> String {
    let host = host.trim_matches(['[', ']']);
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    // of an address there are several spellings
    host.parse::<IpAddr>().map_or(host, |address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(http: bool, hosts: &[&str], private: &[&str]) -> Arc<Guard> {
        let owned = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
        let (hosts, private_hosts) = (owned(hosts), owned(private));
        Guard::of(&config::Fetch { http, hosts, private_hosts, ..config::Fetch::default() })
    }

    #[test]
    fn addresses_are_judged_as_they_are_written() {
        let check = |guard: &Guard, url: &str, expected: Option<&str>| {
            let why = guard.admits(&url.parse().expect(url)).err();
            let fits = match (&why, expected) {
                (None, None) => true,
                (Some(why), Some(said)) => why.said.contains(said),
                _ => false,
            };
            assert!(fits, "{url}: {why:?}");
        };
        let open = guard(false, &[], &[]);
        check(&open, "https://example.com/a.png?b=c", None);
        check(&open, "https://8.8.8.8/a.png", None);
        check(&open, "http://example.com/a.png", Some("not https"));
        check(&open, "ftp://example.com/a.png", Some("neither"));
        check(&open, "file:///etc/passwd", Some("neither"));
        check(&open, "https://user@example.com/", Some("a user"));
        check(&open, "https://:word@example.com/", Some("a password"));
        for spelling in
            ["127.0.0.1", "127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "[::1]", "[::ffff:7f00:1]"]
        {
            check(&open, &format!("https://{spelling}/"), Some("not public"));
        }
        for spelling in ["169.254.169.254", "0xa9fea9fe", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "0.0.0.0", "0"]
        {
            check(&open, &format!("https://{spelling}/"), Some("never asked"));
        }
        let named =
            guard(true, &["a.example", "*.b.example"], &["Files.Internal.", "127.0.0.1", "::1", "169.254.169.254"]);
        check(&named, "http://a.example/", None);
        check(&named, "https://A.EXAMPLE./", None);
        check(&named, "https://x.b.example/", None);
        check(&named, "https://b.example/", Some("media.fetch.hosts"));
        check(&named, "https://xb.example/", Some("media.fetch.hosts"));
        check(&named, "https://a.example.evil/", Some("media.fetch.hosts"));
        check(&named, "https://files.internal/", None);
        check(&named, "https://127.1:8443/", None);
        check(&named, "https://[0:0::1]/", None);
        check(&named, "https://169.254.169.254/", Some("never asked"));
        check(&named, "https://127.0.0.2/", Some("media.fetch.hosts"));
    }

    #[test]
    fn names_are_judged_by_what_they_stand_for() {
        let guard = guard(false, &[], &["files.internal"]);
        let admitted = |host: &str, found: &[&str]| {
            let found = found.iter().map(|address| address.parse::<IpAddr>().expect(address));
            let admitted = guard.admitted(host, found);
            admitted.map(|good| good.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(admitted("a.example", &["1.1.1.1", "2606:4700::1"]).as_deref(), Ok("1.1.1.1 2606:4700::1"));
        assert_eq!(admitted("a.example", &["10.0.0.1", "1.1.1.1"]).as_deref(), Ok("1.1.1.1"));
        // what there is here cannot be told from what there is not
        for found in [&["10.0.0.1"][..], &["fe80::1", "::1"], &["169.254.169.254"], &[]] {
            assert_eq!(admitted("a.example", found), Err(nowhere()), "{found:?}");
        }
        assert_eq!(admitted("files.internal", &["10.0.0.1"]).as_deref(), Ok("10.0.0.1"));
        assert!(admitted("files.internal", &["169.254.169.254"]).is_err());
    }

    #[tokio::test]
    async fn a_name_that_stands_for_this_machine_is_not_resolved_unless_it_is_named() {
        let resolved = |guard: Arc<Guard>| async move {
            guard
                .resolve("localhost".parse().expect("a name"))
                .await
                .map(Iterator::count)
                .map_err(|why| why.to_string())
        };
        assert!(resolved(guard(false, &[], &[])).await.expect_err("it is private").contains("no public address"));
        assert!(resolved(guard(false, &[], &["localhost"])).await.expect("it is named") > 0);
    }
}
