//! Many contents in one body: each as its length in 8 bytes, big-endian, and then itself.
//!
//! One request for a hundred small files instead of a hundred requests.

use fazt_sdk::prelude::Bytes;
use fazt_sdk::{Error, Result};

/// The media type of a body like this.
pub const PACK: &str = "application/vnd.fazt.blobs";

/// The largest content in a pack, in bytes: it is held in memory.
pub const CONTENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The largest pack, in bytes.
pub const PACK_BYTES_MAX: u64 = 64 * 1024 * 1024;

const LENGTH_BYTES: usize = 8;

/// Takes a pack apart as it arrives. Holds one content at most.
#[derive(Debug, Default)]
pub struct Unpack {
    length: Vec<u8>,
    /// The content that is arriving, and how many of its bytes are still missing.
    content: Option<(Vec<u8>, usize)>,
}

impl Unpack {
    /// Takes in the next bytes, and hands each content that is whole to `each`.
    ///
    /// # Errors
    /// `TooLarge` for a content over [`CONTENT_BYTES_MAX`].
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Bytes)) -> Result<()> {
        loop {
            if let Some((content, missing)) = &mut self.content {
                let (now, later) = bytes.split_at(bytes.len().min(*missing));
                content.extend_from_slice(now);
                *missing -= now.len();
                bytes = later;
                if *missing > 0 {
                    return Ok(());
                }
                each(std::mem::take(content).into());
                self.content = None;
            }
            if bytes.is_empty() {
                return Ok(());
            }
            let wanted = LENGTH_BYTES - self.length.len();
            let (now, later) = bytes.split_at(bytes.len().min(wanted));
            self.length.extend_from_slice(now);
            bytes = later;
            let Ok(length) = <[u8; LENGTH_BYTES]>::try_from(self.length.as_slice()) else {
                return Ok(());
            };
            self.length.clear();
            self.content = Some((Vec::new(), checked(u64::from_be_bytes(length))?));
        }
    }

    /// The end of the pack.
    ///
    /// # Errors
    /// `Invalid` when it ends in the middle of a content.
    pub fn finish(self) -> Result<()> {
        if self.content.is_none() && self.length.is_empty() {
            return Ok(());
        }
        Err(Error::invalid("the pack ends in the middle of a content; send it again, whole")
            .with_code("PACK_TRUNCATED"))
    }
}

fn checked(length: u64) -> Result<usize> {
    if length > CONTENT_BYTES_MAX {
        return Err(Error::too_large(format!(
            "a content of the pack has {length} bytes, the limit is {CONTENT_BYTES_MAX}; send it by \
             itself with PUT /api/blobs/SHA256"
        )));
    }
    usize::try_from(length).map_err(|_| Error::too_large("a content is too large"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(contents: &[Vec<u8>]) -> Vec<u8> {
        let mut pack = Vec::new();
        for content in contents {
            pack.extend_from_slice(&(content.len() as u64).to_be_bytes());
            pack.extend_from_slice(content);
        }
        pack
    }

    fn unpacked(portions: &[&[u8]]) -> Result<Vec<Vec<u8>>> {
        let (mut unpack, mut contents) = (Unpack::default(), Vec::new());
        for portion in portions {
            unpack.push(portion, |content| contents.push(content.to_vec()))?;
        }
        unpack.finish()?;
        Ok(contents)
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_a_byte_is_kept() {
        for length in [CONTENT_BYTES_MAX + 1, u64::MAX] {
            let refused = unpacked(&[&length.to_be_bytes()]).unwrap_err();
            assert_eq!(refused.code(), "TOO_LARGE");
        }
        let largest = vec![7; CONTENT_BYTES_MAX as usize];
        assert_eq!(unpacked(&[&packed(std::slice::from_ref(&largest))]).unwrap(), [largest]);
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_contents_are_the_same(
            contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            portion in 1_usize..30,
        ) {
            let pack = packed(&contents);
            let portions: Vec<_> = pack.chunks(portion).collect();
            prop_assert_eq!(unpacked(&portions).unwrap(), contents);
        }

        #[test]
        fn a_pack_that_is_cut_off_is_refused(
            contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..9), 1..4),
            at in any::<prop::sample::Index>(),
        ) {
            let pack = packed(&contents);
            let cut = &pack[..at.index(pack.len())];
            let mut ends = vec![0];
            for content in &contents {
                ends.push(ends.last().unwrap() + 8 + content.len());
            }
            prop_assert_eq!(unpacked(&[cut]).is_ok(), ends.contains(&cut.len()));
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(unpacked(&[&noise]));
        }
    }
}
