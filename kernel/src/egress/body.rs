//! The body of an answer: read to its end, decoded, within bounds at every step.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::failure;

/// Reads a body: at most `bytes_max` once it is decoded, never silent for longer than `idle_time`.
///
/// # Errors
/// `TooLarge`, `Timeout`, `Unavailable` for one that breaks off or is coded in another way.
pub(super) async fn read<B>(
    mut body: B,
    fields: &HeaderMap,
    bytes_max: usize,
    idle_time: Duration,
) -> fazt_sdk::Result<Vec<u8>>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut decoder = Decoder::of(fields, bytes_max)?;
    // A coded body may be larger than what it stands for, but not by much.
    let wire_bytes_max = bytes_max.saturating_add(CODED_EXTRA_BYTES);
    let (mut wire_bytes, mut decoded_at_yield) = (0_usize, 0);
    loop {
        let frame = timeout(idle_time, body.frame()).await.map_err(|_| {
            failure::late(format!(
                "the other server sent nothing more for {} s",
                idle_time.as_secs()
            ))
        })?;
        let Some(frame) = frame else { return decoder.finish() };
        let frame =
            frame.map_err(|error| failure::other_side(format!("the answer broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        wire_bytes = wire_bytes.saturating_add(data.len());
        if wire_bytes > wire_bytes_max {
            return Err(over(bytes_max));
        }
        for piece in data.chunks(PIECE_BYTES) {
            decoder.push(piece)?;
            // A small piece may stand for a lot: others get their turn in between.
            if decoder.len() - decoded_at_yield > YIELD_BYTES {
                decoded_at_yield = decoder.len();
                tokio::task::yield_now().await;
            }
        }
    }
}

/// What takes a body apart.
enum Decoder {
    Plain(Bounded),
    Gzip(Box<flate2::write::MultiGzDecoder<Bounded>>),
    Brotli(Box<brotli::DecompressorWriter<Bounded>>),
}

impl Decoder {
    fn of(fields: &HeaderMap, bytes_max: usize) -> fazt_sdk::Result<Self> {
        let bounded = Bounded { bytes: Vec::new(), bytes_max };
        let codings: Vec<_> = fields
            .get_all(CONTENT_ENCODING)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or("?").split(','))
            .map(|coding| coding.trim().to_ascii_lowercase())
            .filter(|coding| !coding.is_empty() && coding != "identity")
            .collect();
        match codings.as_slice() {
            [] => Ok(Self::Plain(bounded)),
            [one] if one == "gzip" || one == "x-gzip" => {
                Ok(Self::Gzip(Box::new(flate2::write::MultiGzDecoder::new(bounded))))
            }
            [one] if one == "br" => Ok(Self::Brotli(Box::new(brotli::DecompressorWriter::new(
                bounded,
                BROTLI_BUFFER_BYTES,
            )))),
            _ => Err(failure::other_side(format!(
                "the answer is coded as {}, which was not asked for",
                codings.join(", ")
            ))),
        }
    }

    fn push(&mut self, piece: &[u8]) -> fazt_sdk::Result<()> {
        let written = match self {
            Self::Plain(bounded) => bounded.write_all(piece),
            Self::Gzip(decoder) => decoder.write_all(piece),
            Self::Brotli(decoder) => decoder.write_all(piece),
        };
        written.map_err(|error| self.failed(&error))
    }

    fn finish(mut self) -> fazt_sdk::Result<Vec<u8>> {
        // An answer without a body (to HEAD, a 304) has none to decode.
        let finished = match &mut self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Brotli(decoder) => decoder.close(),
        };
        if let Err(error) = finished
            && (self.len() > 0 || error.kind() == io::ErrorKind::FileTooLarge)
        {
            return Err(self.failed(&error));
        }
        Ok(std::mem::take(&mut self.bounded().bytes))
    }

    fn bounded(&mut self) -> &mut Bounded {
        match self {
            Self::Plain(bounded) => bounded,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
        }
    }

    /// Bytes decoded so far.
    fn len(&self) -> usize {
        match self {
            Self::Plain(bounded) => bounded.bytes.len(),
            Self::Gzip(decoder) => decoder.get_ref().bytes.len(),
            Self::Brotli(decoder) => decoder.get_ref().bytes.len(),
        }
    }

    fn failed(&mut self, error: &io::Error) -> fazt_sdk::Error {
        if error.kind() == io::ErrorKind::FileTooLarge {
            return over(self.bounded().bytes_max);
        }
        failure::other_side(format!("the answer cannot be decoded: {error}"))
    }
}

