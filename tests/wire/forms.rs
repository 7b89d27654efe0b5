//! Forms that go by in pieces, and what is sent of them.

use ferrogw::wire::multipart::{Form, Piece, Scanner, boundary};
use proptest::prelude::*;

const BODY: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\n\
    Content-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n\
    \r\n--\r\n--bb\r\n-- b\r\n\xff\r\n--b\r\ncontent-disposition: form-data; name=prompt\r\n\r\n\r\n--b--\r\nepilogue";

fn scan(body: &[u8], cuts: &[usize]) -> Result<Form, String> {
    let mut scanner = Scanner::new("b");
    let mut from = 0;
    for cut in cuts.iter().copied().chain([body.len()]) {
        scanner.push(&body[from..cut]).map_err(|error| error.to_string())?;
        from = cut;
    }
    scanner.end().map_err(|error| error.to_string())
}

fn sent(form: &Form, edit: impl Fn(&mut ferrogw::wire::multipart::Draft<'_>)) -> String {
    let mut draft = form.draft();
    edit(&mut draft);
    let mut out = Vec::new();
    for piece in draft.encode() {
        match piece {
            Piece::New(bytes) => out.extend_from_slice(&bytes),
            Piece::Kept(range) => out.extend_from_slice(&BODY[range.start as usize..range.end as usize]),
            Piece::Coded(range) => panic!("a form is not in base64: {range:?}"),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn a_content_type_names_its_boundary() {
    let check = |kind: &str, expected: Option<&str>| assert_eq!(boundary(kind).as_deref(), expected, "{kind}");
    check("multipart/form-data; boundary=abc", Some("abc"));
    check("Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b;c\"", Some("a b;c"));
    check("multipart/form-data", None);
    check("multipart/form-data; boundary=", None);
    check("multipart/mixed; boundary=abc", None);
    check("application/json", None);
}

#[test]
fn parts_are_found_where_they_stand() {
    let form = scan(BODY, &[]).unwrap();
    assert_eq!(
        (form.text("model"), form.text("prompt"), form.text("file"), form.text("none")),
        (Some("m"), Some(""), None, None)
    );
    let file = &form.parts()[1];
    assert_eq!((file.filename.as_deref(), file.content_type.as_deref()), (Some("a \"b\".mp3"), Some("audio/mpeg")));
    assert_eq!(&BODY[file.content.start as usize..file.content.end as usize], b"\r\n--\r\n--bb\r\n-- b\r\n\xff");
    assert_eq!(form.length(), BODY.len() as u64);
}

#[test]
fn a_form_is_sent_as_it_came_but_for_what_was_changed() {
    let form = scan(BODY, &[]).unwrap();
    let whole = String::from_utf8_lossy(BODY);
    assert_eq!(sent(&form, |_| {}), whole);
    assert_eq!(sent(&form, |draft| draft.set("model", "m")), whole);
    let head = "Content-Disposition: form-data; name=";
    let without_epilogue = whole.trim_end_matches("epilogue").to_owned();
    let expected = without_epilogue.replacen("\r\nm\r\n", "\r\nother\r\n", 1);
    assert_eq!(sent(&form, |draft| draft.set("model", "other")), expected);
    let renamed = sent(&form, |draft| draft.rename("file", "audio"));
    assert!(
        renamed.contains(&format!(
            "{head}\"audio\"; filename=\"a %22b%22.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n\r\n--\r\n--bb"
        )),
        "{renamed}"
    );
    let gone = sent(&form, |draft| _ = draft.remove("model"));
    assert!(!gone.contains("model") && gone.ends_with("\r\n--b--\r\n"), "{gone}");
    let last = sent(&form, |draft| {
        draft.set("language", "br");
        draft.move_last("file");
    });
    let order =
        ["\"model\"", "name=prompt", "\"language\"\r\n\r\nbr", "name=\"file\""].map(|part| last.find(part).unwrap());
    assert!(order.is_sorted(), "{last}");
}

#[test]
fn what_is_no_form_is_refused() {
    let check =
        |body: &str, expected: &str| assert!(scan(body.as_bytes(), &[]).unwrap_err().contains(expected), "{body}");
    check("", "ends before");
    check("x", "ends before");
    check("no boundary", "does not begin");
    check("--b\r\n", "ends before");
    check("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b", "ends before");
    check("--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--", "no name");
    check("--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--b--", "no name");
    check(&format!("--b\r\n{}", "x".repeat(20_000)), "no end of its head");
    let long = format!("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{}\r\n--b--", "x".repeat(2 << 20));
    check(&long, "longer than");
    let many = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n".repeat(1001);
    check(&format!("{many}--b--"), "more than 1000");
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_form(mut cuts in proptest::collection::vec(0..BODY.len(), 0..12)) {
        cuts.sort_unstable();
        let (whole, cut) = (scan(BODY, &[]).unwrap(), scan(BODY, &cuts).unwrap());
        prop_assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
    }

    #[test]
    fn no_body_panics(pieces in proptest::collection::vec(
        prop_oneof![
            Just(&b"--b"[..]), Just(&b"\r\n"[..]), Just(&b"--"[..]), Just(&b"\r\n--b"[..]), Just(&b"\xff"[..]),
            Just(&b"Content-Disposition: form-data; name=\"a\"; filename=\"\\"[..]), Just(&b"\""[..]), Just(&b"\r\n\r\n"[..]),
        ], 0..20)) {
        let body = [&b"--b"[..]].into_iter().chain(pieces).collect::<Vec<_>>().concat();
        if let Ok(form) = scan(&body, &[]) {
            let mut draft = form.draft();
            draft.set("a", "b");
            draft.encode();
        }
    }
}
