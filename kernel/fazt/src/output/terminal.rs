//! What the output is connected to, found out once.

use std::io::IsTerminal as _;

/// What the output is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// The width in cells; nothing when standard output is no terminal.
    pub(crate) width: Option<usize>,
    /// Whether headings are bold.
    pub(crate) color: bool,
    /// Whether standard error shows progress.
    pub(crate) progress: bool,
}

impl Terminal {
    /// Asks the operating system; `no_color` turns color off on a terminal too.
    pub(crate) fn detect(no_color: bool) -> Self {
        let out = std::io::stdout();
        let width = out.is_terminal().then(|| {
            rustix::termios::tcgetwinsize(&out)
                .ok()
                .map(|size| usize::from(size.ws_col))
                .filter(|columns| *columns >= WIDTH_MIN)
                .unwrap_or(WIDTH_DEFAULT)
        });
        Self {
            width,
            color: width.is_some() && !no_color,
            progress: std::io::stderr().is_terminal(),
        }
    }

    /// No terminal: no widths, no color, no progress.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self { width: None, color: false, progress: false };
}

/// The width of a terminal that does not say.
const WIDTH_DEFAULT: usize = 80;
/// Narrower terminals are taken for ones that do not know.
const WIDTH_MIN: usize = 20;
