//! Parts of messages as content blocks.

use std::fmt;

use super::desk::{Desk, invalid};
use super::json;
use super::marked::Marked;
use super::media::Source;
use crate::wire::Object;
use crate::wire::native::Refused;

/// Media types of images that are taken.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Media types beside `text/*` that are text.
const TEXTS: [&str; 5] =
    ["application/json", "application/xml", "application/yaml", "application/x-yaml", "application/javascript"];

/// Where blocks stand: not every one can stand everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    System,
    User,
    Assistant,
    Result,
}

/// A place in the caller's body, written out only if it has to be named.
#[derive(Clone, Copy)]
pub(super) struct Path {
    pub(super) message: usize,
    pub(super) part: Option<usize>,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "messages[{}]", self.message)?;
        self.part.map_or(Ok(()), |part| write!(f, ".content[{part}]"))
    }
}

/// The parts of a message's content, which is an array.
pub(super) fn parts(message: &Object, path: Path) -> Result<Vec<Object>, Refused> {
    message.objects("content").map_err(|error| invalid(format!("{path}.content"), error.to_string()))
}

/// The cache marker of a message, part, call or tool: Anthropic's, or OpenAI's word for it.
pub(super) fn marker(of: &Object) -> Option<&[u8]> {
    match of.raw("cache_control") {
        Some(own) if own.starts_with(b"{") => Some(own),
        _ => of
            .raw("prompt_cache_breakpoint")
            .filter(|raw| raw.starts_with(b"{"))
            .map(|_| &br#"{"type":"ephemeral"}"#[..]),
    }
}

/// Write a text block; says whether there was anything to write: empty ones are refused by the API.
pub(super) fn text(out: &mut Marked, text: &[u8], marker: Option<&[u8]>) -> bool {
    if !json::is_string(text) || json::is_empty(text) {
        return false;
    }
    json::comma(&mut out.out);
    out.out.extend_from_slice(br#"{"type":"text","text":"#);
    out.out.extend_from_slice(text);
    close(out, marker);
    true
}

/// The end of a block, with its cache marker.
pub(super) fn close(out: &mut Marked, marker: Option<&[u8]>) {
    if let Some(marker) = marker {
        out.mark(marker);
    }
    out.out.push(b'}');
}

/// Write one part as a block; says whether there was anything to write.
pub(super) fn part(
    desk: &mut Desk<'_>,
    part: &Object,
    path: Path,
    place: Place,
    out: &mut Marked,
) -> Result<bool, Refused> {
    let kind = part.raw("type").and_then(json::decoded).unwrap_or_default();
    match (&*kind, place) {
        ("text" | "input_text" | "output_text", _) => {
            // answers of Anthropic's own form come back with their citations
            let cites = place == Place::Assistant && part.raw("citations").is_some_and(|raw| raw.starts_with(b"[{"));
            if cites {
                return Ok(own(part, out));
            }
            let Some(raw) = part.raw("text").filter(|raw| json::is_string(raw)) else {
                return Err(invalid(format!("{path}.text"), "a text part needs `text`, a string"));
            };
            Ok(text(out, raw, marker(part)))
        }
        ("refusal", Place::Assistant) => Ok(part.raw("refusal").is_some_and(|raw| text(out, raw, None))),
        ("image_url", Place::User | Place::Result) => image(desk, part, path, out),
        ("file" | "input_file" | "document_url" | "file_url", Place::User | Place::Result) => {
            document(desk, part, path, out)
        }
        // Anthropic's own blocks, from callers that mix the formats
        ("image" | "document", Place::User | Place::Result) => {
            hosted(desk, part, path)?;
            Ok(own(part, out))
        }
        ("search_result" | "container_upload" | "tool_result", Place::User)
        | ("search_result" | "tool_reference" | "browser_state", Place::Result)
        | ("tool_use" | "server_tool_use" | "mcp_tool_use" | "container_upload" | "compaction", Place::Assistant) => {
            Ok(own(part, out))
        }
        (result, Place::Assistant) if result.ends_with("_tool_result") => Ok(own(part, out)),
        _ => Err(Refused::Unsupported { param: path.to_string() }),
    }
}

/// A block as it came, but for its marker, which is counted with the others.
fn own(part: &Object, out: &mut Marked) -> bool {
    json::comma(&mut out.out);
    out.out.push(b'{');
    for (name, value) in part.members().filter(|(name, _)| *name != "cache_control") {
        json::comma(&mut out.out);
        json::text(&mut out.out, name);
        out.out.push(b':');
        out.out.extend_from_slice(value);
    }
    close(out, marker(part));
    true
}

/// Whether the host takes the source of one of Anthropic's own blocks.
fn hosted(desk: &mut Desk<'_>, part: &Object, path: Path) -> Result<(), Refused> {
    let source = part.object("source").ok().flatten();
    let kind = source.as_ref().and_then(|source| source.raw("type"));
    let fits = match kind {
        Some(br#""url""#) => desk.hosting.takes_urls(),
        Some(br#""file""#) => {
            desk.beta("files-api-2025-04-14");
            desk.hosting.takes_files()
        }
        _ => true,
    };
    if fits { Ok(()) } else { Err(Refused::Unsupported { param: path.to_string() }) }
}

fn image(desk: &mut Desk<'_>, part: &Object, path: Path, out: &mut Marked) -> Result<bool, Refused> {
    let param = || format!("{path}.image_url");
    let inner = part.raw("image_url").unwrap_or_default();
    let object = if inner.starts_with(b"{") { part.object("image_url")? } else { None };
    let url = object.as_ref().map_or(Some(inner), |object| object.raw("url")).unwrap_or_default();
    let Some(source) = Source::of(url) else {
        return Err(invalid(param(), "`image_url.url` must be an http(s) address or a data URL"));
    };
    if matches!(object.as_ref().and_then(|object| object.raw("detail")), Some(br#""low""# | br#""high""#)) {
        desk.lose(format!("{path}.image_url.detail"), "dropped");
    }
    json::comma(&mut out.out);
    out.out.extend_from_slice(br#"{"type":"image","source":{"#);
    match source {
        Source::Url(_) if !desk.hosting.takes_urls() => return Err(Refused::Unsupported { param: param() }),
        Source::Url(url) => link(&mut out.out, &url),
        Source::Data(data) => {
            let media = match data.media.as_str() {
                "image/jpg" => "image/jpeg",
                // base64 on its own: its first bytes tell
                "" => sniffed(data.raw()).unwrap_or_default(),
                other => other,
            };
            if !data.base64 || !IMAGES.contains(&media) {
                let message =
                    format!("an image of type `{media}` is not taken: it must be one of {}", IMAGES.join(", "));
                return Err(invalid(param(), message));
            }
            base64(&mut out.out, media, data.raw());
        }
    }
    out.out.push(b'}');
    close(out, marker(part));
    Ok(true)
}

/// The media type of an image by the beginning of its base64.
fn sniffed(base64: &[u8]) -> Option<&'static str> {
    let known =
        [("/9j/", "image/jpeg"), ("iVBORw0KGgo", "image/png"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp")];
    known.into_iter().find(|(start, _)| base64.starts_with(start.as_bytes())).map(|(_, media)| media)
}

fn link(out: &mut Vec<u8>, url: &[u8]) {
    json::put(out, "type", br#""url""#);
    json::put_inside(out, "url", url);
}

fn base64(out: &mut Vec<u8>, media: &str, data: &[u8]) {
    json::put(out, "type", br#""base64""#);
    json::put_text(out, "media_type", media);
    json::put_inside(out, "data", data);
}

/// A file: `file.file_data`, `file.file_id`, or an address in one of the places where hosts have it.
fn document(desk: &mut Desk<'_>, part: &Object, path: Path, out: &mut Marked) -> Result<bool, Refused> {
    let kind = part.raw("type").and_then(json::decoded).unwrap_or_default();
    let param = || format!("{path}.{kind}");
    let nested = ["file", "document_url", "file_url"];
    let object = nested.into_iter().filter(|name| part.raw(name).is_some_and(|raw| raw.starts_with(b"{")));
    let object = object.map(|name| part.object(name)).next().transpose()?.flatten();
    let file = object.as_ref().unwrap_or(part);
    let find = |name: &str| file.raw(name).filter(|raw| json::is_string(raw) && !json::is_empty(raw));
    json::comma(&mut out.out);
    out.out.extend_from_slice(br#"{"type":"document","source":{"#);
    let address = ["url", "file_url", "document_url"].into_iter().find_map(find);
    if let Some(id) = find("file_id") {
        if !desk.hosting.takes_files() {
            return Err(Refused::Unsupported { param: param() });
        }
        desk.beta("files-api-2025-04-14");
        json::put(&mut out.out, "type", br#""file""#);
        json::put(&mut out.out, "file_id", id);
    } else {
        let Some(source) = find("file_data").or(address).and_then(Source::of) else {
            let wants = "a file needs `file_data` (a data URL), `file_id` or an http(s) address";
            return Err(invalid(param(), wants));
        };
        match source {
            Source::Url(_) if !desk.hosting.takes_urls() => return Err(Refused::Unsupported { param: param() }),
            Source::Url(url) => link(&mut out.out, &url),
            Source::Data(data) => {
                let pdf =
                    data.media == "application/pdf" || (data.media.is_empty() && data.raw().starts_with(b"JVBERi"));
                let plain = data.media.starts_with("text/") || TEXTS.contains(&data.media.as_str());
                match (pdf && data.base64).then_some(None).or_else(|| plain.then(|| data.text())) {
                    Some(None) if pdf => base64(&mut out.out, "application/pdf", data.raw()),
                    Some(Some(text)) => {
                        json::put(&mut out.out, "type", br#""text""#);
                        json::put(&mut out.out, "media_type", br#""text/plain""#);
                        json::put_text(&mut out.out, "data", &text);
                    }
                    Some(None) => return Err(invalid(param(), "the file says that it is text, and is not UTF-8")),
                    None => {
                        let message = format!("a file of type `{}` is not taken: it must be PDF or text", data.media);
                        return Err(invalid(param(), message));
                    }
                }
            }
        }
    }
    out.out.push(b'}');
    if let Some(name) = find("filename") {
        json::put(&mut out.out, "title", name);
    }
    close(out, marker(part));
    Ok(true)
}
