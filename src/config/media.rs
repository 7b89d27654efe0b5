//! What the configuration says about media that callers give by address.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::period;
use super::rules::Findings;
use super::source::item_path;

/// Media that callers give by address.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Fetching of images, sound, videos and PDF for providers that take them only as data.
    pub fetch: Fetch,
}

/// Fetching of media: for providers that take them only as data, the gateway asks the address for them. Private and other
/// special addresses are never asked, after the name was looked up and at every redirect, and no credential is sent.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Fetch {
    /// Whether the gateway fetches; otherwise such requests are refused. Default: false.
    pub enabled: bool,
    /// Whether `http://` may be asked, too, and not `https://` alone. Default: false.
    pub http: bool,
    /// The hosts that may be asked: `images.example.com`, or `*.example.com` for all below it. Default: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Hosts of your own that may be asked although they stand at private addresses (10.0.0.0/8, 192.168.0.0/16, 100.64.0.0/10,
    /// fc00::/7, this machine …), beside `hosts`: names or addresses, without ports. Callers can read any image there. Addresses
    /// that are local to a link stay closed, as those of metadata services. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub private_hosts: Vec<String>,
    /// The most bytes of one. Default: 20971520 (20 MiB).
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub max_bytes: u64,
    /// The longest time one may take, redirects included. Default: `10s`.
    #[serde(with = "period")]
    #[schemars(schema_with = "period::schema")]
    pub timeout: Duration,
    /// How many are fetched at a time; others wait. Default: 16.
    #[schemars(range(min = 1, max = 1000))]
    pub concurrency: usize,
    /// Memory for those that were fetched lately, in bytes: they are not asked for again for five minutes. 0 = none.
    /// Default: 67108864 (64 MiB).
    #[schemars(range(min = 0, max = 17_179_869_184_u64))]
    pub cache_bytes: u64,
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            enabled: false,
            http: false,
            hosts: Vec::new(),
            private_hosts: Vec::new(),
            max_bytes: 20 << 20,
            timeout: Duration::from_secs(10),
            concurrency: 16,
            cache_bytes: 64 << 20,
        }
    }
}

impl Media {
    pub(super) fn is_default(&self) -> bool {
        *self == Media::default()
    }
}

/// What is wrong with the block, or said in vain.
pub(super) fn check(media: &Media, found: &mut Findings) {
    let fetch = &media.fetch;
    if fetch.timeout.is_zero() {
        found.refuse("media.fetch.timeout", "must be longer than 0");
    }
    for (index, host) in fetch.hosts.iter().enumerate() {
        if !is_host(host.strip_prefix("*.").unwrap_or(host)) {
            let wants = "must be a host without scheme, port and path: `images.example.com` or `*.example.com`";
            found.refuse(item_path("media.fetch.hosts", index), wants);
        }
    }
    for (index, host) in fetch.private_hosts.iter().enumerate() {
        if !is_host(host) {
            let wants = "must be one host, each named by itself, without scheme, port and path: `files.internal`";
            found.refuse(item_path("media.fetch.private_hosts", index), wants);
        }
    }
    if !fetch.enabled && *fetch != Fetch::default() {
        found.warn("media.fetch", "no_effect", "has no effect while `enabled` is false");
    }
}

/// Whether this is a name or an address, and nothing else.
fn is_host(host: &str) -> bool {
    let is_name =
        |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    !host.is_empty() && (is_name(host) || host.parse::<std::net::Ipv6Addr>().is_ok())
}
