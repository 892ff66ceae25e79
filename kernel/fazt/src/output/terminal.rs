//! What the output is connected to, found out once.

use std::io::IsTerminal;
use std::os::fd::AsFd;

/// What the output is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// The width in cells; nothing when standard output is no terminal.
    pub(crate) width: Option<usize>,
    /// Whether headings are bold.
    pub(crate) color: bool,
    /// The width of standard error in cells, which shows progress; nothing when it is no terminal.
    pub(crate) progress: Option<usize>,
}

impl Terminal {
    /// Asks the operating system; `no_color` turns color off on a terminal too.
    pub(crate) fn detect(no_color: bool) -> Self {
        let (out, err) = (width(std::io::stdout()), width(std::io::stderr()));
        Self { width: out, color: out.is_some() && !no_color, progress: err }
    }

    /// No terminal: no widths, no color, no progress.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self { width: None, color: false, progress: None };
}

/// The width of what a stream is connected to, if that is a terminal.
fn width(stream: impl IsTerminal + AsFd) -> Option<usize> {
    stream.is_terminal().then(|| {
        rustix::termios::tcgetwinsize(&stream)
            .ok()
            .map(|size| usize::from(size.ws_col))
            .filter(|columns| *columns >= WIDTH_MIN)
            .unwrap_or(WIDTH_DEFAULT)
    })
}

/// The width of a terminal that does not say.
const WIDTH_DEFAULT: usize = 80;
/// Narrower terminals are taken for ones that do not know.
const WIDTH_MIN: usize = 20;
