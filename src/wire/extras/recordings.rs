//! Recordings as bytes: what they are by their names, the samples within, and forms that hold one as JSON that holds it.

use std::ops::Range;

use bytes::Bytes;

use crate::wire::multipart::{Form, Part, Piece};
use crate::wire::native::{Back, Loss, Posted, Refused, invalid};

/// Content types of sound by the ends of names.
const KINDS: &[(&str, &str)] = &[
    ("mp3", "audio/mpeg"),
    ("mpga", "audio/mpeg"),
    ("mpeg", "audio/mpeg"),
    ("wav", "audio/wav"),
    ("flac", "audio/flac"),
    ("ogg", "audio/ogg"),
    ("oga", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("m4a", "audio/mp4"),
    ("mp4", "audio/mp4"),
    ("aac", "audio/aac"),
    ("webm", "audio/webm"),
    ("amr", "audio/amr"),
    ("pcm", "audio/pcm"),
];

/// The content type of a recording: what is said of it if that is one of sound, else by its name or address. `None` if
/// neither tells, or if it is said to be something else.
pub fn kind(said: &str, name: &str) -> Option<String> {
    let said = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'+' | b'.');
    if ["audio/", "video/"].iter().any(|media| said.starts_with(media)) && said.bytes().all(plain) {
        return Some(said);
    }
    let untold = said.is_empty() || said.starts_with("application/octet") || said.starts_with("binary/octet");
    let path = name.split(['?', '#']).next().unwrap_or_default();
    let end = path.rsplit_once('.').map_or("", |(_, end)| end).to_ascii_lowercase();
    let known = KINDS.iter().find(|(known, _)| *known == end).map(|(_, kind)| (*kind).to_owned());
    known.filter(|_| untold)
}

/// The samples of a RIFF WAVE file; what is none is taken for samples.
pub fn samples(content: &Bytes) -> Bytes {
    if !content.starts_with(b"RIFF") || content.get(8..12) != Some(b"WAVE") {
        return content.clone();
    }
    let mut at = 12;
    while let Some(head) = content.get(at..at + 8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let end = (at + 8).saturating_add(length).min(content.len());
        if &head[..4] == b"data" {
            return content.slice(at + 8..end);
        }
        // chunks begin at even places
        at = end + (length & 1);
    }
    Bytes::new()
}

/// A form as JSON: what stands before the base64 of one of its files, and behind.
#[derive(Debug)]
pub struct Inlaid {
    /// Before it.
    pub before: Bytes,
    /// The file's place in the form.
    pub file: Range<u64>,
    /// Behind it.
    pub after: Bytes,
    /// Fields that could not be carried over.
    pub losses: Vec<Loss>,
    /// What the way back needs to know.
    pub back: Back,
}

impl From<Inlaid> for Posted {
    fn from(inlaid: Inlaid) -> Self {
        let Inlaid { before, file, after, mut losses, back } = inlaid;
        // a stream is made here
        losses.retain(|loss| loss.param != "stream");
        let pieces = vec![Piece::New(before), Piece::Coded(file), Piece::New(after)];
        Self { pieces, kind: "application/json".to_owned(), query: None, losses, back }
    }
}

/// The recording of a form, and its content type. Fails if there is none, or if nothing tells what it is.
pub fn recording(form: &Form) -> Result<(&Part, String), Refused> {
    let part = form.parts().iter().find(|part| part.name == "file");
    let part = part.ok_or_else(|| invalid("file", "`file` is missing"))?;
    let (said, name) = (part.content_type.as_deref().unwrap_or_default(), part.filename.as_deref().unwrap_or_default());
    let kind = kind(said, name);
    let untold = || invalid("file", "must have a content type of sound, or a name that tells it, as `speech.mp3`");
    Ok((part, kind.ok_or_else(untold)?))
}

/// Fails on a stream of what is no text: only a text is told in pieces.
pub fn streams_text(format: &str, stream: bool) -> Result<(), Refused> {
    if stream && !matches!(format, "json" | "text") {
        let message = "a streamed transcript is text: leave out `stream`, or ask for json";
        return Err(invalid("response_format", message));
    }
    Ok(())
}

/// The fields of a form that are not carried over: all but these, each once.
pub fn losses(form: &Form, known: &[&str]) -> Vec<Loss> {
    let mut lost: Vec<Loss> = Vec::new();
    for part in form.parts() {
        let name = part.name.as_str();
        if !known.contains(&name) && !matches!(name, "file" | "model") && lost.iter().all(|loss| loss.param != name) {
            lost.push(Loss { param: name.to_owned(), action: "dropped" });
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_what_is_said_or_what_its_name_tells() {
        let check = |said: &str, name: &str, expected: Option<&str>| {
            assert_eq!(kind(said, name).as_deref(), expected, "{said} {name}");
        };
        check("audio/x-wav", "a.mp3", Some("audio/x-wav"));
        check("Audio/Webm; codecs=opus", "", Some("audio/webm"));
        check("application/octet-stream", "a.MP3", Some("audio/mpeg"));
        check("", "https://x.example/a.wav?Expires=1.mp3", Some("audio/wav"));
        check("", "speech", None);
        check("text/html", "a.wav", None);
        check("audio/\"x", "", None);
    }

    #[test]
    fn samples_are_found_in_a_file() {
        let file = b"RIFF\x24\0\0\0WAVEfmt \x01\0\0\0x\0data\x04\0\0\0abcdLIST";
        assert_eq!(samples(&Bytes::from_static(file)), "abcd");
        assert_eq!(samples(&Bytes::from_static(b"RIFF\x24\0\0\0WAVEdata\xff\xff\xff\xffab")), "ab");
        assert_eq!(samples(&Bytes::from_static(b"RIFF\x24\0\0\0WAVEfmt \xff\xff\xff\xff")), "");
        assert_eq!(samples(&Bytes::from_static(b"abcd")), "abcd");
    }
}
