//! The usage of an answer or event, in every spelling that servers of this dialect use.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::wire::scan::{self, Step};
use crate::wire::{Object, Usage};

const NAME: &[u8] = b"\"usage\"";

/// Made once: making a finder costs more than using it on a short answer.
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(NAME));

/// The member `usage` of a whole answer or an event; `None` if it is absent, `null` or unreadable.
pub fn read(body: &Object) -> Option<Usage> {
    parse(body.raw("usage")?)
}

/// A usage object on its own; what is behind it does not matter. Servers spell the same count in different places; the
/// largest is the count.
pub fn parse(raw: &[u8]) -> Option<Usage> {
    let mut usage = Usage::default();
    let mut counted = false;
    scan::walk(raw, 0, |name, _, from| match &raw[name] {
        b"prompt_tokens" => count(raw, from, &mut usage.prompt, &mut counted),
        b"completion_tokens" => count(raw, from, &mut usage.completion, &mut counted),
        b"prompt_cache_hit_tokens" | b"cached_tokens" | b"cache_read_input_tokens" => {
            count(raw, from, &mut usage.cached, &mut false)
        }
        b"reasoning_tokens" => count(raw, from, &mut usage.reasoning, &mut false),
        // details that are no object say nothing
        b"prompt_tokens_details" | b"completion_tokens_details" if raw.get(from) == Some(&b'{') => {
            scan::walk(raw, from, |name, _, from| match &raw[name] {
                b"cached_tokens" => count(raw, from, &mut usage.cached, &mut false),
                b"reasoning_tokens" => count(raw, from, &mut usage.reasoning, &mut false),
                _ => scan::value(raw, from),
            })
        }
        _ => scan::value(raw, from),
    })
    .ok()?;
    counted.then_some(usage)
}

/// Take the count that begins here if it is larger, and note if it is one; returns where it ends. Counts come as
/// integers nearly everywhere, as floats at a few hosts, and as `null` where nothing was counted.
fn count(raw: &[u8], from: usize, most: &mut u64, counted: &mut bool) -> Step {
    let (mut whole, mut to) = (0_u64, from);
    // what fits without a look at overflow, which is every count there is
    while let Some(digit @ b'0'..=b'9') = raw.get(to).filter(|_| to - from < 19) {
        whole = whole * 10 + u64::from(digit - b'0');
        to += 1;
    }
    if to == from || !matches!(raw.get(to), Some(b',' | b'}' | b' ' | b'\n' | b'\r' | b'\t')) {
        to = scan::value(raw, from)?;
        let number = std::str::from_utf8(&raw[from..to]).ok().and_then(|text| text.parse::<f64>().ok());
        let Some(number) = number.filter(|number| number.is_finite()) else { return Ok(to) };
        whole = number.max(0.0) as u64;
    }
    *counted = true;
    *most = whole.max(*most);
    Ok(to)
}

/// The usage in the last bytes of an answer that was too long to be held: the last member of that name that is one.
pub fn in_tail(tail: &[u8]) -> Option<Usage> {
    // forwards: searching backwards is several times slower, and there is hardly ever more than one
    let found = FINDER
        .find_iter(tail)
        .filter_map(|at| parse(tail[at + NAME.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start()));
    found.last()
}
