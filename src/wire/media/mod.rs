//! Media that a request gives by address: where they stand in it, what they are by their first bytes, and the same
//! request with the data in the addresses' place.

mod sniff;

use memchr::memmem;

pub use self::sniff::{HEAD, TAKEN, sniff};
use super::Object;

/// What a part of a message says that it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A picture.
    Image,
    /// A video.
    Video,
    /// Sound.
    Sound,
    /// A document, or any file.
    File,
}

/// A part that gives its content by address.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// Its place in the body, as `messages[2].content[1]`.
    pub place: &'a str,
    /// What it says that it gives.
    pub kind: Kind,
    /// The address: `http://` or `https://`.
    pub url: &'a str,
}

/// What stands at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Medium {
    /// Its media type.
    pub media: &'static str,
    /// Its content, in base64.
    pub base64: String,
}

impl Medium {
    /// With this content, if its first bytes tell what it is.
    pub fn of(content: &[u8]) -> Option<Self> {
        Some(Self { media: sniff(content)?, base64: super::base64::base64(content) })
    }

    /// One that nobody has seen: what its address lets expect, with a word for its content.
    pub fn unseen(kind: Kind, path: &str, shown: &str) -> Self {
        let end = path.rsplit_once('.').map_or("", |(_, end)| end).to_ascii_lowercase();
        let media = match (kind, end.as_str()) {
            (Kind::Image | Kind::File, "png") => "image/png",
            (Kind::Image | Kind::File, "jpg" | "jpeg") => "image/jpeg",
            (Kind::Image | Kind::File, "gif") => "image/gif",
            (Kind::Image | Kind::File, "webp") => "image/webp",
            (Kind::Sound, "mp3") => "audio/mp3",
            (Kind::Image, _) => "image/png",
            (Kind::Video, _) => "video/mp4",
            (Kind::Sound, _) => "audio/wav",
            (Kind::File, _) => "application/pdf",
        };
        Self { media, base64: format!("[fetched:{shown}]") }
    }

    fn data_url(&self) -> String {
        format!("data:{};base64,{}", self.media, self.base64)
    }
}

/// Whether this is an address that could be fetched.
pub fn is_address(text: &str) -> bool {
    let begins = |with: &str| text.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with));
    begins("https://") || begins("http://")
}

/// Whether a value holds a text that begins like an address: a search, which keeps all else from being parsed. One that
/// is written with needless escapes is not found.
fn mentions(value: &[u8]) -> bool {
    [&b"\"http"[..], b"\"HTTP"].into_iter().any(|begin| memmem::find(value, begin).is_some())
}

/// Whether the messages in `list` may hold addresses: a search, which most bodies do not pass.
pub fn may_hold(body: &Object, list: &str) -> bool {
    body.raw(list).is_some_and(|raw| raw.starts_with(b"[") && mentions(raw))
}

/// Show every part of the messages in `list` that gives its content by address to `each`, and put what that returns in
/// the address's place. Says whether anything was changed. What can't be read is left alone, for others to refuse.
pub fn replace<'m>(
    body: &mut Object,
    list: &'static str,
    each: &mut dyn FnMut(Link<'_>) -> Option<&'m Medium>,
) -> bool {
    if !may_hold(body, list) {
        return false;
    }
    let Ok(mut messages) = body.objects(list) else { return false };
    let mut changed = false;
    for (at, message) in messages.iter_mut().enumerate() {
        let place = format!("{list}[{at}]");
        // what a function has put out stands in `output`, among the items of a response
        for name in ["content", "output"] {
            changed |= parts(message, name, &place, false, each);
        }
    }
    if changed {
        body.set_objects(list, &messages);
    }
    changed
}

fn parts<'m>(
    owner: &mut Object,
    name: &'static str,
    place: &str,
    within: bool,
    each: &mut dyn FnMut(Link<'_>) -> Option<&'m Medium>,
) -> bool {
    if !may_hold(owner, name) {
        return false;
    }
    let Ok(mut items) = owner.objects(name) else { return false };
    let mut changed = false;
    for (at, item) in items.iter_mut().enumerate() {
        let place = format!("{place}.{name}[{at}]");
        changed |= part(item, &place, within, each);
    }
    if changed {
        owner.set_objects(name, &items);
    }
    changed
}

