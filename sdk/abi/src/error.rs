//! The error that crosses the boundary, and the guards that turn panics into it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RResult, RString, RVec};

use crate::FfiFuture;

/// An error as it crosses: what kind it is, a stable code, and a sentence.
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct RawError {
    /// The kind, numbered as `fazt_sdk::ErrorKind`.
    pub kind: u8,
    /// The stable code in UPPER_SNAKE.
    pub code: RString,
    /// What failed, why, what to do.
    pub message: RString,
    /// Details as JSON, or empty.
    pub details: RString,
}

/// The kind of an error that says: the provider is not there now.
pub const KIND_UNAVAILABLE: u8 = 1;
/// The kind of an error that says: a defect, nothing the caller did.
pub const KIND_INTERNAL: u8 = 0;

impl RawError {
    /// The other side is older than this one and has no such entry.
    #[must_use]
    pub fn missing(entry: &str) -> Self {
        Self {
            kind: KIND_UNAVAILABLE,
            code: RString::from("UNAVAILABLE"),
            message: RString::from(format!(
                "the other side of the plugin boundary is older and does not offer `{entry}`; update it"
            )),
            details: RString::new(),
        }
    }

    /// The code behind the boundary panicked.
    #[must_use]
    pub fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self {
            kind: KIND_INTERNAL,
            code: RString::from("PANIC"),
            message: RString::from(format!("panicked: {text}")),
            details: RString::new(),
        }
    }
}

/// A result type that can say that the call itself failed.
pub trait Failure {
    /// The value that carries `error`, as far as this type can carry one.
    fn failed(error: RawError) -> Self;
}

impl<T> Failure for RResult<T, RawError> {
    fn failed(error: RawError) -> Self {
        Self::RErr(error)
    }
}

impl<T: Failure + Send + 'static> Failure for FfiFuture<T> {
    fn failed(error: RawError) -> Self {
        Self::new(std::future::ready(T::failed(error)))
    }
}

impl<T: Failure> Failure for ROption<T> {
    fn failed(error: RawError) -> Self {
        Self::RSome(T::failed(error))
    }
}

impl<T> Failure for RVec<T> {
    fn failed(_: RawError) -> Self {
        Self::new()
    }
}

macro_rules! failure_by_default {
    ($($ty:ty),*) => { $( impl Failure for $ty { fn failed(_: RawError) -> Self { Self::default() } } )* };
}
failure_by_default!((), bool, u8, u32, u64, usize);

/// Runs `work` and turns a panic into the failed result.
pub fn guard<R: Failure>(work: impl FnOnce() -> R) -> R {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(payload) => {
            let result = R::failed(RawError::panicked(&*payload));
            guard_drop(payload);
            result
        }
    }
}

/// Drops `value`; a panic in its `Drop` ends here. What it still held is leaked.
pub fn guard_drop<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(value))) {
        // A payload whose own drop panics would start over: leak it.
        std::mem::forget(payload);
    }
}
