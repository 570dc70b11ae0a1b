//! A small JSON reader (RFC 8259) for settings.
//!
//! It differs from a general one in three points: numbers keep their text, so no floating point enters a decision; a name that occurs
//! twice in an object is an error, because one of the two would be ignored silently; nesting deeper than [`DEPTH_MAX`] is refused.

use std::fmt;

/// Settings are flat; the limit keeps a hostile document from exhausting the guest's small stack.
pub const DEPTH_MAX: usize = 16;

/// A parsed JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Self>),
    /// An object, in the order written.
    Object(Vec<(String, Self)>),
}

/// Where a document stops being JSON, and what was expected there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError {
    /// Byte offset from the start of the text.
    pub offset: usize,
    expected: &'static str,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not valid JSON: expected {} at byte {}", self.expected, self.offset)
    }
}

impl std::error::Error for JsonError {}

impl Value {
    /// Parses a whole document.
    ///
    /// # Errors
    /// The first place where `text` is not JSON, or goes beyond what this reader accepts.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.skip_space();
        if reader.at < text.len() {
            return Err(reader.expected("the end of the text"));
        }
        Ok(value)
    }

    /// The member `name` of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The members of an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&[(String, Self)]> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// The elements of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(elements) = self { Some(elements) } else { None }
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// A number written as plain digits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Number(text) = self { text.parse().ok() } else { None }
    }

    /// A non-negative decimal with at most three places, in thousandths: `1.5` is 1500. No exponents.
    ///
    /// ```
    /// use backhaul_policy_support::json::Value;
    ///
    /// assert_eq!(Value::parse("1.5")?.as_thousandths(), Some(1_500));
    /// assert_eq!(Value::parse("0.0001")?.as_thousandths(), None);
    /// # Ok::<(), backhaul_policy_support::json::JsonError>(())
    /// ```
    #[must_use]
    pub fn as_thousandths(&self) -> Option<u64> {
        let Self::Number(text) = self else { return None };
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        if places.len() > 3 || !places.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut thousandths = whole.parse::<u64>().ok()?;
        for place in 0..3 {
            let digit = places.as_bytes().get(place).map_or(0, |b| u64::from(b - b'0'));
            thousandths = thousandths.checked_mul(10)?.checked_add(digit)?;
        }
        Some(thousandths)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError { offset: self.at, expected }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > DEPTH_MAX {
            return Err(self.expected("less nesting"));
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, JsonError> {
        let words = [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
        for (word, value) in words {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.expected("a value"))
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut members: Vec<(String, Value)> = Vec::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            let name_at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.expected("a name in quotes"));
            }
            let name = self.string()?;
            if members.iter().any(|(known, _)| *known == name) {
                return Err(JsonError { offset: name_at, expected: "a name that has not occurred before" });
            }
            self.skip_space();
            if !self.take(b':') {
                return Err(self.expected("`:`"));
            }
            let value = self.value(depth + 1)?;
            members.push((name, value));
            self.skip_space();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut elements = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Value::Array(elements));
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(Value::Number(self.text[start..self.at].to_owned()))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.expected("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            out.push_str(&self.text[plain..self.at]);
            if self.take(b'"') {
                return Ok(out);
            }
            if !self.take(b'\\') {
                return Err(self.expected("the end of the string"));
            }
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let Some(byte) = self.peek() else { return Err(self.expected("an escape")) };
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.expected("an escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        let unpaired = JsonError { offset: start, expected: "a pair of surrogates" };
        let first = self.hex4()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !(self.take(b'\\') && self.take(b'u')) {
                    return Err(unpaired);
                }
                let second = self.hex4()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(unpaired);
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            _ => first,
        };
        char::from_u32(code).ok_or(unpaired)
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            let Some(digit) = digit else { return Err(self.expected("four hexadecimal digits")) };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, Value};
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        Value::parse(text).expect_err(text).to_string()
    }

    /// The same document as read by `serde_json`, numbers by their text.
    fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
        use serde_json::Value as Theirs;
        match (ours, theirs) {
            (Value::Null, Theirs::Null) => true,
            (Value::Bool(a), Theirs::Bool(b)) => a == b,
            (Value::Number(a), Theirs::Number(b)) => a.parse::<f64>().ok() == b.as_f64(),
            (Value::String(a), Theirs::String(b)) => a == b,
            (Value::Array(a), Theirs::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Value::Object(a), Theirs::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_serde_json_reads_it(text in r#"[\[\]{}:,"\\a-cu0-9de.+\-\n trufalsn]{0,24}"#) {
            match (Value::parse(&text), serde_json::from_str::<serde_json::Value>(&text)) {
                (Ok(ours), Ok(theirs)) => prop_assert!(same(&ours, &theirs)),
                (Err(_), Err(_)) => {}
                // A repeated name is our own error; a number too large for f64 is theirs.
                (Err(e), Ok(_)) => prop_assert!(e.to_string().contains("not occurred before"), "{e}"),
                (Ok(_), Err(e)) => prop_assert!(e.to_string().contains("number out of range"), "{e}"),
            }
        }

        #[test]
        fn any_string_survives(text: String) {
            let quoted = serde_json::to_string(&text).expect("strings can be written");
            let value = Value::parse(&quoted).expect("written by serde_json");
            prop_assert_eq!(value.as_str(), Some(text.as_str()));
        }
    }

    #[test]
    fn errors_say_what_was_expected_and_where() {
        assert_eq!(error(""), "not valid JSON: expected a value at byte 0");
        assert_eq!(error("{"), "not valid JSON: expected a name in quotes at byte 1");
        assert_eq!(error(r#"{"a" 1}"#), "not valid JSON: expected `:` at byte 5");
        assert_eq!(error("[1 2]"), "not valid JSON: expected `,` or `]` at byte 3");
        assert_eq!(error("[1]x"), "not valid JSON: expected the end of the text at byte 3");
        assert_eq!(error("\"a"), "not valid JSON: expected the end of the string at byte 2");
        assert_eq!(error("01"), "not valid JSON: expected the end of the text at byte 1");
        assert_eq!(error(r#"{"a":1,"a":2}"#), "not valid JSON: expected a name that has not occurred before at byte 7");
    }

    #[test]
    fn surrogates_come_in_pairs() {
        assert_eq!(Value::parse(r#""\ud83d\ude00""#).expect("a pair").as_str(), Some("😀"));
        for broken in [r#""\ud83d""#, r#""\ude00""#, r#""\ud83dx""#, r#""\ud83d\u0041""#] {
            assert!(error(broken).contains("surrogates"), "{broken}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Value::parse(&nested(DEPTH_MAX + 1)).is_ok());
        assert!(error(&nested(DEPTH_MAX + 2)).contains("less nesting"));
        assert!(error(&nested(100_000)).contains("less nesting"));
    }

    #[test]
    fn thousandths_are_exact() {
        let read = |text: &str| Value::parse(text).expect("a number").as_thousandths();
        assert_eq!(read("0"), Some(0));
        assert_eq!(read("0.2"), Some(200));
        assert_eq!(read("12.345"), Some(12_345));
        assert_eq!(read("1.2345"), None);
        assert_eq!(read("-1"), None);
        assert_eq!(read("1e3"), None);
        assert_eq!(read("1.5e3"), None);
        assert_eq!(read("99999999999999999999"), None);
    }
}
