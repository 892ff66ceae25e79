//! The rules of a site that come from its own files: `_redirects` and `_headers`.
//!
//! Both are read once, when a deployment is made and when its files are loaded into memory, never per
//! request. Reading never fails: what cannot be used is left out and said as a [`Finding`].
//!
//! | Module | What it is |
//! |---|---|
//! | [`redirects`] | `_redirects`: which path leads elsewhere |
//! | [`headers`] | `_headers`: which headers a path gets |
//! | `pattern`, `template` | what both are made of: what is compared, what is written |
//!
//! The syntax is that of Netlify (<https://docs.netlify.com/manage/routing/redirects/overview/>,
//! <https://docs.netlify.com/manage/routing/headers/>) and of Cloudflare Pages
//! (<https://developers.cloudflare.com/pages/configuration/redirects/>,
//! <https://developers.cloudflare.com/pages/configuration/headers/>). Where they differ, the module
//! says which one is followed.

pub mod finding;
pub mod headers;
pub mod redirects;

mod lines;
mod pattern;
mod template;

pub use finding::{Finding, Severity};
pub use headers::{Fields, Headers, Selection};
pub use redirects::{Ask, Outcome, Redirects};

/// The name of the file with redirects, at the root of a deployment.
pub const REDIRECTS_FILE: &str = "_redirects";
/// The name of the file with headers, at the root of a deployment.
pub const HEADERS_FILE: &str = "_headers";

/// Everything there is to say about the two files of a deployment, when its other files are not
/// known: a path whose last segment has an extension is taken for a file.
///
/// Costs at most a fraction of a second for files at their bounds; for a deploy, not for a request.
pub fn lint(redirects: Option<&[u8]>, headers: Option<&[u8]>) -> Vec<Finding> {
    let looks_like_file =
        |path: &str| path.rsplit('/').next().is_some_and(|last| last.contains('.'));
    let (rules, mut findings) = read_redirects(redirects);
    findings.extend(rules.loops(looks_like_file));
    findings.extend(read_headers(headers));
    findings
}

/// Everything there is to say about the two files of a deployment whose other files are known:
/// `file_exists` is given a request path, such as `/about`, and says whether a file answers it.
pub fn lint_site(
    redirects: Option<&[u8]>,
    headers: Option<&[u8]>,
    file_exists: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let (rules, mut findings) = read_redirects(redirects);
    findings.extend(rules.loops(&file_exists));
    findings.extend(rules.against_files(&file_exists));
    findings.extend(read_headers(headers));
    findings.sort_by_key(|finding| (finding.file == HEADERS_FILE, finding.line));
    findings
}

fn read_redirects(file: Option<&[u8]>) -> (Redirects, Vec<Finding>) {
    file.map(Redirects::parse).unwrap_or_default()
}

fn read_headers(file: Option<&[u8]>) -> Vec<Finding> {
    file.map(|file| Headers::parse(file).1).unwrap_or_default()
}
