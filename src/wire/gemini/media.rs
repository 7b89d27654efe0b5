//! Content parts: text, and media in the spellings that callers have for it.
//!
//! <https://ai.google.dev/gemini-api/docs/file-input-methods>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference#filedata>

use std::borrow::Cow;

use super::Host;
use super::json::{Json, inside, invalid, text, unsupported};
use super::model::Model;
use crate::wire::Object;
use crate::wire::jobs::gemini::shared;
use crate::wire::native::Refused;

/// Whom a part is for, and where it stands in the caller's body.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) host: Host,
    pub(super) model: &'a Model,
    /// The message's index.
    pub(super) message: usize,
    /// The part's index.
    pub(super) part: usize,
}

impl Place<'_> {
    fn path(&self, member: &str) -> String {
        let dot = if member.is_empty() { "" } else { "." };
        format!("messages[{}].content[{}]{dot}{member}", self.message, self.part)
    }
}

/// How closely images shall be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Detail {
    Low,
    High,
}

/// Media by its content or its address, not yet written.
struct Media<'a> {
    /// A data URL, an address, or base64.
    value: Cow<'a, str>,
    /// The member it stands in.
    member: &'static str,
    /// What it is, where the value does not say.
    mime: Option<Cow<'a, str>>,
    /// What it is taken for if nothing says what it is.
    guess: &'static str,
    /// Whether it is base64 without a data URL around it.
    bare: bool,
}

impl Media<'_> {
    /// The same, by the vendor's own name if it has an id of a file that was uploaded here: the id says what it is, too.
    fn kept(self, host: Host) -> Self {
        match shared(&self.value).filter(|_| host == Host::Api && !self.bare) {
            Some((name, mime)) => Self { value: Cow::Owned(name), mime: Some(Cow::Owned(mime)), ..self },
            None => self,
        }
    }
}

/// Write a part of a user's or an assistant's message. Says how closely it is to be looked at, if the caller does.
pub(super) fn part(part: &Object, place: Place<'_>, out: &mut Json) -> Result<Option<Detail>, Refused> {
    let kind = part.raw("type").and_then(text);
    let mut detail = None;
    let media = match kind.as_deref() {
        Some("text" | "input_text" | "output_text") | None if part.has("text") => {
            write_text(part.raw("text").unwrap_or(b"null"), place, out)?;
            return Ok(None);
        }
        Some("refusal") => {
            write_text(part.raw("refusal").unwrap_or(b"null"), place, out)?;
            return Ok(None);
        }
        // thoughts of another vendor's: nothing here can read them
        Some("thinking" | "redacted_thinking") => return Ok(None),
        Some("image_url" | "input_image") => {
            if let Some(word) = inner(part, "image_url", "detail") {
                detail = match word.as_ref() {
                    "low" => Some(Detail::Low),
                    "high" => Some(Detail::High),
                    _ => None,
                };
            }
            linked(part, "image_url", "image/jpeg")
        }
        Some("video_url") => linked(part, "video_url", "video/mp4"),
        Some("audio_url") => linked(part, "audio_url", "audio/mp3"),
        Some("document_url") => linked(part, "document_url", "application/pdf"),
        Some("input_audio") => audio(part),
        Some("file" | "input_file") => file(part, place.host),
        Some("image") => sourced(part, "image/jpeg", place.host),
        Some("document") => match part.object("source")? {
            Some(source) if source.raw("type").and_then(text).as_deref() == Some("text") => {
                write_text(source.raw("data").unwrap_or(b"null"), place, out)?;
                return Ok(None);
            }
            _ => sourced(part, "application/pdf", place.host),
        },
        _ => return unsupported(place.path("type")),
    };
    let Some(media) = media else { return unsupported(place.path("")) };
    write_media(&media, place, out)?;
    Ok(detail)
}

fn write_text(raw: &[u8], place: Place<'_>, out: &mut Json) -> Result<(), Refused> {
    match inside(raw) {
        Some(b"") => {}
        Some(text) => _ = out.next().raw(br#"{"text":"#).quoted(text).raw("}"),
        None => return invalid(place.path("text"), "must be a text"),
    }
    Ok(())
}

/// The text of a member of a member.
fn inner<'a>(part: &'a Object, name: &str, member: &str) -> Option<Cow<'a, str>> {
    text_in(part.raw(name)?, member)
}

/// A member of an object that is not indexed.
fn text_in<'a>(object: &'a [u8], member: &str) -> Option<Cow<'a, str>> {
    let mut found = None;
    _ = crate::wire::scan::members(object, |extent| {
        if &object[extent.name] == member.as_bytes() {
            found = text(&object[extent.value]);
        }
        Ok(())
    });
    found
}

/// `{"image_url": {"url": …}}`, or the address alone.
fn linked<'a>(part: &'a Object, member: &'static str, guess: &'static str) -> Option<Media<'a>> {
    let raw = part.raw(member)?;
    let value = text(raw).or_else(|| text_in(raw, "url"))?;
    let mime = text_in(raw, "format").or_else(|| text_in(raw, "mime_type"));
    Some(Media { value, member, mime, guess, bare: false })
}

/// `{"input_audio": {"data": …, "format": "wav"}}`; Mistral's callers give the data alone.
fn audio(part: &Object) -> Option<Media<'_>> {
    let raw = part.raw("input_audio")?;
    let value = text(raw).or_else(|| text_in(raw, "data"))?;
    let mime = text_in(raw, "format").map(|format| match format.as_ref() {
        "pcm16" => Cow::Borrowed("audio/L16;rate=24000"),
        mime if mime.contains('/') => format,
        format => Cow::Owned(format!("audio/{format}")),
    });
    let bare = !(value.starts_with("data:") || value.contains("://"));
    Some(Media { value, member: "input_audio", mime, guess: "audio/wav", bare })
}

