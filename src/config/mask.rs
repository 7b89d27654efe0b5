//! Hides what may be a secret in a line that is shown: by the name it stands under, or by its looks.

use super::nearest;
use super::text::references;

/// What stands for a secret.
pub(super) const HIDDEN: &str = "[REDACTED]";

/// Whether a member of this name may hold a secret, misspellings included.
pub(super) fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    match name.as_str() {
        "target_key" | "keep_alive" => false,
        name if nearest::distance(name, "virtual_key") <= 2 => false,
        "headers" | "env" | "auth" | "dsn" => true,
        _ => {
            ["key", "token", "secret", "passw", "authorization", "credential", "cookie"]
                .iter()
                .any(|word| name.contains(word))
                || ["api_key", "headers"].iter().any(|known| nearest::distance(&name, known) <= 2)
        }
    }
}

/// The line as it can be shown: nothing behind a sensitive name, nothing that looks like a credential.
pub(super) fn line(lines: &[&str], index: usize) -> String {
    let line = lines[index];
    if lies_in_sensitive(lines, index) {
        let body = indent(line);
        let value = keys(line).next().map_or(body, |(_, colon)| colon + 1);
        return hide_from(line, value.max(body));
    }
    match keys(line).find(|(name, colon)| is_sensitive(name) && !is_harmless(name, &line[colon + 1..])) {
        Some((_, colon)) => hide_from(line, colon + 1),
        None => words(line),
    }
}

/// Whether what stands under a sensitive name is known to be something else: of a rule, the `key` it looks at, and
/// bounds of `tokens`.
fn is_harmless(name: &str, behind: &str) -> bool {
    let value = behind.trim_start().split([',', '}', ' ', '#']).next().unwrap_or_default();
    match name {
        "key" => matches!(value.trim_matches(['"', '\'']), "model" | "model_prefix" | "header" | "user"),
        "tokens" => value == "{",
        _ => false,
    }
}

/// A text without the words in it that look like credentials.
pub(super) fn words(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c: char| c.is_whitespace() || "\"'`,;:=()[]{}".contains(c)) {
        let end = piece.trim_end_matches(|c: char| c.is_whitespace() || "\"'`,;:=()[]{}".contains(c)).len();
        let (word, separator) = piece.split_at(end);
        shown += if looks_secret(word) { HIDDEN } else { word };
        shown += separator;
    }
    address(&shown)
}

/// A text with the user and password of the first address in it hidden.
pub(super) fn address(text: &str) -> String {
    let Some(start) = text.find("://").map(|at| at + 3) else { return text.to_owned() };
    let end = text[start..].find(['/', ' ', '"', '\'', '?', '#']).map_or(text.len(), |at| start + at);
    match text[start..end].rfind('@') {
        Some(at) if !only_references(&text[start..start + at]) => {
            format!("{}{HIDDEN}{}", &text[..start], &text[start + at..])
        }
        _ => text.to_owned(),
    }
}

fn hide_from(line: &str, from: usize) -> String {
    let (head, tail) = line.split_at(from);
    let value = tail.trim();
    if value.is_empty() || only_references(value) || ["{", "[", "|", ">", "}", "]", "},", "],"].contains(&value) {
        return line.to_owned();
    }
    let space = &tail[..tail.len() - tail.trim_start().len()];
    format!("{head}{space}{HIDDEN}")
}

/// Whether a value says nothing but which variables it is made of.
fn only_references(value: &str) -> bool {
    let mut rest = String::new();
    let mut end = 0;
    for at in references(value) {
        rest += &value[end..at.start];
        end = at.end;
    }
    rest += &value[end..];
    end > 0 && matches!(rest.replace("Bearer", "").trim_matches(|c: char| " \"',:}]".contains(c)), "")
}

fn looks_secret(word: &str) -> bool {
    const PREFIXES: [&str; 12] =
        ["sk-", "sk_", "gsk_", "xai-", "AIza", "hf_", "ghp_", "pplx-", "nvapi-", "r8_", "AKIA", "eyJ"];
    let has = |class: fn(&u8) -> bool| word.bytes().any(|byte| class(&byte));
    let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    (word.len() >= 12 && PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
        || (plain
            && word.len() >= 20
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_digit))
        || (word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The names before the colons of a line, each with the place of its colon.
fn keys(line: &str) -> impl Iterator<Item = (&str, usize)> {
    line.match_indices(':').filter_map(move |(colon, _)| {
        let before = line[..colon].trim_end().trim_end_matches(['"', '\'']);
        let name = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '.';
        let start =
            before.rfind(|c| !name(c)).map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        (start < before.len()).then_some((&before[start..], colon))
    })
}

/// Whether an outer member, going by indentation, has a sensitive name; or the line before waits for its value.
fn lies_in_sensitive(lines: &[&str], index: usize) -> bool {
    let mut depth = indent(lines[index]);
    let mut nearest_line = true;
    for line in lines[..index].iter().rev() {
        let text = line.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let opens = text.trim_end().ends_with([':', '{', '[', '|', '>', '-']);
        let outer = indent(line) < depth;
        if outer || (nearest_line && text.trim_end().ends_with(':')) {
            if keys(line).last().is_some_and(|(name, _)| is_sensitive(name)) && (outer || opens) {
                return true;
            }
            depth = depth.min(indent(line));
        }
        nearest_line = false;
        if depth == 0 {
            break;
        }
    }
    false
}

/// Where the content of a line begins, the dashes of list items skipped.
fn indent(line: &str) -> usize {
    let mut rest = line.trim_start();
    while let Some(tail) = rest.strip_prefix("- ") {
        rest = tail.trim_start();
    }
    line.len() - rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(line(&lines, lines.len() - 1), expected, "{text}");
    }

    #[test]
    fn a_line_is_shown_without_its_secrets() {
        check("  api_key: abc", "  api_key: [REDACTED]");
        check("  - api_key: abc", "  - api_key: [REDACTED]");
        check("  api_ky: abc", "  api_ky: [REDACTED]");
        check("  api_key: ${KEY}", "  api_key: ${KEY}");
        check("  api_key: \"${KEY}\",", "  api_key: \"${KEY}\",");
        check("  api_key: abc${KEY}", "  api_key: [REDACTED]");
        check("  virtual_key: openai", "  virtual_key: openai");
        check("  virtualKey: openai", "  virtualKey: openai");
        check("  virtual_key: sk-proj-0123456789", "  virtual_key: [REDACTED]");
        check("  headers: { x-team: search }", "  headers: [REDACTED]");
        check("headers:\n  x-team: search", "  x-team: [REDACTED]");
        check("\"headers\": {\n  \"x-team\": \"search\",", "  \"x-team\": [REDACTED]");
        check("api_key:\n- abc", "- [REDACTED]");
        check("api_key:\n  - abc", "  - [REDACTED]");
        check("\"api_key\":\n\"abc\"", "[REDACTED]");
        check("- api_key: abc\n  weight: x", "  weight: x");
        check("{\"targets\":[{\"api_key\":\"abc\",\"weight\":2}]}", "{\"targets\":[{\"api_key\":[REDACTED]");
        check("base_url: https://me:word@host/v1", "base_url: https://[REDACTED]@host/v1");
        check("base_url: https://${USER}:${WORD}@host/v1", "base_url: https://${USER}:${WORD}@host/v1");
        check("models: [claude-3-5-sonnet-20241022]", "models: [claude-3-5-sonnet-20241022]");
    }
}
