//! One error for services, handlers and operations: what kind, a stable code, a sentence.
//!
//! The kind says what the caller can do next and decides the HTTP status and the exit code of the
//! command line. The code is for programs, the message for people: what failed, why, what to do.

use std::borrow::Cow;
use std::fmt;

use abi_stable::std_types::{RResult, RString};
use fazt_abi::abi_stable;
use fazt_abi::error::RawError;

/// The result of almost everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an error.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A defect here; nothing the caller did. Details go to the log, not to the client.
    Internal,
    /// The provider is away; try again later.
    Unavailable,
    /// The input is wrong; correct it.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// Nobody is signed in, or the credentials are wrong.
    Unauthenticated,
    /// Somebody is signed in who may not do this.
    Denied,
    /// The state does not allow it, or somebody else was faster.
    Conflict,
    /// The input is over a limit; the message names it.
    TooLarge,
    /// Too much at a time; try again after a moment.
    Busy,
    /// The disk or a quota is full.
    Full,
    /// It took longer than it may.
    Timeout,
    /// The resource exists but not for this method.
    MethodNotAllowed,
}

const KINDS: [ErrorKind; 12] = [
    ErrorKind::Internal,
    ErrorKind::Unavailable,
    ErrorKind::Invalid,
    ErrorKind::NotFound,
    ErrorKind::Unauthenticated,
    ErrorKind::Denied,
    ErrorKind::Conflict,
    ErrorKind::TooLarge,
    ErrorKind::Busy,
    ErrorKind::Full,
    ErrorKind::Timeout,
    ErrorKind::MethodNotAllowed,
];

impl ErrorKind {
    /// The HTTP status (RFC 9110 §15; 507 is RFC 4918 §11.5).
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::Internal => 500,
            Self::Unavailable | Self::Busy => 503,
            Self::Invalid => 400,
            Self::NotFound => 404,
            Self::Unauthenticated => 401,
            Self::Denied => 403,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Full => 507,
            Self::Timeout => 504,
            Self::MethodNotAllowed => 405,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::Invalid => "INVALID",
            Self::NotFound => "NOT_FOUND",
            Self::Unauthenticated => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Conflict => "CONFLICT",
            Self::TooLarge => "TOO_LARGE",
            Self::Busy => "BUSY",
            Self::Full => "STORAGE_FULL",
            Self::Timeout => "TIMEOUT",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
        }
    }
}

/// What failed, why, and what to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    kind: ErrorKind,
    code: Cow<'static, str>,
    message: String,
    details: Option<Box<serde_json::Value>>,
}

macro_rules! constructors {
    ($($(#[$meta:meta])* $name:ident => $kind:ident;)*) => {
        $(
            $(#[$meta])*
            #[must_use]
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new(ErrorKind::$kind, message)
            }
        )*
    };
}

impl Error {
    /// An error of this kind, with the kind's own code.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, code: Cow::Borrowed(kind.code()), message: message.into(), details: None }
    }

    constructors! {
        /// A defect here. The message is for the log.
        internal => Internal;
        /// The provider is away.
        unavailable => Unavailable;
        /// The input is wrong.
        invalid => Invalid;
        /// There is no such thing.
        not_found => NotFound;
        /// Nobody is signed in.
        unauthenticated => Unauthenticated;
        /// Not allowed.
        denied => Denied;
        /// The state does not allow it.
        conflict => Conflict;
        /// Over a limit.
        too_large => TooLarge;
        /// Too much at a time.
        busy => Busy;
        /// Disk or quota full.
        full => Full;
        /// Took too long.
        timeout => Timeout;
        /// Not for this method.
        method_not_allowed => MethodNotAllowed;
    }

    /// With a code of its own, in UPPER_SNAKE.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = code.into();
        self
    }

    /// With details for programs.
    #[must_use]
    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// Puts what was being done before the message: `context: message`.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// What the caller can do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The details, if there are any.
    #[must_use]
    pub fn details(&self) -> Option<&serde_json::Value> {
        self.details.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for RawError {
    fn from(error: Error) -> Self {
        let kind = KINDS.iter().position(|kind| *kind == error.kind).unwrap_or(0);
        Self {
            kind: u8::try_from(kind).unwrap_or(0),
            code: RString::from(error.code.as_ref()),
            message: RString::from(error.message),
            details: error
                .details
                .map_or_else(RString::new, |details| RString::from(details.to_string())),
        }
    }
}

impl From<RawError> for Error {
    fn from(raw: RawError) -> Self {
        let kind = KINDS.get(usize::from(raw.kind)).copied().unwrap_or(ErrorKind::Internal);
        let code = if raw.code.as_str() == kind.code() {
            Cow::Borrowed(kind.code())
        } else {
            Cow::Owned(raw.code.into_string())
        };
        let details = if raw.details.is_empty() {
            None
        } else {
            serde_json::from_str(&raw.details).ok().map(Box::new)
        };
        Self { kind, code, message: raw.message.into_string(), details }
    }
}

/// An ordinary result out of one that crossed.
pub(crate) fn from_raw<T>(raw: RResult<T, RawError>) -> Result<T> {
    match raw {
        RResult::ROk(value) => Ok(value),
        RResult::RErr(error) => Err(Error::from(error)),
    }
}

/// A result that crosses.
pub(crate) fn to_raw<T>(result: Result<T>) -> RResult<T, RawError> {
    match result {
        Ok(value) => RResult::ROk(value),
        Err(error) => RResult::RErr(RawError::from(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_crossing() {
        for kind in KINDS {
            let error = Error::new(kind, "no")
                .with_code("MY_CODE")
                .with_details(serde_json::json!({"a": 1}));
            assert_eq!(Error::from(RawError::from(error.clone())), error);
        }
    }
}