/// One part, in OpenAI's words, in Anthropic's, or in those of callers who mix them. Within a tool's result is no other.
fn part<'m>(
    part: &mut Object,
    place: &str,
    within: bool,
    each: &mut dyn FnMut(Link<'_>) -> Option<&'m Medium>,
) -> bool {
    let kind = part.get::<String>("type").ok().flatten().unwrap_or_default();
    let mut seen = |kind: Kind, url: &str| each(Link { place, kind, url });
    let member = match kind.as_str() {
        "image_url" | "input_image" => ("image_url", Kind::Image),
        "video_url" | "input_video" => ("video_url", Kind::Video),
        "audio_url" => ("audio_url", Kind::Sound),
        "document_url" => ("document_url", Kind::File),
        "file_url" => ("file_url", Kind::File),
        "input_audio" => return sound(part, &mut seen),
        "file" | "input_file" => return file(part, &mut seen),
        "image" => return sourced(part, Kind::Image, &mut seen),
        "document" => return sourced(part, Kind::File, &mut seen),
        "tool_result" if !within => return parts(part, "content", place, true, each),
        _ => return false,
    };
    let (name, kind) = member;
    if let Some(url) = address(part, name) {
        let Some(medium) = seen(kind, &url) else { return false };
        part.set_text(name, &medium.data_url());
        return true;
    }
    let Some(mut inner) = inner(part, name) else { return false };
    let Some(medium) = address(&inner, "url").and_then(|url| seen(kind, &url)) else { return false };
    inner.set_text("url", &medium.data_url());
    part.set_raw(name, inner.encode());
    true
}

/// `{"input_audio": {"data": …, "format": "wav"}}`, or the address alone.
fn sound<'m>(part: &mut Object, seen: &mut dyn FnMut(Kind, &str) -> Option<&'m Medium>) -> bool {
    const NAME: &str = "input_audio";
    if let Some(url) = address(part, NAME) {
        let Some(medium) = seen(Kind::Sound, &url) else { return false };
        part.set_text(NAME, &medium.data_url());
        return true;
    }
    let Some(mut inner) = inner(part, NAME) else { return false };
    let Some(medium) = address(&inner, "data").and_then(|url| seen(Kind::Sound, &url)) else { return false };
    inner.set_text("data", &medium.data_url());
    if let Some(format) = medium.media.strip_prefix("audio/") {
        inner.set_text("format", format);
    }
    part.set_raw(NAME, inner.encode());
    true
}

/// `{"file": {"file_data": …}}`, or the same members in the part itself.
fn file<'m>(part: &mut Object, seen: &mut dyn FnMut(Kind, &str) -> Option<&'m Medium>) -> bool {
    let mut give = |owner: &mut Object| {
        let named = ["file_data", "file_url", "file_id", "url"].into_iter();
        let Some((name, url)) = named.filter_map(|name| Some((name, address(owner, name)?))).next() else {
            return false;
        };
        let Some(medium) = seen(Kind::File, &url) else { return false };
        owner.remove(name);
        owner.set_text("file_data", &medium.data_url());
        true
    };
    match inner(part, "file") {
        Some(mut inner) => {
            let changed = give(&mut inner);
            if changed {
                part.set_raw("file", inner.encode());
            }
            changed
        }
        None => give(part),
    }
}

/// Anthropic's `{"source": {"type": "url", "url": …}}`.
fn sourced<'m>(part: &mut Object, kind: Kind, seen: &mut dyn FnMut(Kind, &str) -> Option<&'m Medium>) -> bool {
    let Some(mut source) = inner(part, "source") else { return false };
    let Some(medium) = address(&source, "url").and_then(|url| seen(kind, &url)) else { return false };
    source.set_text("type", "base64");
    source.set_text("media_type", medium.media);
    source.set_text("data", &medium.base64);
    source.remove("url");
    part.set_raw("source", source.encode());
    true
}

/// A member that is an address.
fn address(owner: &Object, name: &str) -> Option<String> {
    let raw = owner.raw(name).filter(|raw| raw.starts_with(b"\"h") || raw.starts_with(b"\"H"))?;
    serde_json::from_slice::<String>(raw).ok().filter(|text| is_address(text))
}

