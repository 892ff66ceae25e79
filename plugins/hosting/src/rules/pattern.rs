//! What an address is compared with: literal text, `:placeholders` and one `*`.
//!
//! A placeholder stands for a part of one segment, a splat for anything. There is at most one
//! placeholder in a segment and at most one splat in a path, and not both in one segment: so there is
//! one way to compare, and it never tries again. Comparing takes time in proportion to the path and
//! allocates nothing.

use std::borrow::Cow;

/// The most placeholders of one rule.
pub(super) const PLACEHOLDERS_MAX: usize = 16;

/// The name of what a `*` stands for.
pub(super) const SPLAT: &str = "splat";

/// The names that a rule gives to what it finds, in the order of their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// The number of a name that the rule gives.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|known| known == name)
    }

    /// A number for a new name.
    pub(super) fn add(&mut self, name: &str) -> Result<usize, String> {
        if self.find(name).is_some() {
            return Err(format!("`:{name}` is there twice"));
        }
        if self.0.len() == PLACEHOLDERS_MAX {
            return Err(format!("there are more than {PLACEHOLDERS_MAX} placeholders"));
        }
        self.0.push(name.to_owned());
        Ok(self.0.len() - 1)
    }
}

/// What the names of a rule stand for in one address: decoded text.
#[derive(Debug, Default)]
pub(super) struct Found<'a>(Vec<Cow<'a, str>>);

impl<'a> Found<'a> {
    pub(super) fn set(&mut self, number: usize, text: impl Into<Cow<'a, str>>) {
        if self.0.len() <= number {
            self.0.resize(number + 1, Cow::Borrowed(""));
        }
        self.0[number] = text.into();
    }

    pub(super) fn get(&self, number: usize) -> &str {
        self.0.get(number).map_or("", AsRef::as_ref)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Decoded text.
    Text(Box<str>),
    /// At least one character of a segment.
    Name(usize),
}

/// What follows the head of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// Nothing, or one `/`.
    Here,
    /// `/*`: nothing, or a `/` and anything.
    Below(usize),
    /// `*` after other text: anything.
    Anything(usize),
    /// `*`, and then this.
    Tail(usize, Box<[Token]>),
}

/// A path with placeholders and a splat, compared without regard to a `/` at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathPattern {
    head: Box<[Token]>,
    end: End,
}

impl PathPattern {
    /// Reads `text`, which starts with `/`, and adds its names to `names`.
    pub(super) fn parse(text: &str, names: &mut Names) -> Result<Self, String> {
        if text.matches('*').count() > 1 {
            return Err("there is more than one `*`".to_owned());
        }
        if text.contains("//") {
            return Err(
                "there are two slashes in a row; such addresses are never answered".to_owned()
            );
        }
        for segment in text.split('/') {
            let placeholders = placeholders(segment).count();
            if placeholders > 1 {
                return Err(format!("`{segment}` has two placeholders between two slashes"));
            }
            if placeholders == 1 && segment.contains('*') {
                return Err(format!("`{segment}` has a placeholder beside a `*`"));
            }
        }
        let Some((head, tail)) = text.split_once('*') else {
            let bare = text.strip_suffix('/').unwrap_or(text);
            return Ok(Self { head: tokens(bare, names)?, end: End::Here });
        };
        if !tail.is_empty() {
            let tail = tail.strip_suffix('/').unwrap_or(tail);
            let head = tokens(head, names)?;
            let splat = names.add(SPLAT)?;
            return Ok(Self { head, end: End::Tail(splat, tokens(tail, names)?) });
        }
        let (head, end): (_, fn(usize) -> End) = match head.strip_suffix('/') {
            Some(above) => (above, End::Below),
            None => (head, End::Anything),
        };
        Ok(Self { head: tokens(head, names)?, end: end(names.add(SPLAT)?) })
    }

    /// The text, when there is nothing else: what a path without its last `/` must be.
    pub(super) fn literal(&self) -> Option<&str> {
        match (&*self.head, &self.end) {
            ([], End::Here) => Some(""),
            ([Token::Text(text)], End::Here) => Some(text),
            _ => None,
        }
    }

    /// Compares `path`, and gives each name what it stands for.
    pub(super) fn matches<'a>(&self, path: &'a str, mut on: impl FnMut(usize, &'a str)) -> bool {
        self.matches_from(Start::Root, path, &mut on)
    }

    fn matches_from<'a>(
        &self,
        start: Start,
        path: &'a str,
        on: &mut impl FnMut(usize, &'a str),
    ) -> bool {
        let bare = path.strip_suffix('/').unwrap_or(path);
        match &self.end {
            End::Here => front(&self.head, start, bare, on) == Some(""),
            End::Below(splat) if self.head.is_empty() => {
                on(*splat, path.strip_prefix('/').unwrap_or(path));
                true
            }
            End::Below(splat) => match front(&self.head, start, path, on) {
                Some("") => {
                    on(*splat, "");
                    true
                }
                Some(rest) => rest.strip_prefix('/').inspect(|rest| on(*splat, rest)).is_some(),
                None => false,
            },
            End::Anything(splat) => {
                front(&self.head, start, path, on).inspect(|rest| on(*splat, rest)).is_some()
            }
            End::Tail(splat, tail) => front(&self.head, start, bare, on)
                .and_then(|rest| back(tail, rest, on))
                .inspect(|rest| on(*splat, rest))
                .is_some(),
        }
    }

    /// Whether the path made of `/` and `below`, as the names of files are, matches.
    pub(super) fn matches_below_root(&self, below: &str) -> bool {
        self.matches_from(Start::BelowRoot, below, &mut |_, _| {})
    }

