//! A JSON object as slices of the body it came in: indexed in one pass, edited by member, never decoded as a whole.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::Deserialize;
use serde::ser::Serialize;
use serde_json::value::RawValue;

use super::scan::{self, Extent, Fault};

/// Up to this many members, names are compared with each other; beyond, they are hashed.
const FEW: usize = 24;

/// The most members, and the most elements of an array of objects: an index takes more memory than an empty member, so
/// a body must not be nothing but members.
const MOST: usize = 1_000_000;

/// Room for members that a provider's copy gets in addition: growing would move all of them.
const SPARE: usize = 2;

/// Characters of a member's name that an explanation repeats.
const NAMED: usize = 64;

/// A body that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("malformed JSON: {0}")]
pub struct Malformed(String);

impl Malformed {
    /// With this explanation.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    /// The explanation alone, for bodies that are no JSON.
    pub fn why(&self) -> &str {
        &self.0
    }
}

impl From<serde_json::Error> for Malformed {
    /// In the words of the parser, but for text of the body that they quote: it may be long, and it may be secret.
    fn from(error: serde_json::Error) -> Self {
        let mut why = error.to_string();
        if let (Some(from), Some(to)) = (why.find('"'), why.rfind('"')) {
            why.replace_range(from..=to, "…");
        }
        Self(why)
    }
}

/// A JSON object whose members are slices of the body it was parsed from.
#[derive(Debug)]
pub struct Object {
    body: Bytes,
    members: Vec<Member>,
    edited: bool,
}

#[derive(Clone, Debug)]
struct Member {
    name: Slice,
    value: Slice,
}

/// Bytes that are part of the body, or came with an edit.
#[derive(Clone, Debug)]
enum Slice {
    Body(Range<usize>),
    Own(Bytes),
}

impl Slice {
    fn of<'a>(&'a self, body: &'a [u8]) -> &'a [u8] {
        match self {
            Slice::Body(range) => &body[range.clone()],
            Slice::Own(bytes) => bytes,
        }
    }

    /// As `Bytes` that share the allocation they are part of.
    fn share(&self, body: &Bytes) -> Bytes {
        match self {
            Slice::Body(range) => body.slice(range.clone()),
            Slice::Own(bytes) => bytes.clone(),
        }
    }
}

impl Default for Object {
    fn default() -> Self {
        Self { body: Bytes::from_static(b"{}"), members: Vec::new(), edited: false }
    }
}

impl Clone for Object {
    fn clone(&self) -> Self {
        let mut members = Vec::with_capacity(self.members.len() + SPARE);
        members.extend_from_slice(&self.members);
        Self { body: self.body.clone(), members, edited: self.edited }
    }
}

impl Object {
    /// Index a body in one pass. Fails on anything that is not exactly one JSON object in UTF-8, and on members named
    /// twice: two readers of such a body would disagree about what it says.
    pub fn parse(body: Bytes) -> Result<Self, Malformed> {
        simdutf8::basic::from_utf8(&body).map_err(|_| Malformed::new("the body is not UTF-8"))?;
        if body.trim_ascii().is_empty() {
            return Err(Malformed::new("the body is empty"));
        }
        let mut members: Vec<Member> = Vec::with_capacity(12);
        let mut hashed: HashSet<Cow<'_, [u8]>> = HashSet::new();
        let mut twice = None;
        let indexed = scan::members(&body, |Extent { name, escaped, value }| {
            let named = if escaped { unescaped(&body, &name)? } else { Slice::Body(name.clone()) };
            let bytes = named.of(&body);
            if members.len() == MOST {
                return Err(Fault { at: name.start, wants: "no more than a million members" });
            }
            if members.len() == FEW {
                hashed.extend(members.iter().map(|known| match &known.name {
                    Slice::Body(range) => Cow::Borrowed(&body[range.clone()]),
                    Slice::Own(name) => Cow::Owned(name.to_vec()),
                }));
            }
            let again = match &named {
                _ if members.len() < FEW => members.iter().any(|known| known.name.of(&body) == bytes),
                Slice::Body(range) => !hashed.insert(Cow::Borrowed(&body[range.clone()])),
                Slice::Own(name) => !hashed.insert(Cow::Owned(name.to_vec())),
            };
            if again {
                twice = Some(String::from_utf8_lossy(bytes).chars().take(NAMED).collect::<String>());
                return Err(Fault { at: name.start, wants: "" });
            }
            members.push(Member { name: named, value: Slice::Body(value) });
            Ok(())
        });
        if let Err(Fault { at, wants }) = indexed {
            let (line, column) = place(&body, at);
            let what = match twice {
                Some(name) => format!("the member `{name}` is there twice"),
                None if at >= body.len() => format!("it ends where {wants} should be"),
                None => format!("expected {wants}"),
            };
            return Err(Malformed(format!("{what} at line {line} column {column}")));
        }
        drop(hashed);
        Ok(Self { body, members, edited: false })
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Read one member. `null` counts as absent.
    pub fn get<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Result<Option<T>, Malformed> {
        match self.raw(name) {
            None | Some(b"null") => Ok(None),
            Some(value) => match serde_json::from_slice(value) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(Malformed(format!("`{name}`: {}", Malformed::from(error).0))),
            },
        }
    }

