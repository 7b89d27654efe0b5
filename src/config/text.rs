//! Strings that may hold `${VAR}`, the environment they are read from, and secrets.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use super::mask::{self, HIDDEN};
use super::problem::{Invalid, Problem};

/// Environment variables, as found when the process started or as a test says.
#[derive(Clone, Default)]
pub struct Env(HashMap<String, String>);

impl Env {
    /// The variables of this process. Those that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Env(std::env::vars_os().filter_map(utf8).collect())
    }

    /// A setting: trimmed, and `None` when nothing is left.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// All of them, as they stand. Some are secrets.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The variable as it stands, which may be empty.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Env {
    fn from(variables: [(&str, &str); N]) -> Self {
        Env(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl FromIterator<(String, String)> for Env {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Env(variables.into_iter().collect())
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Env({} variables)", self.0.len())
    }
}

/// A value that is never shown. It is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The value itself: for the one place that sends it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Secret(SecretString::from(value))
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Secret(SecretString::from(value))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// A string of the configuration that may hold `${VAR}`. It keeps the reference; what the reference stands for is read
/// when the component that needs it is built. Shown, it is its references: whatever else it holds may be a secret.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// The string as written, references and all: it may hold a secret.
    pub fn as_written(&self) -> &str {
        &self.0
    }

    /// Whether the string needs the environment.
    pub fn has_references(&self) -> bool {
        references(&self.0).next().is_some()
    }

    /// The names in the string that the environment does not define. Defined and empty is defined.
    pub fn missing(&self, env: &Env) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for at in references(&self.0) {
            let name = name(&self.0, &at);
            if env.raw(name).is_none() && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The string with every reference replaced.
    ///
    /// # Errors
    /// `undefined_variable` with all names that the environment does not define; [`Invalid::under`] adds the place.
    pub fn resolve(&self, env: &Env) -> Result<Secret, Invalid> {
        let missing = self.missing(env);
        if !missing.is_empty() {
            return Err(Invalid::from(vec![undefined("", &missing)]));
        }
        let mut resolved = String::with_capacity(self.0.len());
        let mut end = 0;
        for at in references(&self.0) {
            resolved += &self.0[end..at.start];
            resolved += env.raw(name(&self.0, &at)).unwrap_or_default();
            end = at.end;
        }
        resolved += &self.0[end..];
        Ok(Secret::from(resolved))
    }

    /// How to write the reference that this text seems to mean and is not.
    pub(super) fn meant(&self) -> Option<String> {
        let written = self.0.trim();
        let name = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            let name = text.trim();
            (name.len() > 2 && name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(plain))
                .then(|| format!("write `${{{name}}}`"))
        };
        let between = |open: &str, close: &str| written.strip_prefix(open)?.strip_suffix(close);
        if let Some(inner) = between("${", "}").filter(|_| !self.has_references()) {
            let with_default = inner.split_once(':').and_then(|(head, _)| name(head));
            let default = with_default.map(|help| format!("{help}: there are no defaults"));
            return Some(default.unwrap_or_else(|| "a variable has letters, digits and underscores alone".to_owned()));
        }
        let bare = ["$", "env.", "env:", "os.environ/"].iter().find_map(|head| written.strip_prefix(head));
        bare.or(between("{{", "}}")).or(between("%", "%")).and_then(name)
    }

    /// The references, and `[REDACTED]` for anything beside them that is not an authorization scheme.
    fn shown(&self) -> Cow<'_, str> {
        let mut rest = String::new();
        let mut shown = String::new();
        let mut end = 0;
        for at in references(&self.0) {
            rest += &self.0[end..at.start];
            shown += &self.0[at.clone()];
            end = at.end;
        }
        rest += &self.0[end..];
        match rest.trim_end() {
            "" | "Bearer" | "Basic" | "Token" => Cow::Borrowed(&self.0),
            _ => Cow::Owned(format!("{HIDDEN}{shown}")),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(text.to_owned())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown(), f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-is": "text" })
    }
}

/// An address is no secret, but the user and password in it are.
pub(super) fn shown_address<S: Serializer>(address: &Option<Text>, serializer: S) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => serializer.serialize_str(&mask::address(&address.0)),
        None => serializer.serialize_none(),
    }
}

/// Options are shown unless their name says that they are secret.
pub(super) fn shown_options<S: Serializer>(options: &BTreeMap<String, Text>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(options.iter().map(|(name, text)| {
        let shown = if mask::is_sensitive(name) { text.shown() } else { Cow::Owned(mask::words(&text.0)) };
        (name, shown)
    }))
}

/// The problem of names that the environment does not define.
pub(super) fn undefined(path: &str, names: &[&str]) -> Problem {
    let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let (noun, verb) = if names.len() == 1 { ("variable", "is") } else { ("variables", "are") };
    Problem::new(path, "undefined_variable", format!("the environment {noun} {list} {verb} not set"))
}

/// Where the references `${NAME}` of a text stand.
pub(super) fn references(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(found) = text[from..].find("${") {
            let start = from + found;
            let name = text.as_bytes()[start + 2..]
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                .count();
            let end = start + 2 + name;
            from = end;
            let first = text.as_bytes().get(start + 2);
            if name > 0 && !first.is_some_and(u8::is_ascii_digit) && text.as_bytes().get(end) == Some(&b'}') {
                from = end + 1;
                return Some(start..end + 1);
            }
        }
        None
    })
}

fn name<'a>(text: &'a str, at: &Range<usize>) -> &'a str {
    &text[at.start + 2..at.end - 1]
}
