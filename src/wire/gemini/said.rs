//! What a candidate says, sorted into the members of OpenAI's message: the same for a whole answer and for an event.

use super::FORMAT;
use super::finish;
use super::grounding;
use super::json::{Json, compact, inside};
use super::read::{Candidate, Part};
use crate::wire::native::Back;
use crate::wire::openai::errors::Complaint;

/// What one piece of an answer adds. Texts are the insides of JSON strings, the rest elements of arrays.
#[derive(Default)]
pub(super) struct Said {
    pub(super) text: Vec<u8>,
    pub(super) thoughts: Vec<u8>,
    details: Json,
    calls: Json,
    images: Json,
    audio: Vec<u8>,
    logprobs: Json,
    /// Thoughts whose detail is not written yet, and what they end with.
    run: Vec<u8>,
}

impl Said {
    /// Forget everything, but keep the room.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.thoughts.clear();
        self.run.clear();
        self.audio.clear();
        for json in [&mut self.details, &mut self.calls, &mut self.images, &mut self.logprobs] {
            json.0.clear();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
            && self.thoughts.is_empty()
            && self.audio.is_empty()
            && [&self.details, &self.calls, &self.images].into_iter().all(Json::is_empty)
    }

    /// Bytes of all it has, about.
    pub(super) fn size(&self) -> usize {
        let elements = [&self.details, &self.calls, &self.images, &self.logprobs].into_iter().map(|json| json.0.len());
        self.text.len() + self.thoughts.len() + self.audio.len() + elements.sum::<usize>()
    }

