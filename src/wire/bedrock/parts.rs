//! Content parts: texts, pictures, documents, videos and sounds, as Converse has them.

use std::borrow::Cow;

use super::json::{self, Json, Members, invalid};
use super::media::{base64_of, first_bytes};
use super::models::{Family, Model};
use crate::wire::native::Refused;

/// One block of a message. Texts are JSON strings as they came.
#[derive(Debug)]
pub(super) enum Block<'a> {
    /// A text.
    Text(&'a str),
    /// A picture, a video or a sound, with its format.
    Media(&'static str, &'static str, Source<'a>),
    /// A document.
    Document {
        /// Its format.
        format: &'static str,
        /// Its name, as the caller knows it.
        name: Cow<'a, str>,
        /// What is in it.
        source: Source<'a>,
        /// Anthropic's `citations`, which are Converse's.
        citations: Option<&'a str>,
    },
    /// A block that is in Converse's own form already.
    Own(&'static str, &'a str),
}

/// Where the bytes of a block are.
#[derive(Debug)]
pub(super) enum Source<'a> {
    /// Here, in base64.
    Base64(Cow<'a, str>),
    /// A text, as JSON string.
    Text(&'a str),
    /// In a bucket.
    Bucket(Cow<'a, str>, Option<&'a str>),
}

impl Block<'_> {
    /// Write the block; a document under a name that no other one of the request has.
    pub(super) fn write(&self, out: &mut Json, names: &mut Vec<String>) {
        out.open(b'{');
        match self {
            Block::Text(text) => out.member("text", text),
            Block::Own(name, value) => out.member(name, value),
            Block::Media(kind, format, source) => {
                out.name(kind);
                out.open(b'{');
                out.member_text("format", format);
                source.write(out);
                out.close(b'}');
            }
            Block::Document { format, name, source, citations } => {
                out.name("document");
                out.open(b'{');
                out.member_text("format", format);
                out.member_text("name", &unused(name, names));
                source.write(out);
                if let Some(citations) = citations {
                    out.member("citations", citations);
                }
                out.close(b'}');
            }
        }
        out.close(b'}');
    }
}

impl Source<'_> {
    fn write(&self, out: &mut Json) {
        out.name("source");
        out.open(b'{');
        match self {
            Source::Base64(data) => out.member_text("bytes", data),
            Source::Text(text) => out.member("text", text),
            Source::Bucket(uri, owner) => {
                out.name("s3Location");
                out.open(b'{');
                out.member_text("uri", uri);
                if let Some(owner) = owner {
                    out.member("bucketOwner", owner);
                }
                out.close(b'}');
            }
        }
        out.close(b'}');
    }
}

/// Names of documents have letters, digits, single spaces, `-()[]`, and are unique in a request.
fn unused(name: &str, names: &mut Vec<String>) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut clean = String::new();
    for c in stem.chars().take(180) {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '-' | '(' | ')' | '[' | ']') { c } else { ' ' };
        if c != ' ' || !(clean.is_empty() || clean.ends_with(' ')) {
            clean.push(c);
        }
    }
    let clean = clean.trim_end();
    let clean = if clean.is_empty() { "document" } else { clean };
    let mut unused = clean.to_owned();
    let mut count = 1;
    while names.contains(&unused) {
        count += 1;
        unused = format!("{clean} {count}");
    }
    names.push(unused.clone());
    unused
}

