//! Media in requests: addresses, and data URLs taken apart without decoding what they carry.

use std::borrow::Cow;

use super::json;
use crate::wire::base64::{Head, digit, head, unbase64, unpercent};

/// Where a medium is.
pub(super) enum Source<'a> {
    /// At an address: the inside of a JSON string.
    Url(Cow<'a, [u8]>),
    /// In the request.
    Data(Data<'a>),
}

/// A data URL, or base64 on its own.
pub(super) struct Data<'a> {
    inside: Cow<'a, [u8]>,
    /// Where in it the data begins.
    at: usize,
    /// The media type, lower case; empty if it is not said.
    pub(super) media: String,
    /// Whether the data is base64; percent-encoded otherwise.
    pub(super) base64: bool,
}

impl<'a> Source<'a> {
    /// Read a JSON string that is an address, a data URL, or base64. `None` if it is none of them.
    pub(super) fn of(value: &'a [u8]) -> Option<Self> {
        let inside = json::inside(value)?;
        if starts(&inside, b"http://") || starts(&inside, b"https://") {
            return Some(Source::Url(inside));
        }
        if !starts(&inside, b"data:") {
            let base64 = !inside.is_empty() && inside.iter().all(|byte| digit(*byte).is_some() || *byte == b'=');
            return base64.then_some(Source::Data(Data { inside, at: 0, media: String::new(), base64 }));
        }
        let Head { media, base64, end: at } = head(&inside)?;
        Some(Source::Data(Data { inside, at, media, base64 }))
    }
}

impl Data<'_> {
    /// The data as it came: the inside of a JSON string.
    pub(super) fn raw(&self) -> &[u8] {
        &self.inside[self.at..]
    }

    /// The data as text. `None` if it is none.
    pub(super) fn text(&self) -> Option<String> {
        let bytes = if self.base64 { unbase64(self.raw())? } else { unpercent(self.raw()) };
        String::from_utf8(bytes).ok()
    }
}

fn starts(text: &[u8], with: &[u8]) -> bool {
    text.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_out_of_data_urls() {
        let check = |url: &str, media: &str, text: Option<&str>| {
            let json = serde_json::to_vec(url).expect("JSON");
            let Some(Source::Data(data)) = Source::of(&json) else { panic!("{url}") };
            assert_eq!((data.media.as_str(), data.text().as_deref()), (media, text), "{url}");
        };
        check("data:text/plain;base64,aGk=", "text/plain", Some("hi"));
        check("data:text/plain;charset=utf-8;base64,aGkh", "text/plain", Some("hi!"));
        check("data:TEXT/Csv,a%2Cb%zz", "text/csv", Some("a,b%zz"));
        check("data:;base64,aA", "", Some("h"));
        check("data:text/plain;base64,a", "text/plain", None);
        check("data:text/plain;base64,/w==", "text/plain", None);
        check("aGk=", "", Some("hi"));
        assert!(Source::of(br#""ftp://x/y""#).is_none());
        assert!(Source::of(br#""data:image/png""#).is_none());
    }
}