    /// The bytes of one member's value.
    #[inline]
    pub fn raw(&self, name: &str) -> Option<&[u8]> {
        Some(self.member(name)?.value.of(&self.body))
    }

    /// Whether there is such a member, be it `null`.
    pub fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    /// All members in order, names as bytes, unescaped.
    pub fn raw_members(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.members.iter().map(|member| (member.name.of(&self.body), member.value.of(&self.body)))
    }

    /// All members in order, names unescaped.
    pub fn members(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.members.iter().map(|member| {
            let name = std::str::from_utf8(member.name.of(&self.body)).expect("names are made from str");
            (name, member.value.of(&self.body))
        })
    }

    /// A member that is an object, indexed in place; `None` if it is absent or `null`.
    pub fn object(&self, name: &str) -> Result<Option<Object>, Malformed> {
        match self.member(name) {
            Some(member) if member.value.of(&self.body) != b"null" => {
                Ok(Some(Object::parse(member.value.share(&self.body))?))
            }
            _ => Ok(None),
        }
    }

    /// A member that is an array of objects, each indexed in place; empty if it is absent or `null`.
    pub fn objects(&self, name: &str) -> Result<Vec<Object>, Malformed> {
        let Some(member) = self.member(name) else { return Ok(Vec::new()) };
        let items: Vec<&RawValue> = self.get(name)?.unwrap_or_default();
        if items.len() > MOST {
            return Err(Malformed(format!("`{name}` has more than {MOST} elements")));
        }
        let home = member.value.share(&self.body);
        items.into_iter().map(|item| Object::parse(home.slice_ref(item.get().as_bytes()))).collect()
    }

    /// Add or replace one member.
    pub fn set(&mut self, name: &'static str, value: &impl Serialize) {
        self.set_raw(
            name,
            serde_json::to_vec(value).expect("values of ours have string keys and finite numbers").into(),
        );
    }

    /// Add or replace one member with a text.
    pub fn set_text(&mut self, name: &'static str, text: &str) {
        // as long as a text without escapes becomes: then nothing is moved
        let mut value = Vec::with_capacity(text.len() + 2);
        serde_json::to_writer(&mut value, text).expect("a string always encodes");
        self.set_raw(name, value.into());
    }

    /// Add or replace one member with bytes that are already JSON.
    pub fn set_raw(&mut self, name: &'static str, value: Bytes) {
        self.edited = true;
        match self.position(name) {
            Some(at) => self.members[at].value = Slice::Own(value),
            None => self
                .members
                .push(Member { name: Slice::Own(Bytes::from_static(name.as_bytes())), value: Slice::Own(value) }),
        }
    }

