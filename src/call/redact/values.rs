//! The secrets this process was started with: found by the names of their environment variables, replaced wherever
//! they occur.

use std::borrow::Cow;
use std::fmt;

/// Parts of a variable's name, between `_` and `-`, that make its value a secret.
const TELLING: &[&str] =
    &["KEY", "KEYS", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "CREDENTIALS", "AUTHORIZATION"];
/// Shorter values are words that occur by chance.
const SHORTEST: usize = 12;

/// Replaces known secret values by `[REDACTED:<NAME>]`. Its `Debug` shows names only.
#[derive(Clone)]
pub struct Redactor {
    /// Longest first, so that a secret that begins like another is found whole.
    secrets: Vec<Secret>,
    /// The bytes with which a secret begins.
    starts: [bool; 256],
    /// The length of the shortest secret in bytes: most texts that are looked at are shorter.
    shortest: usize,
}

#[derive(Clone)]
struct Secret {
    value: Box<str>,
    mark: Box<str>,
}

impl Default for Redactor {
    fn default() -> Self {
        Self { secrets: Vec::new(), starts: [false; 256], shortest: usize::MAX }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.secrets.iter().map(|secret| &secret.mark)).finish()
    }
}

impl Redactor {
    /// Knows the secrets among the variables of an environment: those whose names tell, and the passwords in URLs.
    /// Values of less than 12 bytes, with white space, or that are a `${VAR}` reference are no secrets.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut redactor = Self::default();
        for (name, value) in variables {
            let (name, value) = (name.as_ref(), value.as_ref().trim());
            let told = name.split(['_', '-']).any(|part| TELLING.iter().any(|word| part.eq_ignore_ascii_case(word)));
            for secret in told.then_some(value).into_iter().chain(password(value)) {
                redactor.add(secret, format!("[REDACTED:{name}]"));
            }
        }
        redactor
    }

    /// Knows one more secret, which has no variable: it becomes `[REDACTED_SECRET]`.
    #[must_use]
    pub fn with_secret(mut self, value: &str) -> Self {
        self.add(value.trim(), "[REDACTED_SECRET]".to_owned());
        self
    }

    fn add(&mut self, value: &str, mark: String) {
        let reference = value.starts_with("${") && value.ends_with('}');
        // A value that a mark shows could never be hidden.
        if value.len() < SHORTEST || value.contains(char::is_whitespace) || reference || mark.contains(value) {
            return;
        }
        self.starts[usize::from(value.as_bytes()[0])] = true;
        self.shortest = self.shortest.min(value.len());
        self.secrets.push(Secret { value: value.into(), mark: mark.into() });
        // Of two names of one value the first in the alphabet is shown, whatever order they came in.
        self.secrets.sort_by(|a, b| (b.value.len(), &a.value, &a.mark).cmp(&(a.value.len(), &b.value, &b.mark)));
        self.secrets.dedup_by(|a, b| a.value == b.value);
    }

    /// The text without the secrets; borrowed if there are none.
    #[inline]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.len() < self.shortest {
            return Cow::Borrowed(text);
        }
        match self.next(text, 0) {
            Some(found) => Cow::Owned(self.without(text, found)),
            None => Cow::Borrowed(text),
        }
    }

    fn without<'a>(&'a self, text: &str, mut found: (usize, &'a Secret)) -> String {
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        loop {
            let (at, secret) = found;
            out.push_str(&text[from..at]);
            out.push_str(&secret.mark);
            from = self.end(text, at, secret);
            match self.next(text, from) {
                Some(next) => found = next,
                None => break,
            }
        }
        out.push_str(&text[from..]);
        out
    }

    fn next(&self, text: &str, mut from: usize) -> Option<(usize, &Secret)> {
        let last = text.len().checked_sub(self.shortest)?;
        loop {
            let rest = text.as_bytes().get(from..=last)?;
            from += rest.iter().position(|byte| self.starts[usize::from(*byte)])?;
            if let Some(secret) = self.at(text, from) {
                return Some((from, secret));
            }
            from += 1;
        }
    }

    fn at(&self, text: &str, at: usize) -> Option<&Secret> {
        let rest = &text.as_bytes()[at..];
        if !self.starts[usize::from(rest[0])] {
            return None;
        }
        self.secrets.iter().find(|secret| rest.starts_with(secret.value.as_bytes()))
    }

    /// Where a secret ends, with all that overlap it.
    fn end(&self, text: &str, at: usize, secret: &Secret) -> usize {
        let (mut inside, mut end) = (at + 1, at + secret.value.len());
        while inside < end {
            if let Some(other) = self.at(text, inside) {
                end = end.max(inside + other.value.len());
            }
            inside += 1;
        }
        end
    }
}

