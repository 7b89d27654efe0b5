//! Keeping secrets out of what others read: the values this process holds, and what looks like a credential.

pub mod patterns;
mod values;

use std::borrow::Cow;

pub use self::values::Redactor;

/// Characters of an error text that are kept.
pub const LONGEST: usize = 2048;

impl Redactor {
    /// An error text of others, fit for callers and logs: without the values this process holds, without anything
    /// that looks like a credential, and at most [`LONGEST`] characters long.
    pub fn error_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // Shortened last: half a secret is no longer recognised.
        let known = self.redact(text);
        let likely = then(known, patterns::redact);
        then(likely, |text| shorten(text, LONGEST))
    }
}

/// The first `limit` characters, the last of them an ellipsis if any are missing.
pub fn shorten(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit || text.char_indices().nth(limit).is_none() {
        return Cow::Borrowed(text);
    }
    let kept = text.char_indices().nth(limit.saturating_sub(1)).map_or(0, |(at, _)| at);
    let mut short = String::with_capacity(kept + '…'.len_utf8());
    short.push_str(&text[..kept]);
    if limit > 0 {
        short.push('…');
    }
    Cow::Owned(short)
}

/// The next step on what the one before left.
fn then<'a>(text: Cow<'a, str>, step: impl Fn(&str) -> Cow<'_, str>) -> Cow<'a, str> {
    match step(&text) {
        Cow::Owned(changed) => Cow::Owned(changed),
        Cow::Borrowed(kept) if kept.len() == text.len() => text,
        Cow::Borrowed(part) => Cow::Owned(part.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_text_keeps_its_beginning() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äö…");
        assert_eq!(shorten("ab", 0), "");
    }

    proptest! {
        #[test]
        fn error_texts_are_short_and_shorten_once(text in "(?s).{0,3000}") {
            let once = Redactor::default().error_text(&text).into_owned();
            prop_assert!(once.chars().count() <= LONGEST);
            prop_assert_eq!(&*shorten(&once, LONGEST), &once);
        }
    }
}
