//! What Mistral expects of messages: short ids of tool calls, named tool results, a mark on what it shall continue.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{given, is, text};
use crate::call::Error;
use crate::wire::Object;

/// Ids of tool calls are nine letters or digits there. Others are replaced by what follows from them alone, so that a
/// call, its result, and the same history a turn later agree.
pub fn short_ids(messages: &mut [Object]) -> Result<bool, Error> {
    let mut changed = false;
    for message in messages {
        if let Some(id) = text(message, "tool_call_id")
            && let Cow::Owned(short) = short(&id)
        {
            message.set("tool_call_id", &short);
            changed = true;
        }
        if !given(message, "tool_calls") {
            continue;
        }
        let mut calls = message.objects("tool_calls")?;
        let mut shortened = false;
        for call in &mut calls {
            if let Some(id) = text(call, "id")
                && let Cow::Owned(short) = short(&id)
            {
                call.set("id", &short);
                shortened = true;
            }
        }
        if shortened {
            message.set_objects("tool_calls", &calls);
            changed = true;
        }
    }
    Ok(changed)
}

/// The id itself if it is short enough, else nine digits of base 62 made of its FNV-1a hash.
fn short(id: &str) -> Cow<'_, str> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    let mut hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    // FNV's low bits are weak; the finaliser of MurmurHash3 mixes them
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    let mut short = String::with_capacity(9);
    for _ in 0..9 {
        short.push(char::from(DIGITS[(hash % 62) as usize]));
        hash /= 62;
    }
    Cow::Owned(short)
}

/// A tool's result names its tool there; nothing else has a name.
pub fn tool_names(messages: &mut [Object]) -> Result<bool, Error> {
    let mut names: HashMap<String, String> = HashMap::new();
    let mut changed = false;
    for message in messages {
        if given(message, "tool_calls") {
            for call in message.objects("tool_calls")? {
                let function = call.object("function")?.unwrap_or_default();
                if let (Some(id), Some(name)) = (text(&call, "id"), text(&function, "name")) {
                    names.insert(id, name);
                }
            }
        }
        if !is(message, "role", r#""tool""#) {
            changed |= message.remove("name");
        } else if !given(message, "name")
            && let Some(name) = text(message, "tool_call_id").and_then(|id| names.get(&id))
        {
            message.set("name", name);
            changed = true;
        }
    }
    Ok(changed)
}

/// An assistant's message at the end is the beginning of the answer.
pub fn prefix(messages: &mut [Object]) -> Result<bool, Error> {
    let Some(last) =
        messages.last_mut().filter(|last| is(last, "role", r#""assistant""#) && !given(last, "tool_calls"))
    else {
        return Ok(false);
    };
    if last.has("prefix") {
        return Ok(false);
    }
    last.set("prefix", &true);
    Ok(true)
}
