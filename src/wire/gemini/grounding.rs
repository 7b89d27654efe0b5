//! What an answer rests on, and how sure the model was: annotations, citations and log probabilities of OpenAI's.
//!
//! <https://ai.google.dev/api/generate-content#GroundingMetadata>, <https://ai.google.dev/api/generate-content#LogprobsResult>

use std::borrow::Cow;

use serde::Deserialize;

use super::json::Json;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Grounding<'a> {
    #[serde(borrow)]
    grounding_chunks: Option<Vec<Chunk<'a>>>,
    grounding_supports: Option<Vec<Support>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Chunk<'a> {
    #[serde(borrow)]
    web: Option<Source<'a>>,
    #[serde(borrow)]
    retrieved_context: Option<Source<'a>>,
    #[serde(borrow)]
    maps: Option<Source<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Source<'a> {
    #[serde(borrow)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow)]
    title: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Support {
    segment: Option<Segment>,
    grounding_chunk_indices: Option<Vec<usize>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Segment {
    part_index: usize,
    start_index: usize,
    end_index: usize,
}

impl Chunk<'_> {
    fn source(&self) -> Option<(&str, &str)> {
        let source = self.web.as_ref().or(self.retrieved_context.as_ref()).or(self.maps.as_ref())?;
        let uri = source.uri.as_deref()?;
        Some((uri, source.title.as_deref().unwrap_or(uri)))
    }
}

/// The characters before each byte of a text.
struct Ruler(Vec<u32>);

impl Ruler {
    fn of(text: &str) -> Self {
        let mut count = 0;
        let mut before = Vec::with_capacity(text.len() + 1);
        for byte in text.bytes() {
            before.push(count);
            // all but the continuations of a character
            count += u32::from(byte & 0xc0 != 0x80);
        }
        before.push(count);
        Self(before)
    }

    fn characters(&self, byte: usize) -> u64 {
        u64::from(self.0.get(byte).or(self.0.last()).copied().unwrap_or(0))
    }
}

/// What is cited: elements of `annotations`, and of `citations`.
pub(super) struct Cited {
    pub(super) annotations: Json,
    pub(super) citations: Json,
}

/// Read the sources of an answer. `text` is the inside of the answer's JSON string, `starts` where the text of each part
/// begins in the decoded text, bytes. Nothing is cited where the sources can't be read.
pub(super) fn cited(raw: &str, text: &[u8], starts: &[usize]) -> Cited {
    let mut cited = Cited { annotations: Json::default(), citations: Json::default() };
    let Ok(grounding) = serde_json::from_str::<Grounding<'_>>(raw) else { return cited };
    let chunks = grounding.grounding_chunks.unwrap_or_default();
    for (uri, _) in chunks.iter().filter_map(Chunk::source) {
        cited.citations.next().text(uri);
    }
    let supports = grounding.grounding_supports.unwrap_or_default();
    if supports.is_empty() {
        return cited;
    }
    let mut quoted = Json::with_capacity(text.len() + 2);
    quoted.quoted(text);
    let ruler = Ruler::of(&serde_json::from_slice::<String>(&quoted.0).unwrap_or_default());
    for support in &supports {
        let Some(segment) = &support.segment else { continue };
        let base = starts.get(segment.part_index).copied().unwrap_or(0);
        let place = |at: usize| ruler.characters(base.saturating_add(at));
        for index in support.grounding_chunk_indices.iter().flatten() {
            let Some((uri, title)) = chunks.get(*index).and_then(Chunk::source) else { continue };
            let json = &mut cited.annotations;
            json.next().raw("{").name("type").text("url_citation").name("url_citation").raw("{");
            json.name("start_index").number(place(segment.start_index));
            json.name("end_index").number(place(segment.end_index));
            json.name("title").text(title).name("url").text(uri).raw("}}");
        }
    }
    cited
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Logprobs<'a> {
    #[serde(borrow)]
    chosen_candidates: Option<Vec<Token<'a>>>,
    #[serde(borrow)]
    top_candidates: Option<Vec<Top<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Top<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Token<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Token<'a> {
    #[serde(borrow)]
    token: Option<Cow<'a, str>>,
    log_probability: Option<f64>,
}

impl Token<'_> {
    fn write(&self, json: &mut Json) {
        let token = self.token.as_deref().unwrap_or_default();
        // certainty is left out as the default it is
        let logprob = self.log_probability.unwrap_or(0.0);
        json.raw("{").name("token").text(token);
        json.name("logprob").raw(serde_json::to_vec(&logprob).unwrap_or_else(|_| b"0".to_vec()));
        json.name("bytes").raw("[");
        for byte in token.bytes() {
            json.next().number(u64::from(byte));
        }
        json.raw("]");
    }
}

/// Elements of `logprobs.content`.
pub(super) fn logprobs(raw: &str) -> Json {
    let mut json = Json::default();
    let Ok(said) = serde_json::from_str::<Logprobs<'_>>(raw) else { return json };
    let tops = said.top_candidates.unwrap_or_default();
    for (at, token) in said.chosen_candidates.unwrap_or_default().iter().enumerate() {
        token.write(json.next());
        json.name("top_logprobs").raw("[");
        for other in tops.get(at).and_then(|top| top.candidates.as_ref()).into_iter().flatten() {
            other.write(json.next());
            json.raw("}");
        }
        json.raw("]}");
    }
    json
}
