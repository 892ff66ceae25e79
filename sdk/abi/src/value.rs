//! The values that SQL takes and gives, borrowed.

use abi_stable::std_types::{RSlice, RStr};

/// One SQL parameter or column, borrowed from its owner.
#[repr(C, u8)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A 64-bit float.
    Real(f64),
    /// UTF-8 text.
    Text(RStr<'a>),
    /// Bytes.
    Blob(RSlice<'a, u8>),
}
