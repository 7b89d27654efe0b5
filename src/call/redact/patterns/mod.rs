//! What looks like a credential in the words of others. One pass over the bytes, in time linear to the text: an
//! upstream chooses what we read here.

use std::borrow::Cow;

/// A key whose vendor shows in its first characters.
struct Key {
    prefix: &'static str,
    /// The bytes it goes on with, and at least how many of these.
    of: fn(u8) -> bool,
    least: usize,
    mark: &'static str,
}

/// More specific prefixes first.
const KEYS: &[Key] = &[
    Key { prefix: "sk-ant-", of: is_masked, least: 8, mark: "[REDACTED_ANTHROPIC_KEY]" },
    Key { prefix: "sk-", of: is_masked, least: 16, mark: "[REDACTED_OPENAI_KEY]" },
    Key { prefix: "pplx-", of: is_masked, least: 16, mark: "[REDACTED_PERPLEXITY_KEY]" },
    Key { prefix: "gsk_", of: is_masked, least: 16, mark: "[REDACTED_GROQ_KEY]" },
    Key { prefix: "fgw_", of: |byte| byte.is_ascii_hexdigit(), least: 32, mark: "[REDACTED_GW_KEY]" },
    Key { prefix: "AIza", of: is_masked, least: 30, mark: "[REDACTED_GOOGLE_KEY]" },
    Key { prefix: "ya29.", of: is_masked, least: 16, mark: "[REDACTED_GOOGLE_TOKEN]" },
    Key { prefix: "AKIA", of: is_upper, least: 16, mark: "[REDACTED_AWS_KEY]" },
    Key { prefix: "ASIA", of: is_upper, least: 16, mark: "[REDACTED_AWS_KEY]" },
    Key { prefix: "xai-", of: is_masked, least: 16, mark: "[REDACTED_XAI_KEY]" },
    Key { prefix: "nvapi-", of: is_masked, least: 16, mark: "[REDACTED_NVIDIA_KEY]" },
    Key { prefix: "csk-", of: is_masked, least: 16, mark: "[REDACTED_CEREBRAS_KEY]" },
    Key { prefix: "hf_", of: is_masked, least: 16, mark: "[REDACTED_HUGGING_FACE_KEY]" },
    Key { prefix: "dapi", of: |byte| byte.is_ascii_hexdigit(), least: 32, mark: "[REDACTED_DATABRICKS_KEY]" },
];

/// Query parameters, in lower case with `_` for `-`, whose values are credentials.
const PARAMETERS: &[&str] = &[
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "authorization",
    "client_secret",
    "credential",
    "id_token",
    "key",
    "passwd",
    "password",
    "pwd",
    "refresh_token",
    "secret",
    "sig",
    "signature",
    "subscription_key",
    "token",
    "x_amz_credential",
    "x_amz_security_token",
    "x_amz_signature",
    "x_goog_credential",
    "x_goog_signature",
];

/// What to replace by what.
struct Hit {
    from: usize,
    to: usize,
    mark: &'static str,
}

/// The text without what looks like a credential; borrowed if nothing does.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    // A replaced piece may have hidden the beginning of the next: usually the second round finds nothing.
    for _ in 0..4 {
        match once(&text) {
            Some(changed) => text = Cow::Owned(changed),
            None => break,
        }
    }
    text
}

fn once(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let (mut done, mut at) = (0, 0);
    while at < bytes.len() {
        let hit = find(bytes, at, done).filter(|hit| hit.from < hit.to && !is_mark(&bytes[hit.from..]));
        if let Some(Hit { from, to, mark }) = hit {
            out.push_str(&text[done..from]);
            out.push_str(mark);
            (done, at) = (to, to);
        } else {
            at += 1;
        }
    }
    out.push_str(&text[done..]);
    (done > 0).then_some(out)
}

