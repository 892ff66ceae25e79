//! What a deployment's own `_redirects`, `_headers` and manifest say, read once for each index.

use fazt_sdk::cartridge::Reader;
use fazt_sdk::prelude::Bytes;
use fazt_sdk::{Error, ErrorKind, Result};

use crate::app_manifest::{AppManifest, MANIFEST_BYTES_MAX};
use crate::model::StoredFile;
use crate::resolve::names_file;
use crate::rules::headers::HEADERS_BYTES_MAX;
use crate::rules::redirects::REDIRECTS_BYTES_MAX;
use crate::rules::{Finding, HEADERS_FILE, Headers, REDIRECTS_FILE, Redirects, lint_site};

/// The rules of one deployment.
#[derive(Debug, Default)]
pub(crate) struct SiteRules {
    pub(crate) redirects: Redirects,
    pub(crate) headers: Headers,
    /// SHA-256 of `_headers`: heads that were made with the same rules are the same.
    pub(crate) headers_hash: [u8; 32],
    /// Whether a folder without a page shows what is in it.
    pub(crate) lists_folders: bool,
}

/// The files as they are.
#[derive(Debug, Default)]
pub(crate) struct RuleFiles {
    redirects: Option<Bytes>,
    headers: Option<Bytes>,
    headers_hash: [u8; 32],
    lists_folders: bool,
}

impl RuleFiles {
    /// Reads the two files and the manifest out of `files`, which are in the order of their paths. Reads no more of
    /// them than shows that they are too large.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) fn read(reader: &Reader<'_>, files: &[StoredFile]) -> Result<Self> {
        let redirects = read(reader, files, REDIRECTS_FILE, REDIRECTS_BYTES_MAX)?;
        let headers = read(reader, files, HEADERS_FILE, HEADERS_BYTES_MAX)?;
        let manifest = read(reader, files, "manifest.json", MANIFEST_BYTES_MAX as usize)?
            .filter(|(_, json)| json.len() as u64 <= MANIFEST_BYTES_MAX);
        let manifest = manifest.map(|(_, json)| AppManifest::read(&json)).unwrap_or_default();
        let headers_hash = headers.as_ref().map(|(hash, _)| *hash).unwrap_or_default();
        let content = |file: Option<([u8; 32], Bytes)>| file.map(|(_, content)| content);
        Ok(Self {
            redirects: content(redirects),
            headers: content(headers),
            headers_hash,
            lists_folders: manifest.lists_folders,
        })
    }

    /// What they say. What cannot be used is left out: a deploy said so.
    pub(crate) fn rules(&self) -> SiteRules {
        let redirects = self.redirects.as_deref().map(Redirects::parse);
        let headers = self.headers.as_deref().map(Headers::parse);
        SiteRules {
            redirects: redirects.map(|(rules, _)| rules).unwrap_or_default(),
            headers: headers.map(|(rules, _)| rules).unwrap_or_default(),
            headers_hash: self.headers_hash,
            lists_folders: self.lists_folders,
        }
    }

    /// What is to be said about them at a deploy: the warnings.
    ///
    /// # Errors
    /// `Invalid` with the code of the first error, when they must not go online.
    pub(crate) fn check(&self, files: &[StoredFile]) -> Result<Vec<String>> {
        let lookup = |path: &str| {
            let found = files.binary_search_by(|file| (*file.path).cmp(path)).ok()?;
            Some((files[found].entry.visibility, ()))
        };
        let exists = |path: &str| names_file(path, &lookup);
        let findings = lint_site(self.redirects.as_deref(), self.headers.as_deref(), exists);
        match findings.iter().find(|finding| finding.is_error()) {
            None => Ok(findings.iter().map(ToString::to_string).collect()),
            Some(first) => {
                let errors: Vec<_> = findings
                    .iter()
                    .filter(|finding| finding.is_error())
                    .map(ToString::to_string)
                    .collect();
                let refused = Error::new(ErrorKind::Invalid, errors.join("\n"));
                Err(refused.with_code(first.code).with_details(details(&findings)))
            }
        }
    }
}

fn details(findings: &[Finding]) -> serde_json::Value {
    let one = |finding: &Finding| {
        serde_json::json!({
            "file": finding.file,
            "line": finding.line,
            "code": finding.code,
            "message": finding.to_string(),
        })
    };
    serde_json::json!({ "findings": findings.iter().map(one).collect::<Vec<_>>() })
}

/// The start of a file: one byte more than it may have, so that its reader sees that it is too large.
fn read(
    reader: &Reader<'_>,
    files: &[StoredFile],
    name: &str,
    bytes_max: usize,
) -> Result<Option<([u8; 32], Bytes)>> {
    let Ok(at) = files.binary_search_by(|file| (*file.path).cmp(name)) else { return Ok(None) };
    let entry = &files[at].entry;
    if entry.size == 0 {
        return Ok(None);
    }
    let len = entry.size.min(bytes_max as u64 + 1);
    let content = reader.blob(&entry.hash, 0, len, Bytes::copy_from_slice)?;
    Ok(Some((entry.hash, content)))
}
