//! Dialects by files: what each folder beside this one says that a request becomes, and an answer.
//!
//! A case is a folder: `ask.json` becomes `sent.json` (with `losses.json`: parameter and what became of it), or is
//! refused (`refused.json`: the parameter). `upstream.json` becomes `reply.json` and `upstream.sse` becomes `reply.sse`,
//! or fails as `failed.json` says. `FERROGW_UPDATE_FIXTURES=1` writes what is not there yet.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use ferrogw::wire::native::{Back, Refused, Request, Terms};
use ferrogw::wire::openai::stream::Broken;
use ferrogw::wire::{Native, Object, Op};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::{cut, places};

const DIALECTS: &[(&str, Native)] = &[("cohere", Native::Cohere)];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire").join(name)
}

struct Case {
    native: Native,
    path: PathBuf,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, native) in DIALECTS {
        let folders = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
        cases.extend(folders.map(|path| Case { native: *native, path }));
    }
    cases.sort_by(|one, other| one.path.cmp(&other.path));
    cases
}

impl Case {
    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.path.join(file)).ok()
    }

    /// Compare with a file as JSON, or write it if that is wished for.
    fn is(&self, file: &str, got: &Value) {
        let text = serde_json::to_string_pretty(got).unwrap() + "\n";
        let expected = self.expected(file, &text);
        let expected: Value = serde_json::from_str(&expected).unwrap();
        assert_eq!(got, &expected, "{}: {file}\n{text}", self.path.display());
    }

    fn expected(&self, file: &str, got: &str) -> String {
        if self.read(file).is_none() && std::env::var_os("FERROGW_UPDATE_FIXTURES").is_some() {
            fs::write(self.path.join(file), got).unwrap();
        }
        self.read(file).unwrap_or_else(|| panic!("{}: no {file}; got\n{got}", self.path.display()))
    }

    fn request(&self) -> (Op, Option<Result<Request, Refused>>, Back) {
        let Some(text) = self.read("ask.json") else {
            let terms = terms(Op::Chat, "the-model", true);
            return (Op::Chat, None, Back::new(&terms));
        };
        let ask = Object::parse(Bytes::from(text)).unwrap();
        let op = if ask.has("input") { Op::Embed } else { Op::Chat };
        let model: String = ask.get("model").unwrap().unwrap();
        let terms = terms(op, &model, ask.raw("stream") == Some(b"true"));
        let sent = self.native.encode(&ask, &terms);
        let back = sent.as_ref().map_or_else(|_| Back::new(&terms), |request| request.back.clone());
        (op, Some(sent), back)
    }
}

fn terms(op: Op, model: &str, stream: bool) -> Terms<'_> {
    Terms { op, model, stream, id: "chatcmpl-test", created: 1_767_225_600, most_output: None, usual_output: None }
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn failure(broken: &Broken) -> Value {
    match broken {
        Broken::Said(said) => json!({ "message": said.message, "code": said.code, "status": said.status }),
        Broken::Malformed(_) => json!("malformed"),
        Broken::Truncated => json!("truncated"),
    }
}

/// All that a stream says, and how it fails if it does.
fn decode(native: Native, back: &Back, pieces: &[&[u8]]) -> (String, Option<Broken>) {
    let (mut decoder, mut out) = (native.decoder(back.clone()).unwrap(), BytesMut::new());
    let pushed = pieces.iter().try_for_each(|piece| decoder.push(Bytes::copy_from_slice(piece), &mut out));
    let ended = pushed.and_then(|()| decoder.end(&mut out));
    (String::from_utf8(out.to_vec()).unwrap(), ended.err())
}

#[test]
fn requests_become_what_the_vendor_documents() {
    for case in cases() {
        let (_, Some(sent), _) = case.request() else { continue };
        match sent {
            Ok(request) => {
                case.is("sent.json", &value(&request.body));
                let losses = request.losses.iter().map(|loss| json!([loss.param, loss.action])).collect::<Vec<_>>();
                if !losses.is_empty() || case.read("losses.json").is_some() {
                    case.is("losses.json", &losses.into());
                }
            }
            Err(Refused::Unsupported { param } | Refused::Invalid { param, .. }) => {
                case.is("refused.json", &param.into());
            }
            Err(Refused::Malformed(error)) => case.is("refused.json", &error.to_string().into()),
        }
    }
}

#[test]
fn whole_answers_become_openais() {
    for case in cases() {
        let Some(upstream) = case.read("upstream.json") else { continue };
        let (op, _, back) = case.request();
        match case.native.answer(op, Bytes::from(upstream), &back) {
            Ok(reply) => case.is("reply.json", &value(&reply.encode())),
            Err(broken) => case.is("failed.json", &failure(&broken)),
        }
    }
}

#[test]
fn streams_become_openais_however_they_are_cut() {
    for case in cases() {
        let Some(upstream) = case.read("upstream.sse") else { continue };
        let (_, _, back) = case.request();
        let upstream = upstream.as_bytes();
        let (reply, broken) = decode(case.native, &back, &[upstream]);
        for frame in reply.split_terminator("\n\n").filter(|frame| *frame != "data: [DONE]") {
            let chunk: Value = value(frame.strip_prefix("data: ").unwrap().as_bytes());
            assert_eq!(chunk["object"], "chat.completion.chunk", "{}", case.path.display());
        }
        assert_eq!(reply, case.expected("reply.sse", &reply), "{}\n{reply}", case.path.display());
        if let Some(broken) = &broken {
            case.is("failed.json", &failure(broken));
        }
        let bytes: Vec<&[u8]> = upstream.chunks(1).collect();
        assert_eq!(decode(case.native, &back, &bytes).0, reply, "{}", case.path.display());
        let crlf = String::from_utf8_lossy(upstream).replace('\n', "\r\n");
        assert_eq!(decode(case.native, &back, &[crlf.as_bytes()]).0, reply, "{}", case.path.display());
    }
}

/// Text with a few bytes of it replaced, or cut short.
fn broken(text: &str, damage: &[(Index, u8)], end: Option<Index>) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (place, byte) in damage {
        if !bytes.is_empty() {
            let at = place.index(bytes.len());
            bytes[at] = *byte;
        }
    }
    if let Some(end) = end {
        bytes.truncate(end.index(bytes.len() + 1));
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_says_the_same_in_any_pieces(places in places()) {
        for case in cases() {
            let Some(upstream) = case.read("upstream.sse") else { continue };
            let (_, _, back) = case.request();
            let whole = decode(case.native, &back, &[upstream.as_bytes()]).0;
            prop_assert_eq!(decode(case.native, &back, &cut(upstream.as_bytes(), &places)).0, whole);
        }
    }

    #[test]
    fn no_upstream_makes_a_dialect_panic(
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        end in prop::option::of(any::<Index>()),
    ) {
        for case in cases() {
            let (op, _, back) = case.request();
            if let Some(upstream) = case.read("upstream.sse") {
                let (mut decoder, mut out) = (case.native.decoder(back.clone()).unwrap(), BytesMut::new());
                let _ = decoder.push(broken(&upstream, &damage, end).into(), &mut out);
                let _ = decoder.end(&mut out);
            }
            if let Some(upstream) = case.read("upstream.json") {
                let _ = case.native.answer(op, broken(&upstream, &damage, end).into(), &back);
            }
            if let Some(ask) = case.read("ask.json")
                && let Ok(ask) = Object::parse(broken(&ask, &damage, end).into())
            {
                let _ = case.native.encode(&ask, &terms(op, "the-model", false));
            }
        }
    }
}
