//! Objects at S3: what they are called, where they are, how they are listed and what refusals say.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use std::fmt::Write;

use crate::wire::Malformed;

/// A bucket and what the names of all objects in it begin with that are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    bucket: String,
    /// Empty, or with a slash at its end.
    prefix: String,
}

/// An object, as a list says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name, without the prefix.
    pub below: String,
    /// Bytes.
    pub size: u64,
    /// When it was written, seconds of Unix time.
    pub modified: i64,
}

impl Store {
    /// From `s3://bucket/prefix`. Fails, saying why, on names that Bedrock does not take.
    pub fn read(uri: &str) -> Result<Self, &'static str> {
        let Some(rest) = uri.strip_prefix("s3://") else { return Err("must begin with s3://") };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let within = |byte: u8| plain(byte) || matches!(byte, b'-' | b'.');
        let ends = bucket.bytes().next().zip(bucket.bytes().last());
        let named = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(within)
            && ends.is_some_and(|(first, last)| plain(first) && plain(last));
        if !named {
            return Err("names no bucket: s3://bucket/prefix is meant");
        }
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() && !is_name(prefix) {
            return Err("has a prefix of other characters than A-Z a-z 0-9 - ! _ * ' ( ) . and slashes between names");
        }
        let slash = if prefix.is_empty() { "" } else { "/" };
        Ok(Self { bucket: bucket.to_owned(), prefix: format!("{prefix}{slash}") })
    }

    /// An object's address.
    pub fn uri(&self, below: &str) -> String {
        format!("s3://{}/{}{below}", self.bucket, self.prefix)
    }

    /// The name of an object without the prefix, if it is one of ours.
    pub fn below<'a>(&self, uri: &'a str) -> Option<&'a str> {
        let key = uri.strip_prefix("s3://")?.strip_prefix(&*self.bucket)?.strip_prefix('/')?;
        key.strip_prefix(&*self.prefix).filter(|below| is_name(below.trim_end_matches('/')))
    }

    /// The path of an object, percent-encoded, at a host that serves all buckets.
    pub fn path(&self, below: &str) -> Option<String> {
        is_name(below).then(|| format!("/{}/{}{}", self.bucket, encoded(&self.prefix), encoded(below)))
    }

    /// The path and query of a list of the objects whose names without the prefix begin so, `after` that one.
    pub fn list(&self, begins: &str, after: Option<&str>, most: u32) -> String {
        let mut query = format!("/{}?list-type=2&max-keys={most}&prefix={}", self.bucket, whole(&self.prefix));
        query.push_str(&whole(begins));
        if let Some(after) = after {
            let _ = write!(query, "&start-after={}{}", whole(&self.prefix), whole(after));
        }
        query
    }

    /// The objects that a list names, and if there are more, the name behind which they are. Names that can't be ours are
    /// left out. Fails on what is no list.
    pub fn listed(&self, xml: &str) -> Result<(Vec<Listed>, Option<String>), Malformed> {
        if !xml.contains("<ListBucketResult") {
            return Err(Malformed::new("a list of objects is none"));
        }
        let (mut found, mut last) = (Vec::new(), None);
        let mut rest = xml;
        while let Some((_, after)) = rest.split_once("<Contents>") {
            let (object, after) = after.split_once("</Contents>").ok_or_else(|| Malformed::new("a list is cut"))?;
            rest = after;
            let key = text(object, "Key").unwrap_or_default();
            let below = key.strip_prefix(&*self.prefix);
            last = below.map(str::to_owned).or(last);
            let Some(below) = below.filter(|below| is_name(below)) else { continue };
            let time = text(object, "LastModified").and_then(|time| time.parse::<jiff::Timestamp>().ok());
            found.push(Listed {
                below: below.to_owned(),
                size: text(object, "Size").and_then(|size| size.parse().ok()).unwrap_or_default(),
                modified: time.map_or(0, jiff::Timestamp::as_second),
            });
        }
        Ok((found, last.filter(|_| text(xml, "IsTruncated").as_deref() == Some("true"))))
    }
}

/// The code and the message of a refusal, as far as it has them.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
pub fn refusal(xml: &str) -> (Option<String>, Option<String>) {
    if !xml.contains("<Error>") {
        return (None, None);
    }
    (text(xml, "Code"), text(xml, "Message"))
}