/// Read one part; `None` if it says nothing, or is said elsewhere (thoughts). `path` is its place in the body.
/// Fails on what Converse, or this model, has no block for.
pub(super) fn read<'a>(
    part: &Members<'a>,
    model: &Model,
    path: &dyn Fn() -> String,
) -> Result<Option<Block<'a>>, Refused> {
    let unsupported = || Refused::Unsupported { param: path() };
    let kind = part.text("type");
    let inner = |name: &str| part.object(name);
    Ok(Some(match kind.as_deref() {
        Some("text" | "input_text" | "output_text") => {
            let text = part.raw("text").filter(|text| text.starts_with('"'));
            let text = text.ok_or_else(|| invalid(format!("{}.text", path()), "must be a text"))?;
            if json::blank(text) {
                return Ok(None);
            }
            Block::Text(text)
        }
        Some("refusal") => match part.raw("refusal").filter(|text| text.starts_with('"') && !json::blank(text)) {
            Some(text) => Block::Text(text),
            None => return Ok(None),
        },
        Some("thinking" | "redacted_thinking" | "reasoning") => return Ok(None),
        Some("image_url" | "input_image") => {
            let url = inner("image_url").and_then(|image| image.raw("url")).or_else(|| part.raw("image_url"));
            let url = url.ok_or_else(|| invalid(format!("{}.image_url.url", path()), "missing"))?;
            image(located(url, "", path)?, path)?
        }
        Some("image") => image(anthropic(part, path)?, path)?,
        Some("video_url") => {
            let url = inner("video_url").and_then(|video| video.raw("url")).or_else(|| part.raw("video_url"));
            let url = url.ok_or_else(|| invalid(format!("{}.video_url.url", path()), "missing"))?;
            let found = located(url, "", path)?;
            let format = video_format(&found).filter(|_| watches(model)).ok_or_else(unsupported)?;
            Block::Media("video", format, found.source)
        }
        Some("input_audio") => {
            let audio = inner("input_audio").ok_or_else(|| invalid(format!("{}.input_audio", path()), "missing"))?;
            let data = audio.raw("data").and_then(json::text);
            let data = data.ok_or_else(|| invalid(format!("{}.input_audio.data", path()), "must be base64"))?;
            let format = audio.text("format").and_then(|format| audio_format(&format));
            let format = format.filter(|_| watches(model)).ok_or_else(unsupported)?;
            let data = if data.starts_with("data:") { base64_of(data).ok_or_else(unsupported)?.1 } else { data };
            Block::Media("audio", format, Source::Base64(data))
        }
        Some("file" | "input_file") => file(&inner("file").unwrap_or_default(), part, path)?,
        Some("document" | "document_url") => document(part, path)?,
        _ => {
            let own = ["guardContent", "searchResult", "cachePoint", "document", "image", "video", "audio"];
            let own = own.into_iter().find_map(|name| Some((name, part.raw(name)?)));
            let (name, value) = own.ok_or_else(unsupported)?;
            Block::Own(name, value)
        }
    }))
}

/// Which models take videos and sounds: those of Amazon and TwelveLabs, Mistral's Voxtral, and whatever hides behind an ARN.
fn watches(model: &Model) -> bool {
    matches!(model.family, Family::Nova | Family::Mistral | Family::Other | Family::Opaque)
}

/// Something that was referred to, or brought along.
struct Found<'a> {
    /// Its declared media type, lower case; empty if there is none.
    mime: String,
    /// Its name, as far as it tells the format.
    name: Cow<'a, str>,
    source: Source<'a>,
}

impl Found<'_> {
    fn extension(&self) -> String {
        self.name.rsplit_once('.').map_or(String::new(), |(_, end)| end.to_ascii_lowercase())
    }

    /// Its first bytes.
    fn magic(&self) -> [u8; 12] {
        match &self.source {
            Source::Base64(data) => first_bytes(data),
            Source::Text(_) | Source::Bucket(..) => [0; 12],
        }
    }
}

/// What a URL, as JSON string, stands for: bytes of its own, or a bucket's object. Other places are not fetched.
fn located<'a>(url: &'a str, mime: &str, path: &dyn Fn() -> String) -> Result<Found<'a>, Refused> {
    let url = json::text(url).ok_or_else(|| invalid(path(), "the URL must be a text"))?;
    if url.starts_with("s3://") {
        return Ok(Found { mime: mime.to_owned(), name: url.clone(), source: Source::Bucket(url, None) });
    }
    if url.starts_with("data:") {
        let (mime, data) =
            base64_of(url).ok_or_else(|| invalid(path(), "is not a data URL: `data:image/png;base64,…`"))?;
        return Ok(Found { mime, name: Cow::Borrowed(""), source: Source::Base64(data) });
    }
    Err(Refused::Unsupported { param: path() })
}

/// Anthropic's `source`.
fn anthropic<'a>(part: &Members<'a>, path: &dyn Fn() -> String) -> Result<Found<'a>, Refused> {
    let missing = |what: &str| invalid(format!("{}.source{what}", path()), "missing");
    let source = part.object("source").ok_or_else(|| missing(""))?;
    let mime = source.text("media_type").map(|mime| mime.to_ascii_lowercase()).unwrap_or_default();
    let name = Cow::Borrowed("");
    match source.text("type").as_deref() {
        Some("base64") => {
            let data = source.text("data").ok_or_else(|| missing(".data"))?;
            Ok(Found { mime, name, source: Source::Base64(data) })
        }
        Some("text") => {
            let data = source.raw("data").filter(|data| data.starts_with('"')).ok_or_else(|| missing(".data"))?;
            Ok(Found { mime: "text/plain".to_owned(), name, source: Source::Text(data) })
        }
        Some("url") => located(source.raw("url").ok_or_else(|| missing(".url"))?, &mime, path),
        _ => Err(Refused::Unsupported { param: path() }),
    }
}

