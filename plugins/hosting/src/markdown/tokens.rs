//! HTML as a sequence of tags and texts, in one pass.
//!
//! A simplification of the tokenizer of the HTML Standard (§13.2.5): comments and declarations are
//! passed over, a tag that does not end before the text does is dropped with what follows it.

/// A piece of a page.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token<'a> {
    /// Text, its references not yet resolved.
    Text(&'a str),
    Start(Tag<'a>),
    /// The name, as it is written.
    End(&'a str),
    /// The name in lower case and the content of an element that has no tags in it.
    Raw(&'static str, &'a str),
}

/// A start tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag<'a> {
    /// As it is written.
    pub(super) name: &'a str,
    attributes: &'a str,
    /// Whether it ends with `/>`.
    pub(super) is_closed: bool,
}

impl<'a> Tag<'a> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether it never has content (HTML Standard §13.1.2).
    pub(super) fn is_void(&self) -> bool {
        let void = [
            "br", "hr", "img", "input", "link", "meta", "source", "wbr", "col", "area", "base",
            "embed", "track",
        ];
        void.iter().any(|name| self.is(name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attributes().any(|(found, _)| found.eq_ignore_ascii_case(name))
    }

    /// The value of an attribute, its references not yet resolved.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.attributes()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = self.attributes;
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
            if rest.is_empty() {
                return None;
            }
            // A `=` in front is a part of the name (§13.2.5.32).
            let is_end = |(at, c): (usize, char)| {
                c.is_ascii_whitespace() || c == '/' || (c == '=' && at > 0)
            };
            let end = rest.char_indices().find(|one| is_end(*one)).map_or(rest.len(), |(at, _)| at);
            let (name, after) = rest.split_at(end);
            let Some(value) = after.trim_ascii_start().strip_prefix('=') else {
                rest = after;
                return Some((name, ""));
            };
            let value = value.trim_ascii_start();
            let (value, after) = match value.as_bytes().first() {
                Some(b'"') => value[1..].split_once('"').unwrap_or((&value[1..], "")),
                Some(b'\'') => value[1..].split_once('\'').unwrap_or((&value[1..], "")),
                _ => value
                    .split_at(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len())),
            };
            rest = after;
            Some((name, value))
        })
    }
}

/// The tokens of a page.
pub(super) struct Tokens<'a> {
    rest: &'a str,
}

/// Elements whose content is text up to their end tag.
const RAW: [&str; 8] =
    ["script", "style", "title", "textarea", "iframe", "xmp", "noembed", "noframes"];

impl<'a> Tokens<'a> {
    pub(super) fn of(html: &'a str) -> Self {
        Self { rest: html }
    }

    /// Passes over everything up to and with `end`.
    fn skip_past(&mut self, end: &str) {
        self.rest = self.rest.split_once(end).map_or("", |(_, rest)| rest);
    }

    fn tag(&mut self) -> Option<Tag<'a>> {
        let rest = self.rest;
        let mut quote = None;
        let is_end = |byte: u8| match (quote, byte) {
            (None, b'>') => true,
            (None, b'"' | b'\'') => {
                quote = Some(byte);
                false
            }
            (Some(open), byte) => {
                if open == byte {
                    quote = None;
                }
                false
            }
            (None, _) => false,
        };
        let Some(end) = rest.bytes().position(is_end) else {
            self.rest = "";
            return None;
        };
        let (inside, after) = rest.split_at(end);
        self.rest = &after[1..];
        let name_end =
            inside.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(inside.len());
        let (name, attributes) = inside.split_at(name_end);
        Some(Tag { name, attributes, is_closed: attributes.ends_with('/') })
    }

    /// The content of a raw element, up to its end tag, which is passed over.
    fn raw(&mut self, name: &'static str) -> Token<'a> {
        let rest = self.rest;
        let is_end = |at: &usize| {
            let tag = rest.as_bytes().get(at + 2..at + 2 + name.len());
            tag.is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes()))
        };
        let end = rest.match_indices("</").map(|(at, _)| at).find(is_end).unwrap_or(rest.len());
        let (content, after) = rest.split_at(end);
        self.rest = after;
        self.skip_past(">");
        Token::Raw(name, content)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let Some(open) = self.rest.find('<') else {
                return Some(Token::Text(std::mem::take(&mut self.rest)));
            };
            if open > 0 {
                let (text, rest) = self.rest.split_at(open);
                self.rest = rest;
                return Some(Token::Text(text));
            }
            match self.rest.as_bytes() {
                [_, b'!', b'-', b'-', ..] => self.skip_past("-->"),
                [_, b'!' | b'?', ..] => self.skip_past(">"),
                [_, b'/', name, ..] if name.is_ascii_alphabetic() => {
                    self.rest = &self.rest[2..];
                    return Some(Token::End(self.tag()?.name));
                }
                [_, b'/', ..] => self.skip_past(">"),
                [_, name, ..] if name.is_ascii_alphabetic() => {
                    self.rest = &self.rest[1..];
                    let tag = self.tag()?;
                    return Some(match RAW.iter().find(|name| tag.is(name)) {
                        Some(name) => self.raw(name),
                        None => Token::Start(tag),
                    });
                }
                _ => {
                    // A lone `<` is text.
                    let (text, rest) = self.rest.split_at(1);
                    self.rest = rest;
                    return Some(Token::Text(text));
                }
            }
        }
    }
}

/// References for characters that pages use most (HTML Standard §13.5). Markdown knows all of them, so
/// that others may stay as they are.
const NAMED: [(&str, &str); 24] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("shy", ""),
    ("ndash", "–"),
    ("mdash", "—"),
    ("hellip", "…"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("laquo", "«"),
    ("raquo", "»"),
    ("middot", "·"),
    ("bull", "•"),
    ("times", "×"),
    ("copy", "©"),
    ("reg", "®"),
    ("trade", "™"),
    ("rarr", "→"),
    ("larr", "←"),
];

/// The longest reference that is looked for, in bytes.
const REFERENCE_BYTES_MAX: usize = 10;

/// Calls `on` with the pieces of `text`, its references resolved.
pub(super) fn resolve_references(text: &str, mut on: impl FnMut(&str)) {
    let mut pieces = text.split('&');
    on(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end = piece.bytes().take(REFERENCE_BYTES_MAX).position(|byte| byte == b';');
        let resolved = end.and_then(|end| {
            let mut buffer = [0; 4];
            let (name, rest) = (&piece[..end], &piece[end + 1..]);
            if let Some((_, resolved)) = NAMED.iter().find(|(known, _)| *known == name) {
                on(resolved);
                return Some(rest);
            }
            let digits = name.strip_prefix('#')?;
            let number = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => digits.parse(),
            };
            let c = char::from_u32(number.ok()?).filter(|c| !c.is_control())?;
            on(c.encode_utf8(&mut buffer));
            Some(rest)
        });
        match resolved {
            Some(rest) => on(rest),
            None => {
                on("&");
                on(piece);
            }
        }
    }
}
