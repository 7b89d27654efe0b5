//! Single operations that follow no dialect: what a vendor has of its own where the rest of it speaks OpenAI's words.

mod ai21;
pub mod batches;
mod cloudflare;
pub mod embeddings;
pub mod google;
pub mod google_transcripts;
pub mod heard;
mod hearing;
pub mod images;
pub mod listed;
pub mod novita;
pub mod nvidia;
pub mod qwen;
pub mod recordings;
pub mod rerank;
pub mod sound;
pub mod speech;
pub mod transcripts;

use bytes::Bytes;
use serde::Serialize;

pub(crate) use super::base64::{base64, unbase64};
use super::gemini::Host;
use super::multipart::Form;
use super::native::{Back, Decoder, Loss, Posted, Refused, Request, Terms, Translated, invalid};
use super::openai::stream::Broken;
use super::{Malformed, Object};

/// One operation in one vendor's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extra {
    /// Chats with AI21's older models, which complete texts.
    Ai21Chat,
    /// Embeddings of Hugging Face's own backend.
    HuggingFaceEmbed,
    /// Embeddings of Ollama.
    OllamaEmbed,
    /// Embeddings of Perplexity.
    PerplexityEmbed,
    /// Images at Google.
    GoogleImage,
    /// Speech at Google.
    GoogleSpeech,
    /// Transcripts and translations at Google.
    GoogleTranscript(Host),
    /// Images at NVIDIA, and of a NIM container.
    NimImage,
    /// Ranking at Cloudflare.
    CloudflareRerank,
    /// Ranking at DeepInfra.
    DeepinfraRerank,
    /// Ranking by a NIM container.
    NimRerank,
    /// Ranking at Google.
    GoogleRerank,
    /// Ranking at Alibaba's Model Studio.
    QwenRerank,
    /// Images at Cloudflare.
    CloudflareImage,
    /// Speech at Cloudflare.
    CloudflareSpeech,
    /// Transcripts and translations at Cloudflare.
    CloudflareTranscript,
    /// Images at Fireworks.
    FireworksImage,
    /// Images at Hugging Face's own backend.
    HuggingFaceImage,
    /// Images at Novita.
    NovitaImage,
    /// Speech at Hugging Face's own backend.
    HuggingFaceSpeech,
    /// Images of a chat at OpenRouter.
    OpenrouterImage,
    /// Images at Alibaba's Model Studio.
    QwenImage,
    /// Speech there.
    QwenSpeech,
    /// Transcripts there.
    QwenTranscript,
    /// Speech at xAI.
    XaiSpeech,
}

impl Extra {
    /// What the vendor is sent of an OpenAI body. Fails on what can't be said there.
    pub fn encode(self, ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
        match self {
            Extra::Ai21Chat => ai21::complete(ask, terms),
            Extra::HuggingFaceEmbed => embeddings::hugging_face(ask, terms),
            Extra::OllamaEmbed => embeddings::ollama(ask, terms),
            Extra::PerplexityEmbed => embeddings::perplexity(ask, terms),
            Extra::GoogleImage => google::image(ask, terms),
            Extra::GoogleSpeech => speech::google(ask, terms),
            Extra::NimImage => nvidia::image(ask, terms),
            Extra::CloudflareRerank => rerank::cloudflare(ask, terms),
            Extra::DeepinfraRerank => rerank::deepinfra(ask, terms),
            Extra::NimRerank => rerank::nim(ask, terms),
            Extra::GoogleRerank => rerank::google(ask, terms),
            Extra::QwenRerank => rerank::qwen(ask, terms),
            Extra::CloudflareImage => images::cloudflare(ask, terms),
            Extra::CloudflareSpeech => cloudflare::speech(ask, terms),
            Extra::FireworksImage => images::fireworks(ask, terms),
            Extra::HuggingFaceImage => images::hugging_face(ask, terms),
            Extra::NovitaImage => novita::image(ask, terms),
            Extra::HuggingFaceSpeech => speech::hugging_face(ask, terms),
            Extra::OpenrouterImage => images::openrouter(ask, terms),
            Extra::QwenImage => images::qwen(ask, terms),
            Extra::QwenSpeech => qwen::speech(ask, terms),
            Extra::XaiSpeech => sound::xai(ask, terms),
            Extra::GoogleTranscript(_) | Extra::CloudflareTranscript | Extra::QwenTranscript => {
                Err(invalid("file", "must come in a form (multipart/form-data)"))
            }
        }
    }

