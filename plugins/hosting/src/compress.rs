//! Compressed forms of a content: made slowly and small, because each is made once and sent often.
//!
//! What is returned was decoded again and compared: a reader may trust that it is the content.

use std::io::{self, Read, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::model::Encoding;

/// Content under this many bytes is not worth it: it fits in a packet or two with its head.
pub(crate) const CONTENT_BYTES_MIN: u64 = 256;

/// A compressed form is kept when it has at most this many percent of the content's bytes.
const WORTH_PERCENT: usize = 95;

/// Content up to this many bytes gets the best that there is; more of it would keep a processor for
/// seconds at a time.
const BEST_BYTES_MAX: usize = 128 * 1024;

/// Content up to this many bytes gets the second best from zstd, which takes some 80 MiB of memory for
/// more.
const GOOD_BYTES_MAX: usize = 1024 * 1024;

/// The form of `content` in this encoding; nothing when it does not pay. Takes about a second for some
/// megabytes.
///
/// # Errors
/// When the encoder fails, or what it wrote does not decode to the content.
pub(crate) fn compress(encoding: Encoding, content: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let compressed = match encoding {
        Encoding::Brotli => brotli(content)?,
        Encoding::Zstd => zstd::bulk::compress(content, zstd_level(content.len()))?,
        Encoding::Gzip => gzip(content)?,
    };
    if compressed.len() > content.len() / 100 * WORTH_PERCENT + content.len() % 100 {
        return Ok(None);
    }
    let decoded = match encoding {
        Encoding::Brotli => is_content(::brotli::Decompressor::new(&*compressed, 4096), content)?,
        Encoding::Zstd => is_content(zstd::Decoder::new(&*compressed)?, content)?,
        Encoding::Gzip => is_content(GzDecoder::new(&*compressed), content)?,
    };
    if !decoded {
        return Err(io::Error::other("what was compressed does not decode to what it was"));
    }
    Ok(Some(compressed))
}

fn brotli(content: &[u8]) -> io::Result<Vec<u8>> {
    let is_small = content.len() <= BEST_BYTES_MAX;
    let parameters = ::brotli::enc::BrotliEncoderParams {
        quality: if is_small { 11 } else { 9 },
        lgwin: 22,
        size_hint: content.len(),
        ..Default::default()
    };
    let mut compressed = Vec::new();
    ::brotli::BrotliCompress(&mut &*content, &mut compressed, &parameters)?;
    Ok(compressed)
}

/// All levels up to 19 keep to a window of 8 MiB, which is what clients take (RFC 9659).
fn zstd_level(bytes: usize) -> i32 {
    if bytes <= GOOD_BYTES_MAX { 19 } else { 12 }
}

fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

/// Whether `decoder` reads exactly `content`.
fn is_content(mut decoder: impl Read, mut content: &[u8]) -> io::Result<bool> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = decoder.read(&mut buffer)?;
        if count == 0 {
            return Ok(content.is_empty());
        }
        match content.strip_prefix(&buffer[..count]) {
            Some(rest) => content = rest,
            None => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(encoding: Encoding, compressed: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        match encoding {
            Encoding::Brotli => {
                ::brotli::Decompressor::new(compressed, 100).read_to_end(&mut content)
            }
            Encoding::Zstd => zstd::Decoder::new(compressed).unwrap().read_to_end(&mut content),
            Encoding::Gzip => GzDecoder::new(compressed).read_to_end(&mut content),
        }
        .unwrap();
        content
    }

    #[test]
    fn text_shrinks() {
        let text = "the quick brown fox jumps over the lazy dog; ".repeat(4_000);
        for encoding in Encoding::ALL {
            let compressed = compress(encoding, text.as_bytes()).unwrap().unwrap();
            assert!(compressed.len() < text.len() / 20, "{encoding:?}: {}", compressed.len());
            assert_eq!(decoded(encoding, &compressed), text.as_bytes());
        }
    }

    #[test]
    fn what_saves_less_than_a_twentieth_is_not_kept() {
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let mut content: Vec<u8> = (0..10_000).map(|_| random()).collect();
        for encoding in Encoding::ALL {
            assert_eq!(compress(encoding, &content).unwrap(), None, "{encoding:?}");
        }
        content.extend([0; 2_000]);
        for encoding in Encoding::ALL {
            assert!(compress(encoding, &content).unwrap().is_some(), "{encoding:?}");
        }
    }

    #[test]
    fn another_content_is_told_apart() {
        for (read, content, same) in [
            ("abc", "abc", true),
            ("abc", "abd", false),
            ("ab", "abc", false),
            ("abc", "ab", false),
        ] {
            assert_eq!(is_content(read.as_bytes(), content.as_bytes()).unwrap(), same);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_kept_decodes_to_the_content(
            word in proptest::collection::vec(any::<u8>(), 0..50), count in 0_usize..200,
        ) {
            let content = word.repeat(count);
            for encoding in Encoding::ALL {
                if let Some(compressed) = compress(encoding, &content).unwrap() {
                    prop_assert!(compressed.len() <= content.len());
                    prop_assert_eq!(decoded(encoding, &compressed), content.clone());
                }
            }
        }
    }
}