    /// Whether there is a text or something in its place.
    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// The members beside `content`, each if there is something to say.
    pub(super) fn members(&self, choice: &Choice, json: &mut Json) {
        if !self.thoughts.is_empty() {
            json.name("reasoning_content").quoted(&self.thoughts);
        }
        for (name, items) in
            [("reasoning_details", &self.details), ("tool_calls", &self.calls), ("images", &self.images)]
        {
            if !items.is_empty() {
                json.name(name).raw("[").raw(&items.0).raw("]");
            }
        }
        if !self.audio.is_empty() {
            json.name("audio").raw("{").name("id").text(&choice.audio_id());
            json.name("data").quoted(&self.audio).raw(r#","transcript":"","expires_at":0}"#);
        }
    }

    /// The member `logprobs` of the choice.
    pub(super) fn logprobs(&self, json: &mut Json) {
        if self.logprobs.is_empty() {
            json.name("logprobs").raw("null");
        } else {
            json.name("logprobs").raw(r#"{"content":["#).raw(&self.logprobs.0).raw(r#"],"refusal":null}"#);
        }
    }
}

/// One choice so far.
#[derive(Default)]
pub(super) struct Choice {
    pub(super) index: u32,
    /// Whether its first chunk was sent.
    pub(super) begun: bool,
    /// The vendor's finish reason, and what it says beside it.
    pub(super) reason: Option<String>,
    message: Option<String>,
    /// The answer's id: ids that the vendor leaves out are made from it.
    answer: String,
    calls: usize,
    images: usize,
    /// The index of the detail that is being said, and whether it is a thought.
    detail: usize,
    thinking: bool,
    /// Whether anything was said.
    spoke: bool,
    /// All text so far, as the inside of a JSON string, and where the text of each part begins, bytes.
    text: Vec<u8>,
    starts: Vec<usize>,
    grounding: Option<String>,
    /// Members and parts that OpenAI has no word for.
    rest: Vec<(String, String)>,
    parts: Json,
}

impl Choice {
    pub(super) fn new(index: u32, answer: &str) -> Self {
        Self { index, answer: answer.to_owned(), ..Self::default() }
    }

    /// Take what a candidate says; `stream`: tool calls carry their indexes.
    pub(super) fn take(&mut self, candidate: &Candidate<'_>, back: &Back, stream: bool, said: &mut Said) {
        for part in &candidate.parts {
            self.starts.push(self.text.len());
            self.part(part, back, stream, said);
        }
        self.close(None, said);
        if let Some(raw) = candidate.logprobs {
            said.logprobs.0.extend_from_slice(&grounding::logprobs(raw.get()).0);
        }
        if let Some(reason) = &candidate.reason {
            self.reason = Some(reason.clone().into_owned());
            self.message = candidate.message.as_deref().map(str::to_owned);
        }
        if let Some(raw) = candidate.grounding {
            self.grounding = Some(compact(raw.get()).into_owned());
        }
        for (name, value) in &candidate.rest {
            let known = self.rest.iter_mut().find(|(known, _)| known == name.as_ref());
            match known {
                Some((_, old)) => *old = compact(value.get()).into_owned(),
                None => self.rest.push((name.clone().into_owned(), compact(value.get()).into_owned())),
            }
        }
        self.spoke |= !said.is_empty();
    }

    fn part(&mut self, part: &Part<'_>, back: &Back, stream: bool, said: &mut Said) {
        let signature = part.signature.map(|raw| raw.get());
        let text = part.text.and_then(|raw| inside(raw.get().as_bytes()));
        if let Some(text) = text.filter(|_| part.thought) {
            self.thinking = true;
            said.thoughts.extend_from_slice(text);
            said.run.extend_from_slice(text);
            if signature.is_some() {
                self.close(signature, said);
                self.leave();
            }
            return;
        }
        self.close(None, said);
        self.leave();
        if let Some(call) = &part.call {
            self.call(call, signature, back, stream, said);
        } else if let Some(blob) = &part.blob {
            // pictures that are thoughts are drafts of the one that follows
            if !part.thought {
                self.blob(blob, signature, said);
            }
        } else {
            if let Some(text) = text {
                said.text.extend_from_slice(text);
                self.text.extend_from_slice(text);
            }
            if let Some(signature) = signature {
                let json = said.details.next();
                json.raw("{").name("type").text("reasoning.encrypted").name("data").raw(signature);
                json.name("format").text(FORMAT).name("index").number(self.detail as u64).raw("}");
                self.detail += 1;
            }
        }
        self.others(part, said);
    }

    /// Write the detail of the thoughts that ran up to here.
    fn close(&mut self, signature: Option<&str>, said: &mut Said) {
        if said.run.is_empty() && signature.is_none() {
            return;
        }
        let json = said.details.next();
        json.raw("{").name("type").text("reasoning.text").name("text").quoted(&said.run);
        if let Some(signature) = signature {
            json.name("signature").raw(signature);
        }
        json.name("format").text(FORMAT).name("index").number(self.detail as u64).raw("}");
        said.run.clear();
    }

    /// The thoughts are over: what follows is another detail.
    fn leave(&mut self) {
        self.detail += usize::from(std::mem::take(&mut self.thinking));
    }

    fn call(
        &mut self,
        call: &super::read::FunctionCall<'_>,
        signature: Option<&str>,
        back: &Back,
        stream: bool,
        said: &mut Said,
    ) {
        let json = said.calls.next();
        json.raw("{");
        if stream {
            json.name("index").number(self.calls as u64);
        }
        json.name("id");
        match call.id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => json.text(id),
            None => json.text(&format!("call_{}_{}_{}", self.answer, self.index, self.calls)),
        };
        json.name("type").text("function").name("function").raw("{");
        json.name("name").text(back.tool(call.name.as_deref().unwrap_or_default()));
        json.name("arguments").text_of_json(call.args.map_or("{}", |args| args.get())).raw("}");
        if let Some(signature) = signature {
            json.name("extra_content").raw(r#"{"google":{"thought_signature":"#).raw(signature).raw("}}");
        }
        json.raw("}");
        self.calls += 1;
    }

    fn blob(&mut self, blob: &super::read::Blob<'_>, signature: Option<&str>, said: &mut Said) {
        let mime = blob.mime_type.as_deref().unwrap_or("image/png");
        let Some(data) = blob.data.and_then(|raw| inside(raw.get().as_bytes())) else { return };
        if mime.starts_with("audio/") {
            said.audio.extend_from_slice(data);
            return;
        }
        let mut head = Json::default();
        head.text(mime);
        let json = said.images.next();
        json.raw("{").name("type").text("image_url").name("image_url").raw(r#"{"url":"data:"#);
        json.raw(inside(&head.0).unwrap_or_default()).raw(";base64,").raw(data).raw(r#""}"#);
        json.name("index").number(self.images as u64);
        if let Some(signature) = signature {
            json.name("extra_content").raw(r#"{"google":{"thought_signature":"#).raw(signature).raw("}}");
        }
        json.raw("}");
        self.images += 1;
    }

    /// Parts of other kinds: code and what it printed become text, too; all of them are kept as they came.
    fn others(&mut self, part: &Part<'_>, said: &mut Said) {
        for (name, value) in &part.rest {
            if name == "videoMetadata" {
                continue;
            }
            let fenced = match name.as_ref() {
                "executableCode" => member(value.get(), "code").map(|code| fence("python", &code)),
                "codeExecutionResult" => member(value.get(), "output").map(|output| fence("", &output)),
                _ => None,
            };
            if let Some(fenced) = fenced {
                said.text.extend_from_slice(&fenced);
                self.text.extend_from_slice(&fenced);
            }
            self.parts.next().raw("{").text(name).raw(":").raw(compact(value.get()).as_bytes()).raw("}");
        }
    }

    fn audio_id(&self) -> String {
        format!("audio_{}_{}", self.answer, self.index)
    }

    /// OpenAI's finish reason; `None` while there is none. Fails if the model ended with nothing but a mistake.
    pub(super) fn finish(&self) -> Result<Option<String>, Complaint> {
        let Some(native) = self.reason.as_deref() else { return Ok(None) };
        if finish::failed(native) && !self.spoke {
            return Err(finish::nothing(native, self.message.as_deref()));
        }
        Ok(Some(finish::word(native, self.calls > 0).into_owned()))
    }

    /// The members `finish_reason` and `native_finish_reason`.
    pub(super) fn reasons(&self, word: &str, json: &mut Json) {
        json.name("finish_reason").text(word);
        if let Some(native) = self.reason.as_deref().filter(|native| *native != word) {
            json.name("native_finish_reason").text(native);
        }
    }

    /// What the answer rests on.
    pub(super) fn cited(&self, stream: bool) -> Option<grounding::Cited> {
        // the parts of a stream are those of its events, not those that the places are counted in
        let starts: &[usize] = if stream { &[] } else { &self.starts };
        self.grounding.as_deref().map(|raw| grounding::cited(raw, &self.text, starts))
    }

    /// What is left, for `provider_metadata`: nothing if there is nothing.
    pub(super) fn metadata(&self, out: &mut Json) {
        let message = self.message.as_deref().filter(|message| !message.is_empty());
        if self.rest.is_empty() && self.grounding.is_none() && self.parts.is_empty() && message.is_none() {
            return;
        }
        out.next().raw("{").name("index").number(u64::from(self.index));
        for (name, value) in &self.rest {
            out.next().text(name).raw(":").raw(value);
        }
        if let Some(raw) = &self.grounding {
            out.name("groundingMetadata").raw(raw);
        }
        if let Some(message) = message {
            out.name("finishMessage").text(message);
        }
        if !self.parts.is_empty() {
            out.name("parts").raw("[").raw(&self.parts.0).raw("]");
        }
        out.raw("}");
    }
}

/// The inside of a text member of an object.
fn member(object: &str, name: &str) -> Option<Vec<u8>> {
    let object = object.as_bytes();
    let mut found = None;
    _ = crate::wire::scan::members(object, |extent| {
        if &object[extent.name] == name.as_bytes() {
            found = inside(&object[extent.value]).map(<[u8]>::to_vec);
        }
        Ok(())
    });
    found
}

/// A block of code, as the inside of a JSON string.
fn fence(language: &str, inside: &[u8]) -> Vec<u8> {
    let end: &[u8] = if inside.ends_with(br"\n") { b"" } else { br"\n" };
    [br"\n```", language.as_bytes(), br"\n", inside, end, br"```\n"].concat()
}
