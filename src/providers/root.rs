//! The root of a provider's API: the address that every path is below, and the fields of every request there.

use http::Uri;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use super::settings::Settings;
use super::spec::{Place, Spec};
use crate::config::Invalid;

/// The problem of an address that can't be a root.
pub fn invalid(base: &str) -> Invalid {
    Invalid::at("base_url".to_owned(), format!("`{base}` is not an API root: it must look like https://host/v1"))
}

/// The root of a row with a fixed address, or what `base_url` makes of it.
pub fn at(default: &str, settings: &Settings) -> Result<Place, Invalid> {
    let Some(given) = settings.get("base_url") else {
        return Ok(Place { base: settings.fill(default)?, query: None });
    };
    let shown = given.split_once('@').map_or(given, |(_, host)| host);
    let uri: Uri = given.parse().map_err(|_| invalid(shown))?;
    if uri.query().is_some() || given.contains('#') || !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(invalid(shown));
    }
    let mut base = given.trim_end_matches('/').to_owned();
    if uri.path() == "/" {
        let path = default.splitn(4, '/').nth(3).unwrap_or_default();
        if !path.is_empty() {
            base = format!("{base}/{}", settings.fill(path)?);
        }
    }
    Ok(Place { base, query: None })
}

/// The fields of every request of a row, but for the credential. Fails on a setting that no field can carry.
pub fn headers(spec: &Spec, settings: &Settings) -> Result<HeaderMap, Invalid> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("ferrogw/", env!("CARGO_PKG_VERSION"))));
    let value = |setting: &str, text: String| {
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| Invalid::at(setting.to_owned(), "has characters that a header can't carry".to_owned()))?;
        value.set_sensitive(true);
        Ok::<_, Invalid>(value)
    };
    for (name, value) in spec.fixed_headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, setting) in spec.headers {
        if let Some(text) = settings.get(setting) {
            headers.insert(HeaderName::from_static(name), value(setting, text.to_owned())?);
        }
    }
    Ok(headers)
}
