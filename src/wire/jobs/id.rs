//! Ids of files and batches that say what they name. The gateway keeps nothing: all it must know later is in the ids it
//! gives out. They are the caller's to send back, so whoever reads one judges what it names.

use crate::wire::base64::{base64, unbase64};

/// No id of ours is longer, bytes.
const LONGEST: usize = 1024;

/// What kind of thing an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input of a batch.
    Input,
    /// The answers of a batch.
    Output,
    /// The failures of a batch.
    Errors,
    /// A batch.
    Batch,
    /// Any other file.
    File,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Kind::Input => 'i',
            Kind::Output => 'o',
            Kind::Errors => 'e',
            Kind::Batch => 'b',
            Kind::File => 'f',
        }
    }

    fn of(letter: char) -> Option<Self> {
        let all = [Kind::Input, Kind::Output, Kind::Errors, Kind::Batch, Kind::File];
        all.into_iter().find(|kind| kind.letter() == letter)
    }

    fn prefix(self) -> &'static str {
        if self == Kind::Batch { "batch_" } else { "file-" }
    }
}

/// What an id names: a kind of thing, its name at the vendor, and what else a later step needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The kind of thing.
    pub kind: Kind,
    /// Its name at the vendor first.
    pub parts: Vec<String>,
}

impl Name {
    /// Of these parts, none of which may hold control characters.
    pub fn new<'a>(kind: Kind, parts: impl IntoIterator<Item = &'a str>) -> Self {
        Self { kind, parts: parts.into_iter().map(str::to_owned).collect() }
    }

    /// The id: `file-` or `batch_`, and the rest in base64 for addresses.
    pub fn encode(&self) -> String {
        let text = format!("{}{}", self.kind.letter(), self.parts.join("\n"));
        let coded = base64(text.as_bytes()).replace('+', "-").replace('/', "_");
        format!("{}{}", self.kind.prefix(), coded.trim_end_matches('='))
    }

    /// What an id names; `None` if it is none of ours. There is one id for each name.
    pub fn read(id: &str) -> Option<Self> {
        let coded = id.strip_prefix("file-").or_else(|| id.strip_prefix("batch_"))?;
        if id.len() > LONGEST {
            return None;
        }
        let text = String::from_utf8(unbase64(coded)?).ok()?;
        let mut characters = text.chars();
        let kind = Kind::of(characters.next()?)?;
        let parts: Vec<String> = characters.as_str().split('\n').map(str::to_owned).collect();
        let plain = |part: &String| !part.is_empty() && !part.chars().any(char::is_control);
        let name = Self { kind, parts };
        (name.parts.iter().all(plain) && name.encode() == id).then_some(name)
    }

    /// The name at the vendor, and what else there is, if it is of this kind and has as many parts.
    pub fn of<const N: usize>(id: &str, kind: Kind) -> Option<[String; N]> {
        let name = Self::read(id).filter(|name| name.kind == kind)?;
        name.parts.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_it_names_and_there_is_one_for_each() {
        for kind in [Kind::Input, Kind::Output, Kind::Errors, Kind::Batch, Kind::File] {
            let name = Name::new(kind, ["msgbatch_01Ü?>", "model/x"]);
            let id = name.encode();
            assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{id}");
            assert_eq!(Name::read(&id), Some(name.clone()));
            assert_eq!(Name::of::<2>(&id, kind).map(Vec::from), Some(name.parts));
            assert_eq!(Name::of::<1>(&id, kind), None);
            assert_eq!(Name::read(&format!("{id}=")), None);
        }
    }

    #[test]
    fn what_is_no_id_names_nothing() {
        let batch = Name::new(Kind::Batch, ["a"]).encode();
        let as_file = format!("file-{}", batch.trim_start_matches("batch_"));
        let climbing = Name::new(Kind::Input, ["a\u{0}b"]).encode();
        let long = Name::new(Kind::Input, ["a".repeat(2000).as_str()]).encode();
        for id in
            ["", "file-", "batch_", "file-abc", "file-_", "file_011CNha8iCJcU1wXNR6q4V8w", &as_file, &climbing, &long]
        {
            assert_eq!(Name::read(id), None, "{id}");
        }
    }
}
