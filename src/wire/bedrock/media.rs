//! Data URLs and base64.

use std::borrow::Cow;

use crate::wire::base64::{Head, base64, head, unbase64, unpercent};

/// The media type of a data URL, and its data in base64.
pub(super) fn base64_of(url: Cow<'_, str>) -> Option<(String, Cow<'_, str>)> {
    let Head { media, base64: coded, end } = head(url.as_bytes())?;
    if !coded {
        return Some((media, Cow::Owned(base64(&unpercent(&url.as_bytes()[end..])))));
    }
    let data = match url {
        Cow::Borrowed(url) => Cow::Borrowed(&url[end..]),
        Cow::Owned(mut url) => Cow::Owned(url.split_off(end)),
    };
    // line breaks come with tools that wrap at 76 characters
    let data = if data.contains(char::is_whitespace) { Cow::Owned(data.split_whitespace().collect()) } else { data };
    Some((media, data))
}

/// The first bytes of base64; zeros where it is none or too short.
pub(super) fn first_bytes(data: &str) -> [u8; 12] {
    let mut out = [0; 12];
    let head = unbase64(data.get(..16).unwrap_or(data)).unwrap_or_default();
    out.iter_mut().zip(head).for_each(|(byte, known)| *byte = known);
    out
}
