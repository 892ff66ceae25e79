//! Which representation of a file a client gets (RFC 9110 §3.2): the content as it is, or one of its
//! compressed forms.

use crate::accept::{Accepted, Encoding, Sizes};
use crate::index::File;
use crate::model;

/// One representation of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Representation<'f> {
    pub(crate) file: &'f File,
    pub(crate) encoding: Encoding,
    /// SHA-256 of the bytes that are sent.
    pub(crate) hash: [u8; 32],
    /// How many bytes that are.
    pub(crate) size: u64,
}

impl<'f> Representation<'f> {
    /// The content as it is.
    pub(crate) fn identity(file: &'f File) -> Self {
        let (hash, size) = (file.entry.hash, file.entry.size);
        Self { file, encoding: Encoding::Identity, hash, size }
    }

    /// What suits a client best of what there is. Who accepts nothing of it gets the content as it is,
    /// which §12.5.3 allows and which helps more than a 406.
    pub(crate) fn choose(file: &'f File, accepted: Accepted) -> Self {
        let Some(variants) = &file.variants else { return Self::identity(file) };
        let size = |encoding| variants.get(encoding).map(|variant| variant.size);
        let sizes = Sizes {
            identity: file.entry.size,
            brotli: size(model::Encoding::Brotli),
            zstd: size(model::Encoding::Zstd),
            gzip: size(model::Encoding::Gzip),
        };
        let encoding = accepted.choose(&sizes).unwrap_or(Encoding::Identity);
        let variant = match encoding {
            Encoding::Identity => None,
            Encoding::Brotli => variants.get(model::Encoding::Brotli),
            Encoding::Zstd => variants.get(model::Encoding::Zstd),
            Encoding::Gzip => variants.get(model::Encoding::Gzip),
        };
        match variant {
            Some(variant) => Self { file, encoding, hash: variant.hash, size: variant.size },
            None => Self::identity(file),
        }
    }

    /// A strong entity tag, quotes included: the hash of the content, and what was made of it
    /// (RFC 9110 §8.8.3.3).
    pub(crate) fn etag(&self, suffix: &str) -> String {
        format!("\"{}{suffix}\"", model::hex(&self.file.entry.hash))
    }

    /// What the entity tag ends in.
    pub(crate) fn encoding_suffix(&self) -> &'static str {
        match self.encoding {
            Encoding::Identity => "",
            Encoding::Brotli => "-br",
            Encoding::Zstd => "-zstd",
            Encoding::Gzip => "-gzip",
        }
    }
}
