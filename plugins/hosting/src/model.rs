//! What the plugin keeps: deployments and their files.

use std::fmt;
use std::sync::Arc;

use fazt_sdk::services::sites::Deployment;
use fazt_sdk::{AppId, Error, Result};

use crate::cache_policy::cache_control;
use crate::content_type;
use crate::visibility::Visibility;

/// The identity of a deployment: `dep_` and 12 characters of base 62.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DeploymentId(String);

impl DeploymentId {
    /// The text before the 12 characters.
    pub(crate) const PREFIX: &'static str = "dep_";
    const KEY_CHARS: usize = 12;
    const ALPHABET: &'static [u8; 62] =
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    /// An id out of random bytes; nothing when too few of them are usable.
    pub(crate) fn from_random(random: &[u8]) -> Option<Self> {
        // 248 is the largest multiple of 62 below 256: larger bytes would favor the first letters.
        let usable = random.iter().filter(|byte| **byte < 248).take(Self::KEY_CHARS);
        let key: String =
            usable.map(|byte| char::from(Self::ALPHABET[usize::from(byte % 62)])).collect();
        (key.len() == Self::KEY_CHARS).then(|| Self(format!("{}{key}", Self::PREFIX)))
    }

    /// An id from its text; nothing when it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let key = text.strip_prefix(Self::PREFIX)?;
        let is_key =
            key.len() == Self::KEY_CHARS && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_key.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands before `--` in the host that shows one deployment: 12 characters of `a-z0-9`.
///
/// Whoever knows it sees the deployment, so it is not to be guessed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PreviewLabel(String);

impl PreviewLabel {
    /// Its length in bytes.
    pub(crate) const CHARS: usize = 12;
    const ALPHABET: &'static [u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

    /// A label out of random bytes; nothing when too few of them are usable.
    pub(crate) fn from_random(random: &[u8]) -> Option<Self> {
        // 252 is the largest multiple of 36 below 256.
        let usable = random.iter().filter(|byte| **byte < 252).take(Self::CHARS);
        let label: String =
            usable.map(|byte| char::from(Self::ALPHABET[usize::from(byte % 36)])).collect();
        (label.len() == Self::CHARS).then_some(Self(label))
    }

    /// A label from its text; nothing when it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_label = text.len() == Self::CHARS
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        is_label.then(|| Self(text.to_owned()))
    }

    /// The label as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A deployment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredDeployment {
    pub(crate) id: DeploymentId,
    pub(crate) app: AppId,
    /// Counts from 1 in each app.
    pub(crate) version: u64,
    /// Milliseconds since 1970.
    pub(crate) created_at_ms: u64,
    pub(crate) file_count: u64,
    /// Bytes of all files together.
    pub(crate) size_bytes: u64,
    /// Whether `index.html` answers paths that have no file.
    pub(crate) is_spa: bool,
    /// A JSON object: where the files came from.
    pub(crate) source: Option<String>,
    /// Who deployed, as in `key:ID`.
    pub(crate) principal: String,
    /// What names it in the host that shows it.
    pub(crate) preview: PreviewLabel,
    /// When the app last began to serve it, in milliseconds since 1970; nothing when it never did.
    pub(crate) activated_at_ms: Option<u64>,
}

impl StoredDeployment {
    /// The form that other plugins see.
    pub(crate) fn public(&self) -> Deployment {
        Deployment {
            id: self.id.to_string(),
            app: self.app,
            version: self.version,
            created_at_ms: self.created_at_ms,
            file_count: self.file_count,
            size_bytes: self.size_bytes,
            spa: self.is_spa,
        }
    }
}

/// A deployment whose content may still be on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PendingDeployment {
    /// What the deployment will be called.
    pub(crate) id: DeploymentId,
    /// The app's id; the wanted name while there is no app.
    pub(crate) app: String,
    /// The app in the client's words.
    pub(crate) site: String,
    /// Milliseconds since 1970; after that it is thrown away. 0: it is being thrown away.
    pub(crate) expires_at_ms: u64,
    pub(crate) file_count: u64,
    /// Bytes of all files together.
    pub(crate) size_bytes: u64,
    /// Contents that were not here when it began.
    pub(crate) new_files: u64,
    /// Whether `index.html` answers paths that have no file; the app's manifest decides when nobody
    /// says.
    pub(crate) spa: Option<bool>,
    /// Whether it is stored without being activated.
    pub(crate) is_preview: bool,
    /// Whether files below `private/` are meant to be deployed.
    pub(crate) includes_private: bool,
    /// A JSON object: where the files came from.
    pub(crate) source: Option<String>,
}

/// A file of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredFile {
    /// Canonical: relative, `/` between segments.
    pub(crate) path: Box<str>,
    pub(crate) entry: Entry,
    /// The compressed forms of the content, as far as they are made; shared by files with one content.
    pub(crate) variants: Option<Arc<Variants>>,
}

impl StoredFile {
    /// A file whose content has no compressed form so far.
    pub(crate) fn new(path: &str, entry: Entry) -> Self {
        Self { path: path.into(), entry, variants: None }
    }
}

/// How content is compressed, in the words of HTTP (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Encoding {
    Brotli,
    Zstd,
    Gzip,
}

