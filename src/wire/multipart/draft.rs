//! A form with some of its fields changed, as pieces of what came and new ones.

use bytes::BytesMut;

use super::{Form, Part, Piece};

/// A form under edit.
pub struct Draft<'a> {
    form: &'a Form,
    items: Vec<Item<'a>>,
    edited: bool,
}

enum Item<'a> {
    Kept(&'a Part),
    Renamed(&'a Part, String),
    Text(String, String),
}

impl Item<'_> {
    fn name(&self) -> &str {
        match self {
            Item::Kept(part) => &part.name,
            Item::Renamed(_, name) | Item::Text(name, _) => name,
        }
    }
}

impl<'a> Draft<'a> {
    pub(super) fn of(form: &'a Form) -> Self {
        Self { form, items: form.parts.iter().map(Item::Kept).collect(), edited: false }
    }

    /// The text of a field that is no file.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.items.iter().find(|item| item.name() == name).and_then(|item| match item {
            Item::Kept(part) | Item::Renamed(part, _) => std::str::from_utf8(part.text.as_ref()?).ok(),
            Item::Text(_, text) => Some(text),
        })
    }

    /// The name of the file that a field holds, as it came.
    pub fn filename(&self, name: &str) -> Option<&'a str> {
        self.form.parts.iter().find(|part| part.name == name)?.filename.as_deref()
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: &str) -> bool {
        self.items.iter().any(|item| item.name() == name)
    }

    /// Add a field, or replace all of its name.
    pub fn set(&mut self, name: &str, text: &str) {
        if self.text(name) == Some(text) && self.items.iter().filter(|item| item.name() == name).count() == 1 {
            return;
        }
        let item = Item::Text(name.to_owned(), text.to_owned());
        match self.items.iter().position(|item| item.name() == name) {
            Some(at) => {
                self.items[at] = item;
                let mut seen = 0..;
                self.items.retain(|item| item.name() != name || seen.next() == Some(0));
            }
            None => self.items.push(item),
        }
        self.edited = true;
    }

    /// Remove all fields of this name; says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.items.len();
        self.items.retain(|item| item.name() != name);
        self.edited |= self.items.len() < before;
        self.items.len() < before
    }

    /// Give all fields of a name another one.
    pub fn rename(&mut self, from: &str, to: &str) {
        for item in &mut self.items {
            if item.name() != from {
                continue;
            }
            self.edited = true;
            *item = match std::mem::replace(item, Item::Text(String::new(), String::new())) {
                Item::Kept(part) | Item::Renamed(part, _) => Item::Renamed(part, to.to_owned()),
                Item::Text(_, text) => Item::Text(to.to_owned(), text),
            };
        }
    }

    /// The fields of this name come after all others.
    pub fn move_last(&mut self, name: &str) {
        self.edited |= self.items.last().is_some_and(|item| item.name() != name) && self.has(name);
        self.items.sort_by_key(|item| item.name() == name);
    }

    /// What is sent: the body as it came if nothing was changed.
    pub fn encode(&self) -> Vec<Piece> {
        if !self.edited {
            return vec![Piece::Kept(0..self.form.length)];
        }
        let mut pieces = Vec::with_capacity(2 * self.items.len() + 1);
        let mut new = BytesMut::new();
        let delimiter = &self.form.delimiter;
        for item in &self.items {
            let kept = match item {
                Item::Kept(part) => part.start..part.content.end,
                Item::Renamed(part, name) => {
                    new.extend_from_slice(delimiter);
                    new.extend_from_slice(
                        head_of(name, part.filename.as_deref(), part.content_type.as_deref()).as_bytes(),
                    );
                    part.content.clone()
                }
                Item::Text(name, text) => {
                    new.extend_from_slice(delimiter);
                    new.extend_from_slice(head_of(name, None, None).as_bytes());
                    new.extend_from_slice(text.as_bytes());
                    0..0
                }
            };
            if !kept.is_empty() {
                if !new.is_empty() {
                    pieces.push(Piece::New(new.split().freeze()));
                }
                pieces.push(Piece::Kept(kept));
            }
            new.extend_from_slice(b"\r\n");
        }
        new.extend_from_slice(delimiter);
        new.extend_from_slice(b"--\r\n");
        pieces.push(Piece::New(new.freeze()));
        pieces
    }
}

fn head_of(name: &str, filename: Option<&str>, content_type: Option<&str>) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "%22").replace(['\r', '\n'], " ");
    let filename = filename.map(|name| format!("; filename=\"{}\"", quoted(name))).unwrap_or_default();
    let content_type = content_type.map(|kind| format!("\r\nContent-Type: {kind}")).unwrap_or_default();
    format!("\r\nContent-Disposition: form-data; name=\"{}\"{filename}{content_type}\r\n\r\n", quoted(name))
}
