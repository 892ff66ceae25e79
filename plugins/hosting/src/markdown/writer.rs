//! Writes Markdown (CommonMark 0.31, tables and strikethrough of GFM 0.29).

mod block;
mod inline;
mod table;

use self::block::language_of;
use self::inline::is_shown;
use self::table::Table;
use super::tokens::{Tag, resolve_references};

/// How deep elements that mean something may lie in one another; deeper ones are passed over.
const DEPTH_MAX: usize = 32;
/// How many quotes and list items a line is moved in for.
const PREFIXES_MAX: usize = 8;

/// An element that is open.
#[derive(Debug)]
enum Open<'a> {
    /// `**`, `*` or `~~`, and where it starts.
    Mark(&'static str, usize),
    Link {
        at: usize,
        href: &'a str,
    },
    Code(usize),
    List {
        counter: Option<u32>,
    },
    /// Whether it moves lines in.
    Item(bool),
    Quote(bool),
    /// Where its sign starts and where that ends.
    Heading(usize, usize),
}

#[derive(Debug, Default)]
pub(super) struct Writer<'a> {
    out: String,
    /// What each open element is called in HTML, and what it is.
    open: Vec<(&'static str, Open<'a>)>,
    prefixes: Vec<String>,
    /// Line ends to write before the next text.
    breaks: usize,
    /// Where the text of the last line starts.
    line_start: usize,
    /// Where the last line ended, and how many line ends followed.
    last_break: (usize, usize),
    /// Where the last sign of a list item or of a quote ends.
    sign_end: Option<usize>,
    /// The language that an element around `<pre>` names.
    language: &'a str,
    /// The content and the language of `<pre>`.
    pre: Option<(String, &'a str)>,
    table: Option<Table>,
}

