//! What goes to a node in one request: many small contents together, or one large one by itself.

use bytes::Bytes;
use fazt_sdk::http::Method;

use crate::failure::Failure;
use crate::site::{Content, SiteFile};
use crate::transport::{self, Request};
use crate::upload::Upload;

/// Contents for one request.
#[derive(Debug)]
pub(super) enum Parcel {
    /// Small ones: at most [`PACK_BYTES_MAX`] together.
    Pack(Vec<(SiteFile, Content)>),
    /// One that is streamed.
    Single(SiteFile, Content),
}

impl Parcel {
    /// All `contents` in as few parcels as they fit.
    pub(super) fn all(contents: impl Iterator<Item = (SiteFile, Content)>) -> Vec<Self> {
        let (mut parcels, mut pack, mut pack_bytes) = (Vec::new(), Vec::new(), 0);
        for (file, content) in contents {
            // What is rewritten exists in memory only, and web pages are small.
            if content.size_bytes > PACKED_BYTES_MAX && file.rewrite.is_none() {
                parcels.push(Self::Single(file, content));
                continue;
            }
            let bytes = content.size_bytes + LENGTH_BYTES;
            if pack_bytes + bytes > PACK_BYTES_MAX && !pack.is_empty() {
                parcels.push(Self::Pack(std::mem::take(&mut pack)));
                pack_bytes = 0;
            }
            pack_bytes += bytes;
            pack.push((file, content));
        }
        if !pack.is_empty() {
            parcels.push(Self::Pack(pack));
        }
        parcels
    }

    /// How many contents.
    pub(super) fn files(&self) -> usize {
        match self {
            Self::Pack(contents) => contents.len(),
            Self::Single(..) => 1,
        }
    }

    /// How many bytes of content.
    pub(super) fn size_bytes(&self) -> u64 {
        match self {
            Self::Pack(contents) => contents.iter().map(|(_, content)| content.size_bytes).sum(),
            Self::Single(_, content) => content.size_bytes,
        }
    }

    /// The request that carries it. Made for each attempt: a body is read once.
    pub(super) async fn request(&self) -> Result<Request, Failure> {
        match self {
            Self::Pack(contents) => {
                let contents = contents.clone();
                let packed = tokio::task::spawn_blocking(move || pack(&contents));
                let packed = packed.await.map_err(|error| {
                    Failure::failed(format!("reading the files broke off: {error}"))
                })?;
                Ok(Request::new(Method::Post, BLOBS).body(PACK_TYPE, transport::full(packed?)))
            }
            Self::Single(file, content) => {
                let upload = Upload::part(file.open()?, content.size_bytes);
                Ok(Request::new(Method::Put, format!("{BLOBS}/{}", content.hex()))
                    .body("application/octet-stream", upload.into_body()))
            }
        }
    }

    /// A node that found another hash says so; here it is known why.
    pub(super) fn why(&self, failure: Failure) -> Failure {
        match self {
            Self::Single(file, _) if failure.code.as_deref() == Some("HASH_MISMATCH") => {
                file.changed()
            }
            Self::Pack(_) | Self::Single(..) => failure,
        }
    }
}

/// Each content after its length, eight bytes with the most significant first.
fn pack(contents: &[(SiteFile, Content)]) -> Result<Bytes, Failure> {
    let mut packed = Vec::new();
    for (file, content) in contents {
        let bytes = file.read(content)?;
        packed.extend_from_slice(&content.size_bytes.to_be_bytes());
        packed.extend_from_slice(&bytes);
    }
    Ok(packed.into())
}

/// Where contents are sent.
const BLOBS: &str = "/api/blobs";
/// The type of many contents in one body.
const PACK_TYPE: &str = "application/vnd.fazt.blobs";
/// Bytes before each content of a pack.
const LENGTH_BYTES: u64 = 8;
/// The largest content that goes into a pack, in bytes.
const PACKED_BYTES_MAX: u64 = 1024 * 1024;
/// The largest pack, in bytes.
const PACK_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn content(size_bytes: u64) -> (SiteFile, Content) {
        let source = std::path::PathBuf::from("/nothing");
        let file = SiteFile { path: size_bytes.to_string(), source, size_bytes, rewrite: None };
        (file, Content { sha256: [0; 32], size_bytes })
    }

    #[test]
    fn small_contents_travel_together_and_large_ones_alone() {
        let sizes = [0, 10, PACKED_BYTES_MAX, PACKED_BYTES_MAX + 1, 1 << 30, 5];
        let parcels = Parcel::all(sizes.into_iter().map(content));
        let counts: Vec<_> = parcels.iter().map(Parcel::files).collect();
        assert_eq!(counts, [1, 1, 4]);
        assert_eq!(parcels.iter().map(Parcel::size_bytes).sum::<u64>(), sizes.iter().sum::<u64>());
    }

    #[test]
    fn no_pack_is_larger_than_it_may_be() {
        let parcels = Parcel::all((0..100).map(|_| content(PACKED_BYTES_MAX)));
        assert_eq!(parcels.iter().map(Parcel::files).sum::<usize>(), 100);
        for parcel in &parcels {
            assert!(parcel.size_bytes() <= PACK_BYTES_MAX, "{}", parcel.size_bytes());
        }
        assert_eq!(parcels.len(), 34, "three with their lengths in each");
    }
}