/// `{"file": {"file_data": …}}`, with a name that may say what it is, or the address of a file that is there already.
fn file(part: &Object, host: Host) -> Option<Media<'_>> {
    let raw = part.raw("file").unwrap_or_default();
    let member = |name: &str| text_in(raw, name).or_else(|| text(part.raw(name)?));
    let named = member("filename").and_then(|name| by_ending(&name)).map(Cow::Borrowed);
    let mime = member("format").or_else(|| member("mime_type")).or(named);
    let (value, bare) = match member("file_data") {
        Some(data) => {
            let bare = !data.starts_with("data:");
            (data, bare)
        }
        None => (member("file_id").or_else(|| member("file_url"))?, false),
    };
    Some(Media { value, member: "file", mime, guess: "application/pdf", bare }.kept(host))
}

/// Anthropic's `{"source": {"type": "base64", "media_type": …, "data": …}}`, or with a `url`.
fn sourced<'a>(part: &'a Object, guess: &'static str, host: Host) -> Option<Media<'a>> {
    let raw = part.raw("source")?;
    let mime = text_in(raw, "media_type");
    let (value, bare) = match text_in(raw, "data") {
        Some(data) => (data, true),
        None => (text_in(raw, "url").or_else(|| text_in(raw, "file_id"))?, false),
    };
    Some(Media { value, member: "source", mime, guess, bare }.kept(host))
}

fn write_media(media: &Media<'_>, place: Place<'_>, out: &mut Json) -> Result<(), Refused> {
    // what was borrowed has no escapes, so none of its parts has any
    let clean = matches!(media.value, Cow::Borrowed(_));
    let value = media.value.as_ref();
    if media.bare || value.starts_with("data:") {
        let Some((mime, data)) = embedded(media) else {
            return invalid(place.path(media.member), "must be a base64 data URL, as data:image/png;base64,…");
        };
        return inline(mime, data, clean, out);
    }
    let uri = match value.strip_prefix("files/") {
        Some(id) => Cow::Owned(format!("https://generativelanguage.googleapis.com/v1beta/files/{id}")),
        None => Cow::Borrowed(value),
    };
    if !reachable(&uri, place.host, place.model) {
        return unsupported(place.path(media.member));
    }
    let kind = if is_video_page(&uri) {
        "video/*"
    } else {
        media.mime.as_deref().or_else(|| by_ending(&uri)).unwrap_or(media.guess)
    };
    out.next().raw(br#"{"fileData":{"mimeType":"#).text(kind).raw(br#","fileUri":"#).text(&uri).raw("}}");
    Ok(())
}

fn inline(mime: &str, data: &str, clean: bool, out: &mut Json) -> Result<(), Refused> {
    out.next().raw(br#"{"inlineData":{"mimeType":"#).text(mime).raw(br#","data":"#);
    match clean {
        true => out.quoted(data.as_bytes()),
        false => out.text(data),
    };
    out.raw("}}");
    Ok(())
}

/// What it is and its base64.
fn embedded<'a>(media: &'a Media<'_>) -> Option<(&'a str, &'a str)> {
    if media.bare {
        return Some((media.mime.as_deref().unwrap_or(media.guess), &media.value));
    }
    let (head, data) = media.value.strip_prefix("data:")?.split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    let mime = head.split(';').next().filter(|mime| !mime.is_empty());
    Some((mime.or(media.mime.as_deref()).unwrap_or(media.guess), data))
}

/// A data URL in an answer of ours, replayed; nothing is written if it is none.
pub(super) fn replayed(url: &[u8], signature: Option<&[u8]>, out: &mut Json) {
    let Some(url) = text(url) else { return };
    let Some((head, data)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) else { return };
    out.next().raw(br#"{"inlineData":{"mimeType":"#).text(head).raw(br#","data":"#).text(data).raw("}");
    if let Some(signature) = signature {
        out.raw(br#","thoughtSignature":"#).raw(signature);
    }
    out.raw("}");
}

/// Whether Google fetches it: nothing is fetched here.
pub(super) fn reachable(uri: &str, host: Host, model: &Model) -> bool {
    let vertex = host == Host::Vertex;
    match uri.split_once("://").map(|(scheme, _)| scheme) {
        Some("gs") => vertex,
        Some("https") => {
            vertex || model.since(2, 5) || is_video_page(uri) || uri.contains("generativelanguage.googleapis.com/")
        }
        Some("http") => vertex,
        _ => false,
    }
}

fn is_video_page(uri: &str) -> bool {
    let rest = uri.strip_prefix("https://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    matches!(host, "www.youtube.com" | "youtube.com" | "youtu.be" | "m.youtube.com")
}

/// What the end of a name says about a file.
pub(in crate::wire) fn by_ending(name: &str) -> Option<&'static str> {
    let path = name.split(['?', '#']).next().unwrap_or_default();
    let (_, end) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match end.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/md",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "csv" => "text/csv",
        "xml" => "text/xml",
        "json" => "application/json",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" | "opus" => "audio/ogg",
        "aac" => "audio/aac",
        "aiff" => "audio/aiff",
        "m4a" => "audio/m4a",
        "mp4" => "video/mp4",
        "mov" => "video/mov",
        "mpeg" | "mpg" => "video/mpeg",
        "webm" => "video/webm",
        "avi" => "video/avi",
        "flv" => "video/x-flv",
        "wmv" => "video/wmv",
        "3gp" => "video/3gpp",
        _ => return None,
    })
}
