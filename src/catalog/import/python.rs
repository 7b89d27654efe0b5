//! Python constructor calls, read as data: no name is resolved and nothing is called.

use serde_json::{Map, Value};

/// No data nests deeper.
const DEEPEST: usize = 64;

/// The value that `name` is assigned at the top of a module. A call `A(1, b=2)` is the object
/// `{"_": "A", "args": [1], "b": 2}`; numbers are texts, so that no digit is lost, and so is `Decimal('…')`.
///
/// # Errors
/// Where it is not data.
pub(super) fn assigned(text: &str, name: &str) -> Result<Value, String> {
    let line = text.lines().find(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with([':', '=']) && rest.contains('='))
    });
    let line = line.ok_or_else(|| format!("`{name}` is not assigned"))?;
    // lines are slices of the text, so the distance of their starts is an offset
    let start = line.as_ptr() as usize - text.as_ptr() as usize;
    let at = start + line.find('=').unwrap_or_default() + 1;
    let mut reader = Reader { text: text.as_bytes(), at, depth: 0 };
    reader.value().map_err(|what| {
        let line = text.as_bytes()[..reader.at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line}: {what}")
    })
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    /// The next byte that counts: blanks and comments do not.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b'#' => self.at += self.text[self.at..].iter().position(|byte| *byte == b'\n')?,
                byte if byte.is_ascii_whitespace() => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("nested too deeply".to_owned());
        }
        let value = match self.peek() {
            Some(b'\'' | b'"') => self.strings(),
            Some(b'[') => self.items(b'[', b']').map(|(items, _)| Value::Array(items)),
            Some(b'(') => self.items(b'(', b')').map(|(mut items, comma)| match (items.len(), comma) {
                (1, false) => items.remove(0),
                _ => Value::Array(items),
            }),
            Some(b'{') => self.dict(),
            Some(b'0'..=b'9' | b'-' | b'.') => Ok(self.number()),
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => self.name(),
            Some(byte) => Err(format!("`{}` begins no value", char::from(byte))),
            None => Err("it ends too early".to_owned()),
        };
        self.depth -= 1;
        value
    }

    fn number(&mut self) -> Value {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'_');
        let length = self.text[self.at..].iter().take_while(|byte| is_part(byte)).count();
        let text = String::from_utf8_lossy(&self.text[self.at..self.at + length]).replace('_', "");
        self.at += length;
        Value::String(text)
    }

    /// One text, or several beside each other, which are one.
    fn strings(&mut self) -> Result<Value, String> {
        let mut all = Vec::new();
        while let Some(quote @ (b'\'' | b'"')) = self.peek() {
            if self.text[self.at..].starts_with(&[quote; 3]) {
                return Err("texts of several lines are not data here".to_owned());
            }
            self.at += 1;
            loop {
                let byte = *self.text.get(self.at).ok_or("a text has no end")?;
                self.at += 1;
                match byte {
                    b'\\' => self.escape(&mut all)?,
                    b'\n' => return Err("a text ends with its line".to_owned()),
                    byte if byte == quote => break,
                    byte => all.push(byte),
                }
            }
        }
        Ok(Value::String(String::from_utf8_lossy(&all).into_owned()))
    }

    fn escape(&mut self, all: &mut Vec<u8>) -> Result<(), String> {
        let kind = *self.text.get(self.at).ok_or("a text has no end")?;
        self.at += 1;
        let length = match kind {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            plain => {
                match plain {
                    b'n' => all.push(b'\n'),
                    b't' => all.push(b'\t'),
                    b'r' => all.push(b'\r'),
                    b'\n' => {}
                    b'\\' | b'\'' | b'"' => all.push(plain),
                    // Python keeps what it does not know
                    other => all.extend([b'\\', other]),
                }
                return Ok(());
            }
        };
        let digits = self.text.get(self.at..self.at + length).and_then(|digits| std::str::from_utf8(digits).ok());
        let character = digits.and_then(|digits| char::from_u32(u32::from_str_radix(digits, 16).ok()?));
        self.at += length;
        let character = character.ok_or("a text has an escape that is none")?;
        all.extend(character.to_string().bytes());
        Ok(())
    }

    /// What stands between two brackets, and whether a comma stands before the second.
    fn items(&mut self, open: u8, close: u8) -> Result<(Vec<Value>, bool), String> {
        let (mut items, mut comma) = (Vec::new(), false);
        self.take(open);
        while !self.take(close) {
            items.push(self.value()?);
            comma = self.comma(close)?;
        }
        Ok((items, comma))
    }

    fn comma(&mut self, close: u8) -> Result<bool, String> {
        let comma = self.take(b',');
        match self.peek() {
            Some(byte) if comma || byte == close => Ok(comma),
            _ => Err(format!("neither `,` nor `{}` follows a value", char::from(close))),
        }
    }

    fn dict(&mut self) -> Result<Value, String> {
        let mut map = Map::new();
        self.take(b'{');
        while !self.take(b'}') {
            let key = match self.value()? {
                Value::String(key) => key,
                other => other.to_string(),
            };
            if !self.take(b':') {
                return Err("no `:` follows a key".to_owned());
            }
            map.insert(key, self.value()?);
            self.comma(b'}')?;
        }
        Ok(Value::Object(map))
    }

    fn word(&mut self) -> String {
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        let length = self.text[self.at..].iter().take_while(is_part).count();
        self.at += length;
        String::from_utf8_lossy(&self.text[self.at - length..self.at]).into_owned()
    }

    fn name(&mut self) -> Result<Value, String> {
        let name = self.word();
        match name.as_str() {
            "None" => return Ok(Value::Null),
            "True" => return Ok(Value::Bool(true)),
            "False" => return Ok(Value::Bool(false)),
            _ => {}
        }
        if !self.take(b'(') {
            return Ok(Value::String(name));
        }
        let name = name.rsplit('.').next().unwrap_or_default().to_owned();
        let (mut map, mut args) = (Map::new(), Vec::new());
        map.insert("_".to_owned(), name.as_str().into());
        while !self.take(b')') {
            let before = self.at;
            self.peek();
            let key = self.word();
            if !key.is_empty() && self.take(b'=') {
                let value = self.value()?;
                map.insert(key, value);
            } else {
                self.at = before;
                args.push(self.value()?);
            }
            self.comma(b')')?;
        }
        if name == "Decimal" && args.len() == 1 && map.len() == 1 {
            return Ok(args.remove(0));
        }
        if !args.is_empty() {
            map.insert("args".to_owned(), Value::Array(args));
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_data() {
        let text = "import os\n\nproviders: list[Provider] = [\n  # one\n  A(\n    'x', b=-1.5, c=[True, None],\n    \
                    d={'k': datetime.date(2026, 1, 2)}, e=Decimal('0.10'), f='it\\'s' ' \\u00e9', g=(1,), h=(2),\n  ),\n]\n";
        let expected = json!([{
            "_": "A", "b": "-1.5", "c": [true, null], "d": {"k": {"_": "date", "args": ["2026", "1", "2"]}},
            "e": "0.10", "f": "it's é", "g": ["1"], "h": "2", "args": ["x"]
        }]);
        assert_eq!(assigned(text, "providers").unwrap_or_default(), expected);
    }

    #[test]
    fn what_is_no_data_is_refused_with_its_line() {
        let check = |text: &str, expected: &str| assert_eq!(assigned(text, "a"), Err(expected.to_owned()), "{text}");
        check("b = 1", "`a` is not assigned");
        check("\na = [1,\n lambda: 2]", "line 3: neither `,` nor `]` follows a value");
        check("a = ", "line 1: it ends too early");
        check("a = 'x", "line 1: a text has no end");
        check("a = *b", "line 1: `*` begins no value");
        check(&format!("a = {}", "[".repeat(100_000)), "line 1: nested too deeply");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "a = [\\PC\n'\"\\\\(){}=,:x0-9#]{0,80}") {
            let _whatever = assigned(&text, "a");
        }
    }
}
