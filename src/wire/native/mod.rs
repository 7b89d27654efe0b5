//! What the translations between OpenAI's formats and another have in common.
//!
//! A dialect's folder holds, for each operation it translates: `request` (an OpenAI body to what the provider is sent),
//! `answer` (what it answers to an OpenAI body) and, for chat, `stream::Decoder` (its stream to OpenAI's events).

pub mod finish;
pub(in crate::wire) mod json;
pub(in crate::wire) mod params;
pub mod schema;

use bytes::{Bytes, BytesMut};

use super::anthropic::{self, Hosting};
use super::extras::heard::Wanted;
use super::extras::{self, Extra, google_transcripts};
use super::multipart::{Form, Piece};
use super::openai::stream::Broken;
use super::{Malformed, Object, Op, bedrock, cohere, gemini, replicate};

/// A wire format that is translated to and from OpenAI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Native {
    /// Anthropic's Messages API, at one of its hosts.
    Anthropic(Hosting),
    /// Amazon Bedrock's Converse, and its InvokeModel.
    Bedrock,
    /// Cohere's second version.
    Cohere,
    /// Replicate's predictions.
    Replicate,
    /// Google's `generateContent`.
    Gemini(gemini::Host),
    /// A single operation of one vendor.
    Extra(Extra),
}

impl Native {
    /// What the provider is sent of an OpenAI body. Fails on what can't be said in this format.
    pub fn encode(self, ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
        match (self, terms.op) {
            (Native::Anthropic(hosting), Op::Chat) => anthropic::request::hosted(ask, terms, hosting),
            (Native::Bedrock, Op::Chat) => bedrock::request::request(ask, terms),
            (Native::Bedrock, Op::Embed) => bedrock::embeddings::request(ask, terms),
            (Native::Bedrock, Op::Image) => bedrock::images::request(ask, terms),
            (Native::Bedrock, Op::Rerank) => bedrock::rerank::invoked(ask, terms),
            (Native::Cohere, Op::Chat) => cohere::request::request(ask, terms),
            (Native::Cohere, Op::Embed) => cohere::embeddings::request(ask, terms),
            (Native::Replicate, Op::Chat) => replicate::request::request(ask, terms, None, None),
            (Native::Gemini(host), Op::Chat) => gemini::request::request(ask, terms, host),
            (Native::Gemini(host), Op::Embed) => gemini::embeddings::request(ask, terms, host),
            (Native::Cohere, Op::Rerank) => extras::rerank::cohere(ask, terms),
            (Native::Extra(extra), _) => extra.encode(ask, terms),
            (_, op) => Err(Refused::none(op)),
        }
    }

    /// What the provider is sent of a form. Fails on what can't be said in this format.
    pub fn form(self, form: &Form, terms: &Terms<'_>) -> Result<Posted, Refused> {
        match self {
            Native::Extra(extra) => extra.form(form, terms),
            _ => Err(Refused::none(terms.op)),
        }
    }

    /// A whole answer as OpenAI's. Fails on what is none, and with what the provider reports in a good answer's place.
    pub fn answer(self, op: Op, body: Bytes, back: &Back) -> Translated {
        match (self, op) {
            (Native::Anthropic(_), Op::Chat) => anthropic::answer::answer(body, back),
            (Native::Bedrock, Op::Chat) => bedrock::answer::answer(body, back),
            (Native::Bedrock, Op::Embed) => bedrock::embeddings::answer(body, back),
            (Native::Bedrock, Op::Image) => bedrock::images::answer(body, back),
            (Native::Bedrock, Op::Rerank) => bedrock::rerank::answer(body, back),
            (Native::Cohere, Op::Chat) => cohere::answer::answer(body, back),
            (Native::Cohere, Op::Embed) => cohere::embeddings::answer(body, back),
            (Native::Replicate, Op::Chat) => replicate::answer::answer(body, back),
            (Native::Gemini(_), Op::Chat) => gemini::answer::answer(body, back),
            (Native::Gemini(_), Op::Embed) => gemini::embeddings::answer(body, back),
            (Native::Cohere, Op::Rerank) => extras::rerank::ranked(body, back),
            (Native::Extra(extra), _) => extra.answer(body, back),
            (_, op) => Err(Broken::Malformed(Malformed::new(format!("{} can't be read in this format", op.name())))),
        }
    }

