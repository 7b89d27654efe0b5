//! Paths as clients write them become paths as the router knows them; those that climb are refused.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;

use crate::http::error::Failure;

/// How often a path is percent-decoded in search of dots: more layers than any proxy in front takes off.
const PASSES: usize = 8;

/// What a path is for, hence who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Health of the process: for everybody, unlogged, unlimited.
    Probe,
    /// `/v1`: callers with a credential.
    Data,
    /// The operator's paths, served or not yet: callers with a credential.
    Operator,
    /// Everything else, which is "not found".
    Public,
}

impl Scope {
    /// The scope of a normal path.
    pub fn of(path: &str) -> Self {
        if is_under(path, "/v1") {
            return Scope::Data;
        }
        match first_segment(path) {
            "metrics" | "admin" | "debug" => Scope::Operator,
            "health" | "livez" | "readyz" if path.matches('/').count() == 1 => Scope::Probe,
            _ => Scope::Public,
        }
    }
}

/// Brings the path of a request into its normal form and says what it is for. Fails on paths that climb.
pub(super) fn normalise(uri: &mut Uri) -> Result<Scope, Failure> {
    // what nearly every request asks for
    if uri.path() == "/v1/chat/completions" {
        return Ok(Scope::Data);
    }
    let path = normal(uri.path())?;
    let scope = Scope::of(&path);
    if let Cow::Owned(path) = path {
        let mut parts = std::mem::take(uri).into_parts();
        let target = match parts.path_and_query.as_ref().and_then(PathAndQuery::query) {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        parts.path_and_query = Some(target.try_into().map_err(|_| Failure::InvalidPath)?);
        *uri = Uri::from_parts(parts).map_err(|_| Failure::InvalidPath)?;
    }
    Ok(scope)
}

/// The normal form of a path: no empty segments, no trailing slash, `/v1` for `/openai/v1` and `/v1/v1`. Fails on
/// segments that are `.` or `..`, on backslashes and control characters, under any number of percent-encodings.
pub fn normal(path: &str) -> Result<Cow<'_, str>, Failure> {
    if is_plain(path.as_bytes()) && !is_under(path, "/openai/v1") && !is_under(path, "/v1/v1") {
        return Ok(Cow::Borrowed(path));
    }
    if climbs(path.as_bytes()) {
        return Err(Failure::InvalidPath);
    }
    let is_normal = path.starts_with('/')
        && (path.len() == 1 || !path.ends_with('/'))
        && !path.contains("//")
        && !is_under(path, "/openai/v1")
        && !is_under(path, "/v1/v1");
    if is_normal {
        return Ok(Cow::Borrowed(path));
    }
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.starts_with(&["openai", "v1"]) {
        segments.remove(0);
    }
    while segments.starts_with(&["v1", "v1"]) {
        segments.remove(0);
    }
    Ok(Cow::Owned(format!("/{}", segments.join("/"))))
}

/// Whether a path is normal for what is not in it: nothing encoded, no dot, no empty segment. Says no for some that are.
fn is_plain(path: &[u8]) -> bool {
    let odd = |byte: u8| (byte < 0x20) | (byte == 0x7f) | (byte == b'%') | (byte == b'.') | (byte == b'\\');
    let [b'/', rest @ ..] = path else { return false };
    // Without an early end the compiler looks at 16 bytes at once.
    let odd_byte = path.iter().fold(false, |any, &byte| any | odd(byte));
    let empty_segment = path.iter().zip(rest).fold(false, |any, (&a, &b)| any | ((a == b'/') & (b == b'/')));
    !odd_byte && !empty_segment && rest.last() != Some(&b'/')
}

fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn first_segment(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

/// Whether some reader, decoding as often as it likes, could see the path leave its folder.
fn climbs(path: &[u8]) -> bool {
    if has_dots(path) {
        return true;
    }
    let mut path = Cow::Borrowed(path);
    for _ in 0..PASSES {
        let Some(decoded) = decoded(&path) else { return false };
        if has_dots(&decoded) {
            return true;
        }
        path = Cow::Owned(decoded);
    }
    // Encoded more often than anybody honest would.
    decoded(&path).is_some()
}

/// A segment of one or two dots, also with a parameter after `;`; a backslash; a control character.
fn has_dots(path: &[u8]) -> bool {
    path.iter().any(|byte| *byte == b'\\' || byte.is_ascii_control())
        || path.split(|byte| *byte == b'/').any(|segment| {
            let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
            name == b"." || name == b".."
        })
}

/// Percent-decoded once; `None` if there is nothing to decode.
fn decoded(path: &[u8]) -> Option<Vec<u8>> {
    let mut rest = path;
    let mut out = None;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (before, from) = rest.split_at(at);
        match from {
            [_, high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let out: &mut Vec<u8> = out.get_or_insert_with(|| path[..path.len() - rest.len()].to_vec());
                out.extend_from_slice(before);
                out.push(digit(*high) << 4 | digit(*low));
                rest = after;
            }
            _ => {
                if let Some(out) = &mut out {
                    out.extend_from_slice(&rest[..=at]);
                }
                rest = &rest[at + 1..];
            }
        }
    }
    if let Some(out) = &mut out {
        out.extend_from_slice(rest);
    }
    out
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 32) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<&str>) {
        assert_eq!(normal(path).ok().as_deref(), expected, "{path}");
    }

    #[test]
    fn paths_as_clients_write_them_become_the_routers() {
        for path in
            ["/", "/v1/models", "/v1/models/ä", "/v1/models/a%2Fb", "/v1/models/a..b", "/v1/models/50%25", "/v1/x%zz"]
        {
            check(path, Some(path));
        }
        check("/v1/chat/completions/", Some("/v1/chat/completions"));
        check("//v1///models//", Some("/v1/models"));
        check("/openai/v1/models", Some("/v1/models"));
        check("/openai/v1", Some("/v1"));
        check("/v1/v1/models", Some("/v1/models"));
        check("/openai/v1/v1/models", Some("/v1/models"));
        check("/openai/v12/models", Some("/openai/v12/models"));
        check("", Some("/"));
    }

    #[test]
    fn paths_that_climb_are_refused() {
        for path in [
            "/v1/../metrics",
            "/v1/./models",
            "/v1/..",
            "/v1/%2e%2e/metrics",
            "/v1/%2E./metrics",
            "/v1/a%2f..%2fb",
            "/v1/%252e%252e/metrics",
            "/v1/%25252525252e%252525252e/x",
            "/v1/%2525252525252525252541/x",
            "/v1\\..\\x",
            "/v1/%5c..",
            "/v1/x%00",
            "/v1/..;a=b/metrics",
        ] {
            check(path, None);
        }
    }

    #[test]
    fn a_scope_hangs_on_the_first_segment() {
        assert_eq!(Scope::of("/v1"), Scope::Data);
        assert_eq!(Scope::of("/v1/models"), Scope::Data);
        assert_eq!(Scope::of("/v12"), Scope::Public);
        assert_eq!(Scope::of("/metrics"), Scope::Operator);
        assert_eq!(Scope::of("/health"), Scope::Probe);
        assert_eq!(Scope::of("/health/x"), Scope::Public);
        assert_eq!(Scope::of("/"), Scope::Public);
    }
}
