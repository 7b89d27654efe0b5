//! `provider_options`: members that a request holds ready for one provider each, and that no other one gets to see.

use std::collections::HashSet;

use super::{invalid, object};
use crate::call::Error;
use crate::wire::Object;

const MEMBER: &str = "provider_options";

/// What options may not say: it would change whose call this is, or what the gateway checked.
const NOT_OURS_TO_SET: &[&str] = &[
    "model",
    "messages",
    "input",
    "prompt",
    "stream",
    "stream_options",
    "api_key",
    "base_url",
    // the same in other formats
    "contents",
    "inputs",
    "texts",
    "version",
    MEMBER,
];

/// Take the options out of a body; returns those of this provider. Fails if they are not objects, or would set what
/// options may not set.
pub fn take(body: &mut Object, provider: &str) -> Result<Option<Object>, Error> {
    if !body.has(MEMBER) {
        return Ok(None);
    }
    let all = body.object(MEMBER).map_err(|_| invalid(MEMBER, "must be an object of objects, named by provider id"))?;
    body.remove(MEMBER);
    let Some(all) = all else { return Ok(None) };
    let path = format!("{MEMBER}.{provider}");
    let Some(own) = all.object(provider).map_err(|_| invalid(&path, "must be an object"))? else { return Ok(None) };
    if let Some((name, _)) = own.members().find(|(name, _)| NOT_OURS_TO_SET.contains(name)) {
        return Err(invalid(format!("{path}.{name}"), "options cannot set this member; set it in the request itself"));
    }
    Ok(Some(own))
}

/// Put options into a body; they win over members of the same name.
pub fn merge(body: &mut Object, options: &Object) -> Result<(), Error> {
    let replaced: HashSet<&str> = options.members().map(|(name, _)| name).collect();
    let mut members: Vec<(&str, &[u8])> = body.members().filter(|(name, _)| !replaced.contains(name)).collect();
    members.extend(options.members());
    let merged = Object::parse(object(&members))?;
    *body = merged;
    Ok(())
}
