//! Which conversation a request belongs to, so that it finds its prompt cache warm again.

use std::hash::Hasher;

use super::digest::Digest;
use crate::wire::Object;
use crate::wire::object::each_element;

/// The headers that name a conversation, the surest first. `x-client-request-id` is not among them: one agent puts its
/// session there, but all others a new name a request.
pub const HEADERS: [&str; 12] = [
    "x-claude-code-session-id",
    "x-qwen-code-session-id",
    "x-opencode-session",
    "x-amp-thread-id",
    "session_id",
    "session-id",
    "conversation_id",
    "conversation-id",
    "thread_id",
    "thread-id",
    "x-session-id",
    "x-session-affinity",
];

/// Who asks, as two people who begin alike are not one conversation; and where dialects put instructions beside the
/// messages.
const BEFORE: [&str; 6] =
    ["user", "safety_identifier", "system", "instructions", "systemInstruction", "system_instruction"];
/// What is longer is no name.
const NAME: usize = 512;
/// As much of a text tells one beginning from another.
const ENOUGH: usize = 16 * 1024;

/// What a body says about its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Which one.
    pub conversation: u64,
    /// Whether it may have been answered before: it has a name, or an answer is among its messages. What asks once and
    /// for all is worth noting but not looking up, or equal questions would never be spread.
    pub begun: bool,
}

/// The conversation that headers name. `get` finds a header's value by its name in lower case.
pub fn of_headers<'a>(get: impl Fn(&'static str) -> Option<&'a str>) -> Option<u64> {
    let value = HEADERS.into_iter().filter_map(get).map(str::trim).find(|value| is_name(value.as_bytes()))?;
    Some(name(value.as_bytes()))
}

/// The conversation of a body in any of the dialects: as a member names it, else by how it begins, which is with its
/// instructions and the first message of the user. `None` if it says nothing of the kind.
pub fn of_body(body: &Object) -> Option<Prefix> {
    let told = Told::of(body);
    if let Some(prefix) = told.prefix(body) {
        return Some(prefix);
    }
    let mut start = Start::default();
    for (member, value) in BEFORE.iter().zip(told.before) {
        if let Some(value) = value {
            start.digest.write(member.as_bytes());
            start.text(value);
        }
    }
    let messages = told.messages.into_iter().flatten().next()?;
    if messages.starts_with(b"\"") {
        start.user(messages);
    } else {
        each_element(messages, ["role", "content", "parts"], |message, [role, content, parts]| {
            let reads = message.starts_with(b"{");
            if reads {
                start.message(role, content, parts);
            }
            reads && !(start.asked && start.answered)
        });
    }
    start.asked.then(|| Prefix { conversation: start.digest.finish(), begun: start.answered })
}

/// The conversation that a member names.
pub fn named(body: &Object) -> Option<Prefix> {
    Told::of(body).prefix(body)
}

/// What of a body says something about its conversation, found in one pass.
#[derive(Default)]
struct Told<'b> {
    /// Names of it, the surest first.
    names: [Option<&'b [u8]>; 4],
    before: [Option<&'b [u8]>; 6],
    /// The messages, where dialects put them.
    messages: [Option<&'b [u8]>; 3],
    has_metadata: bool,
}

impl<'b> Told<'b> {
    fn of(body: &'b Object) -> Self {
        let mut told = Self::default();
        for (name, value) in body.raw_members() {
            let place = match name {
                b"prompt_cache_key" => &mut told.names[0],
                b"session_id" => &mut told.names[1],
                b"conversation_id" => &mut told.names[2],
                b"thread_id" => &mut told.names[3],
                b"user" => &mut told.before[0],
                b"safety_identifier" => &mut told.before[1],
                b"system" => &mut told.before[2],
                b"instructions" => &mut told.before[3],
                b"systemInstruction" => &mut told.before[4],
                b"system_instruction" => &mut told.before[5],
                b"messages" => &mut told.messages[0],
                b"input" => &mut told.messages[1],
                b"contents" => &mut told.messages[2],
                b"metadata" => {
                    told.has_metadata = true;
                    continue;
                }
                _ => continue,
            };
            *place = Some(value);
        }
        told
    }

    fn name(&self) -> Option<&'b [u8]> {
        self.names.into_iter().flatten().find_map(text)
    }

    fn prefix(&self, body: &Object) -> Option<Prefix> {
        let of_metadata = || {
            let metadata = body.object("metadata").ok()??;
            let own = Told::of(&metadata).name();
            own.or_else(|| session(text(metadata.raw("user_id")?)?)).map(name)
        };
        let named = self.name().map(name).or_else(|| self.has_metadata.then(of_metadata).flatten());
        named.map(|conversation| Prefix { conversation, begun: true })
    }
}

fn is_name(value: &[u8]) -> bool {
    (1..=NAME).contains(&value.len())
}

fn name(value: &[u8]) -> u64 {
    let mut digest = Digest::default();
    digest.write(value);
    digest.finish()
}

/// What is between the quotes of a string that may be a name.
fn text(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"").filter(|value| is_name(value))
}

