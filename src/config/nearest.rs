//! The known word a misspelt one was probably meant to be.

/// The nearest of the known words, if it is near enough to be a slip.
pub(super) fn of<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let plain = |word: &str| word.to_lowercase().replace(['-', '_', ' '], "");
    let word = plain(word);
    known
        .into_iter()
        .map(|candidate| (distance(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What the same thing is called here, by words that other gateways have for it; `shape` is where it stands.
pub(super) fn synonym(shape: &str, word: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str, &str); 10] = [
        ("targets[]", "name", "virtual_key"),
        ("targets[]", "id", "virtual_key"),
        ("targets[]", "key", "api_key"),
        ("targets[]", "token", "api_key"),
        ("targets[]", "url", "base_url"),
        ("targets[]", "endpoint", "base_url"),
        ("targets[]", "type", "provider"),
        ("strategy", "type", "mode"),
        ("conditions[]", "target", "target_key"),
        ("ab_variants[]", "target", "target_key"),
    ];
    let word = word.to_lowercase();
    WORDS.iter().find(|(place, other, _)| shape.ends_with(place) && *other == word).map(|(_, _, ours)| *ours)
}

/// How something of several members is written that was given in one word.
pub(super) fn example(shape: &str) -> Option<&'static str> {
    const FORMS: [(&str, &str); 6] = [
        (".retry", "retry: { attempts: 3 }"),
        (".concurrency", "concurrency: { max_concurrency: 10 }"),
        (".hedge", "hedge: { after: 500ms }"),
        (".header", "header: { x-team: search }"),
        (".tokens", "tokens: { min: 1000 }"),
        (".time", "time: { from: \"22:00\", to: \"06:00\", zone: UTC }"),
    ];
    FORMS.iter().find(|(place, _)| shape.ends_with(place)).map(|(_, form)| *form)
}

/// Edits between two words: insert, remove, replace, or swap two neighbours.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_does_not() {
        let known = ["virtual_key", "base_url", "models", "timeouts", "weight"];
        let cases = [
            ("virtualKey", Some("virtual_key")),
            ("base-url", Some("base_url")),
            ("modles", Some("models")),
            ("model", Some("models")),
            ("timeout", Some("timeouts")),
            ("wieght", Some("weight")),
            ("circuit", None),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(of(word, known), expected, "{word}");
        }
    }
}