impl Encoding {
    /// All of them, the one that usually saves most first.
    pub(crate) const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// The value of `content-encoding`, and what is stored.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The inverse of [`as_str`](Self::as_str).
    pub(crate) fn from_stored(stored: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.as_str() == stored)
    }
}

/// A compressed form of a content: a blob that decodes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variant {
    /// SHA-256 of the compressed form.
    pub(crate) hash: [u8; 32],
    /// Its bytes.
    pub(crate) size: u64,
}

/// The compressed forms of one content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Variants([Option<Variant>; 3]);

impl Variants {
    /// The form with this encoding, if it is made and pays.
    pub(crate) fn get(&self, encoding: Encoding) -> Option<Variant> {
        self.0[encoding as usize]
    }

    /// Takes a form in.
    pub(crate) fn set(&mut self, encoding: Encoding, variant: Variant) {
        self.0[encoding as usize] = Some(variant);
    }
}

/// What serving needs to know about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// SHA-256 of the content.
    pub(crate) hash: [u8; 32],
    /// Bytes of the content.
    pub(crate) size: u64,
    pub(crate) content_type: &'static str,
    /// The value of `cache-control`.
    pub(crate) cache_control: &'static str,
    pub(crate) visibility: Visibility,
}

impl Entry {
    /// The entry of a file that is being deployed.
    pub(crate) fn new(path: &str, hash: [u8; 32], size: u64, visibility: Visibility) -> Self {
        let content_type = content_type::content_type(path);
        let cache_control = cache_control(path, content_type, visibility);
        Self { hash, size, content_type, cache_control, visibility }
    }

    /// The entry of a file as its row has it.
    ///
    /// A content type that this version does not know is served as unknown: a browser then
    /// downloads the file instead of running it.
    ///
    /// # Errors
    /// `Internal` for a visibility that does not exist: the row is damaged.
    pub(crate) fn from_row(
        path: &str,
        (hash, size, content_type, visibility): ([u8; 32], u64, &str, &str),
    ) -> Result<Self> {
        let visibility = Visibility::from_stored(visibility).ok_or_else(|| {
            Error::internal(format!("hosting_file.visibility of {path} is `{visibility}`"))
        })?;
        let content_type = content_type::known(content_type);
        let cache_control = cache_control(path, content_type, visibility);
        Ok(Self { hash, size, content_type, cache_control, visibility })
    }
}

/// `hash` as 64 lower-case hexadecimal digits.
pub(crate) fn hex(hash: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * hash.len());
    for byte in hash {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The inverse of [`hex`].
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_others_are_refused() {
        let random: Vec<u8> = (240..=255).chain(0..20).collect();
        let id = DeploymentId::from_random(&random).unwrap();
        assert_eq!(DeploymentId::parse(id.as_str()), Some(id));
        assert_eq!(DeploymentId::from_random(&[255; 100]), None);
        for text in ["", "dep_", "dep_0123456789a", "dep_0123456789ab0", "dep_0123456789a-"] {
            assert_eq!(DeploymentId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_label_is_what_a_host_can_carry() {
        let random: Vec<u8> = (240..=255).chain(0..20).collect();
        let label = PreviewLabel::from_random(&random).unwrap();
        assert_eq!(PreviewLabel::parse(label.as_str()), Some(label));
        assert_eq!(PreviewLabel::from_random(&[255; 100]), None);
        for text in
            ["", "abcdefghijk", "abcdefghijklm", "Abcdefghijkl", "abcdefghijk-", "äbcdefghijk"]
        {
            assert_eq!(PreviewLabel::parse(text), None, "{text}");
        }
    }

    #[test]
    fn each_encoding_keeps_its_own_form() {
        let mut variants = Variants::default();
        for (size, encoding) in (1..).zip(Encoding::ALL) {
            assert_eq!(Encoding::from_stored(encoding.as_str()), Some(encoding));
            assert_eq!(variants.get(encoding), None);
            variants.set(encoding, Variant { hash: [1; 32], size });
            assert_eq!(variants.get(encoding).map(|variant| variant.size), Some(size));
        }
        assert_eq!(Encoding::from_stored("deflate"), None);
    }

    #[test]
    fn a_hash_survives_text() {
        let hash = std::array::from_fn(|at| (at * 9) as u8);
        assert_eq!(from_hex(&hex(&hash)), Some(hash));
        for text in ["", "00", &"g".repeat(64), &"A".repeat(64), &"é".repeat(32)] {
            assert_eq!(from_hex(text), None);
        }
    }

    #[test]
    fn an_unknown_content_type_in_a_row_is_downloaded() {
        let row = ([1; 32], 1, "text/html; x=\"<script>\"", "public");
        let entry = Entry::from_row("a.html", row).unwrap();
        assert_eq!(entry.content_type, content_type::UNKNOWN);
        let row = ([1; 32], 1, content_type::content_type("a.html"), "public");
        assert_eq!(Entry::from_row("x", row).unwrap().content_type, "text/html; charset=utf-8");
        assert!(Entry::from_row("x", ([1; 32], 1, "", "PUBLIC")).is_err());
    }
}
