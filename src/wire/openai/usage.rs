//! The usage of an answer or event, in every spelling that servers of this dialect use.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::wire::scan::{self, Fault};
use crate::wire::{Object, Usage};

const NAME: &[u8] = b"\"usage\"";

/// Made once: making a finder costs more than using it on a short answer.
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(NAME));

/// The member `usage` of a whole answer or an event; `None` if it is absent, `null` or unreadable.
pub fn read(body: &Object) -> Option<Usage> {
    parse(body.raw("usage")?)
}

/// A usage object on its own. Servers spell the same count in different places; the largest is the count.
pub fn parse(raw: &[u8]) -> Option<Usage> {
    let mut usage = Usage::default();
    let mut counted = false;
    members(raw, |name, value| match name {
        b"prompt_tokens" => counted |= raise(&mut usage.prompt, value),
        b"completion_tokens" => counted |= raise(&mut usage.completion, value),
        b"prompt_cache_hit_tokens" | b"cached_tokens" | b"cache_read_input_tokens" => {
            _ = raise(&mut usage.cached, value)
        }
        b"reasoning_tokens" => _ = raise(&mut usage.reasoning, value),
        b"prompt_tokens_details" | b"completion_tokens_details" => {
            // details that are no object say nothing
            let _ = members(value, |name, value| match name {
                b"cached_tokens" => _ = raise(&mut usage.cached, value),
                b"reasoning_tokens" => _ = raise(&mut usage.reasoning, value),
                _ => {}
            });
        }
        _ => {}
    })
    .ok()?;
    counted.then_some(usage)
}

/// The members of the object that the bytes begin with; what is behind it does not matter.
fn members(raw: &[u8], mut each: impl FnMut(&[u8], &[u8])) -> Result<usize, Fault> {
    scan::leading(raw, |extent| {
        each(&raw[extent.name], &raw[extent.value]);
        Ok(())
    })
}

/// Take a count if it is larger; says whether it is one. Counts come as integers nearly everywhere, as floats at a few
/// hosts, and as `null` where nothing was counted.
fn raise(count: &mut u64, value: &[u8]) -> bool {
    let found = match value {
        [] => None,
        // what fits without a look at overflow, which is every count there is
        whole if whole.len() < 19 && whole.iter().all(u8::is_ascii_digit) => {
            Some(whole.iter().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0')))
        }
        other => {
            let number = std::str::from_utf8(other).ok().and_then(|text| text.parse::<f64>().ok());
            number.filter(|number| number.is_finite()).map(|number| number.max(0.0) as u64)
        }
    };
    *count = found.unwrap_or_default().max(*count);
    found.is_some()
}

/// The usage in the last bytes of an answer that was too long to be held: the last member of that name that is one.
pub fn in_tail(tail: &[u8]) -> Option<Usage> {
    // forwards: searching backwards is several times slower, and there is hardly ever more than one
    let found = FINDER
        .find_iter(tail)
        .filter_map(|at| parse(tail[at + NAME.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start()));
    found.last()
}
