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
    /// The width of the terminal; nothing when there is none.
    width: Option<usize>,
}

impl Progress {
    pub(super) fn new(doing: &str, total: u64, width: Option<usize>) -> Self {
        Self { doing: doing.to_owned(), total, drawn: None, width }
    }

    /// So many bytes are done.
    pub(crate) fn at(&mut self, done: u64) {
        let filled = filled(done, self.total, CELLS);
        let Some(width) = self.width.filter(|_| self.drawn != Some(filled)) else { return };
        self.drawn = Some(filled);
        let line = bar(&self.doing, done, self.total, width);
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

/// How many of `cells` stand for `done`.
fn filled(done: u64, total: u64, cells: u64) -> u64 {
    u64::try_from(u128::from(done.min(total)) * u128::from(cells) / u128::from(total.max(1)))
        .unwrap_or(cells)
}

/// One line that fits the terminal: a line that wraps cannot be drawn over.
fn bar(doing: &str, done: u64, total: u64, width: usize) -> String {
    let numbers = format!("{} of {}", value::bytes(done), value::bytes(total));
    let left = width.saturating_sub(doing.chars().count() + numbers.len() + FRAME);
    let cells = u64::try_from(left).unwrap_or(CELLS).min(CELLS);
    if cells < CELLS_MIN {
        return format!("{doing} {numbers}").chars().take(width.saturating_sub(1)).collect();
    }
    let filled = filled(done, total, cells);
    let repeated = |text: &str, count| text.repeat(usize::try_from(count).unwrap_or_default());
    format!("{doing} [{}{}] {numbers}", repeated("#", filled), repeated(" ", cells - filled))
}

/// Cells that are neither words, bar nor numbers, and one that stays free.
const FRAME: usize = 5;
/// A shorter bar says nothing.
const CELLS_MIN: u64 = 5;
/// The length of the bar.
const CELLS: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_empty_half_and_full() {
        let line = |done, total| bar("sending", done, total, 80);
        assert_eq!(line(0, 2048), format!("sending [{}] 0 B of 2.0 KiB", " ".repeat(30)));
        let half = format!("[{}{}]", "#".repeat(15), " ".repeat(15));
        assert!(line(1024, 2048).contains(&half));
        assert!(line(2048, 2048).contains(&"#".repeat(30)));
        assert!(line(0, 0).contains(&" ".repeat(30)));
    }

    #[test]
    fn the_line_never_wraps() {
        for width in 20..120 {
            for done in [0, 1023, 5 << 20] {
                let line = bar("sending 1002 files", done, 5 << 20, width);
                assert!(line.len() < width, "{line:?} in {width}");
            }
        }
        assert!(!bar("sending 1002 files", 0, 5 << 20, 40).contains('['));
    }
}