/// The password in a URL: `scheme://user:password@host`.
fn password(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(variables: &[(&str, &str)], text: &str, expected: &str) {
        assert_eq!(Redactor::new(variables.iter().copied()).redact(text), expected);
    }

    #[test]
    fn values_of_telling_names_are_replaced() {
        let twice = "abcdefghijklabcdefghijkl";
        check(&[("OPENAI_API_KEY", "abcdefghijkl")], "got abcdefghijkl.", "got [REDACTED:OPENAI_API_KEY].");
        check(&[("x-auth-token", "abcdefghijkl")], twice, "[REDACTED:x-auth-token][REDACTED:x-auth-token]");
        check(&[("LOG_DSN", "postgres://u:p4ssw0rdp4ss@h/db")], "p4ssw0rdp4ss h", "[REDACTED:LOG_DSN] h");
        check(&[("DATABASE_URL", "postgres://u:p4ssw0rdp4ss@h/db")], "p4ssw0rdp4ss", "[REDACTED:DATABASE_URL]");
    }

    #[test]
    fn what_is_no_secret_stays() {
        check(&[("OPENAI_API_KEY", "short")], "short", "short");
        check(&[("MONKEY", "abcdefghijkl")], "abcdefghijkl", "abcdefghijkl");
        check(&[("API_KEY", "${OTHER_VARIABLE}")], "${OTHER_VARIABLE}", "${OTHER_VARIABLE}");
        check(&[("API_KEY", "several words here")], "several words here", "several words here");
        check(&[("LOG_DSN", "file:/data/logs.db")], "file:/data/logs.db", "file:/data/logs.db");
    }

    #[test]
    fn overlapping_secrets_leave_no_remains() {
        let all = [("A_KEY", "aaaabbbbcccc"), ("B_KEY", "ccccddddeeee"), ("C_KEY", "aaaabbbbccccdddd")];
        check(&all, "-aaaabbbbccccddddeeee-", "-[REDACTED:C_KEY]-");
    }

    #[test]
    fn debug_shows_names_only() {
        let redactor = Redactor::new([("A_KEY", "abcdefghijkl")]).with_secret("mnopqrstuvwx");
        assert_eq!(format!("{redactor:?}"), r#"{"[REDACTED:A_KEY]", "[REDACTED_SECRET]"}"#);
        assert_eq!(redactor.redact("mnopqrstuvwx"), "[REDACTED_SECRET]");
    }

    proptest! {
        #[test]
        fn a_planted_secret_never_survives(
            secrets in proptest::collection::vec("[ab!é]{12,20}", 1..4),
            around in proptest::collection::vec("(?s).{0,8}|[ab]{0,20}", 5),
        ) {
            let redactor = Redactor::new(secrets.iter().enumerate().map(|(at, value)| (format!("KEY_{at}"), value)));
            let text: String = around.iter().zip(secrets.iter().cycle()).flat_map(|(a, b)| [a.as_str(), b]).collect();
            let redacted = redactor.redact(&text);
            for secret in &secrets {
                prop_assert!(!redacted.contains(secret.as_str()));
            }
            let again = redactor.redact(&redacted);
            prop_assert_eq!(&*again, &*redacted);
        }

        #[test]
        fn text_without_secrets_is_not_copied(text: String) {
            let redactor = Redactor::new([("A_KEY", "\u{1}23456789012")]);
            prop_assert!(matches!(redactor.redact(&text), Cow::Borrowed(_)));
        }
    }
}
