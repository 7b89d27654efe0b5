//! Server-sent events: where frames begin and end, and what they hold.

use bytes::Bytes;
use ferrogw::wire::sse::{self, Frames};
use proptest::prelude::*;

/// Every frame of a stream that came in these pieces, and what was left at its end.
fn frames(pieces: &[&[u8]]) -> (Vec<Bytes>, Bytes) {
    let mut frames = Frames::default();
    let mut seen = Vec::new();
    for piece in pieces {
        let whole = frames.push(Bytes::copy_from_slice(piece));
        seen.extend(sse::split(whole));
    }
    (seen, frames.end())
}

proptest! {
    #[test]
    fn frames_do_not_depend_on_how_the_socket_cut_them(stream in super::scraps(), places in super::places()) {
        let (whole, rest) = frames(&[&stream]);
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&frames(&super::cut(&stream, &places)), &(whole.clone(), rest.clone()));
        prop_assert_eq!(&frames(&single), &(whole.clone(), rest.clone()));
        let again: Vec<u8> = whole.iter().chain([&rest]).flatten().copied().collect();
        prop_assert_eq!(again, stream, "no byte is lost or added");
    }

    #[test]
    fn payloads_arrive_as_they_were_sent(
        payloads in prop::collection::vec("[ -~é]{1,40}", 0..8),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        places in super::places(),
    ) {
        let mut stream = String::from("\u{feff}");
        for payload in &payloads {
            stream.push_str(&format!(": a comment{end}event: x{end}data: {payload}{end}id: 7{end}{end}"));
        }
        stream.push_str(&format!("{end}: the last line feed shows that a carriage return was no half of a line end\n\n"));
        let (seen, rest) = frames(&super::cut(stream.as_bytes(), &places));
        let data: Vec<String> =
            seen.iter().filter_map(sse::data).map(|data| String::from_utf8(data.to_vec()).unwrap()).collect();
        prop_assert_eq!(data, payloads);
        prop_assert!(rest.is_empty());
    }
}

#[test]
fn fields_are_read_as_the_standard_says() {
    let check = |frame: &str, data: Option<&str>, event: Option<&str>| {
        let bytes = Bytes::copy_from_slice(frame.as_bytes());
        assert_eq!(sse::data(&bytes).as_deref(), data.map(str::as_bytes), "{frame:?}");
        assert_eq!(sse::event(&bytes), event.map(str::as_bytes), "{frame:?}");
    };
    check("data: a\n\n", Some("a"), None);
    check("data:a\n\n", Some("a"), None);
    check("data:  a\n\n", Some(" a"), None);
    check("data: a\ndata: b\r\ndata:c\r\r", Some("a\nb\nc"), None);
    check("data:\ndata: a\n\n", Some("\na"), None);
    check("data:\n\n", Some(""), None);
    check(": data: a\n\n", None, None);
    check("database: a\n\n", None, None);
    check("event: error\ndata: {}\n\n", Some("{}"), Some("error"));
    check("event:error\r\ndata:{}\r\n\r\n", Some("{}"), Some("error"));
    check("\u{feff}data: a\n\n", Some("a"), None);
    check("\u{feff}event: error\ndata: a\n\n", Some("a"), Some("error"));
    check("\n", None, None);
    check("", None, None);
}

#[test]
fn frames_that_arrive_whole_are_not_copied() {
    let chunk = Bytes::from(b"data: {\"a\":1}\n\ndata: {\"b\":2}\n\n".to_vec());
    let place = chunk.as_ptr();
    let whole = Frames::default().push(chunk);
    assert_eq!(whole.as_ptr(), place);
    assert_eq!(sse::split(whole).next().unwrap().as_ptr(), place);
}

#[test]
fn a_frame_made_here_is_read_back() {
    assert_eq!(sse::data(&sse::frame(b"{}")).unwrap(), "{}");
}

#[test]
fn json_of_several_lines_is_one_frame() {
    let frame = sse::frame(b"{\n  \"a\": \"\\n\"\r\n}");
    assert_eq!(frame, "data: {   \"a\": \"\\n\"  }\n\n");
}