    /// Whether its models sign their thoughts, and want them back with the result of a tool.
    pub fn signs(self) -> bool {
        matches!(self, Native::Anthropic(_) | Native::Bedrock | Native::Gemini(_))
    }

    /// The content type of its streams.
    pub fn stream_type(self) -> &'static str {
        match self {
            Native::Bedrock => "application/vnd.amazon.eventstream",
            Native::Anthropic(_) | Native::Cohere | Native::Gemini(_) | Native::Replicate | Native::Extra(_) => {
                "text/event-stream"
            }
        }
    }

    /// What reads a stream; `None` where there is none, or it is OpenAI's.
    pub fn decoder(self, back: Back) -> Option<Decoder> {
        Some(match self {
            Native::Anthropic(_) => Decoder::Anthropic(Box::new(anthropic::stream::Decoder::new(back))),
            Native::Bedrock => Decoder::Bedrock(Box::new(bedrock::stream::Decoder::new(back))),
            Native::Cohere => Decoder::Cohere(cohere::stream::Decoder::new(back)),
            Native::Replicate => Decoder::Replicate(replicate::stream::Decoder::new(back)),
            Native::Gemini(_) => Decoder::Gemini(Box::new(gemini::stream::Decoder::new(back))),
            Native::Extra(extra) => return extra.decoder(),
        })
    }
}

/// The state of one stream in another format.
pub enum Decoder {
    /// Anthropic's.
    Anthropic(Box<anthropic::stream::Decoder>),
    /// Bedrock's.
    Bedrock(Box<bedrock::stream::Decoder>),
    /// Cohere's.
    Cohere(cohere::stream::Decoder),
    /// Replicate's.
    Replicate(replicate::stream::Decoder),
    /// Google's.
    Gemini(Box<gemini::stream::Decoder>),
    /// Of a transcript at Google.
    GoogleTranscript(Box<google_transcripts::Decoder>),
}

impl Decoder {
    /// Take what arrived, and append the OpenAI events that are whole now. When it fails, what was appended before still
    /// counts.
    pub fn push(&mut self, chunk: Bytes, out: &mut BytesMut) -> Result<(), Broken> {
        match self {
            Decoder::Anthropic(decoder) => decoder.push(chunk, out),
            Decoder::Bedrock(decoder) => decoder.push(chunk, out),
            Decoder::Cohere(decoder) => decoder.push(chunk, out),
            Decoder::Replicate(decoder) => decoder.push(chunk, out),
            Decoder::Gemini(decoder) => decoder.push(chunk, out),
            Decoder::GoogleTranscript(decoder) => decoder.push(chunk, out),
        }
    }

    /// The provider has closed the stream: append what is left. Fails if its end mark never came.
    pub fn end(&mut self, out: &mut BytesMut) -> Result<(), Broken> {
        match self {
            Decoder::Anthropic(decoder) => decoder.end(out),
            Decoder::Bedrock(decoder) => decoder.end(out),
            Decoder::Cohere(decoder) => decoder.end(out),
            Decoder::Replicate(decoder) => decoder.end(out),
            Decoder::Gemini(decoder) => decoder.end(out),
            Decoder::GoogleTranscript(decoder) => decoder.end(out),
        }
    }
}

