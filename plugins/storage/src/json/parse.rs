//! Reading JSON (RFC 8259), with bounds.

use std::collections::HashSet;

use fazt_sdk::{Error, Result};

use super::{DEPTH_MAX, Json, not_json};

pub(super) fn parse(text: &str) -> Result<Json> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.space();
    if parser.at == text.len() { Ok(value) } else { Err(parser.unexpected()) }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn value(&mut self, depth: usize) -> Result<Json> {
        if depth > DEPTH_MAX {
            return Err(not_json(format!("the value is nested deeper than {DEPTH_MAX} levels")));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let mut fields: Vec<(String, Json)> = Vec::new();
        // Many names are compared by hash, so that a large object does not take quadratic time.
        let mut names: HashSet<String> = HashSet::new();
        self.space();
        if self.takes(b'}') {
            return Ok(Json::Object(fields));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected());
            }
            let name = self.string()?;
            let is_twice = if fields.len() < FEW_FIELDS {
                fields.iter().any(|(known, _)| *known == name)
            } else {
                if names.is_empty() {
                    names.extend(fields.iter().map(|(known, _)| known.clone()));
                }
                !names.insert(name.clone())
            };
            if is_twice {
                return Err(not_json(format!("the field `{name}` is there twice")));
            }
            self.space();
            if !self.takes(b':') {
                return Err(self.unexpected());
            }
            let value = self.value(depth + 1)?;
            fields.push((name, value));
            self.space();
            if self.takes(b'}') {
                return Ok(Json::Object(fields));
            }
            if !self.takes(b',') {
                return Err(self.unexpected());
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.takes(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.takes(b']') {
                return Ok(Json::List(items));
            }
            if !self.takes(b',') {
                return Err(self.unexpected());
            }
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.unexpected());
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Json> {
        let start = self.at;
        self.takes(b'-');
        if !self.takes(b'0') && self.digits() == 0 {
            return Err(self.unexpected());
        }
        let mut is_integer = true;
        if self.takes(b'.') {
            is_integer = false;
            if self.digits() == 0 {
                return Err(self.unexpected());
            }
        }
        if self.takes(b'e') || self.takes(b'E') {
            is_integer = false;
            if !self.takes(b'+') {
                self.takes(b'-');
            }
            if self.digits() == 0 {
                return Err(self.unexpected());
            }
        }
        let literal = &self.text[start..self.at];
        let number: f64 = literal.parse().map_err(|_| self.unexpected())?;
        // Digits that JavaScript, or whoever writes all digits of an integer, gives this double.
        let is_kept = if is_integer {
            number.abs() < 9e15
                || literal == format!("{number}")
                || literal == format!("{number:.0}")
        } else {
            let mantissa = literal.split(['e', 'E']).next().unwrap_or_default();
            number != 0.0 || !mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
        };
        if number.is_finite() && is_kept {
            return Ok(Json::Number(number));
        }
        let shown: String = literal.chars().take(40).collect();
        Err(Error::invalid(format!("the number {shown} is not exact as a double; send it as text"))
            .with_code("NUMBER_NOT_EXACT"))
    }

    fn string(&mut self) -> Result<String> {
        self.at += 1;
        let mut decoded = String::new();
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
                .ok_or_else(|| not_json("a text does not end"))?;
            // The stops are ASCII, so they are no part of a longer character.
            let part = &self.text[self.at..self.at + plain];
            let stop = rest[plain];
            self.at += plain + 1;
            match stop {
                b'"' if decoded.is_empty() => return Ok(part.to_owned()),
                b'"' => {
                    decoded.push_str(part);
                    return Ok(decoded);
                }
                b'\\' => {
                    decoded.push_str(part);
                    self.escape(&mut decoded)?;
                }
                _ => return Err(not_json("a text has a control character that is not escaped")),
            }
        }
    }

    fn escape(&mut self, decoded: &mut String) -> Result<()> {
        let escaped = self.peek().ok_or_else(|| not_json("a text does not end"))?;
        self.at += 1;
        decoded.push(match escaped {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => {
                self.at -= 1;
                return Err(self.unexpected());
            }
        });
        Ok(())
    }

    /// The character of `\uXXXX`, or of two of them (RFC 8259 §7).
    fn unicode(&mut self) -> Result<char> {
        let half = || not_json("a text holds half a character: one surrogate without the other");
        let first = self.four_digits()?;
        let code = match first {
            0xd800..0xdc00 => {
                if !self.text[self.at..].starts_with("\\u") {
                    return Err(half());
                }
                self.at += 2;
                let second = self.four_digits()?;
                if !(0xdc00..0xe000).contains(&second) {
                    return Err(half());
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(half)
    }

    fn four_digits(&mut self) -> Result<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.unexpected())?;
        self.at += 4;
        Ok(code)
    }

    fn digits(&mut self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at +=
            rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn unexpected(&self) -> Error {
        let rest: &'t str = self.text.get(self.at..).unwrap_or_default();
        match rest.chars().next() {
            Some(found) => not_json(format!("this is no JSON: {found:?} at byte {}", self.at)),
            None => not_json("this is no JSON: it ends too early"),
        }
    }
}

/// Up to this many fields of an object are compared one by one.
const FEW_FIELDS: usize = 16;
