//! Parameters that are passed on as they are, and those that the API has no word for.

use super::content::Path;
use super::desk::{Desk, invalid};
use super::json;
use crate::wire::Object;
use crate::wire::native::Refused;
use crate::wire::native::params::{DELIVERY, OF_MESSAGES, says_nothing};

/// Members that the API knows by the same name.
const SAME: [&str; 7] =
    ["container", "context_management", "mcp_servers", "inference_geo", "cache_control", "speed", "diagnostics"];

/// Members that are translated elsewhere.
const READ: [&str; 24] = [
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "stop_sequences",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "web_search_options",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "output_config",
    "user",
    "safety_identifier",
    "metadata",
    "service_tier",
    "betas",
    "anthropic_beta",
];

/// Write what is passed on, and report what is not.
pub(super) fn write(desk: &mut Desk<'_>, ask: &Object, out: &mut Vec<u8>) -> Result<(), Refused> {
    for name in SAME {
        if let Some(value) = ask.raw(name).filter(|value| *value != b"null") {
            json::put(out, name, value);
            asks(desk, name, value);
        }
    }
    match ask.raw("service_tier") {
        None | Some(b"null") => {}
        Some(br#""auto""#) => json::put(out, "service_tier", br#""auto""#),
        Some(br#""default""# | br#""standard_only""#) => json::put(out, "service_tier", br#""standard_only""#),
        Some(_) => desk.lose("service_tier", "dropped"),
    }
    for name in ["betas", "anthropic_beta"] {
        let listed = ask.get::<Vec<String>>(name).map_err(|_| invalid(name, "it must be an array of strings"))?;
        for beta in listed.unwrap_or_default() {
            if beta.is_empty() || !beta.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
                return Err(invalid(name, "the name of a beta has letters, digits, `-`, `_` and `.`"));
            }
            desk.beta(beta);
        }
    }
    for (name, value) in ask.members() {
        let known = DELIVERY.contains(&name) || READ.contains(&name) || SAME.contains(&name);
        if !(known || says_nothing(name, value)) {
            desk.lose(name, "dropped");
        }
    }
    Ok(())
}

/// The betas that members need.
fn asks(desk: &mut Desk<'_>, name: &str, value: &[u8]) {
    let has = |text: &str| memchr::memmem::find(value, text.as_bytes()).is_some();
    match name {
        "mcp_servers" => desk.beta("mcp-client-2025-11-20"),
        "context_management" => {
            desk.beta("context-management-2025-06-27");
            if has("\"compact_20260112\"") {
                desk.beta("compact-2026-01-12");
            }
        }
        "container" if has("\"skills\"") => {
            desk.beta("code-execution-2025-08-25");
            desk.beta("skills-2025-10-02");
        }
        "speed" if has("\"fast\"") => desk.beta("fast-mode-2026-02-01"),
        _ => {}
    }
}

/// Report what is lost of a message.
pub(super) fn of_message(desk: &mut Desk<'_>, message: &Object, path: Path) {
    let function = matches!(message.raw("role"), Some(br#""function""# | br#""tool""#));
    for (name, value) in message.members() {
        let known = OF_MESSAGES.contains(&name) || name == "status" || (function && name == "name");
        if !known && value != b"null" {
            desk.lose(format!("{path}.{name}"), "dropped");
        }
    }
}
