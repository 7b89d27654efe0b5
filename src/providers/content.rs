//! Content that a model can't take, as far as the configuration says so: refused by name before anything is sent.

use super::Provider;
use crate::call::{Error, Op};
use crate::catalog::known::Owner;
use crate::wire::Object;

/// The capability that a part of a message asks of a model; `None` for texts and what is unknown.
fn needed(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "image_url" | "input_image" => "vision",
        "input_audio" => "audio_input",
        "file" | "input_file" => "pdf_input",
        "video_url" | "video" | "input_video" => "video_input",
        _ => return None,
    })
}

/// Fails on the first part of a chat's or a response's messages that needs what `catalog.overrides` leaves out of the
/// model's capabilities.
pub fn check(provider: &Provider, op: Op, model: &str, body: &Object) -> Result<(), Error> {
    let list = match op {
        Op::Chat => "messages",
        Op::Respond => "input",
        _ => return Ok(()),
    };
    let owner = Owner { provider: provider.spec.id, target: &provider.target };
    let Some(row) = provider.catalog.told(owner, model) else { return Ok(()) };
    let is_list = |object: &Object, name: &str| object.raw(name).is_some_and(|raw| raw.starts_with(b"["));
    if !is_list(body, list) {
        return Ok(());
    }
    for (at, message) in body.objects(list)?.iter().enumerate().filter(|(_, message)| is_list(message, "content")) {
        for (part, content) in message.objects("content")?.iter().enumerate() {
            let kind = content.get::<String>("type").ok().flatten().unwrap_or_default();
            if needed(&kind).is_some_and(|needed| !row.capabilities().any(|has| has == needed)) {
                let param = format!("{list}[{at}].content[{part}]");
                return Err(Error::UnsupportedContent { param, provider: provider.spec.id });
            }
        }
    }
    Ok(())
}