fn image<'a>(found: Found<'a>, path: &dyn Fn() -> String) -> Result<Block<'a>, Refused> {
    let magic = found.magic();
    let format = match magic {
        [0x89, b'P', b'N', b'G', ..] => Some("png"),
        [0xff, 0xd8, 0xff, ..] => Some("jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Some("webp"),
        _ => None,
    };
    let told = || match (found.mime.as_str(), found.extension().as_str()) {
        ("image/png", _) | ("", "png") => Some("png"),
        ("image/jpeg" | "image/jpg", _) | ("", "jpg" | "jpeg") => Some("jpeg"),
        ("image/gif", _) | ("", "gif") => Some("gif"),
        ("image/webp", _) | ("", "webp") => Some("webp"),
        _ => None,
    };
    let format = format.or_else(told).ok_or_else(|| Refused::Unsupported { param: path() })?;
    Ok(Block::Media("image", format, found.source))
}

fn file<'a>(file: &Members<'a>, part: &Members<'a>, path: &dyn Fn() -> String) -> Result<Block<'a>, Refused> {
    let of = |name: &str| file.raw(name).or_else(|| part.raw(name));
    let name = of("filename").and_then(json::text).unwrap_or_default();
    let found = match (of("file_data"), of("file_id").or_else(|| of("file_url"))) {
        (Some(data), _) => match located(data, "", path) {
            // some clients send the base64 alone
            Err(Refused::Unsupported { .. }) => {
                let data = json::text(data).unwrap_or_default();
                Found { mime: String::new(), name: Cow::Borrowed(""), source: Source::Base64(data) }
            }
            other => other?,
        },
        (None, Some(id)) => located(id, "", path)?,
        (None, None) => return Err(invalid(format!("{}.file.file_data", path()), "missing")),
    };
    if found.mime.starts_with("image/") {
        return image(found, path);
    }
    made(Found { name: if name.is_empty() { found.name } else { name }, ..found }, None, path)
}

fn document<'a>(part: &Members<'a>, path: &dyn Fn() -> String) -> Result<Block<'a>, Refused> {
    let url = part.raw("document_url").map(|url| match json::parse::<Members<'a>>(url) {
        Ok(inner) => inner.raw("url").unwrap_or(url),
        Err(_) => url,
    });
    let found = match url {
        Some(url) => located(url, "", path)?,
        None => anthropic(part, path)?,
    };
    let title = part.text("title").or_else(|| part.text("document_name"));
    made(Found { name: title.unwrap_or(found.name), ..found }, part.raw("citations"), path)
}

fn made<'a>(found: Found<'a>, citations: Option<&'a str>, path: &dyn Fn() -> String) -> Result<Block<'a>, Refused> {
    const OFFICE: &str = "application/vnd.openxmlformats-officedocument.";
    let told = match found.mime.as_str() {
        _ if found.magic().starts_with(b"%PDF") => Some("pdf"),
        "application/pdf" => Some("pdf"),
        "text/csv" => Some("csv"),
        "text/html" => Some("html"),
        "text/markdown" => Some("md"),
        "application/msword" => Some("doc"),
        "application/vnd.ms-excel" => Some("xls"),
        mime => match mime.strip_prefix(OFFICE) {
            Some("wordprocessingml.document") => Some("docx"),
            Some("spreadsheetml.sheet") => Some("xlsx"),
            _ => None,
        },
    };
    let formats = ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"];
    let end = found.extension();
    let named = || formats.into_iter().find(|format| *format == end || (*format == "html" && end == "htm"));
    let text = || Some("txt").filter(|_| found.mime.starts_with("text/") || found.mime == "application/json");
    let format = told.or_else(named).or_else(text).ok_or_else(|| Refused::Unsupported { param: path() })?;
    Ok(Block::Document { format, name: found.name, source: found.source, citations })
}

fn video_format(found: &Found<'_>) -> Option<&'static str> {
    let end = found.extension();
    let kind = found.mime.strip_prefix("video/").unwrap_or(&end);
    Some(match kind {
        "mp4" | "x-m4v" => "mp4",
        "quicktime" | "mov" => "mov",
        "x-matroska" | "mkv" => "mkv",
        "webm" => "webm",
        "x-flv" | "flv" => "flv",
        "mpeg" => "mpeg",
        "mpg" => "mpg",
        "x-ms-wmv" | "wmv" => "wmv",
        "3gpp" | "3gp" => "three_gp",
        _ => return None,
    })
}

fn audio_format(name: &str) -> Option<&'static str> {
    let known = ["mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "m4a", "mpeg", "mpga", "pcm", "webm"];
    match name {
        "pcm16" => Some("pcm"),
        name => known.into_iter().find(|format| *format == name),
    }
}
