//! The encoding of service arguments and events.
//!
//! Little endian, in declaration order, no padding. A list is its length (`u32`) and its elements;
//! a string is a list of UTF-8 bytes; an option is a byte 0, or 1 and the value; a record is its
//! length in bytes (`u32`) and its fields, so that a reader skips what a newer sender appended.
//! Decoding never trusts a length: it is checked against what is left of the input.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::error::Error;
use crate::ids::AppId;

/// A value that crosses the boundary by value.
pub trait Wire: Sized + Send + 'static {
    /// A number that differs when the layout differs; compared when services are wired.
    const SHAPE: u64;
    /// Appends the value.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads one value.
    ///
    /// # Errors
    /// [`WireError`] when the input is too short or means nothing.
    fn decode(input: &mut Input<'_>) -> Result<Self, WireError>;

    /// Appends many, without their number.
    #[doc(hidden)]
    fn encode_many(values: &[Self], out: &mut Vec<u8>) {
        for value in values {
            value.encode(out);
        }
    }

    /// Reads `count` values.
    #[doc(hidden)]
    fn decode_many(count: usize, input: &mut Input<'_>) -> Result<Vec<Self>, WireError> {
        // Every element takes at least one byte, so the input bounds what is reserved.
        let mut values = Vec::with_capacity(count.min(input.left()));
        for _ in 0..count {
            values.push(Self::decode(input)?);
        }
        Ok(values)
    }
}

/// Why bytes are not the value that was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError(String);

impl WireError {
    /// There is no variant of that number in the enumeration `name`.
    #[must_use]
    pub fn variant(name: &str, number: u32) -> Self {
        Self(format!("{name} has no variant number {number}; the sender is newer"))
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        Self::internal(format!(
            "the other side of the plugin boundary sent what cannot be read: {}",
            error.0
        ))
    }
}

/// What is left to decode.
#[derive(Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn left(&self) -> usize {
        self.bytes.len()
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(len)
            .ok_or_else(|| WireError(format!("{len} bytes expected, {} left", self.bytes.len())))?;
        self.bytes = rest;
        Ok(taken)
    }

    /// The input of one record.
    ///
    /// # Errors
    /// When the record's length is past the end.
    pub fn record(&mut self) -> Result<Self, WireError> {
        let len = u32::decode(self)? as usize;
        Ok(Self { bytes: self.take(len)? })
    }

    /// Refuses bytes that are left over.
    ///
    /// # Errors
    /// When something is left.
    pub fn finish(&self) -> Result<(), WireError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(WireError(format!("{} bytes too many", self.left())))
        }
    }
}

/// A value in its wire encoding.
#[must_use]
pub fn to_vec<T: Wire>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// A value out of its wire encoding.
///
/// # Errors
/// [`WireError`] when `bytes` are not exactly one value.
pub fn from_slice<T: Wire>(bytes: &[u8]) -> Result<T, WireError> {
    let mut input = Input::new(bytes);
    let value = T::decode(&mut input)?;
    input.finish()?;
    Ok(value)
}

#[doc(hidden)]
pub fn open_record(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; 4]);
    out.len()
}

#[doc(hidden)]
pub fn close_record(out: &mut [u8], start: usize) {
    let len = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start - 4..start].copy_from_slice(&len.to_le_bytes());
}

#[doc(hidden)]
pub fn encode_str(text: &str, out: &mut Vec<u8>) {
    encode_slice::<u8>(text.as_bytes(), out);
}

#[doc(hidden)]
pub fn encode_slice<T: Wire>(values: &[T], out: &mut Vec<u8>) {
    u32::try_from(values.len()).unwrap_or(u32::MAX).encode(out);
    T::encode_many(values, out);
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): enough to tell layouts apart by accident, not by attack.
#[doc(hidden)]
#[must_use]
pub const fn hash(mut state: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        state = (state ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    state
}

/// The start of [`hash`].
#[doc(hidden)]
pub const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;

#[doc(hidden)]
#[must_use]
pub const fn record_shape(name: &str, fields: &[(&str, u64)]) -> u64 {
    let mut state = hash(HASH_START, name.as_bytes());
    let mut at = 0;
    while at < fields.len() {
        state = hash(state, fields[at].0.as_bytes());
        state = hash(state, &fields[at].1.to_le_bytes());
        at += 1;
    }
    state
}

macro_rules! numbers {
    ($($ty:ty),*) => { $(
        impl Wire for $ty {
            const SHAPE: u64 = hash(HASH_START, stringify!($ty).as_bytes());
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn decode(input: &mut Input<'_>) -> Result<Self, WireError> {
                let bytes = input.take(size_of::<$ty>())?;
                <[u8; size_of::<$ty>()]>::try_from(bytes)
                    .map(Self::from_le_bytes)
                    .map_err(|_| WireError("a number is cut short".to_owned()))
            }
        }
    )* };
}
numbers!(u16, u32, u64, i16, i32, i64, f64);

impl Wire for u8 {
    const SHAPE: u64 = hash(HASH_START, b"u8");
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
    fn decode(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(input.take(1)?[0])
    }
    fn encode_many(values: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(values);
    }
    fn decode_many(count: usize, input: &mut Input<'_>) -> Result<Vec<Self>, WireError> {
        Ok(input.take(count)?.to_vec())
    }
}

impl Wire for () {
    const SHAPE: u64 = hash(HASH_START, b"()");
    fn encode(&self, _: &mut Vec<u8>) {}
    fn decode(_: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(())
    }
    fn decode_many(_: usize, _: &mut Input<'_>) -> Result<Vec<Self>, WireError> {
        Err(WireError("a list of nothing has no use".to_owned()))
    }
}

impl Wire for bool {
    const SHAPE: u64 = hash(HASH_START, b"bool");
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn decode(input: &mut Input<'_>) -> Result<Self, WireError> {
        match u8::decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(WireError(format!("{other} is not a boolean"))),
        }
    }
}

