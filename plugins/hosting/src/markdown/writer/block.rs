//! Blocks: headings, lists and code.

use super::super::MARKDOWN_BYTES_MAX;
use super::super::tokens::Tag;
use super::inline::longest_run;
use super::{Open, Writer};

impl Writer<'_> {
    pub(super) fn heading(&mut self, name: &str) {
        let (name, level) = match name {
            "h1" => ("h1", 1),
            "h2" => ("h2", 2),
            "h3" => ("h3", 3),
            "h4" => ("h4", 4),
            "h5" => ("h5", 5),
            _ => ("h6", 6),
        };
        self.block();
        self.flush();
        let start = self.out.len();
        if self.table.is_none() {
            self.out.extend(std::iter::repeat_n('#', level));
            self.out.push(' ');
            self.line_start = self.out.len();
        }
        let end = self.out.len();
        self.push(name, Open::Heading(start, end));
    }

    pub(super) fn list(&mut self, name: &'static str, counter: Option<u32>) {
        let is_inner = self.open.iter().any(|(_, open)| matches!(open, Open::Item(_)));
        if is_inner {
            self.line();
        } else {
            self.block();
        }
        self.push(name, Open::List { counter });
    }

    pub(super) fn item(&mut self) {
        // An item ends where the next one of the same list starts.
        let list = self.open.iter().rposition(|(_, open)| matches!(open, Open::List { .. }));
        let item = self.open.iter().rposition(|(_, open)| matches!(open, Open::Item(_)));
        if item > list {
            self.end("li");
        }
        self.line();
        self.flush();
        let last = self.open.iter_mut().rev().find_map(|(_, open)| match open {
            Open::List { counter } => Some(counter),
            _ => None,
        });
        let sign = match last {
            Some(Some(counter)) => {
                let sign = format!("{counter}. ");
                *counter = counter.saturating_add(1);
                sign
            }
            _ => "- ".to_owned(),
        };
        let indent = " ".repeat(sign.len());
        if self.table.is_none() {
            self.sign(&sign);
        }
        let moves = self.prefix(indent);
        self.push("li", Open::Item(moves));
    }

    pub(super) fn end_pre(&mut self) {
        let Some((content, language)) = self.pre.take() else {
            return;
        };
        if self.table.is_some() {
            // A cell has one line.
            self.flush();
            let line = content.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            self.word(&line, true);
            return;
        }
        let fence = "`".repeat(longest_run(&content).max(2) + 1);
        self.flush();
        let prefix = self.prefixes.concat();
        self.out.push_str(&fence);
        self.out.push_str(language);
        for line in content.trim_matches('\n').lines() {
            self.out.push('\n');
            self.out.push_str(&prefix);
            self.out.push_str(line.trim_end());
            if self.out.len() > MARKDOWN_BYTES_MAX {
                break;
            }
        }
        self.out.push('\n');
        self.out.push_str(&prefix);
        self.out.push_str(&fence);
        self.block();
    }
}

/// The language of a code block, as highlighters mark it.
pub(super) fn language_of<'a>(tag: &Tag<'a>) -> &'a str {
    let class = tag.get("class").unwrap_or_default();
    let named = class
        .split_ascii_whitespace()
        .find_map(|one| one.strip_prefix("language-").or_else(|| one.strip_prefix("lang-")));
    let language = named.or_else(|| tag.get("data-language")).or_else(|| tag.get("data-lang"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '#' | '_' | '.');
    language.filter(|name| name.len() <= 32 && name.chars().all(is_name)).unwrap_or_default()
}