/// What begins at `at`, or for an address has its `@` there; nothing before `done` is looked at.
fn find(bytes: &[u8], at: usize, done: usize) -> Option<Hit> {
    let first = |of: fn(u8) -> bool| at == done || !of(bytes[at - 1]);
    match bytes[at] {
        b'@' => address(bytes, at, done),
        b':' => userinfo(bytes, at),
        b'?' | b'&' => parameter(bytes, at + 1),
        b'-' => private_key(bytes, at),
        byte if byte.is_ascii_alphanumeric() => key(bytes, at, first(|byte| byte.is_ascii_alphanumeric()))
            .or_else(|| if first(is_token) { token(bytes, at).or_else(|| bearer(bytes, at)) } else { None })
            .or_else(|| if first(is_token) { named(bytes, at) } else { None }),
        _ => None,
    }
}

/// A vendor's key. Only the prefixes of a few letters need a word of their own: `task-…` is no key.
fn key(bytes: &[u8], at: usize, first: bool) -> Option<Hit> {
    let rest = &bytes[at..];
    KEYS.iter().find_map(|key| {
        let tail = rest.strip_prefix(key.prefix.as_bytes())?;
        let long = if first || key.prefix.len() > 4 { run(tail, key.of) } else { 0 };
        (long >= key.least).then_some(Hit { from: at, to: at + key.prefix.len() + long, mark: key.mark })
    })
}

/// A JSON web token, signed or encrypted: `eyJ….….…`.
fn token(bytes: &[u8], at: usize) -> Option<Hit> {
    let mut parts = 0;
    let mut to = at;
    if !bytes[at..].starts_with(b"eyJ") {
        return None;
    }
    loop {
        let part = run(&bytes[to..], is_token);
        if part == 0 {
            break;
        }
        to += part;
        parts += 1;
        if bytes.get(to) != Some(&b'.') {
            break;
        }
        to += 1;
    }
    (parts >= 2 && to - at >= 16).then_some(Hit { from: at, to, mark: "[REDACTED_JWT]" })
}