fn over(bytes_max: usize) -> fazt_sdk::Error {
    failure::too_large(format!(
        "the answer has more than {bytes_max} bytes, which is the most that was asked for; `egress.response_bytes` is the node's own bound"
    ))
}

/// Memory that does not grow past its bound.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if piece.len() > self.bytes_max - self.bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// By how much a coded body may be larger than the bound of what it stands for, in bytes.
const CODED_EXTRA_BYTES: usize = 64 * 1024;

/// How much is decoded at a time, in bytes before it is.
const PIECE_BYTES: usize = 4 * 1024;

/// After so many decoded bytes others get their turn.
const YIELD_BYTES: usize = 512 * 1024;

/// What the brotli decoder holds between calls, in bytes.
const BROTLI_BUFFER_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use proptest::prelude::*;

    use super::*;

    fn decoded(coding: &str, body: Vec<u8>, bytes_max: usize) -> Result<Vec<u8>, String> {
        let mut fields = HeaderMap::new();
        if !coding.is_empty() {
            fields.insert(CONTENT_ENCODING, coding.parse().unwrap());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let body = Full::new(Bytes::from(body));
        let read = read(body, &fields, bytes_max, Duration::from_secs(5));
        runtime.block_on(read).map_err(|error| error.code().to_owned())
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn brotli(plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let parameters = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
        brotli::BrotliCompress(&mut &*plain, &mut out, &parameters).unwrap();
        out
    }

    #[test]
    fn a_bomb_ends_at_the_bound() {
        let large = vec![0; 8 << 20];
        for (coding, body) in
            [("gzip", gzip(&large)), ("br", brotli(&large)), ("", large[..(1 << 20) + 1].to_vec())]
        {
            assert_eq!(decoded(coding, body, 1 << 20), Err("NET_SIZE".into()), "{coding}");
        }
    }

    #[test]
    fn an_answer_without_a_body_is_empty_however_it_would_be_coded() {
        for coding in ["", "gzip", "br", "identity"] {
            assert_eq!(decoded(coding, Vec::new(), 10), Ok(Vec::new()), "{coding}");
        }
    }

    #[test]
    fn codings_that_nobody_asked_for_are_refused() {
        for coding in ["zstd", "compress", "gzip, gzip", "br, gzip", "x"] {
            assert_eq!(decoded(coding, b"abc".to_vec(), 10), Err("NET_ERROR".into()), "{coding}");
        }
    }

    #[test]
    fn an_answer_that_was_cut_is_an_error() {
        let plain: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        for (coding, body) in [("gzip", gzip(&plain)), ("br", brotli(&plain))] {
            let cut = body[..body.len() / 2].to_vec();
            assert_eq!(decoded(coding, cut, 1 << 20), Err("NET_ERROR".into()), "{coding}");
        }
    }

    proptest! {
        #[test]
        fn what_was_coded_comes_back(plain in proptest::collection::vec(any::<u8>(), 0..20_000)) {
            prop_assert_eq!(decoded("gzip", gzip(&plain), 20_000), Ok(plain.clone()));
            prop_assert_eq!(decoded("br", brotli(&plain), 20_000), Ok(plain.clone()));
            prop_assert_eq!(decoded("", plain.clone(), 20_000), Ok(plain));
        }

        #[test]
        fn garbage_is_an_error_and_nothing_worse(
            body in proptest::collection::vec(any::<u8>(), 1..2_000), is_gzip: bool,
        ) {
            let coding = if is_gzip { "gzip" } else { "br" };
            if let Ok(plain) = decoded(coding, body, 1_000) {
                prop_assert!(plain.len() <= 1_000);
            }
        }
    }
}
