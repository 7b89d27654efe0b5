//! The usage of an answer or event, in every spelling that servers of this dialect use.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::wire::scan::{self, Step};
use crate::wire::usage::Tier;
use crate::wire::{Object, Usage, Usd};

const NAME: &[u8] = b"\"usage\"";

/// Made once: making a finder costs more than using it on a short answer.
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(NAME));

/// The member `usage` of a whole answer or an event; `None` if it is absent, `null` or unreadable.
pub fn read(body: &Object) -> Option<Usage> {
    let mut usage = parse(body.raw("usage")?)?;
    if let Some(tier) = body.raw("service_tier") {
        usage.tier = Tier::of(quoted(tier));
    }
    Some(usage)
}

/// A usage object on its own; what is behind it does not matter. Servers spell the same count in different places; the
/// largest is the count.
pub fn parse(raw: &[u8]) -> Option<Usage> {
    leading(raw).map(|(usage, _)| usage)
}

/// The usage that the bytes begin with, and where it ends.
fn leading(raw: &[u8]) -> Option<(Usage, usize)> {
    let mut usage = Usage::default();
    let mut counted = false;
    let to = scan::walk(raw, 0, |name, _, from| match &raw[name] {
        b"prompt_tokens" | b"input_tokens" => count(raw, from, &mut usage.prompt, &mut counted),
        b"completion_tokens" | b"output_tokens" => count(raw, from, &mut usage.completion, &mut counted),
        b"total_tokens" => scan::value(raw, from),
        b"prompt_cache_hit_tokens" | b"cached_tokens" | b"cache_read_input_tokens" => {
            count(raw, from, &mut usage.cached, &mut false)
        }
        b"reasoning_tokens" => count(raw, from, &mut usage.reasoning, &mut false),
        // details that are no object say nothing
        b"prompt_tokens_details" | b"input_tokens_details" | b"input_token_details" if raw.get(from) == Some(&b'{') => {
            scan::walk(raw, from, |name, _, from| match &raw[name] {
                b"cached_tokens" => count(raw, from, &mut usage.cached, &mut false),
                b"audio_tokens" => lift(raw, from, &mut usage.audio_in),
                b"cache_write_tokens" | b"cache_creation_tokens" => lift(raw, from, &mut usage.cache_write),
                b"image_tokens" => lift(raw, from, &mut usage.image_in),
                b"video_tokens" => lift(raw, from, &mut usage.video_in),
                b"reasoning_tokens" => count(raw, from, &mut usage.reasoning, &mut false),
                _ => scan::value(raw, from),
            })
        }
        b"completion_tokens_details" | b"output_tokens_details" | b"output_token_details"
            if raw.get(from) == Some(&b'{') =>
        {
            scan::walk(raw, from, |name, _, from| match &raw[name] {
                b"reasoning_tokens" => count(raw, from, &mut usage.reasoning, &mut false),
                b"audio_tokens" => lift(raw, from, &mut usage.audio_out),
                b"image_tokens" => lift(raw, from, &mut usage.image_out),
                b"cached_tokens" => count(raw, from, &mut usage.cached, &mut false),
                _ => scan::value(raw, from),
            })
        }
        name => {
            let to = scan::value(raw, from)?;
            counted |= rare(&mut usage, name, &raw[from..to]);
            Ok(to)
        }
    });
    counted.then_some((usage, to.ok()?))
}

/// What only some providers tell, and whether that alone is a usage.
#[cold]
fn rare(usage: &mut Usage, name: &[u8], value: &[u8]) -> bool {
    match name {
        b"cache_creation_input_tokens" => _ = lift(value, 0, &mut usage.cache_write),
        b"cache_creation" => member(value, b"ephemeral_1h_input_tokens", |value| {
            _ = lift(value, 0, &mut usage.cache_write_1h);
        }),
        b"citation_tokens" => _ = lift(value, 0, &mut usage.citations),
        b"num_search_queries" => _ = lift(value, 0, &mut usage.searches),
        b"server_tool_use" => member(value, b"web_search_requests", |value| {
            _ = lift(value, 0, &mut usage.searches);
        }),
        b"service_tier" => usage.tier = Tier::of(quoted(value)),
        b"seconds" | b"prompt_audio_seconds" => {
            let seconds = std::str::from_utf8(value).ok().and_then(|text| text.parse::<f64>().ok());
            usage.millis = seconds.map_or(0, |seconds| (seconds * 1000.0) as u32);
            return usage.millis > 0;
        }
        b"characters" => {
            _ = lift(value, 0, &mut usage.characters);
            return usage.characters > 0;
        }
        b"cost" if value.first() == Some(&b'{') => member(value, b"total_cost", |value| usage.told = dollars(value, 0)),
        b"cost" | b"estimated_cost" => usage.told = dollars(value, 0),
        b"cost_in_usd_ticks" => usage.told = dollars(value, TICKS),
        _ => {}
    }
    false
}

/// Look at one member of an object; what is none has none.
fn member(raw: &[u8], wanted: &[u8], mut look: impl FnMut(&[u8])) {
    let _whatever = scan::walk(raw, 0, |name, _, from| {
        let to = scan::value(raw, from)?;
        if &raw[name] == wanted {
            look(&raw[from..to]);
        }
        Ok(to)
    });
}

/// xAI's unit of cost: 10⁻¹⁰ dollars (https://docs.x.ai/docs/key-information/consumption-and-rate-limits).
const TICKS: i32 = -10;

/// What a provider says a call cost.
fn dollars(value: &[u8], shift: i32) -> Usd {
    std::str::from_utf8(value).ok().and_then(|text| Usd::parse_rounded(text, shift)).unwrap_or_default()
}

fn quoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or_default()
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

/// The same for counts that are rarely large.
fn lift(raw: &[u8], from: usize, most: &mut u32) -> Step {
    let mut large = u64::from(*most);
    let to = count(raw, from, &mut large, &mut false)?;
    *most = u32::try_from(large).unwrap_or(u32::MAX);
    Ok(to)
}

/// The usage in the last bytes of an answer that was too long to be held: the last member of that name that is one.
pub fn in_tail(tail: &[u8]) -> Option<Usage> {
    // it stands near the end, so what is before is only searched when it does not
    let (_, near) = tail.split_at(tail.len().saturating_sub(NEAR));
    found_in(near).or_else(|| if near.len() < tail.len() { found_in(tail) } else { None })
}

/// Bytes at an answer's end in which the usage is looked for first.
const NEAR: usize = 384;

fn found_in(tail: &[u8]) -> Option<Usage> {
    // forwards: searching backwards is several times slower, and there is hardly ever more than one
    let found = FINDER.find_iter(tail).filter_map(|at| {
        let rest = tail[at + NAME.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let (usage, end) = leading(rest)?;
        Some((usage, rest.get(end..).unwrap_or_default()))
    });
    let (mut usage, behind) = found.last()?;
    if let Some(tier) = tier_behind(behind) {
        usage.tier = tier;
    }
    Some(usage)
}

/// Bytes behind a usage in which a tier is looked for.
const TIER_NEAR: usize = 256;

/// The tier, which servers that have several tell a few members behind the usage.
fn tier_behind(behind: &[u8]) -> Option<Tier> {
    const TIER: &[u8] = b"\"service_tier\"";
    static TIER_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(TIER));
    let near = &behind[..behind.len().min(TIER_NEAR)];
    let at = TIER_FINDER.find(near)?;
    let value =
        near[at + TIER.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    Some(Tier::of(&value[..memchr::memchr(b'"', value)?]))
}
