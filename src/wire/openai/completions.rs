//! Text completions served by chat, for providers that have no such operation: the request, the answer, the events.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::wire::{Malformed, Object};

/// Why chat can't serve a text completion.
#[derive(Debug, PartialEq, Eq)]
pub struct Beyond {
    /// The member that chat has no word for.
    pub param: &'static str,
    /// What would be possible.
    pub message: String,
}

/// The way back: what each choice of the answer begins with, for requests that asked for their prompt.
#[derive(Clone, Debug, Default)]
pub struct Echo {
    prompt: Option<Arc<str>>,
    echoed: Vec<u64>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

/// The chat request that asks the same; fails naming the member that chat can't express.
pub fn to_chat(body: &Object) -> Result<(Object, Echo), Beyond> {
    let beyond = |param, message: &str| Beyond { param, message: message.to_owned() };
    let prompt = match body.raw("prompt").map(<[u8]>::trim_ascii) {
        None | Some(b"null") => String::new(),
        Some(raw) => serde_json::from_slice::<String>(raw)
            .or_else(|_| match serde_json::from_slice::<Vec<String>>(raw) {
                Ok(mut prompts) if prompts.len() == 1 => Ok(prompts.remove(0)),
                _ => Err(()),
            })
            .map_err(|()| {
                beyond("prompt", "this provider completes one prompt a request: a string, or an array with one string")
            })?,
    };
    let off: &[&[u8]] = &[b"null", b"false", b"0", b"1", b"\"\"", b"{}"];
    for (param, why) in [
        ("suffix", "this provider can't complete in front of a `suffix`"),
        ("best_of", "this provider has no `best_of` above 1"),
        ("logprobs", "this provider returns no `logprobs` for text completions"),
    ] {
        if body.raw(param).is_some_and(|value| !off.contains(&value) || (param == "logprobs" && value == b"1")) {
            return Err(beyond(param, why));
        }
    }
    let mut chat = body.clone();
    let echo = body.raw("echo") == Some(b"true");
    for gone in ["prompt", "suffix", "best_of", "logprobs", "echo"] {
        chat.remove(gone);
    }
    chat.set("messages", &[Message { role: "user", content: &prompt }]);
    Ok((chat, Echo { prompt: echo.then(|| prompt.into()), echoed: Vec::new() }))
}

impl Echo {
    /// The whole answer as a text completion.
    pub fn answer(&self, chat: &Object) -> Result<Bytes, Malformed> {
        self.rewrite(chat, |choice| {
            let text = choice.object("message")?.map(|message| message.get::<String>("content")).transpose()?.flatten();
            choice.remove("message");
            Ok(format!("{}{}", self.prompt.as_deref().unwrap_or_default(), text.unwrap_or_default()))
        })
    }

    /// One event as that of a text completion; the prompt stands before the first text of each choice.
    pub fn event(&mut self, chat: &Object) -> Result<Bytes, Malformed> {
        let (prompt, mut echoed) = (self.prompt.clone(), std::mem::take(&mut self.echoed));
        let out = self.rewrite(chat, |choice| {
            let delta = choice.object("delta")?.map(|delta| delta.get::<String>("content")).transpose()?.flatten();
            choice.remove("delta");
            let index = choice.get::<u64>("index")?.unwrap_or_default();
            let first = !echoed.contains(&index);
            if first {
                echoed.push(index);
            }
            Ok(format!("{}{}", prompt.as_deref().filter(|_| first).unwrap_or_default(), delta.unwrap_or_default()))
        });
        self.echoed = echoed;
        out
    }

    fn rewrite(
        &self,
        chat: &Object,
        mut text: impl FnMut(&mut Object) -> Result<String, Malformed>,
    ) -> Result<Bytes, Malformed> {
        let mut out = chat.clone();
        let mut choices = chat.objects("choices")?;
        for choice in &mut choices {
            let text = text(choice)?;
            choice.set("text", &text);
            choice.set("logprobs", &None::<()>);
        }
        out.set("object", &"text_completion");
        out.set_objects("choices", &choices);
        Ok(out.encode())
    }
}
