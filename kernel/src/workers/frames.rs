//! Frames on a byte stream: a length, then as many bytes.
//!
//! Both directions carry them, and both sides collect several into one write.

use bytes::{Buf as _, Bytes, BytesMut};

/// Bytes of a frame's length (u32, little endian).
const LENGTH_BYTES: usize = 4;

/// Adds `frame` with its length to `out`.
pub(super) fn push(out: &mut Vec<u8>, frame: &[u8]) {
    out.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(frame);
}

/// A frame that is longer than it may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong(pub(super) u64);

/// Takes all whole frames out of `buffer`, which keeps the beginning of the next one.
///
/// # Errors
/// When a frame says that it is longer than `bytes_max`: nothing after it can be understood.
pub(super) fn take(buffer: &mut BytesMut, bytes_max: u64) -> Result<Vec<Bytes>, TooLong> {
    let mut frames = Vec::new();
    while let Some(length) = buffer.first_chunk::<LENGTH_BYTES>() {
        let length = u32::from_le_bytes(*length);
        if u64::from(length) > bytes_max {
            return Err(TooLong(u64::from(length)));
        }
        let length = length as usize;
        if buffer.len() < LENGTH_BYTES + length {
            break;
        }
        buffer.advance(LENGTH_BYTES);
        frames.push(buffer.split_to(length).freeze());
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_past_the_bound_is_refused_before_it_arrives() {
        let mut buffer = BytesMut::from(&[0xff, 0xff, 0xff, 0xff][..]);
        assert_eq!(take(&mut buffer, 1 << 20), Err(TooLong(u64::from(u32::MAX))));
    }

    proptest! {
        #[test]
        fn frames_arrive_whole_and_in_order_however_the_stream_is_cut(
            sent in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..20),
            cut in 1_usize..40,
        ) {
            let mut stream = Vec::new();
            for frame in &sent {
                push(&mut stream, frame);
            }
            let (mut buffer, mut received) = (BytesMut::new(), Vec::new());
            for part in stream.chunks(cut) {
                buffer.extend_from_slice(part);
                received.extend(take(&mut buffer, 50).unwrap());
            }
            prop_assert!(buffer.is_empty());
            prop_assert_eq!(received, sent);
        }

        #[test]
        fn any_stream_is_read_without_a_large_reservation(stream in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(&stream[..]);
            drop(take(&mut buffer, 1 << 10));
            prop_assert!(buffer.capacity() <= 200);
        }
    }
}
