//! What becomes of a request inside a cell.

use bytes::Bytes;
use futures_channel::mpsc::UnboundedReceiver;

/// What a cell said, or what became of it.
#[derive(Debug)]
pub(crate) enum Reply {
    /// An answer, or its beginning.
    Response {
        status: u16,
        /// As in the protocol: `name\nvalue\n…`.
        headers: String,
        body: Bytes,
        /// The rest of the body; an error when it broke off.
        more: Option<UnboundedReceiver<Result<Bytes, BrokenOff>>>,
    },
    /// What a job or an event came to: JSON, empty for `undefined`.
    Outcome(String),
    /// No answer, for a reason that the request itself has.
    Failed(Failure),
    /// No answer, because of somebody else: the cell is gone.
    Lost,
}

/// A streamed body that ended before its end.
#[derive(Debug)]
pub(crate) struct BrokenOff;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For programs: `FUNCTION_ERROR`, `CPU_LIMIT`, ….
    pub(crate) code: String,
    /// For the app's log: what and where.
    pub(crate) message: String,
    pub(crate) stack: String,
}

impl Failure {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), stack: String::new() }
    }
}