impl<'a> Writer<'a> {
    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        let pre = self.pre.as_ref().map_or(0, |(text, _)| text.len());
        self.out.len() + pre + self.table.as_ref().map_or(0, |table| table.rows.len())
    }

    pub(super) fn start(&mut self, tag: &Tag<'a>) {
        let name = tag.name.to_ascii_lowercase();
        if let Some((_, language)) = &mut self.pre {
            if name == "code" && language.is_empty() {
                *language = language_of(tag);
            } else if name == "br" {
                self.text("\n");
            }
            return;
        }
        match &*name {
            "div" | "figure" => {
                self.block();
                self.language = language_of(tag);
            }
            "p" | "section" | "article" | "header" | "aside" | "figcaption" | "details"
            | "summary" | "dl" | "dt" | "address" | "fieldset" | "hgroup" | "legend" | "body" => {
                self.block();
            }
            "dd" | "br" => self.line(),
            "hr" => {
                self.block();
                self.flush();
                self.out.push_str("---");
                self.block();
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.heading(&name),
            "em" | "i" | "cite" => self.mark(if name == "cite" { "cite" } else { "em" }, "*"),
            "strong" | "b" => self.mark("strong", "**"),
            "del" | "s" => self.mark("del", "~~"),
            "code" | "kbd" | "samp" | "tt" => {
                self.flush();
                let at = self.out.len();
                self.push("code", Open::Code(at));
            }
            "pre" => {
                self.block();
                let own = language_of(tag);
                let around = std::mem::take(&mut self.language);
                self.pre = Some((String::new(), if own.is_empty() { around } else { own }));
            }
            "a" => {
                // One link cannot lie in another.
                self.end("a");
                if let Some(href) = tag.get("href").filter(|href| is_shown(href)) {
                    self.flush();
                    let at = self.out.len();
                    self.push("a", Open::Link { at, href });
                }
            }
            "img" => self.image(tag),
            "blockquote" => {
                self.block();
                self.flush();
                let moves = self.prefix("> ".to_owned());
                if moves {
                    self.sign("> ");
                }
                self.push("blockquote", Open::Quote(moves));
            }
            "ul" => self.list("ul", None),
            "ol" => {
                let first = tag.get("start").and_then(|start| start.parse().ok()).unwrap_or(1);
                self.list("ol", Some(first));
            }
            "li" => self.item(),
            "table" => {
                self.block();
                // No emphasis, code or link goes on inside.
                self.open.retain(|(_, open)| {
                    !matches!(open, Open::Mark(..) | Open::Code(_) | Open::Link { .. })
                });
                self.table.get_or_insert_default();
            }
            "tr" => self.end_row(),
            "td" | "th" => self.start_cell(),
            _ => {}
        }
    }

    pub(super) fn end(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        if self.pre.is_some() {
            if name == "pre" {
                self.end_pre();
            }
            return;
        }
        let name = match &*name {
            "p" | "div" | "section" | "article" | "header" | "aside" | "figure" | "figcaption"
            | "details" | "summary" | "dl" | "dt" | "address" | "fieldset" | "hgroup"
            | "legend" => return self.block(),
            "dd" => return self.line(),
            "td" | "th" => return self.end_cell(),
            "tr" => return self.end_row(),
            "table" => return self.end_table(),
            "i" => "em",
            "b" => "strong",
            "s" => "del",
            "kbd" | "samp" | "tt" => "code",
            other => other,
        };
        let Some(at) = self.open.iter().rposition(|(open, _)| *open == name) else {
            return;
        };
        // What was opened inside and not closed ends with it.
        while self.open.len() > at {
            self.close();
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        if let Some((pre, _)) = &mut self.pre {
            resolve_references(text, |piece| pre.push_str(piece));
            return;
        }
        // A label above the code says the same.
        let is_label = !self.language.is_empty() && text.trim() == self.language;
        if is_label || self.table.as_ref().is_some_and(|table| table.cell.is_none()) {
            return;
        }
        let is_code = self.open.iter().any(|(_, open)| matches!(open, Open::Code(_)));
        let mut resolved = String::with_capacity(text.len());
        resolve_references(text, |piece| resolved.push_str(piece));
        let mut words = resolved.split_ascii_whitespace();
        if resolved.starts_with(|c: char| c.is_ascii_whitespace()) {
            self.space();
        }
        if let Some(first) = words.next() {
            self.word(first, is_code);
        }
        for word in words {
            self.space();
            self.word(word, is_code);
        }
        if resolved.ends_with(|c: char| c.is_ascii_whitespace()) {
            self.space();
        }
    }

    /// Everything that was written.
    pub(super) fn finish(mut self) -> String {
        if self.pre.is_some() {
            self.end_pre();
        }
        while !self.open.is_empty() {
            self.close();
        }
        self.end_table();
        let text = self.out.trim();
        if text.is_empty() { String::new() } else { format!("{text}\n") }
    }

    /// A new paragraph follows.
    fn block(&mut self) {
        self.break_lines(2);
    }

    /// A new line follows.
    fn line(&mut self) {
        self.break_lines(1);
    }

    fn break_lines(&mut self, breaks: usize) {
        // A heading has one line.
        if self.open.iter().any(|(_, open)| matches!(open, Open::Heading(..))) {
            self.space();
        } else {
            self.breaks = self.breaks.max(breaks);
        }
    }

    fn is_at_line_start(&self) -> bool {
        self.breaks > 0 || self.out.len() == self.line_start || self.is_at_sign()
    }

    /// Whether nothing follows the sign of a list item or of a quote so far.
    fn is_at_sign(&self) -> bool {
        self.sign_end == Some(self.out.len())
    }

    /// Writes the line ends that are due.
    fn flush(&mut self) {
        let mut breaks = std::mem::take(&mut self.breaks);
        if breaks == 0 || self.table.as_ref().is_some_and(|table| table.cell.is_some()) {
            if breaks > 0 {
                self.space();
            }
            return;
        }
        if self.out.is_empty() || self.is_at_sign() {
            return;
        }
        let (last, last_breaks) = self.last_break;
        let since = self.out.get(last..).filter(|since| since.starts_with('\n'));
        if since.is_some_and(|since| since.bytes().all(|byte| b"\n >".contains(&byte))) {
            // Nothing came after the last break: this one takes its place.
            self.out.truncate(last);
            breaks = breaks.max(last_breaks);
        }
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.last_break = (self.out.len(), breaks);
        for at in 0..breaks {
            self.out.push('\n');
            let prefix = self.prefixes.concat();
            let is_last = at + 1 == breaks;
            self.out.push_str(if is_last { &prefix } else { prefix.trim_end() });
        }
        self.line_start = self.out.len();
    }

    fn sign(&mut self, sign: &str) {
        self.out.push_str(sign);
        self.sign_end = Some(self.out.len());
    }

    fn space(&mut self) {
        if !self.is_at_line_start() && !self.out.ends_with(' ') {
            self.out.push(' ');
        }
    }

    fn word(&mut self, word: &str, is_code: bool) {
        let starts_line = self.is_at_line_start();
        self.flush();
        if is_code {
            self.out.push_str(word);
            return;
        }
        let is_sign = matches!(word, "-" | "+" | ">")
            || (word.starts_with('#') && word.bytes().all(|byte| byte == b'#'));
        if starts_line && is_sign {
            self.out.push('\\');
        }
        let mut before = None;
        let mut chars = word.chars().peekable();
        while let Some(c) = chars.next() {
            let is_inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let is_escaped = match c {
                '\\' | '`' | '*' | '[' | ']' | '<' => true,
                '_' => !is_inside(before) || !is_inside(chars.peek().copied()),
                '|' => self.table.is_some(),
                _ => false,
            };
            if is_escaped {
                self.out.push('\\');
            }
            self.out.push(c);
            before = Some(c);
        }
    }

    fn push(&mut self, name: &'static str, open: Open<'a>) {
        if self.open.len() < DEPTH_MAX {
            self.open.push((name, open));
        } else if let Open::Item(true) | Open::Quote(true) = open {
            self.prefixes.pop();
        }
    }

    fn prefix(&mut self, prefix: String) -> bool {
        let moves = self.prefixes.len() < PREFIXES_MAX && self.table.is_none();
        if moves {
            self.prefixes.push(prefix);
        }
        moves
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some((_, Open::Mark(mark, at))) => self.wrap(at, mark, mark),
            Some((_, Open::Link { at, href })) => self.end_link(at, href),
            Some((_, Open::Code(at))) => self.end_code(at),
            Some((_, Open::List { .. })) => {
                let is_inner = self.open.iter().any(|(_, open)| matches!(open, Open::Item(_)));
                if is_inner { self.line() } else { self.block() }
            }
            Some((_, Open::Item(moves))) => {
                if moves {
                    self.prefixes.pop();
                }
                self.breaks = 1;
            }
            Some((_, Open::Quote(moves))) => {
                if moves {
                    self.prefixes.pop();
                }
                self.block();
            }
            Some((_, Open::Heading(start, end))) => {
                let is_empty = self.out.get(end..).is_some_and(|text| text.trim().is_empty());
                if is_empty && self.out.is_char_boundary(start) {
                    self.out.truncate(start);
                }
                self.block();
            }
            None => {}
        }
    }
}

/// `text` on one line, its references resolved.
pub(super) fn line(text: &str) -> String {
    let mut resolved = String::with_capacity(text.len());
    resolve_references(text, |piece| resolved.push_str(piece));
    resolved.split_whitespace().collect::<Vec<_>>().join(" ")
}