/// What a translation is told beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// What is asked for.
    pub op: Op,
    /// The provider's own name for the model.
    pub model: &'a str,
    /// Whether the answer shall be a stream.
    pub stream: bool,
    /// The id of the answer, where the provider gives none.
    pub id: &'a str,
    /// Now, in seconds of Unix time: when the answer was created, where the provider does not say.
    pub created: u64,
    /// The most tokens the model can answer with, if that is known.
    pub most_output: Option<u64>,
    /// The most tokens of an answer whose request does not say, where the format must: the operator's choice.
    pub usual_output: Option<u64>,
}

/// A request in another format.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is sent.
    pub body: Bytes,
    /// Headers that this request needs beside those of every request, as `anthropic-beta`.
    pub headers: Vec<(&'static str, String)>,
    /// What could not be carried over: reported to the caller, or a refusal under `on_unsupported_param: reject`.
    pub losses: Vec<Loss>,
    /// What the way back needs to know.
    pub back: Back,
}

/// A form in another format.
#[derive(Clone, Debug)]
pub struct Posted {
    /// What is sent, stretches of the form among it.
    pub pieces: Vec<Piece>,
    /// Its content type.
    pub kind: String,
    /// What stands behind the path's `?`, if anything does.
    pub query: Option<String>,
    /// As [`Request::losses`]; their names are those of fields.
    pub losses: Vec<Loss>,
    /// What the way back needs to know.
    pub back: Back,
}

/// A parameter that the other format has no word for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Its path in the OpenAI body, as `messages[0].name` or `logit_bias`.
    pub param: String,
    /// What became of it, as in `x-ferro-warnings`: `dropped`, `clamped`, `converted`, `estimated`.
    pub action: &'static str,
}

/// What the answer's translation needs to know of the request.
#[derive(Clone, Debug, Default)]
pub struct Back {
    /// The id of the answer, where the provider gives none.
    pub id: String,
    /// When the answer was created, where the provider does not say; seconds of Unix time.
    pub created: u64,
    /// The model, as the provider was asked for it.
    pub model: String,
    /// The tool that stands for a JSON schema the provider has no other word for: its arguments are the answer's text.
    pub json_tool: Option<String>,
    /// Tools whose names the provider would not take: what it was told, and what the caller called them.
    pub tools: Vec<(String, String)>,
    /// Whether tools were given in the old form: the answer then calls one as `function_call`.
    pub functions: bool,
    /// The most results that are wanted, where the provider gives all.
    pub most: Option<usize>,
    /// Whether the caller asks for the provider's own form of what has one of OpenAI's, too.
    pub own_form: bool,
    /// What is wanted of a recording.
    pub wanted: Wanted,
}

impl Back {
    /// What every way back begins with.
    pub fn new(terms: &Terms<'_>) -> Self {
        let (id, model) = (terms.id.to_owned(), terms.model.to_owned());
        Self { id, created: terms.created, model, ..Self::default() }
    }

    /// The caller's name for a tool.
    pub fn tool<'a>(&'a self, sent: &'a str) -> &'a str {
        self.tools.iter().find(|(told, _)| told == sent).map_or(sent, |(_, own)| own)
    }
}

/// A request that can't be translated.
#[derive(Debug)]
pub enum Refused {
    /// The caller's body can't be read.
    Malformed(Malformed),
    /// A member is not what it must be.
    Invalid {
        /// Its path in the body, as `messages[2].content[0].image_url`.
        param: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The format has no word for a member that can't be left out without changing what is asked.
    Unsupported {
        /// Its path in the body.
        param: String,
    },
}

impl Refused {
    /// An operation that the format does not have.
    fn none(op: Op) -> Self {
        invalid("model", format!("this provider has no {}", op.name()))
    }
}

/// A member is not what it must be: its path, and what would be right.
pub(in crate::wire) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Refused {
    Refused::Invalid { param: param.into(), message: message.into() }
}

/// FNV-1a: the same in every process, so that histories stay the same; not hard to turn round.
pub(in crate::wire) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Refused::Malformed(malformed)
    }
}

/// A whole answer, translated: an OpenAI body, usage included as OpenAI has it.
pub type Translated = Result<Object, Broken>;