/// Whether this names an object in the characters that Bedrock takes, with no name on the way that is empty or goes up.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-!_*'().".contains(&byte);
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(plain);
    name.len() <= 900 && name.split('/').all(part)
}

/// Percent-encoded as S3 signs it: all but letters, digits, `-._~` and slashes.
fn encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            true => out.push(char::from(byte)),
            false => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// The same for a value of a query.
fn whole(value: &str) -> String {
    encoded(value).replace('/', "%2F")
}

/// The text of the first element of this name.
fn text(xml: &str, name: &str) -> Option<String> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = after.split_once(&format!("</{name}>"))?;
    let text = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (coded, plain)| text.replace(coded, plain));
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(uri: &str) -> Store {
        Store::read(uri).expect("it is one")
    }

    #[test]
    fn buckets_and_prefixes_are_those_that_bedrock_takes() {
        for uri in ["s3://bucket", "s3://bucket/", "s3://my.bucket-1/a/b_c/", "s3://bucket/a(1)!"] {
            assert!(Store::read(uri).is_ok(), "{uri}");
        }
        for uri in ["bucket", "gs://bucket", "s3://", "s3://ab", "s3://-bucket", "s3://Bucket/a", "s3://bucket//a"] {
            assert!(Store::read(uri).is_err(), "{uri}");
        }
        for uri in ["s3://bucket/a/../b", "s3://bucket/ä", "s3://bucket/a b", "s3://bucket/a?b", "s3://user@host/a"] {
            assert!(Store::read(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn only_what_is_below_the_prefix_is_ours() {
        let ours = store("s3://bucket/batches/");
        assert_eq!(ours.uri("in/a.jsonl"), "s3://bucket/batches/in/a.jsonl");
        assert_eq!(ours.below("s3://bucket/batches/in/a.jsonl"), Some("in/a.jsonl"));
        assert_eq!(ours.below("s3://bucket/batches/out/"), Some("out/"));
        for foreign in [
            "s3://bucket/batches2/a",
            "s3://bucket2/batches/a",
            "s3://bucket/a",
            "s3://bucket/batches/",
            "s3://bucket/batches/../a",
            "s3://bucket/batches//a",
            "gs://bucket/batches/a",
        ] {
            assert_eq!(ours.below(foreign), None, "{foreign}");
        }
        assert_eq!(ours.path("../a"), None);
        assert_eq!(ours.path("a/b?c"), None);
        assert_eq!(ours.path("in/a(1).jsonl").as_deref(), Some("/bucket/batches/in/a%281%29.jsonl"));
        assert_eq!(store("s3://bucket").path("a").as_deref(), Some("/bucket/a"));
    }

    #[test]
    fn lists_are_asked_for_and_read() {
        let ours = store("s3://bucket/b/c");
        assert_eq!(
            ours.list("in/", Some("in/x!"), 3),
            "/bucket?list-type=2&max-keys=3&prefix=b%2Fc%2Fin%2F&start-after=b%2Fc%2Fin%2Fx%21"
        );
        let xml = r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <IsTruncated>true</IsTruncated><Contents><Key>b/c/in/it&apos;s.jsonl</Key>
            <LastModified>2026-01-15T12:00:00.000Z</LastModified><Size>12</Size></Contents>
            <Contents><Key>b/c/in/&lt;odd&gt;</Key></Contents><Contents><Key>elsewhere</Key></Contents></ListBucketResult>"#;
        let (found, more) = ours.listed(xml).expect("it is a list");
        let whole = ours.listed(&xml.replace(">true<", ">false<")).expect("it is a list");
        let file = Listed { below: "in/it's.jsonl".to_owned(), size: 12, modified: 1_768_478_400 };
        assert_eq!((found.as_slice(), more.as_deref()), ([file].as_slice(), Some("in/<odd>")));
        assert_eq!(whole, (found, None));
        assert!(ours.listed("<Error/>").is_err() && ours.listed("").is_err());
        assert!(ours.listed("<ListBucketResult><Contents><Key>b/c/d").is_err());
    }

    #[test]
    fn refusals_have_a_code_and_a_message() {
        let xml = "<?xml?><Error><Code>NoSuchKey</Code><Message>no &amp; none</Message></Error>";
        assert_eq!(refusal(xml), (Some("NoSuchKey".to_owned()), Some("no & none".to_owned())));
        assert_eq!(refusal("{}"), (None, None));
    }
}
