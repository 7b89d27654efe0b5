//! JSON schemas as hosts take them, of answers and of tools. <https://inference-docs.cerebras.ai/capabilities/structured-outputs>,
//! <https://docs.x.ai/docs/guides/structured-outputs>, <https://docs.mistral.ai/capabilities/structured-output>

use super::{is, mentions};
use crate::call::Error;
use crate::providers::spec::Notes;
use crate::wire::Object;
use crate::wire::native::schema::{AS_IT_IS, BOUNDS, Fitted, Profile};

/// Which tools a profile is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tools {
    None,
    Strict,
    All,
}

/// Cerebras: a subset, with every object closed and complete.
pub fn closed_and_complete(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    let profile = Profile { told: BOUNDS, closed: true, complete: true, ..AS_IT_IS };
    fit(body, notes, &profile, Tools::Strict)
}

/// xAI: no lengths of texts and lists in answers.
pub fn without_lengths(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    let profile = Profile { told: &["minLength", "maxLength", "minItems", "maxItems"], ..AS_IT_IS };
    fit(body, notes, &profile, Tools::None)
}

/// Mistral: closed objects where it is held to the schema.
pub fn closed_if_strict(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    let profile = Profile { closed: true, ..AS_IT_IS };
    fit(body, notes, &profile, Tools::Strict)
}

/// Moonshot: no name of a dialect, and no `type` beside `anyOf`.
pub fn types_in_branches(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    let profile = Profile { gone: &["$schema"], types_in_branches: true, ..AS_IT_IS };
    fit(body, notes, &profile, Tools::All)
}

fn fit(body: &mut Object, notes: &mut Notes<'_>, profile: &Profile, which: Tools) -> Result<(), Error> {
    answer(body, notes, profile)?;
    let wanted = match which {
        Tools::None => false,
        Tools::Strict => body.raw("tools").is_some_and(|tools| mentions(tools, "\"strict\"")),
        Tools::All => body.raw("tools").is_some_and(|tools| mentions(tools, "\"parameters\"")),
    };
    if !wanted {
        return Ok(());
    }
    let mut tools = body.objects("tools")?;
    let mut changed = false;
    for (at, tool) in tools.iter_mut().enumerate() {
        let Some(mut function) = tool.object("function")? else { continue };
        if which == Tools::Strict && !is(&function, "strict", "true") {
            continue;
        }
        let fitted = function.raw("parameters").filter(|raw| *raw != b"null").map(|raw| profile.fit(raw));
        let Some(Fitted { schema, told }) = fitted.transpose()?.flatten() else { continue };
        if told {
            notes.warn(&format!("tools[{at}].function.parameters"), "converted");
        }
        function.set_raw("parameters", schema.into());
        tool.set_raw("function", function.encode());
        changed = true;
    }
    if changed {
        body.set_objects("tools", &tools);
    }
    Ok(())
}

fn answer(body: &mut Object, notes: &mut Notes<'_>, profile: &Profile) -> Result<(), Error> {
    if !body.raw("response_format").is_some_and(|format| mentions(format, "\"json_schema\"")) {
        return Ok(());
    }
    let Some(mut format) = body.object("response_format")? else { return Ok(()) };
    let Some(mut named) = format.object("json_schema")? else { return Ok(()) };
    let fitted = named.raw("schema").filter(|raw| *raw != b"null").map(|raw| profile.fit(raw));
    let Some(Fitted { schema, told }) = fitted.transpose()?.flatten() else { return Ok(()) };
    if told {
        notes.warn("response_format", "converted");
    }
    named.set_raw("schema", schema.into());
    format.set_raw("json_schema", named.encode());
    body.set_raw("response_format", format.encode());
    Ok(())
}
