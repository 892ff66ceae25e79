//! The errors of requests to other machines, each with its code.

use fazt_sdk::Error;

/// Not allowed; trying again does not help.
pub(super) fn blocked(why: impl Into<String>) -> Error {
    Error::denied(why).with_code("NET_BLOCKED")
}

/// Too much at a time.
pub(super) fn too_many(why: impl Into<String>) -> Error {
    Error::busy(why).with_code("NET_LIMIT")
}

/// It took too long.
pub(super) fn late(why: impl Into<String>) -> Error {
    Error::timeout(why).with_code("NET_TIMEOUT")
}

/// A request or an answer is over a bound.
pub(super) fn too_large(why: impl Into<String>) -> Error {
    Error::too_large(why).with_code("NET_SIZE")
}

/// A secret cannot be used.
pub(super) fn no_secret(why: impl Into<String>) -> Error {
    Error::denied(why).with_code("NET_AUTH")
}

/// The request is none.
pub(super) fn invalid(why: impl Into<String>) -> Error {
    Error::invalid(why).with_code("NET_ERROR")
}

/// The other side, or the network in between.
pub(super) fn other_side(why: impl Into<String>) -> Error {
    Error::unavailable(why).with_code("NET_ERROR")
}
