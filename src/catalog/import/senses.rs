//! Which content models do not take, as far as everybody who lists it agrees: images, sound and videos.
//!
//! A missing flag says nothing, and sellers err. So a model is only said not to take images if somebody lists what it
//! takes and leaves them out, if whoever makes it or sells it here says nothing else, and if hardly anybody does who
//! sells it elsewhere. Whoever is often outvoted so is not heard. Files are not judged: many sellers make text of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::litellm;
use crate::catalog::kind::INPUTS;
use crate::catalog::names::{self, Stem};
use crate::catalog::record::Record;

/// Its names for kinds of content, in the order of [`INPUTS`]; the last of those is not judged.
const KINDS: [&str; 3] = ["image", "audio", "video"];

/// Names of the public list models.dev for sellers, and ours; others of its names are those of nobody we call.
const SELLERS: &[(&str, &str)] = &[
    ("alibaba", "qwen"),
    ("alibaba-cn", "qwen"),
    ("amazon-bedrock", "bedrock"),
    ("azure", "azure-openai"),
    ("azure-cognitive-services", "azure-foundry"),
    ("cloudflare-ai-gateway", "cloudflare"),
    ("cloudflare-workers-ai", "cloudflare"),
    ("fireworks-ai", "fireworks"),
    ("google", "gemini"),
    ("google-vertex", "vertex-ai"),
    ("google-vertex-anthropic", "vertex-ai"),
    ("huggingface", "hugging-face"),
    // it lists what OpenRouter lists
    ("kilo", "openrouter"),
    ("moonshotai", "moonshot"),
    ("moonshotai-cn", "moonshot"),
    ("novita-ai", "novita"),
    ("nvidia", "nvidia-nim"),
    ("togetherai", "together"),
];

/// Makers, as their own sellers, and how the stems of their models begin.
const MAKERS: &[(&str, &[&str])] = &[
    ("ai21", &["jamba"]),
    ("anthropic", &["claude"]),
    ("cohere", &["command", "c4ai"]),
    ("deepseek", &["deepseek"]),
    ("gemini", &["gemini", "gemma"]),
    ("meta_llama", &["llama"]),
    ("llama", &["llama"]),
    ("minimax", &["minimax"]),
    ("mistral", &["mistral", "mixtral", "ministral", "codestral", "devstral", "magistral", "pixtral", "voxtral"]),
    ("moonshot", &["kimi", "moonshot"]),
    ("openai", &["gpt", "o1", "o3", "o4", "codex"]),
    ("perplexity", &["sonar"]),
    ("qwen", &["qwen", "qwq", "qvq"]),
    ("stepfun", &["step"]),
    ("xai", &["grok"]),
    ("xiaomi", &["mimo"]),
    ("zai", &["glm"]),
    ("zhipuai", &["glm"]),
];

/// Beginnings of stems that are never judged: families that see, whatever is said of one of them, and names that stand
/// for a newer model from time to time.
const SEEING: [&str; 20] = [
    "claude",
    "gemini",
    "gpt4o",
    "gpt41",
    "gpt45",
    "gpt5",
    "chatgpt",
    "grok4",
    "llama4",
    "novalite",
    "novapro",
    "novapremier",
    "mistralmedium3",
    "deepseek4",
    "sonar",
    "qwen35",
    "qwen36",
    "qwenflash",
    "qwenmax",
    "qwenplus",
];

/// Parts of names that tell of other content than text, or of a model that changes.
const OPEN: [&str; 16] = [
    "vision",
    "vl",
    "omni",
    "multimodal",
    "pixtral",
    "llava",
    "image",
    "video",
    "ocr",
    "4v",
    "5v",
    "auto",
    "router",
    "latest",
    "sea-lion",
    "flux",
];

/// So many must say that a model does not take something for each that says it does; fewer if its maker is among them.
const OUTVOTES: [usize; 2] = [10, 6];

/// Whoever is outvoted in more than one of so many cases is not heard.
const UNHEARD: usize = 10;

/// A source and a seller.
type Seller = (char, String);

/// What is said of one stem and date: per seller, the kinds of content it lists, as bits of [`KINDS`], and whether it
/// lists all it takes.
type Said = BTreeMap<Seller, Senses>;

#[derive(Clone, Copy, Debug, Default)]
struct Senses {
    takes: u8,
    lists: bool,
}

/// Everything that was said.
#[derive(Default)]
pub(super) struct Words(BTreeMap<String, BTreeMap<String, Said>>);

impl Words {
    fn note(&mut self, id: &str, seller: Seller, senses: Senses) {
        let Stem { name, date } = names::stem(id);
        if !name.is_empty() && (senses.lists || senses.takes > 0) {
            let known = self.0.entry(name).or_default().entry(date).or_default().entry(seller).or_default();
            known.takes |= senses.takes;
            known.lists |= senses.lists;
        }
    }

    /// What litellm says: of some models which content they take, of more that they take images.
    pub(super) fn hear_litellm(&mut self, text: &str) -> Result<(), String> {
        let all: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        for (key, row) in all.iter().filter(|(key, row)| *key != "sample_spec" && speaks(row)) {
            let theirs = row.get("litellm_provider").and_then(Value::as_str).unwrap_or_default();
            let seller = litellm::seller(theirs).unwrap_or(theirs).to_owned();
            let mut senses = listed(row.get("supported_modalities"));
            let is = |flag: &str| row.get(flag).and_then(Value::as_bool) == Some(true);
            senses.takes |= u8::from(is("supports_vision") || is("supports_image_input"));
            senses.takes |= u8::from(is("supports_audio_input")) << 1 | u8::from(is("supports_video_input")) << 2;
            self.note(key, ('l', seller), senses);
        }
        Ok(())
    }