/// A member that is an object.
fn inner(owner: &Object, name: &str) -> Option<Object> {
    owner.raw(name).filter(|raw| raw.starts_with(b"{"))?;
    owner.object(name).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and more";

    #[test]
    fn addresses_are_found_and_replaced_in_every_spelling() {
        let medium = Medium::of(PNG).expect("a picture");
        let data = medium.data_url();
        let base64 = &medium.base64;
        let check = |part: &str, kind: Kind, expected: &str| {
            let body = format!(
                r#"{{"model":"m","messages":[{{"role":"system","content":"at \"http://x\""}},{{"role":"user","content":[{{"type":"text","text":"http://y"}},{part}]}}],"user":"u"}}"#
            );
            let mut object = Object::parse(body.clone().into()).expect("JSON");
            let mut found = Vec::new();
            let changed = replace(&mut object, "messages", &mut |link| {
                found.push((link.place.to_owned(), link.kind, link.url.to_owned()));
                Some(&medium)
            });
            assert!(changed, "{part}");
            assert_eq!(found, [("messages[1].content[1]".to_owned(), kind, "https://h/a?b=c".to_owned())], "{part}");
            let sent = String::from_utf8(object.encode().to_vec()).expect("text");
            assert_eq!(sent, body.replace(part, expected), "{part}");
            let mut object = Object::parse(body.clone().into()).expect("JSON");
            assert!(!replace(&mut object, "messages", &mut |_| None));
            assert_eq!(object.encode(), body.as_bytes());
        };
        let url = r#""https:\/\/h\/a?b=c""#;
        check(
            &format!(r#"{{"type":"image_url","image_url":{{"url":{url},"detail":"low"}}}}"#),
            Kind::Image,
            &format!(r#"{{"type":"image_url","image_url":{{"url":"{data}","detail":"low"}}}}"#),
        );
        check(
            r#"{"type":"image_url","image_url":"https://h/a?b=c"}"#,
            Kind::Image,
            &format!(r#"{{"type":"image_url","image_url":"{data}"}}"#),
        );
        check(
            r#"{"type":"document_url","document_url":"https://h/a?b=c"}"#,
            Kind::File,
            &format!(r#"{{"type":"document_url","document_url":"{data}"}}"#),
        );
        check(
            r#"{"type":"video_url","video_url":{"url":"https://h/a?b=c"}}"#,
            Kind::Video,
            &format!(r#"{{"type":"video_url","video_url":{{"url":"{data}"}}}}"#),
        );
        check(
            r#"{"type":"input_audio","input_audio":{"data":"https://h/a?b=c","format":"wav"}}"#,
            Kind::Sound,
            &format!(r#"{{"type":"input_audio","input_audio":{{"data":"{data}","format":"wav"}}}}"#),
        );
        check(
            r#"{"type":"file","file":{"file_id":"https://h/a?b=c","filename":"x.pdf"}}"#,
            Kind::File,
            &format!(r#"{{"type":"file","file":{{"filename":"x.pdf","file_data":"{data}"}}}}"#),
        );
        check(
            r#"{"type":"input_file","file_url":"https://h/a?b=c"}"#,
            Kind::File,
            &format!(r#"{{"type":"input_file","file_data":"{data}"}}"#),
        );
        check(
            r#"{"type":"document","source":{"type":"url","url":"https://h/a?b=c"},"title":"t"}"#,
            Kind::File,
            &format!(
                r#"{{"type":"document","source":{{"type":"base64","media_type":"image/png","data":"{base64}"}},"title":"t"}}"#
            ),
        );
    }

    #[test]
    fn results_of_tools_and_items_of_responses_are_looked_into() {
        let found = |body: &str, list: &'static str| {
            let mut places = Vec::new();
            let mut object = Object::parse(body.to_owned().into()).expect("JSON");
            replace(&mut object, list, &mut |link| {
                places.push(link.place.to_owned());
                None
            });
            places
        };
        let image = r#"{"type":"image","source":{"type":"url","url":"https://h/a"}}"#;
        let body = format!(
            r#"{{"messages":[{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":[{image},{image}]}}]}}]}}"#
        );
        assert_eq!(
            found(&body, "messages"),
            ["messages[0].content[0].content[0]", "messages[0].content[0].content[1]"]
        );
        let part = r#"{"type":"input_image","image_url":"HTTPS://h/a"}"#;
        let body =
            format!(r#"{{"input":[{{"content":[{part}]}},{{"type":"function_call_output","output":[{part}]}}]}}"#);
        assert_eq!(found(&body, "input"), ["input[0].content[0]", "input[1].output[0]"]);
        // what is none, or cannot be read
        for body in [
            r#"{"messages":"http"}"#,
            r#"{"messages":["http://h"]}"#,
            r#"{"messages":[{"content":["http://h"]}]}"#,
            r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:,http"}},{"type":7,"x":"http://h"}]}]}"#,
            r#"{"messages":[{"content":[{"type":"image_url","image_url":[{"url":"http://h"}]}]}]}"#,
            r#"{"messages":[{"content":[{"type":"image","source":"http://h"}]}]}"#,
            r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"ftp://h","x":"http"}}]}]}"#,
        ] {
            assert_eq!(found(body, "messages"), Vec::<String>::new(), "{body}");
        }
    }
}