    /// A path that matches, with `filler` in all places.
    pub(super) fn example(&self, filler: &str) -> String {
        let mut path = String::new();
        let mut write = |tokens: &[Token]| {
            for token in tokens {
                path.push_str(match token {
                    Token::Text(text) => text,
                    Token::Name(_) => filler,
                });
            }
        };
        write(&self.head);
        match &self.end {
            End::Here => {}
            End::Below(_) => path.extend(["/", filler]),
            End::Anything(_) => path.push_str(filler),
            End::Tail(_, tail) => {
                write(&[Token::Text(filler.into())]);
                write(tail);
            }
        }
        if path.is_empty() { "/".to_owned() } else { path }
    }
}

/// A host, each label of it literal or a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPattern(Box<[Token]>);

impl HostPattern {
    /// Reads the part of a URL between `//` and the path.
    pub(super) fn parse(text: &str, names: &mut Names) -> Result<Self, String> {
        let label = |label: &str| {
            if let Some(name) = placeholder_at(label).filter(|name| name.len() + 1 == label.len()) {
                return names.add(name).map(Token::Name);
            }
            let is_label = !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            match is_label {
                true => Ok(Token::Text(label.to_ascii_lowercase().into())),
                false => Err(format!("`{text}` is not a host name")),
            }
        };
        text.split('.').map(label).collect::<Result<_, _>>().map(Self)
    }

    /// Compares `host`, which is in lower case and has no port.
    pub(super) fn matches<'a>(&self, host: &'a str, mut on: impl FnMut(usize, &'a str)) -> bool {
        let mut labels = host.split('.');
        let all = self.0.iter().all(|token| match (token, labels.next()) {
            (Token::Text(text), Some(label)) => **text == *label,
            (Token::Name(number), Some(label)) if !label.is_empty() => {
                on(*number, label);
                true
            }
            _ => false,
        });
        all && labels.next().is_none()
    }

    /// A host that matches, with `filler` for every placeholder.
    pub(super) fn example(&self, filler: &str) -> String {
        let labels = self.0.iter().map(|token| match token {
            Token::Text(text) => text,
            Token::Name(_) => filler,
        });
        labels.collect::<Vec<_>>().join(".")
    }
}

/// Where what is compared starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// At the first `/`.
    Root,
    /// After it.
    BelowRoot,
}

/// Takes `tokens` off the front of `path`; what is left, if they are there.
fn front<'a>(
    tokens: &[Token],
    start: Start,
    mut path: &'a str,
    on: &mut impl FnMut(usize, &'a str),
) -> Option<&'a str> {
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Text(text) => {
                let is_first = at == 0 && start == Start::BelowRoot;
                let text = if is_first { text.strip_prefix('/')? } else { text };
                path = path.strip_prefix(text)?;
            }
            Token::Name(number) => {
                let segment = path.split('/').next().unwrap_or_default();
                let after = match tokens.get(at + 1) {
                    Some(Token::Text(text)) => text.split('/').next().unwrap_or_default(),
                    _ => "",
                };
                let name = segment.strip_suffix(after).filter(|name| !name.is_empty())?;
                on(*number, name);
                path = &path[name.len()..];
            }
        }
    }
    Some(path)
}

/// Takes `tokens` off the back of `path`; what is left, if they are there.
fn back<'a>(
    tokens: &[Token],
    mut path: &'a str,
    on: &mut impl FnMut(usize, &'a str),
) -> Option<&'a str> {
    for (at, token) in tokens.iter().enumerate().rev() {
        match token {
            Token::Text(text) => path = path.strip_suffix(&**text)?,
            Token::Name(number) => {
                let segment = path.rsplit('/').next().unwrap_or_default();
                let before = match at.checked_sub(1).and_then(|at| tokens.get(at)) {
                    Some(Token::Text(text)) => text.rsplit('/').next().unwrap_or_default(),
                    _ => "",
                };
                let name = segment.strip_prefix(before).filter(|name| !name.is_empty())?;
                on(*number, name);
                path = &path[..path.len() - name.len()];
            }
        }
    }
    Some(path)
}

fn tokens(text: &str, names: &mut Names) -> Result<Box<[Token]>, String> {
    let mut tokens = Vec::new();
    let mut done = 0;
    for (at, name) in placeholders(text) {
        push_text(&mut tokens, &text[done..at])?;
        tokens.push(Token::Name(names.add(name)?));
        done = at + 1 + name.len();
    }
    push_text(&mut tokens, &text[done..])?;
    Ok(tokens.into())
}

fn push_text(tokens: &mut Vec<Token>, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let decoded = decode(text).ok_or_else(|| format!("`{text}` has a broken escape"))?;
    let slashes = |text: &str| text.matches(['/', '\\', '\0']).count();
    if slashes(&decoded) > slashes(text) {
        return Err(format!("`{text}` hides a slash; such addresses are never answered"));
    }
    tokens.push(Token::Text(decoded.into_owned().into()));
    Ok(())
}

/// The placeholders of `text`, each with where its `:` stands: a letter, then letters, digits and `_`.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices(':').filter_map(|(at, _)| Some((at, placeholder_at(&text[at..])?)))
}

fn placeholder_at(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(':')?;
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = rest.bytes().take_while(|byte| is_part(byte)).count();
    rest.starts_with(|c: char| c.is_ascii_alphabetic()).then(|| &rest[..length])
}

/// Percent-decodes `text` once (RFC 3986 §2.1); nothing when an escape is broken or the result is not
/// UTF-8.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? * 16 + hex(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
