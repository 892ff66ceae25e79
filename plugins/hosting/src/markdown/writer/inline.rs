//! What lies in a line: emphasis, code, links and images.
//!
//! Signs are put around a text once it is known: one that is empty, or that turned out to hold
//! paragraphs, gets none.

use super::super::tokens::Tag;
use super::{Open, Writer, line};

impl Writer<'_> {
    pub(super) fn mark(&mut self, name: &'static str, mark: &'static str) {
        self.flush();
        let at = self.out.len();
        self.push(name, Open::Mark(mark, at));
    }

    /// Puts `open` and `close` around what was written since `at`, which must be in one paragraph.
    pub(super) fn wrap(&mut self, at: usize, open: &str, close: &str) {
        let Some(inner) = self.out.get(at..) else {
            return;
        };
        let text = inner.trim();
        if text.is_empty() || text.contains('\n') {
            return;
        }
        let before = at + inner.len() - inner.trim_start().len();
        let after = at + inner.trim_end().len();
        self.out.insert_str(after, close);
        self.out.insert_str(before, open);
    }

    pub(super) fn end_code(&mut self, at: usize) {
        let inner = self.out.get(at..).unwrap_or_default();
        let fence = "`".repeat(longest_run(inner) + 1);
        let space = if inner.starts_with('`') || inner.ends_with('`') { " " } else { "" };
        let (open, close) = (format!("{fence}{space}"), format!("{space}{fence}"));
        self.wrap(at, &open, &close);
    }

    pub(super) fn end_link(&mut self, at: usize, href: &str) {
        let Some(inner) = self.out.get(at..) else {
            return;
        };
        let text = inner.trim();
        // The sign beside a heading that leads to itself.
        let is_anchor = href.starts_with('#') && text.chars().count() <= 2;
        if is_anchor || text.is_empty() {
            self.out.truncate(at);
            return;
        }
        let href = address(href);
        if text.contains('\n') {
            // A block cannot be in a link: the address stands below it.
            self.line();
            self.flush();
            self.out.extend(["<", href.trim_matches(['<', '>']), ">"]);
            return;
        }
        let end = at + inner.trim_end().len();
        let start = at + inner.len() - inner.trim_start().len();
        self.out.insert_str(end, &format!("]({href})"));
        self.out.insert(start, '[');
    }

    pub(super) fn image(&mut self, tag: &Tag<'_>) {
        let alternative = line(tag.get("alt").unwrap_or_default());
        let Some(source) = tag.get("src").filter(|_| !alternative.is_empty()) else {
            return;
        };
        if self.table.as_ref().is_some_and(|table| table.cell.is_none()) {
            return;
        }
        self.flush();
        let alternative = alternative.replace(['[', ']', '|'], " ");
        if is_shown(source) {
            self.out.extend(["![", &alternative, "](", &address(source), ")"]);
        } else {
            self.out.push_str(&alternative);
        }
    }
}

/// Whether an address is worth showing: not code, and not the thing itself.
pub(super) fn is_shown(address: &str) -> bool {
    let scheme = address.trim_start().split(':').next().unwrap_or_default().to_ascii_lowercase();
    !address.trim().is_empty() && !matches!(&*scheme, "javascript" | "data" | "vbscript" | "blob")
}

/// A link destination (CommonMark §6.3).
fn address(href: &str) -> String {
    let href = line(href);
    let is_plain =
        !href.contains(|c: char| matches!(c, ' ' | '(' | ')' | '<' | '>') || c.is_control());
    if is_plain { href } else { format!("<{}>", href.replace(['<', '>'], "")) }
}

/// The longest run of backquotes in `text`.
pub(super) fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
