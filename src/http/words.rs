//! Failed calls in words: who failed, how, and what mends it.

use crate::call::{self, Fault, Upstream};
use crate::providers::rework::repair;
use crate::providers::table;
use crate::providers::tempo::CREEPS;

/// A name of the caller's longer than this, in bytes, is shortened where a message repeats it.
const LONGEST_NAME: usize = 128;

/// What the caller reads of a failed call.
pub(super) fn of(error: &call::Error) -> String {
    match error {
        call::Error::NoTarget(model) => {
            format!("no target serves the model `{}`; GET /v1/models lists those that are served", shortened(model))
        }
        call::Error::NotHere(model) => format!(
            "no target that this request may go to serves the model `{}`, though another does: its route or rule names \
             who is asked; POST /v1/route/explain tells why",
            shortened(model)
        ),
        call::Error::NoSurface { model, provider, surface } => format!(
            "no target serves the model `{}` for {surface}: {provider} does without; GET /v1/capabilities tells who has it",
            shortened(model)
        ),
        call::Error::Upstream(upstream) => upstream_message(upstream),
        call::Error::Malformed(_)
        | call::Error::Invalid { .. }
        | call::Error::Unsupported { .. }
        | call::Error::UnsupportedContent { .. }
        | call::Error::Media { .. }
        | call::Error::Beyond(_)
        | call::Error::Lacking(_)
        | call::Error::Unavailable(_)
        | call::Error::Saturated(_)
        | call::Error::NotStored(_)
        | call::Error::Deadline { .. }
        | call::Error::Draining => error.to_string(),
    }
}

/// Who failed, how, and what mends it. Of what the provider said about the operator's account nothing is repeated: it
/// names organisations and parts of keys.
fn upstream_message(upstream: &Upstream) -> String {
    let Upstream { provider, target, message, .. } = upstream;
    let status = upstream.status.map(|status| format!(" ({status})")).unwrap_or_default();
    match upstream.fault {
        Fault::BadRequest | Fault::Unprocessable if repair::is_about(message) => format!(
            "{provider} refused the request{status}: {message}; `tools.repair_history: true` in the configuration adds what \
             is missing"
        ),
        Fault::BadRequest
        | Fault::Unprocessable
        | Fault::TooLarge
        | Fault::ContextLength
        | Fault::ContentPolicy
        | Fault::Missing
        | Fault::Conflict => format!("{provider} refused the request{status}: {message}"),
        Fault::NotFound => format!(
            "{provider} does not know the model{status}: {message}; check the model's name, or `models` and \
             `model_map` of the target `{target}`"
        ),
        Fault::Auth => {
            let spec = table::find(provider).filter(|spec| **target == *spec.id && !spec.hint.is_empty());
            let hint = spec.map_or_else(|| format!("check {}", credential(upstream)), |spec| spec.hint.to_owned());
            format!("{provider} refused the gateway's credential{status}: {hint}")
        }
        Fault::Billing => format!(
            "{provider} does not serve the gateway's account{status}, which is out of money or quota: check the \
             account behind {}",
            credential(upstream)
        ),
        Fault::RateLimited if upstream.is_too_large() => format!(
            "the request is larger than what {provider} allows the gateway's account in a minute{status}: make it \
             smaller, or add a target with a higher limit"
        ),
        Fault::RateLimited => {
            format!("{provider} limits the rate of the gateway's account{status}: retry later, or add a target or key")
        }
        Fault::Overloaded => format!("{provider} is overloaded{status}: retry later"),
        Fault::Timeout if message.starts_with(CREEPS) => {
            format!("{provider} ran out of time: {message}; retry, or lower `min_throughput` of the target `{target}`")
        }
        Fault::Timeout => {
            format!(
                "{provider} ran out of time{status}: {message}; retry, or raise `timeouts` of the target `{target}`"
            )
        }
        Fault::Server => format!("{provider} failed{status}: {message}"),
        Fault::Unreachable => {
            format!(
                "{provider} cannot be reached: {message}; check `base_url` of the target `{target}` and the network"
            )
        }
        Fault::Truncated => {
            let why = message.strip_prefix("answer broke off: ").unwrap_or(message);
            format!("the answer of {provider} broke off: {why}")
        }
    }
}

/// Where the credential of a target comes from: a target named as its provider takes it from the environment.
fn credential(upstream: &Upstream) -> String {
    let spec = table::find(upstream.provider).filter(|_| *upstream.target == *upstream.provider);
    let var = spec.and_then(|spec| spec.vars.iter().find(|var| var.setting == "api_key"));
    match var.and_then(|var| var.names.first()) {
        Some(name) => (*name).to_owned(),
        None => format!("`api_key` of the target `{}`", upstream.target),
    }
}

/// What the caller cannot mend and need not know: its reason goes to the log.
pub(super) fn is_operators(fault: Fault) -> bool {
    matches!(fault, Fault::Auth | Fault::Billing)
}

fn shortened(name: &str) -> String {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    format!("{}…", &name[..name.floor_char_boundary(LONGEST_NAME)])
}