    /// What the vendor is sent of a form. Fails on what can't be said there.
    pub fn form(self, form: &Form, terms: &Terms<'_>) -> Result<Posted, Refused> {
        match self {
            Extra::GoogleTranscript(host) => google_transcripts::ask(form, terms, host),
            Extra::CloudflareTranscript => cloudflare::transcript(form, terms),
            Extra::QwenTranscript => qwen::hear(form, terms).map(Posted::from),
            _ => Err(invalid("model", format!("{} takes no form here", terms.op.name()))),
        }
    }

    /// What reads the vendor's stream; `None` where it is OpenAI's, or there is none.
    pub fn decoder(self) -> Option<Decoder> {
        match self {
            Extra::GoogleTranscript(_) => Some(Decoder::GoogleTranscript(Box::default())),
            _ => None,
        }
    }

    /// A whole answer as OpenAI's. Fails on what is none, and with what the vendor reports in its place.
    pub fn answer(self, body: Bytes, back: &Back) -> Translated {
        match self {
            Extra::Ai21Chat => ai21::of_complete(body, back),
            Extra::HuggingFaceEmbed => embeddings::of_hugging_face(body, back),
            Extra::OllamaEmbed => embeddings::of_ollama(body, back),
            Extra::PerplexityEmbed => embeddings::of_perplexity(body, back),
            Extra::GoogleImage => google::drawn(body, back),
            Extra::GoogleSpeech => speech::of_google(body, back),
            Extra::NimImage => nvidia::drawn(body, back),
            Extra::CloudflareRerank => rerank::of_cloudflare(body, back),
            Extra::DeepinfraRerank => rerank::of_deepinfra(body, back),
            Extra::NimRerank => rerank::of_nim(body, back),
            Extra::GoogleRerank => rerank::of_google(body, back),
            Extra::QwenRerank => rerank::of_qwen(body, back),
            Extra::CloudflareImage | Extra::FireworksImage | Extra::HuggingFaceImage => images::drawn(body, back),
            Extra::NovitaImage => novita::drawn(body, back),
            Extra::OpenrouterImage => images::of_openrouter(body, back),
            Extra::QwenImage => images::of_qwen(body, back),
            Extra::QwenSpeech => qwen::spoken(body, back),
            Extra::QwenTranscript => qwen::heard(body, back),
            Extra::GoogleTranscript(_) => google_transcripts::heard(body, back),
            Extra::CloudflareTranscript => cloudflare::heard(body, back),
            // wrapped in JSON, if it does not come as it is
            Extra::CloudflareSpeech | Extra::HuggingFaceSpeech => read(body),
            Extra::XaiSpeech => Err(Broken::Malformed(Malformed::new("speech comes as sound"))),
        }
    }
}

/// A request that was translated member by member: what is in `known` was carried over, all else is lost.
fn request(ask: &Object, terms: &Terms<'_>, body: &impl Serialize, known: &[&str]) -> Request {
    let lost = ask.members().filter(|(name, value)| {
        !known.contains(name)
            // events are made of what comes, if need be
            && !matches!(*name, "model" | "user" | "response_format" | "stream_format")
            && *value != b"null"
    });
    let losses = lost.map(|(name, _)| Loss { param: name.to_owned(), action: "dropped" }).collect();
    let body = serde_json::to_vec(body).expect("texts, numbers and JSON are always JSON").into();
    Request { body, headers: Vec::new(), losses, back: Back::new(terms) }
}

/// A text that must be there.
pub(super) fn text(ask: &Object, param: &str) -> Result<String, Refused> {
    let found = ask.get::<String>(param).ok().flatten().filter(|text| !text.is_empty());
    found.ok_or_else(|| invalid(param, format!("`{param}` must be a text")))
}

/// The vendor's answer, if it is an object and no error.
fn read(body: Bytes) -> Result<Object, Broken> {
    match super::openai::answer::read(body).map_err(Broken::Malformed)? {
        super::openai::answer::Whole::Good(object) => Ok(object),
        super::openai::answer::Whole::Error(said) => Err(Broken::Said(said)),
    }
}

/// What is built here, as an object.
pub(super) fn made(value: &impl Serialize) -> Translated {
    let body = serde_json::to_vec(value).expect("texts, numbers and JSON are always JSON");
    Object::parse(body.into()).map_err(Broken::Malformed)
}