impl Wire for String {
    const SHAPE: u64 = hash(HASH_START, b"string");
    fn encode(&self, out: &mut Vec<u8>) {
        encode_str(self, out);
    }
    fn decode(input: &mut Input<'_>) -> Result<Self, WireError> {
        Self::from_utf8(Vec::<u8>::decode(input)?)
            .map_err(|_| WireError("a string is not UTF-8".to_owned()))
    }
}

impl Wire for Bytes {
    const SHAPE: u64 = <Vec<u8> as Wire>::SHAPE;
    fn encode(&self, out: &mut Vec<u8>) {
        encode_slice::<u8>(self, out);
    }
    fn decode(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(Self::from(Vec::<u8>::decode(input)?))
    }
}

impl<T: Wire> Wire for Vec<T> {
    const SHAPE: u64 = hash(T::SHAPE, b"list");
    fn encode(&self, out: &mut Vec<u8>) {
        encode_slice(self, out);
    }
    fn decode(input: &mut Input<'_>) -> Result<Self, WireError> {
        let count = u32::decode(input)? as usize;
        T::decode_many(count, input)
    }
}

impl<T: Wire> Wire for Option<T> {
    const SHAPE: u64 = hash(T::SHAPE, b"option");
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out);
            }
        }
    }
    fn decode(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(if bool::decode(input)? { Some(T::decode(input)?) } else { None })
    }
}

impl<T: Wire> Wire for BTreeMap<String, T> {
    const SHAPE: u64 = hash(T::SHAPE, b"map");
    fn encode(&self, out: &mut Vec<u8>) {
        u32::try_from(self.len()).unwrap_or(u32::MAX).encode(out);
        for (key, value) in self {
            key.encode(out);
            value.encode(out);
        }
    }
    fn decode(input: &mut Input<'_>) -> Result<Self, WireError> {
        let count = u32::decode(input)?;
        (0..count).map(|_| Ok((String::decode(input)?, T::decode(input)?))).collect()
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    const SHAPE: u64 = record_shape("pair", &[("0", A::SHAPE), ("1", B::SHAPE)]);
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
    fn decode(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok((A::decode(input)?, B::decode(input)?))
    }
}

impl Wire for [u8; 32] {
    const SHAPE: u64 = hash(HASH_START, b"32 bytes");
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn decode(input: &mut Input<'_>) -> Result<Self, WireError> {
        input.take(32)?.try_into().map_err(|_| WireError("32 bytes expected".to_owned()))
    }
}

impl Wire for AppId {
    const SHAPE: u64 = hash(HASH_START, b"app id");
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.key());
    }
    fn decode(input: &mut Input<'_>) -> Result<Self, WireError> {
        <[u8; 12]>::try_from(input.take(12)?)
            .ok()
            .and_then(Self::from_key)
            .ok_or_else(|| WireError("not an app id".to_owned()))
    }
}

impl Wire for Duration {
    const SHAPE: u64 = hash(HASH_START, b"duration");
    fn encode(&self, out: &mut Vec<u8>) {
        u64::try_from(self.as_nanos()).unwrap_or(u64::MAX).encode(out);
    }
    fn decode(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(Self::from_nanos(u64::decode(input)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wire;

    #[derive(Wire, Debug, PartialEq, Clone)]
    struct Older {
        name: String,
    }

    #[derive(Wire, Debug, PartialEq, Clone)]
    struct Newer {
        name: String,
        #[wire(default)]
        count: Option<u64>,
    }

    #[derive(Wire, Debug, PartialEq)]
    enum Choice {
        Nothing,
        One(u32),
        Named { list: Vec<String>, map: BTreeMap<String, bool> },
    }

    fn round_trip<T: Wire + PartialEq + std::fmt::Debug>(value: &T) {
        assert_eq!(&from_slice::<T>(&to_vec(value)).unwrap(), value);
    }

    #[test]
    fn values_survive() {
        round_trip(&Choice::Nothing);
        round_trip(&Choice::One(7));
        round_trip(&Choice::Named {
            list: vec!["a".into(), String::new()],
            map: [("k".to_owned(), true)].into(),
        });
        round_trip(&(Some(3.5), vec![1_u8, 2, 3]));
        round_trip(&Duration::from_millis(1500));
    }

    #[test]
    fn a_newer_record_is_read_by_an_older_reader_and_the_other_way_round() {
        let newer = Newer { name: "n".into(), count: Some(4) };
        let older = Older { name: "n".into() };
        assert_eq!(from_slice::<Older>(&to_vec(&newer)).unwrap(), older);
        assert_eq!(
            from_slice::<Newer>(&to_vec(&older)).unwrap(),
            Newer { name: "n".into(), count: None }
        );
        assert_ne!(Older::SHAPE, Newer::SHAPE);
    }

    #[test]
    fn cut_and_hostile_input_is_refused_without_a_large_reservation() {
        let whole = to_vec(&Choice::Named { list: vec!["abc".into()], map: BTreeMap::new() });
        for len in 0..whole.len() {
            assert!(from_slice::<Choice>(&whole[..len]).is_err(), "{len}");
        }
        assert!(from_slice::<Vec<u64>>(&u32::MAX.to_le_bytes()).is_err());
        assert!(from_slice::<Vec<()>>(&u32::MAX.to_le_bytes()).is_err());
        assert!(from_slice::<String>(&[1, 0, 0, 0, 0xff]).is_err());
    }
}