    /// What models.dev says, in the form of its `api.json`: of every model which content it takes.
    pub(super) fn hear_models_dev(&mut self, text: &str) -> Result<(), String> {
        let all: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        for (theirs, seller) in &all {
            let ours = SELLERS.iter().find(|(name, _)| name == theirs).map(|(_, ours)| *ours);
            // one seller may have several lists: `zai`, `zai-coding-plan`
            let name = ours.unwrap_or_else(|| theirs.split('-').next().unwrap_or_default());
            for (id, model) in seller.get("models").and_then(Value::as_object).into_iter().flatten() {
                let inputs = model.get("modalities").and_then(|both| both.get("input"));
                self.note(id, ('m', name.to_owned()), listed(inputs));
            }
        }
        Ok(())
    }

    /// Tell models what they do not take. Comes after everything that fills in capabilities.
    pub(super) fn judge(&self, records: &mut [Record]) {
        let unheard = self.unheard();
        for record in records.iter_mut().filter(|record| matches!(&*record.mode, "chat" | "completion" | "responses")) {
            if names::NAMED_BY_OPERATORS.contains(&record.provider.as_str()) {
                continue;
            }
            let lower = record.id.to_ascii_lowercase();
            let stem = names::stem(&record.id);
            if OPEN.iter().any(|part| lower.contains(part)) || SEEING.iter().any(|head| stem.name.starts_with(head)) {
                continue;
            }
            for (kind, name) in INPUTS.iter().enumerate().take(KINDS.len()) {
                // what hears, but does not see, is said to be deaf by nobody's mistake alone
                let sees = kind > 0 && !record.lacks.iter().any(|lack| lack == INPUTS[0]);
                if sees || record.caps.iter().any(|cap| cap == name) {
                    continue;
                }
                if let Some(sources) = self.lacks(&record.provider, &stem, kind, &unheard) {
                    record.lacks.push((*name).to_owned());
                    let more: String = sources.chars().filter(|letter| !record.src.contains(*letter)).collect();
                    record.src.push_str(&more);
                }
            }
        }
    }

    /// The letters of the sources that say that a model does not take something, unless others say it does.
    fn lacks(&self, provider: &str, stem: &Stem, kind: usize, unheard: &BTreeSet<Seller>) -> Option<String> {
        let said = self.0.get(&stem.name)?;
        let maker = |seller: &Seller| is_maker(&seller.1, &stem.name);
        // of a version with a date only what is said of this one
        let about = said.iter().filter(|(date, _)| stem.date.is_empty() || **date == stem.date);
        let (mut no, mut yes, mut moves) = (BTreeSet::new(), BTreeSet::new(), false);
        for (date, said) in about {
            for (seller, senses) in said {
                if senses.takes >> kind & 1 == 1 {
                    yes.insert(seller);
                    moves |= stem.date.is_empty() && !date.is_empty();
                } else if senses.lists && (maker(seller) || !unheard.contains(seller)) {
                    no.insert(seller);
                }
            }
        }
        let against = yes.iter().any(|seller| maker(seller) || seller.1 == provider);
        let weight = OUTVOTES[usize::from(no.iter().any(|seller| maker(seller)))];
        if no.is_empty() || against || moves || yes.len() * weight > no.len() {
            return None;
        }
        Some("lm".chars().filter(|letter| no.iter().any(|(source, _)| source == letter)).collect())
    }

    /// Those who leave out images too often where most others have them.
    fn unheard(&self) -> BTreeSet<Seller> {
        let mut cases: BTreeMap<&Seller, (usize, usize)> = BTreeMap::new();
        for said in self.0.values() {
            let all = || said.values().flatten();
            let yes: BTreeSet<&Seller> =
                all().filter(|(_, senses)| senses.takes & 1 == 1).map(|(who, _)| who).collect();
            let no = all().filter(|(_, senses)| senses.lists && senses.takes & 1 == 0).map(|(who, _)| who);
            let no: BTreeSet<&Seller> = no.collect();
            for seller in &no {
                let (others, against) = (no.len() - 1, yes.iter().filter(|who| *who != seller).count());
                let case = cases.entry(seller).or_default();
                case.0 += usize::from(against > others);
                case.1 += 1;
            }
        }
        let often = cases.into_iter().filter(|(_, (outvoted, said))| outvoted * UNHEARD > *said);
        often.map(|(seller, _)| seller.clone()).collect()
    }
}

/// Whether a row is about a model that answers with words.
fn speaks(row: &Value) -> bool {
    matches!(row.get("mode").and_then(Value::as_str).unwrap_or("chat"), "chat" | "completion" | "responses")
}

/// The kinds of content in a list. A list without text is of no model that chats.
fn listed(list: Option<&Value>) -> Senses {
    let has = |name: &str| list.and_then(Value::as_array).is_some_and(|list| list.iter().any(|one| one == name));
    let takes = KINDS.iter().enumerate().fold(0, |bits, (at, kind)| bits | u8::from(has(kind)) << at);
    // who takes videos sees
    Senses { takes: takes | takes >> 2 & 1, lists: has("text") }
}

fn is_maker(seller: &str, stem: &str) -> bool {
    MAKERS.iter().any(|(name, heads)| *name == seller && heads.iter().any(|head| stem.starts_with(head)))
}