    /// Write an array of objects back; elements left alone keep their bytes.
    pub fn set_objects(&mut self, name: &'static str, items: &[Object]) {
        let commas = items.len().saturating_sub(1);
        let mut out = BytesMut::with_capacity(items.iter().map(Object::size).sum::<usize>() + commas + 2);
        out.put_u8(b'[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.put_u8(b',');
            }
            item.write(&mut out);
        }
        out.put_u8(b']');
        self.set_raw(name, out.freeze());
    }

    /// Remove one member; says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(at) = self.position(name) else { return false };
        self.members.remove(at);
        self.edited = true;
        true
    }

    /// Give a member another name, keeping its bytes; a member that had that name already is replaced.
    pub fn rename(&mut self, from: &str, to: &'static str) {
        let Some(at) = self.position(from) else { return };
        if from == to {
            return;
        }
        let mut at = at;
        if let Some(old) = self.position(to) {
            self.members.remove(old);
            at -= usize::from(old < at);
        }
        self.members[at].name = Slice::Own(Bytes::from_static(to.as_bytes()));
        self.edited = true;
    }

    /// Keep the members the rule wants; returns the names of the others.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) -> Vec<String> {
        let mut gone = Vec::new();
        let body = &self.body;
        self.members.retain(|member| {
            let name = std::str::from_utf8(member.name.of(body)).expect("names are made from str");
            let stays = keep(name);
            if !stays {
                gone.push(name.to_owned());
            }
            stays
        });
        self.edited |= !gone.is_empty();
        gone
    }

    /// The body to send: the original allocation when nothing was edited.
    pub fn encode(&self) -> Bytes {
        if !self.edited {
            return self.body.clone();
        }
        let mut out = BytesMut::with_capacity(self.size());
        self.write(&mut out);
        out.freeze()
    }

    /// Inlined, so that a name of ours is compared as a constant.
    #[inline]
    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name.of(&self.body) == name.as_bytes())
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.name.of(&self.body) == name.as_bytes())
    }

    /// The encoded size in bytes, exact but for escaped names of edited objects.
    pub fn size(&self) -> usize {
        if !self.edited {
            return self.body.len();
        }
        // quotes, colon and comma of each member; the last has no comma, the whole has braces
        let member = |m: &Member| m.name.of(&self.body).len() + m.value.of(&self.body).len() + 4;
        self.members.iter().map(member).sum::<usize>() + 2 - usize::from(!self.members.is_empty())
    }

    fn write(&self, out: &mut BytesMut) {
        if !self.edited {
            out.put_slice(&self.body);
            return;
        }
        out.put_u8(b'{');
        for (at, (name, value)) in self.members().enumerate() {
            if at > 0 {
                out.put_u8(b',');
            }
            serde_json::to_writer((&mut *out).writer(), name).expect("a string always encodes");
            out.put_u8(b':');
            out.put_slice(value);
        }
        out.put_u8(b'}');
    }
}

/// A name without its escapes.
fn unescaped(body: &[u8], name: &Range<usize>) -> Result<Slice, Fault> {
    let quoted = &body[name.start - 1..name.end + 1];
    let text: String = serde_json::from_slice(quoted)
        .map_err(|_| Fault { at: name.start, wants: "a name whose escapes are characters" })?;
    Ok(Slice::Own(Bytes::from(text)))
}

/// The line and column of an offset, both from 1.
fn place(body: &[u8], at: usize) -> (usize, usize) {
    let before = &body[..at.min(body.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    (line, before.len() - start + 1)
}
/// Visit the elements of a JSON array, each as it stands there and with the values of these members if it is an object,
/// until `each` has seen enough and says `false`. `null` counts as absent. What is no array has no elements.
pub fn each_element<'a, const N: usize>(
    array: &'a [u8],
    names: [&str; N],
    mut each: impl FnMut(&'a [u8], [Option<&'a [u8]>; N]) -> bool,
) {
    _ = scan::elements(array, 0, |at| {
        let mut values = [None; N];
        let end = if array.get(at) == Some(&b'{') {
            scan::walk(array, at, |name, _, from| {
                let to = scan::value(array, from)?;
                if let Some(of) = names.iter().position(|known| known.as_bytes() == &array[name.clone()]) {
                    values[of] = Some(&array[from..to]).filter(|value| *value != b"null");
                }
                Ok(to)
            })?
        } else {
            scan::value(array, at)?
        };
        if each(&array[at..end], values) { Ok(end) } else { Err(Fault { at, wants: "nothing more" }) }
    });
}
