//! What a content is, by its first bytes.

use memchr::memmem;

/// The most bytes that [`sniff`] looks at.
pub const HEAD: usize = 64;

/// The media types that [`sniff`] finds, for those who ask what is taken.
pub const TAKEN: &str =
    "png, jpeg, gif, webp, heic, heif, avif, pdf, wav, mp3, flac, ogg, aac, aiff, m4a, mp4, mov, webm";

/// The media type of a content, by its first bytes. `None` for everything that is not taken.
pub fn sniff(head: &[u8]) -> Option<&'static str> {
    Some(match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => "audio/wav",
        [b'%', b'P', b'D', b'F', b'-', ..] => "application/pdf",
        [b'I', b'D', b'3', ..] => "audio/mp3",
        [b'f', b'L', b'a', b'C', ..] => "audio/flac",
        [b'O', b'g', b'g', b'S', ..] => "audio/ogg",
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => "audio/aiff",
        // Matroska's element of the head, with the kind of document in it
        [0x1a, 0x45, 0xdf, 0xa3, rest @ ..] => {
            memmem::find(&rest[..rest.len().min(HEAD)], b"webm").map(|_| "video/webm")?
        }
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.get(..4)? {
            b"heic" | b"heix" | b"hevc" | b"hevx" => "image/heic",
            b"mif1" | b"msf1" => "image/heif",
            b"avif" | b"avis" => "image/avif",
            b"M4A " | b"M4B " => "audio/m4a",
            b"qt  " => "video/quicktime",
            _ => "video/mp4",
        },
        // a frame of AAC (ADTS) begins with twelve ones and layer 0, one of MP3 with eleven, a layer, a rate and a frequency
        [0xff, second, ..] if second & 0xf6 == 0xf0 => "audio/aac",
        [0xff, second, third, ..]
            if second & 0xe6 == 0xe2 && second & 0x18 != 0x08 && third & 0xf0 != 0xf0 && third & 0x0c != 0x0c =>
        {
            "audio/mp3"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::sniff;

    #[test]
    fn contents_are_known_by_their_first_bytes() {
        let check = |head: &[u8], expected: Option<&str>| assert_eq!(sniff(head), expected, "{head:x?}");
        check(b"\x89PNG\r\n\x1a\n and more", Some("image/png"));
        check(b"\xff\xd8\xff\xe0", Some("image/jpeg"));
        check(b"GIF89a", Some("image/gif"));
        check(b"RIFF\x01\x02\x03\x04WEBPVP8 ", Some("image/webp"));
        check(b"RIFF\x01\x02\x03\x04WAVEfmt ", Some("audio/wav"));
        check(b"RIFF\x01\x02\x03\x04AVI LIST", None);
        check(b"%PDF-1.7", Some("application/pdf"));
        check(b"ID3\x04", Some("audio/mp3"));
        check(b"\xff\xfb\x90\x44", Some("audio/mp3"));
        check(b"\xff\xf1\x50\x80", Some("audio/aac"));
        check(b"fLaC\0", Some("audio/flac"));
        check(b"OggS\0", Some("audio/ogg"));
        check(b"FORM\0\0\0\0AIFF", Some("audio/aiff"));
        check(b"\0\0\0\x18ftypmp42", Some("video/mp4"));
        check(b"\0\0\0\x18ftypheic", Some("image/heic"));
        check(b"\0\0\0\x18ftypM4A ", Some("audio/m4a"));
        check(b"\0\0\0\x14ftypqt  ", Some("video/quicktime"));
        check(
            b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm",
            Some("video/webm"),
        );
        // what is not taken: pages, vector graphics, texts, archives, programs, nothing
        for other in [
            &b"<!doctype html>"[..],
            b"<svg xmlns",
            b"{\"a\":1}",
            b"PK\x03\x04",
            b"\x7fELF",
            b"MZ",
            b"",
            b"\xff",
            b"\xff\xff\xff\xff",
        ] {
            check(other, None);
        }
    }
}
