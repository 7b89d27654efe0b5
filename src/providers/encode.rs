//! A call as one provider is sent it: the row's changes, made on a copy of the body's index, and a translation where the
//! provider speaks another format.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderName, HeaderValue};

use super::Provider;
use super::client::Outgoing;
use super::learned::signatures::Shelf;
use super::rework::repair::{self, Insists};
use super::rework::{self, options};
use super::spec::{Notes, Spec};
use super::surface;
use crate::call::{Body, Call, Error, Op};
use crate::wire::native::{self, Native, Refused, Terms};
use crate::wire::openai::completions::{self, Echo};
use crate::wire::openai::functions;
use crate::wire::openai::think::Aloud;
use crate::wire::{Dialect, Object};

/// What goes out.
pub struct Sent {
    /// The operation the provider is asked for.
    pub op: Op,
    /// The body.
    pub body: Outgoing,
    /// The way back to what the caller asked for.
    pub back: Back,
    /// What the provider is asked for instead of the model.
    pub model: Option<String>,
    /// The path below the root, where it is not that of the operation.
    pub path: Option<&'static str>,
    /// Headers of this request alone.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// The way from what the provider answers to what the caller asked for.
#[derive(Default)]
pub struct Back {
    /// To the operation the caller asked for, if that is another one.
    pub completion: Option<Echo>,
    /// Out of the provider's format, if it has one of its own.
    pub native: Option<Box<Foreign>>,
    /// From a stream to the whole answer that was asked for.
    pub fold: bool,
    /// Whether thoughts may stand in front of the answer, as `<think>…</think>`.
    pub thinks_aloud: Aloud,
}

/// What an answer in another format is read by.
pub struct Foreign {
    /// The format.
    pub native: Native,
    /// What the provider was asked for.
    pub op: Op,
    /// What is known of the request.
    pub back: native::Back,
    /// Whether tools were given in the old form.
    pub functions: bool,
    /// Where thoughts are remembered, if the answer may call tools and its provider wants thoughts back then.
    pub shelf: Option<Shelf>,
    /// What this request alone has behind its path's `?`.
    pub query: Option<String>,
}

/// Encode a call for a provider. Fails on what it can't be asked for.
pub fn encode(provider: &Provider, call: &Call, model: &str, warnings: &mut Vec<String>) -> Result<Sent, Error> {
    let spec = provider.spec;
    let given = match &call.body {
        Body::Json(given) if call.passage.is_none() => given,
        _ => return surface::encode(provider, call, model, warnings),
    };
    let (op, mut body, completion) = match call.op {
        Op::Complete if spec.path(Op::Complete).is_none() => {
            let (chat, echo) = completions::to_chat(given)
                .map_err(|beyond| Error::Invalid { param: beyond.param.to_owned(), message: beyond.message })?;
            (Op::Chat, chat, Some(echo))
        }
        op => (op, given.clone(), None),
    };
    let way = spec.way(op, model, call.stream, &provider.settings);
    let path = way.map(|way| way.path);
    let other = (spec.model)(model, op, &provider.settings);
    let model = other.as_deref().unwrap_or(model);
    let thinks_aloud = if op == Op::Chat { (spec.thinks_aloud)(model, &body) } else { Aloud::No };
    let dialect = way.map_or(spec.dialect, |way| way.dialect);
    let mut notes = provider.notes(model, call.stream, warnings);
    if provider.repairs {
        let user_first = matches!(dialect, Dialect::Native(Native::Anthropic(_) | Native::Bedrock));
        let insists = Insists { user_first, reply_after_tool: spec.reply_after_tool };
        repair::history(op, &mut body, insists, &mut notes)?;
    }
    if let Dialect::Native(native) = dialect {
        let functions = op == Op::Chat && functions::asked(&body);
        let signs = op == Op::Chat && native.signs() && body.has("tools");
        let signatures = &provider.learned.signatures;
        let shelf = signs.then(|| Shelf { signatures: signatures.clone(), owner: call.key.clone() });
        if op == Op::Chat && native.signs() {
            signatures.recall(call.key.as_ref(), &mut body, Instant::now())?;
        }
        let translated = translate(provider, native, op, body, &mut notes)?;
        let headers = headers(provider, &translated.headers)?;
        let native = Some(Box::new(Foreign { native, op, back: translated.back, functions, shelf, query: None }));
        return Ok(Sent {
            op,
            body: translated.body.into(),
            back: Back { completion, native, fold: false, thinks_aloud },
            model: other,
            path,
            headers,
        });
    }
    rework::request(spec, op, &mut body, &mut notes)?;
    if call.model.as_ref() != model || body.raw("model").is_none_or(|raw| !is_text(raw, model)) {
        body.set_text("model", model);
    }
    let chats = matches!(op, Op::Chat | Op::Complete);
    let fold = chats && !call.stream && (spec.streams_only)(model, &body);
    if fold {
        body.set_raw("stream", Bytes::from_static(b"true"));
    }
    if (call.stream && !call.wants_usage || fold) && spec.asks_usage && chats {
        let options = match body.object("stream_options")? {
            None => Bytes::from_static(br#"{"include_usage":true}"#),
            Some(mut options) => {
                options.set_raw("include_usage", Bytes::from_static(b"true"));
                options.encode()
            }
        };
        body.set_raw("stream_options", options);
    }
    if !provider.learned.is_empty() {
        provider.learned.apply(&mut body, &mut notes, Instant::now());
    }
    let back = Back { completion, native: None, fold, thinks_aloud };
    Ok(Sent { op, body: body.encode().into(), back, model: other, path, headers: Vec::new() })
}

fn is_text(raw: &[u8], text: &str) -> bool {
    matches!(raw, [b'"', inner @ .., b'"'] if inner == text.as_bytes())
}

/// The same call in the provider's own format: the row's changes are made before, its options put in behind.
fn translate(
    provider: &Provider,
    native: Native,
    op: Op,
    mut body: Object,
    notes: &mut Notes<'_>,
) -> Result<native::Request, Error> {
    let options = options::take(&mut body, provider.spec.id)?;
    rework::fit(provider.spec, op, &mut body, notes)?;
    if !provider.learned.is_empty() {
        provider.learned.apply(&mut body, notes, Instant::now());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (id, created) = (id(), now.as_secs());
    let most_output = provider.most_output(notes.model);
    let usual_output = provider.settings.usual_output();
    let terms = Terms { op, model: notes.model, stream: notes.stream, id: &id, created, most_output, usual_output };
    let mut request = native.encode(&body, &terms).map_err(|refused| refusal(provider.spec, refused))?;
    for loss in &request.losses {
        notes.lost(&body, loss)?;
    }
    if let Some(options) = options {
        let mut sent = Object::parse(request.body)?;
        options::merge(&mut sent, &options)?;
        request.body = sent.encode();
    }
    Ok(request)
}

/// What the caller is told of a body that can't be translated.
pub(super) fn refusal(spec: &Spec, refused: Refused) -> Error {
    let provider = spec.id;
    match refused {
        Refused::Malformed(malformed) => Error::Malformed(malformed),
        Refused::Invalid { param, message } => Error::Invalid { param, message },
        Refused::Unsupported { param } if param.starts_with("messages") || param.starts_with("input") => {
            Error::UnsupportedContent { param, provider }
        }
        Refused::Unsupported { param } => Error::Unsupported { param, provider },
    }
}

/// A translation's headers. Where the target sends one of that name too, both are in it, as a list. Fails on values that
/// no header can carry: they are made of what the caller said.
fn headers(provider: &Provider, wanted: &[(&'static str, String)]) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let mut headers = Vec::with_capacity(wanted.len());
    for (name, value) in wanted {
        let name = HeaderName::from_static(name);
        let own = provider.ready.headers.get(&name).filter(|_| name != ACCEPT).and_then(|own| own.to_str().ok());
        let value = own.map_or_else(|| value.clone(), |own| format!("{own},{value}"));
        let value = HeaderValue::try_from(value).map_err(|_| {
            let message = format!("the header `{name}`, which follows from this request, would not be one");
            Error::Invalid { param: name.to_string(), message }
        })?;
        headers.push((name, value));
    }
    Ok(headers)
}

/// An id for an answer whose provider gives none, as OpenAI's look.
pub(super) fn id() -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut noise = [0; 24];
    // without randomness the id is a poor one, and the answer still good
    let _filled = getrandom::fill(&mut noise);
    let mut id = String::with_capacity(33);
    id.push_str("chatcmpl-");
    id.extend(noise.iter().map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()])));
    id
}