/// `Bearer` and what follows it.
fn bearer(bytes: &[u8], at: usize) -> Option<Hit> {
    let from = at + scheme(&bytes[at..], &["bearer"])?;
    let to =
        from + run(&bytes[from..], |byte| is_token(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=' | b'*'));
    (to - from >= 8).then_some(Hit { from, to, mark: "[REDACTED_BEARER_TOKEN]" })
}

/// The length of an authentication scheme and the white space behind it.
fn scheme(bytes: &[u8], schemes: &[&str]) -> Option<usize> {
    let word = run(bytes, |byte| byte.is_ascii_alphabetic());
    let space = run(&bytes[word..], |byte| matches!(byte, b' ' | b'\t'));
    let known = schemes.iter().any(|scheme| bytes[..word].eq_ignore_ascii_case(scheme.as_bytes()));
    (known && space > 0).then_some(word + space)
}

/// `name@host.tld`.
fn address(bytes: &[u8], at: usize, done: usize) -> Option<Hit> {
    let is_local = |byte: u8| is_token(byte) || matches!(byte, b'.' | b'%' | b'+') || !byte.is_ascii();
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || !byte.is_ascii();
    let from = at - bytes[done..at].iter().rev().take_while(|&&byte| is_local(byte)).count();
    let host = &bytes[at + 1..at + 1 + run(&bytes[at + 1..], is_host)];
    let host = &host[..host.iter().rposition(|byte| !matches!(byte, b'.' | b'-')).map_or(0, |last| last + 1)];
    let top = host.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    let named = top.len() < host.len() && top.len() > 1 && !top.iter().any(u8::is_ascii_digit);
    (from < at && named).then_some(Hit { from, to: at + 1 + host.len(), mark: "[REDACTED_EMAIL]" })
}

/// The password in `scheme://user:password@host`.
fn userinfo(bytes: &[u8], at: usize) -> Option<Hit> {
    let authority = bytes[at..].strip_prefix(b"://")?;
    let authority = &authority[..run(authority, |byte| is_value(byte) && !matches!(byte, b'/' | b'?' | b'#'))];
    let end = memchr::memrchr(b'@', authority)?;
    let colon = memchr::memchr(b':', &authority[..end])?;
    Some(Hit { from: at + 3 + colon + 1, to: at + 3 + end, mark: "[REDACTED_PASSWORD]" })
}

/// The value of a query parameter that is named like a credential.
fn parameter(bytes: &[u8], at: usize) -> Option<Hit> {
    let name = &bytes[at..at + run(&bytes[at..], is_token)];
    let from = at + name.len() + 1;
    let telling = bytes.get(from - 1) == Some(&b'=') && PARAMETERS.iter().any(|word| same(name, word));
    let value = bytes.get(from..).filter(|_| telling)?;
    let to = from + run(value, |byte| is_value(byte) && !matches!(byte, b'&' | b'#'));
    Some(Hit { from, to, mark: "[REDACTED_URL_CREDENTIAL]" })
}

/// A private key in PEM, to its end or to that of the text.
fn private_key(bytes: &[u8], at: usize) -> Option<Hit> {
    let label = bytes[at..].strip_prefix(b"-----BEGIN ")?;
    let label = &label[..run(&label[..label.len().min(48)], |byte| byte.is_ascii_uppercase() || byte == b' ')];
    if !label.ends_with(b"PRIVATE KEY") {
        return None;
    }
    let body = at + 11 + label.len();
    let end = memchr::memmem::find(&bytes[body..], b"-----END").map_or(bytes.len(), |end| {
        let tail = body + end + 8;
        let line = memchr::memmem::find(&bytes[tail..], b"-----");
        line.map_or(bytes.len(), |dashes| tail + dashes + 5)
    });
    Some(Hit { from: at, to: end, mark: "[REDACTED_PRIVATE_KEY]" })
}

/// The value in `password: value`, `"api_key":"value"` and the like. A password is whatever follows; other words are
/// also used of harmless things (`unexpected token: identifier`), so there the value must look random.
fn named(bytes: &[u8], at: usize) -> Option<Hit> {
    let name = &bytes[at..at + run(&bytes[at..], is_token)];
    let ends = |words: &[&str]| {
        words.iter().any(|word| name.len() >= word.len() && same(&name[name.len() - word.len()..], word))
    };
    let always = ends(&["password", "passwd", "secret"]);
    if !always
        && !ends(&["_key", "apikey", "token", "authorization", "credential", "credentials"])
        && !same(name, "key")
    {
        return None;
    }
    let mut from = at + name.len();
    from += run(&bytes[from..], is_quote);
    from += run(&bytes[from..], |byte| byte == b' ');
    if !matches!(bytes.get(from), Some(b':' | b'=')) {
        return None;
    }
    from += 1;
    from += run(&bytes[from..], |byte| byte == b' ' || is_quote(byte));
    from += scheme(&bytes[from..], &["bearer", "basic", "token"]).unwrap_or(0);
    let is_secret = |byte| is_value(byte) && !matches!(byte, b',' | b';' | b')' | b'}' | b']' | b'&' | b'\\');
    let rest = &bytes[from..];
    let value = &rest[..run(&rest[..rest.len().min(256)], is_secret)];
    let random = value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic);
    let least = if same(name, "key") { 16 } else { 8 };
    if (always && value.len() < 4) || (!always && (value.len() < least || !random)) {
        return None;
    }
    let to = from + run(rest, is_secret);
    let known = key(bytes, from, true).or_else(|| token(bytes, from)).filter(|hit| hit.to == to);
    Some(known.unwrap_or(Hit { from, to, mark: "[REDACTED_SECRET]" }))
}

fn run(bytes: &[u8], of: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| !of(byte)).unwrap_or(bytes.len())
}

/// Without regard to case, and `-` the same as `_`.
fn same(name: &[u8], word: &str) -> bool {
    let plain = |byte: &u8| if *byte == b'-' { b'_' } else { byte.to_ascii_lowercase() };
    name.len() == word.len() && name.iter().map(plain).eq(word.bytes())
}

/// Whether a mark of ours stands here already.
fn is_mark(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"[REDACTED") else { return false };
    let name = run(rest, |byte| byte == b':' || is_token(byte));
    name > 0 && rest.get(name) == Some(&b']')
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Vendors show parts of a key with stars for the rest.
fn is_masked(byte: u8) -> bool {
    is_token(byte) || byte == b'*'
}

fn is_upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`' | b'\\')
}

fn is_value(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !byte.is_ascii_control() && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>')
}

#[cfg(test)]
mod tests;
