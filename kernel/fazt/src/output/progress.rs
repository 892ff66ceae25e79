//! One line on standard error that shows how far the work is, and goes away at its end.

use std::io::Write as _;

use super::value;

/// A progress line. Dropping it clears the line.
#[derive(Debug)]
pub(crate) struct Progress {
    doing: String,
    total: u64,
    /// What was drawn last, in cells of the bar; nothing when there is no terminal.
    drawn: Option<u64>,
    shown: bool,
}

impl Progress {
    pub(super) fn new(doing: &str, total: u64, shown: bool) -> Self {
        Self { doing: doing.to_owned(), total, drawn: None, shown }
    }

    /// So many bytes are done.
    pub(crate) fn at(&mut self, done: u64) {
        let filled = filled(done, self.total);
        if !self.shown || self.drawn == Some(filled) {
            return;
        }
        self.drawn = Some(filled);
        let line = bar(&self.doing, done, self.total);
        // A terminal that went away needs no progress.
        drop(write!(std::io::stderr(), "\r\u{1b}[K{line}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            drop(write!(std::io::stderr(), "\r\u{1b}[K"));
        }
    }
}

fn filled(done: u64, total: u64) -> u64 {
    u64::try_from(u128::from(done.min(total)) * u128::from(CELLS) / u128::from(total.max(1)))
        .unwrap_or(CELLS)
}

fn bar(doing: &str, done: u64, total: u64) -> String {
    let filled = usize::try_from(filled(done, total)).unwrap_or_default();
    let empty = usize::try_from(CELLS).unwrap_or_default() - filled;
    format!(
        "{doing} [{}{}] {} of {}",
        "#".repeat(filled),
        " ".repeat(empty),
        value::bytes(done),
        value::bytes(total)
    )
}

/// The length of the bar.
const CELLS: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_empty_half_and_full() {
        assert_eq!(bar("sending", 0, 2048), format!("sending [{}] 0 B of 2.0 KiB", " ".repeat(30)));
        assert!(bar("sending", 1024, 2048).contains(&format!(
            "[{}{}]",
            "#".repeat(15),
            " ".repeat(15)
        )));
        assert!(bar("sending", 2048, 2048).contains(&"#".repeat(30)));
        assert!(bar("sending", 0, 0).contains(&" ".repeat(30)));
    }
}