/// The session in the user id that Claude Code makes: `user_…_account_…_session_…`, or JSON in a string.
fn session(user: &[u8]) -> Option<&[u8]> {
    const FLAT: &[u8] = b"_session_";
    const JSON: &[u8] = br#"\"session_id\":\""#;
    let after = |start: &[u8]| memchr::memmem::find(user, start).map(|at| &user[at + start.len()..]);
    let found = match after(JSON) {
        Some(rest) => rest.split(|byte| *byte == b'\\').next(),
        None => after(FLAT),
    };
    found.filter(|session| is_name(session))
}

/// The beginning of a conversation, message by message.
#[derive(Default)]
struct Start {
    digest: Digest,
    asked: bool,
    answered: bool,
}

impl Start {
    fn message(&mut self, role: Option<&[u8]>, content: Option<&[u8]>, parts: Option<&[u8]>) {
        let said = content.or(parts).unwrap_or_default();
        match role {
            Some(br#""system""# | br#""developer""#) if !self.asked => self.text(said),
            Some(br#""system""# | br#""developer""#) => {}
            Some(br#""user""#) => self.user(said),
            None if parts.is_some() => self.user(said),
            // an answer, a call of a tool, or a thought
            _ => self.answered = true,
        }
    }

    fn user(&mut self, content: &[u8]) {
        if !self.asked {
            self.digest.write(b"user");
            self.text(content);
            self.asked = true;
        }
    }

    /// Texts count by themselves, however they are wrapped: clients move the marks of what is to be cached from
    /// message to message, and wrap a text in a part to put one on it.
    fn text(&mut self, content: &[u8]) {
        let mut left = ENOUGH;
        let mut add = |value: &[u8]| {
            let value = &value[..value.len().min(left)];
            left -= value.len();
            self.digest.write(value);
        };
        if !content.starts_with(b"[") {
            return add(content);
        }
        each_element(content, ["text"], |part, [text]| {
            add(text.unwrap_or(part));
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn prefix(body: &str) -> Option<Prefix> {
        of_body(&Object::parse(Bytes::copy_from_slice(body.as_bytes())).expect("it is an object"))
    }

    /// Both belong to the same conversation; the second one is looked up.
    fn goes_on(first: &str, second: &str) {
        let (first, second) = (prefix(first).expect(first), prefix(second).expect(second));
        assert_eq!((first.conversation, second.begun), (second.conversation, true));
    }

    fn differ(bodies: &[&str]) {
        let all: Vec<u64> = bodies.iter().map(|body| prefix(body).expect(body).conversation).collect();
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{}", bodies[at]);
        }
    }

    #[test]
    fn the_headers_of_agents_name_a_conversation() {
        let of = |headers: &'static [(&str, &str)]| {
            of_headers(|name| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| *value))
        };
        assert_eq!(of(&[("user-agent", "codex"), ("x-client-request-id", "1")]), None);
        let one = of(&[("session_id", " 0199 ")]);
        assert!(one.is_some());
        assert_eq!(one, of(&[("thread-id", "1"), ("session_id", "0199")]));
        assert_eq!(of(&[("x-claude-code-session-id", ""), ("session-id", "0199")]), one);
        assert_ne!(of(&[("session_id", "0198")]), one);
        assert!(HEADERS.iter().all(|name| *name == name.to_ascii_lowercase()));
    }

    #[test]
    fn a_name_goes_before_everything_else() {
        let named = |value| Some(Prefix { conversation: name(value), begun: true });
        for (body, expected) in [
            (r#"{"prompt_cache_key":"a","session_id":"b"}"#, named(b"a")),
            (r#"{"prompt_cache_key":null,"session_id":"b"}"#, named(b"b")),
            (r#"{"metadata":{"session_id":"c"},"messages":[{"role":"user","content":"x"}]}"#, named(b"c")),
            (r#"{"metadata":{"user_id":"user_1_account_2_session_d-e"}}"#, named(b"d-e")),
            (r#"{"metadata":{"user_id":"{\"device_id\":\"1\",\"session_id\":\"f-g\",\"x\":\"y\"}"}}"#, named(b"f-g")),
            (r#"{"metadata":{"user_id":"me"}}"#, None),
            (r#"{"metadata":"me","session_id":7,"prompt_cache_key":""}"#, None),
        ] {
            assert_eq!(prefix(body), expected, "{body}");
        }
    }

    #[test]
    fn a_conversation_goes_on_from_its_beginning_in_every_dialect() {
        goes_on(
            r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}]}"#,
            r#"{"messages":[{"content":"s","role":"system"},{"role":"user","content":"a"},
                {"role":"assistant","content":"b"},{"role":"user","content":"c"}],"temperature":1}"#,
        );
        goes_on(
            r#"{"system":"s","messages":[{"role":"user","content":[{"type":"text","text":"a",
                "cache_control":{"type":"ephemeral"}}]}]}"#,
            r#"{"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"a"},
                {"role":"assistant","content":"b"}]}"#,
        );
        goes_on(
            r#"{"instructions":"s","input":"a"}"#,
            r#"{"instructions":"s","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},
                {"type":"function_call","name":"f"}]}"#,
        );
        goes_on(
            r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"parts":[{"text":"a"}]}]}"#,
            r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"a"}]},
                {"role":"model","parts":[{"text":"b"}]}]}"#,
        );
    }

    #[test]
    fn what_asks_once_is_not_looked_up() {
        for body in [
            r#"{"messages":[{"role":"user","content":"a"}]}"#,
            r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"system","content":""}]}"#,
            r#"{"input":"a"}"#,
        ] {
            assert!(!prefix(body).expect(body).begun, "{body}");
        }
    }

    #[test]
    fn other_beginnings_are_other_conversations() {
        differ(&[
            r#"{"messages":[{"role":"user","content":"a"}]}"#,
            r#"{"messages":[{"role":"user","content":"b"}]}"#,
            r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}]}"#,
            r#"{"messages":[{"role":"user","content":"a"}],"user":"me"}"#,
            r#"{"messages":[{"role":"user","content":"a"}],"user":"you"}"#,
            r#"{"messages":[{"role":"user","content":[{"image":1},{"text":"a"}]}]}"#,
            r#"{"messages":[{"role":"user","content":[{"image":2},{"text":"a"}]}]}"#,
        ]);
    }

    #[test]
    fn what_has_no_messages_is_no_conversation() {
        for body in [
            "{}",
            r#"{"prompt":"a"}"#,
            r#"{"input":[1,2]}"#,
            r#"{"messages":null}"#,
            r#"{"messages":[{"role":"assistant","content":"a"}]}"#,
            r#"{"messages":[{"role":7,"content":"a"}]}"#,
        ] {
            assert_eq!(prefix(body), None, "{body}");
        }
    }

    #[test]
    fn of_a_long_text_the_beginning_counts() {
        let body = |len: usize, end: &str| {
            format!(r#"{{"messages":[{{"role":"user","content":"{}{end}"}}]}}"#, "x".repeat(len))
        };
        assert_eq!(prefix(&body(ENOUGH, "a")), prefix(&body(ENOUGH, "b")));
        assert_ne!(prefix(&body(ENOUGH - 100, "a")), prefix(&body(ENOUGH - 100, "b")));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_body_is_too_odd(value in r#"[\[\]{}":,a-z0-9\\ ]{0,60}"#, member in "messages|input|contents|thread_id") {
            let body = format!(r#"{{"{member}":{value},"metadata":{value}}}"#);
            if let Ok(body) = Object::parse(body.into()) {
                of_body(&body);
            }
        }
    }
}
