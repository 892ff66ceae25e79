//! Why a command failed, and the exit code that says so.
//!
//! The exit code is decided in one table, [`Exit::of`], from the kind of the error; nothing else
//! in this crate picks a code for what a node answered.

use fazt_sdk::{Error, ErrorKind};
use serde_json::Value;

/// The exit codes of the command line, stable for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It worked.
    Ok = 0,
    /// It failed.
    Failed = 1,
    /// The words, flags or values are wrong.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// Nobody is signed in, or not allowed.
    Refused = 4,
    /// The node does not answer.
    Unreachable = 5,
}

impl Exit {
    /// The exit code for an error of this kind.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Unauthenticated | ErrorKind::Denied => Self::Refused,
            ErrorKind::Unavailable => Self::Unreachable,
            // Internal, Conflict, TooLarge, Busy, Full, Timeout, MethodNotAllowed, and what a
            // later sdk adds: the node answered and could not do it.
            _ => Self::Failed,
        }
    }
}

/// A failed command: what failed and why, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// A lower-case sentence; empty when nothing is to be said.
    pub(crate) message: String,
    /// The command that fixes it, or a sentence that leads there.
    pub(crate) hint: Option<String>,
    /// What the error says for programs.
    pub(crate) details: Option<Box<Value>>,
    /// The stable code of the error, for `--verbose`.
    pub(crate) code: Option<String>,
    /// The request's id in the node's log, for `--verbose`.
    pub(crate) request_id: Option<String>,
}

impl Failure {
    /// A failure with this exit code.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { exit, message, hint: None, details: None, code: None, request_id: None }
    }

    /// It failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The words, flags or values are wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, message)
    }

    /// The node does not answer.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, message)
    }

    /// The end of a command whose reader left, as in `fazt app list | head`: nothing is said.
    pub(crate) fn silent() -> Self {
        Self::new(Exit::Ok, "")
    }

    /// With what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What a node answered with `status` and the error envelope in `body`.
    ///
    /// `place` names the node for answers that are no envelope at all.
    pub(crate) fn of_reply(status: u16, body: &[u8], place: &str) -> Self {
        let error = serde_json::from_slice::<Value>(body)
            .ok()
            .and_then(|envelope| envelope.get("error").cloned());
        let Some(error) = error else {
            return Self::new(
                Exit::of(kind_of(status, "")),
                format!("{place} answered {status} and not as a node does"),
            );
        };
        let text = |field: &str| error.get(field).and_then(|value| value.as_str());
        let code = text("code").unwrap_or_default();
        let mut failure = Self::new(
            Exit::of(kind_of(status, code)),
            text("message").map_or_else(|| format!("{place} answered {status}"), str::to_owned),
        );
        failure.code = Some(code.to_owned());
        failure.request_id = text("request_id").map(str::to_owned);
        failure.details = error.get("details").cloned().map(Box::new);
        failure.hint =
            error.pointer("/details/hint").and_then(|hint| hint.as_str()).map(str::to_owned);
        failure
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut failure = Self::new(Exit::of(error.kind()), error.message());
        failure.code = Some(error.code().to_owned());
        let hint = error.details().and_then(|details| details.get("hint")?.as_str());
        failure.hint = hint.or_else(|| hint_for(error.code())).map(str::to_owned);
        failure
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// What helps when the error itself says no more.
fn hint_for(code: &str) -> Option<&'static str> {
    match code {
        "CARTRIDGE_LOCKED" => {
            Some("one process plays a cartridge; fazt server status says whether it serves")
        }
        "PORT_IN_USE" => Some("choose another one with --port, or 0 for any that is free"),
        _ => None,
    }
}

/// The kind behind a status; the inverse of [`ErrorKind::http_status`], where two kinds share 503.
fn kind_of(status: u16, code: &str) -> ErrorKind {
    match status {
        400 | 422 => ErrorKind::Invalid,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        405 => ErrorKind::MethodNotAllowed,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::Busy,
        503 if code == "BUSY" => ErrorKind::Busy,
        503 => ErrorKind::Unavailable,
        504 => ErrorKind::Timeout,
        507 => ErrorKind::Full,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_every_kind_leads_back_to_its_exit_code() {
        for (kind, code, exit) in [
            (ErrorKind::Internal, "INTERNAL", Exit::Failed),
            (ErrorKind::Unavailable, "UNAVAILABLE", Exit::Unreachable),
            (ErrorKind::Invalid, "INVALID", Exit::Usage),
            (ErrorKind::NotFound, "NOT_FOUND", Exit::NotFound),
            (ErrorKind::Unauthenticated, "UNAUTHORIZED", Exit::Refused),
            (ErrorKind::Denied, "DENIED", Exit::Refused),
            (ErrorKind::Conflict, "CONFLICT", Exit::Failed),
            (ErrorKind::TooLarge, "TOO_LARGE", Exit::Failed),
            (ErrorKind::Busy, "BUSY", Exit::Failed),
            (ErrorKind::Full, "STORAGE_FULL", Exit::Failed),
            (ErrorKind::Timeout, "TIMEOUT", Exit::Failed),
            (ErrorKind::MethodNotAllowed, "METHOD_NOT_ALLOWED", Exit::Failed),
        ] {
            assert_eq!(Exit::of(kind), exit, "{kind:?}");
            assert_eq!(Exit::of(kind_of(kind.http_status(), code)), exit, "{code}");
        }
    }

    #[test]
    fn an_answer_that_is_no_envelope_says_who_answered() {
        let failure = Failure::of_reply(404, b"<html>", "http://localhost:8080");
        assert_eq!(failure.exit, Exit::NotFound);
        assert_eq!(failure.message, "http://localhost:8080 answered 404 and not as a node does");
    }

    #[test]
    fn an_envelope_keeps_its_sentence_code_and_hint() {
        let body = br#"{"error":{"code":"APP_NOT_FOUND","message":"no app is called blog",
            "details":{"hint":"fazt app list"},"request_id":"r1"}}"#;
        let failure = Failure::of_reply(404, body, "x");
        assert_eq!(failure.message, "no app is called blog");
        assert_eq!(failure.code.as_deref(), Some("APP_NOT_FOUND"));
        assert_eq!(failure.hint.as_deref(), Some("fazt app list"));
        assert_eq!(failure.request_id.as_deref(), Some("r1"));
    }
}
