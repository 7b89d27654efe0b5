//! Names of models: what in an id is a region, a date or a version, and what remains.

/// Regions before an id, as `us.` and `eu/`, longer ones before those they begin with.
const REGIONS: [&str; 13] =
    ["us-gov", "us", "eu", "global-standard", "global", "data-zone", "apac", "jp", "au", "in", "ca", "sa", "regional"];

/// The region an id begins with, and the rest: `us.anthropic.claude-…`, `eu-west-1/…`.
pub fn region(id: &str) -> Option<(&str, &str)> {
    let at = id.find(['.', '/'])?;
    let (head, rest) = (&id[..at], &id[at + 1..]);
    (REGIONS.contains(&head) || is_cloud_region(head)).then_some((head, rest))
}

/// `eu-west-1`, `us-gov-east-1`.
fn is_cloud_region(name: &str) -> bool {
    let Some((head, number)) = name.rsplit_once('-') else { return false };
    let Some((land, part)) = head.split_once('-') else { return false };
    let part = part.strip_prefix("gov-").unwrap_or(part);
    let letters = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    land.len() == 2 && letters(land) && letters(part) && number.len() == 1 && number.as_bytes()[0].is_ascii_digit()
}

/// The id without its last version or date, if it has one: `-2026-11-21`, `-20261121`, `-v1`, `:free`, `@001`.
/// Not `-latest`, which is whatever came last.
pub fn unversioned(id: &str) -> Option<&str> {
    let is_word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
    };
    if let Some(at) = id.rfind([':', '@'])
        && is_word(&id[at + 1..])
    {
        return Some(&id[..at]);
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (rest, last) = id.rsplit_once('-')?;
    if last.len() == 8 && digits(last) || last.strip_prefix('v').is_some_and(digits) {
        return Some(rest);
    }
    let shape = |text: &str| {
        text.len() == 11
            && text.bytes().enumerate().all(|(at, byte)| match at {
                0 | 5 | 8 => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
    };
    let at = id.len().checked_sub(11)?;
    (id.is_char_boundary(at) && shape(&id[at..])).then(|| &id[..at])
}

/// The same, where what is cut off does not change the price: neither `:free` nor `:nitro`, which are offers of their own.
pub fn undated(id: &str) -> Option<&str> {
    let rest = unversioned(id).filter(|rest| !rest.is_empty())?;
    let cut = &id[rest.len()..];
    (!cut.starts_with(':') || cut[1..].bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)
}

/// What a model is called by whoever made it: without seller, region, version and date, in lower case.
pub fn bare(id: &str) -> String {
    let lower = id.to_ascii_lowercase();
    let mut name = lower.rsplit('/').next().unwrap_or_default();
    for seller in ["anthropic.", "meta."] {
        name = name.strip_prefix(seller).unwrap_or(name);
    }
    while let Some(rest) = unversioned(name).filter(|rest| !rest.is_empty()) {
        name = rest;
    }
    name.to_owned()
}

/// Providers whose models are called what the operator calls them, so that a name says little about what is behind it.
pub const NAMED_BY_OPERATORS: [&str; 2] = ["azure-foundry", "azure-openai"];

/// A model without what sellers add to its name, so that the same model of two sellers has the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stem {
    /// Letters and digits of family, generation and size: `llama3370b`.
    pub name: String,
    /// Its month or day where the name has one in short, as `2407`, or `latest`.
    pub date: String,
}

/// Names before the model's own, with a dot, where that repeats the family or tells the maker.
const SELLERS: [&str; 15] = [
    "anthropic",
    "meta",
    "amazon",
    "mistral",
    "cohere",
    "ai21",
    "qwen",
    "openai",
    "moonshot",
    "moonshotai",
    "zai",
    "minimax",
    "nvidia",
    "google",
    "writer",
];

/// Words that tell how a model is served or tuned, and nothing about what it can take.
const MANNERS: [&str; 42] = [
    "instruct",
    "it",
    "chat",
    "hf",
    "fp4",
    "fp8",
    "fp16",
    "bf16",
    "nvfp4",
    "int4",
    "int8",
    "awq",
    "gptq",
    "quantized",
    "turbo",
    "fast",
    "instant",
    "versatile",
    "tput",
    "preview",
    "beta",
    "exp",
    "experimental",
    "free",
    "tee",
    "maas",
    "thinking",
    "reasoning",
    "reasoner",
    "non",
    "high",
    "low",
    "xhigh",
    "minimal",
    "none",
    "online",
    "original",
    "databricks",
    "meta",
    "azure",
    "hosted",
    "serverless",
];

/// What a model is called by everybody, as far as that can be told from an id.
pub fn stem(id: &str) -> Stem {
    let lower = id.to_ascii_lowercase();
    let mut name = lower.rsplit('/').next().unwrap_or_default();
    while let Some((_, rest)) =
        name.split_once('.').filter(|(head, _)| SELLERS.contains(head) || REGIONS.contains(head))
    {
        name = rest;
    }
    while let Some(rest) = unversioned(name).filter(|rest| !rest.is_empty()) {
        name = rest;
    }
    let bytes = name.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    // `llama-v3p1` is 3.1
    let parts = |(at, char): (usize, char)| {
        matches!(char, '-' | '_' | '.' | ' ') || char == 'p' && digit(at.checked_sub(1)) && digit(Some(at + 1))
    };
    let cuts = name.char_indices().filter(|place| parts(*place)).map(|(at, _)| at).chain([name.len()]);
    let (mut stem, mut from, mut month) = (Stem::default(), 0, None);
    for cut in cuts {
        let word = &name[from..cut];
        from = cut + 1;
        let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        if word.is_empty() || MANNERS.contains(&word) {
            continue;
        }
        if stem.date.is_empty() && (word == "latest" || digits && matches!(word.len(), 4 | 6 | 8)) {
            // `08-2024`
            let month = month.take().filter(|_| word.len() == 4 && word.starts_with("20")).unwrap_or_default();
            stem.name.truncate(stem.name.len() - str::len(month));
            stem.date = [month, word].concat();
            continue;
        }
        month = Some(word).filter(|word| digits && word.len() == 2 && *word <= "12");
        // `llama-v3p3`, as others write `llama-3.3`
        let number =
            word.strip_prefix('v').filter(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
        stem.name.push_str(number.unwrap_or(word));
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sellers_call_the_same_model_by_the_same_stem() {
        let check = |id: &str, name: &str, date: &str| {
            let (name, date) = (name.to_owned(), date.to_owned());
            assert_eq!(stem(id), Stem { name, date }, "{id}");
        };
        check("meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama3370b", "");
        check("accounts/fireworks/models/llama-v3p3-70b-instruct", "llama3370b", "");
        check("us.meta.llama3-3-70b-instruct-v1:0", "llama3370b", "");
        check("mistral.mistral-large-2407-v1:0", "mistrallarge", "2407");
        check("mistral-large-latest", "mistrallarge", "latest");
        check("command-r-08-2024", "commandr", "082024");
        check("gpt-4o-2024-08-06", "gpt4o", "");
        check("deepseek.r1-v1:0", "deepseekr1", "");
        check("accounts/fireworks/models/kimi-k2p5", "kimik25", "");
        check("gpt-3.5-turbo-0125", "gpt35", "0125");
        check("", "", "");
    }

    #[test]
    fn regions_stand_before_an_id() {
        let check = |id: &str, expected: Option<(&str, &str)>| assert_eq!(region(id), expected, "{id}");
        check("us.anthropic.claude-x", Some(("us", "anthropic.claude-x")));
        check("eu-west-1/gpt-x", Some(("eu-west-1", "gpt-x")));
        check("us-gov-east-1/amazon.nova", Some(("us-gov-east-1", "amazon.nova")));
        check("amazon.nova", None);
        check("gpt-4.1", None);
        check("openai/gpt-5", None);
    }

    #[test]
    fn offers_of_their_own_keep_their_price() {
        let check = |id: &str, expected: Option<&str>| assert_eq!(undated(id), expected, "{id}");
        check("gpt-4o-2024-08-06", Some("gpt-4o"));
        check("anthropic.claude-x-v1:0", Some("anthropic.claude-x-v1"));
        check("meta/llama-4:free", None);
        check("gpt-4o", None);
    }

    #[test]
    fn versions_and_dates_are_no_part_of_the_bare_name() {
        let check = |id: &str, expected: &str| assert_eq!(bare(id), expected, "{id}");
        check("gpt-4o-2024-08-06", "gpt-4o");
        check("claude-sonnet-4-5-20250929", "claude-sonnet-4-5");
        check("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5");
        check("meta-llama/Llama-3.3-70B-Instruct:free", "llama-3.3-70b-instruct");
        check("gemini-2.5-pro@001", "gemini-2.5-pro");
        check("gemini-pro-latest", "gemini-pro-latest");
        check("2026-11-21", "2026-11-21");
        check("", "");
        check("é-2024-08-0é", "é-2024-08-0é");
    }

    proptest::proptest! {
        #[test]
        fn no_name_panics(id in "\\PC{0,40}") {
            let _whatever = (bare(&id), region(&id), undated(&id), stem(&id));
        }
    }
}
