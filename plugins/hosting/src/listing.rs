//! The page that shows what is in a folder, for apps whose `manifest.json` says `"listing": true`.
//!
//! Only what everybody may fetch is shown; a folder is shown when something in it is. Addresses are
//! absolute, so that they hold with and without a `/` at the end of the folder's own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::resolve::{is_canonical, percent_encode};
use crate::visibility::Visibility;

/// The most folders, and the most files, that one page shows.
pub const ENTRIES_MAX: usize = 1_000;

/// The policy to send with a listing: it needs nothing but its own style.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                          form-action 'none'; frame-ancestors 'none'";

/// A file of the deployment: its path, who may fetch it, its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// Canonical, without a `/` in front.
    pub path: &'a str,
    /// Who may fetch it.
    pub visibility: Visibility,
    /// Bytes.
    pub size: u64,
}

/// The page of the folder at `path`, a request path as [`resolve`](crate::resolve::resolve) takes it;
/// nothing when nothing in it may be shown, so that nobody learns which folders exist.
///
/// Walks over all files once. Keeps at most [`ENTRIES_MAX`] of each kind.
pub fn page<'a>(path: &str, files: impl Iterator<Item = Listed<'a>>) -> Option<String> {
    let folder = path.strip_prefix('/').filter(|folder| is_canonical(folder))?;
    let folder = folder.strip_suffix('/').unwrap_or(folder);
    let mut found = Entries::default();
    for file in files.filter(|file| file.visibility == Visibility::Public) {
        let below = match folder {
            "" => Some(file.path),
            folder => file.path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
        };
        match below.map(|below| below.split_once('/').ok_or(below)) {
            Some(Ok((child, _))) => found.is_cut |= keep(&mut found.folders, child, 0),
            Some(Err(name)) => found.is_cut |= keep(&mut found.files, name, file.size),
            None => {}
        }
    }
    let is_empty = found.folders.is_empty() && found.files.is_empty();
    (!is_empty).then(|| write(folder, &found))
}

#[derive(Default)]
struct Entries<'a> {
    folders: BTreeMap<&'a str, u64>,
    files: BTreeMap<&'a str, u64>,
    is_cut: bool,
}

/// Keeps the first names; whether one had to go.
fn keep<'a>(names: &mut BTreeMap<&'a str, u64>, name: &'a str, size: u64) -> bool {
    names.insert(name, size);
    names.len() > ENTRIES_MAX && names.pop_last().is_some()
}

const STYLE: &str = "body{font:1rem/1.6 system-ui,sans-serif;max-width:48rem;margin:4rem auto;\
    padding:0 1rem;color-scheme:light dark}h1{font-size:1.4rem;overflow-wrap:anywhere}\
    table{width:100%;border-collapse:collapse}\
    th,td{text-align:left;padding:.3rem .5rem;border-bottom:1px solid #8885;font-weight:inherit;\
    overflow-wrap:anywhere}th:last-child,td:last-child{text-align:right;white-space:nowrap;\
    font-variant-numeric:tabular-nums}thead th{font-weight:600}";

fn write(folder: &str, entries: &Entries<'_>) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Files in /",
    );
    escape(&mut page, folder);
    page.extend(["</title>\n<style>", STYLE, "</style>\n<main>\n<h1>Files in /"]);
    escape(&mut page, folder);
    page.push_str(
        "</h1>\n<table>\n<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Size</th></tr>\
         </thead>\n<tbody>\n",
    );
    if !folder.is_empty() {
        let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
        row(&mut page, above, "", "Folder above", "");
    }
    for name in entries.folders.keys() {
        row(&mut page, folder, name, &format!("{name}/"), "folder");
    }
    for (name, size) in &entries.files {
        row(&mut page, folder, name, name, &display_size(*size));
    }
    page.push_str("</tbody>\n</table>\n");
    if entries.is_cut {
        // Writing to a string cannot fail.
        let _: std::fmt::Result = writeln!(
            page,
            "<p>There is more here: only the first {ENTRIES_MAX} folders and files are shown.</p>"
        );
    }
    page.push_str("</main>\n</html>\n");
    page
}

fn row(page: &mut String, folder: &str, name: &str, label: &str, size: &str) {
    page.push_str("<tr><td><a href=\"/");
    percent_encode_for_html(page, folder);
    if !folder.is_empty() && !name.is_empty() {
        page.push('/');
    }
    percent_encode_for_html(page, name);
    page.push_str("\">");
    escape(page, label);
    page.extend(["</a></td><td>", size, "</td></tr>\n"]);
}

/// As an address inside an attribute. What percent-encoding leaves of HTML's signs are `&` and `'`.
fn percent_encode_for_html(page: &mut String, path: &str) {
    let mut encoded = String::new();
    percent_encode(&mut encoded, path, b"/");
    escape(page, &encoded);
}

/// As text or as an attribute's value.
fn escape(page: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            c => page.push(c),
        }
    }
}

/// With one digit after the point from 1 KiB on.
fn display_size(bytes: u64) -> String {
    let mut unit = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut name = unit.next().unwrap_or_default();
    let (mut whole, mut tenths) = (bytes, 0);
    for next in unit {
        if whole < 1024 {
            break;
        }
        (whole, tenths, name) = (whole / 1024, whole % 1024 * 10 / 1024, next);
    }
    if name == "B" { format!("{whole} B") } else { format!("{whole}.{tenths} {name}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILES: [(&str, Visibility, u64); 8] = [
        ("a.txt", Visibility::Public, 5),
        ("b & <c>'\".txt", Visibility::Public, 2048),
        ("docs/deep/x", Visibility::Public, 3 * 1024 * 1024 + 1),
        ("docs/y", Visibility::Public, 1536),
        ("private/k", Visibility::Private, 1),
        ("api/main.js", Visibility::Server, 1),
        ("mixed/k", Visibility::Private, 1),
        ("mixed/p", Visibility::Public, 0),
    ];

    fn list(path: &str) -> Option<String> {
        let file = |(path, visibility, size)| Listed { path, visibility, size };
        page(path, FILES.into_iter().map(file))
    }

    fn links(page: &str) -> Vec<&str> {
        page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn folders_come_first_and_everything_is_escaped() {
        let page = list("/").unwrap();
        assert_eq!(links(&page), ["/docs", "/mixed", "/a.txt", "/b%20&amp;%20%3Cc%3E&#39;%22.txt"]);
        assert!(page.contains(">b &amp; &lt;c&gt;&#39;&quot;.txt</a></td><td>2.0 KiB</td>"));
        assert!(page.contains(">docs/</a></td><td>folder</td>"));
        let page = list("/docs/").unwrap();
        assert_eq!(links(&page), ["/", "/docs/deep", "/docs/y"]);
        assert!(page.contains("1.5 KiB"));
        assert_eq!(links(&list("/docs/deep").unwrap()), ["/docs", "/docs/deep/x"]);
        assert!(!page.contains("<script"));
    }

    #[test]
    fn what_is_not_public_is_not_shown_and_leaves_no_trace() {
        assert_eq!(links(&list("/mixed").unwrap()), ["/", "/mixed/p"]);
        for path in ["/private", "/api", "/none", "/doc", "/docs/y", "//", "/docs/../api", "", "/."]
        {
            assert_eq!(list(path), None, "{path}");
        }
    }

    #[test]
    fn a_page_has_a_bound_and_says_so() {
        let names: Vec<_> = (0..3 * ENTRIES_MAX).rev().map(|at| format!("{at:05}")).collect();
        let file = |path| Listed { path, visibility: Visibility::Public, size: 1 };
        let page = page("/", names.iter().map(|name| file(name))).unwrap();
        assert_eq!(links(&page).len(), ENTRIES_MAX);
        assert!(page.contains("only the first 1000") && page.contains("00999"));
        assert!(!list("/").unwrap().contains("only the first"));
    }

    proptest! {
        #[test]
        fn only_public_files_are_linked(
            files in proptest::collection::btree_map(
                "[a-c<&\"' ]{1,2}(/[a-c]{1,2}){0,2}",
                prop_oneof![
                    Just(Visibility::Public), Just(Visibility::Private), Just(Visibility::Server),
                ],
                0..10,
            ),
            path in "/([a-c]{1,2}/?){0,2}",
        ) {
            let listed = files
                .iter()
                .map(|(path, visibility)| Listed { path, visibility: *visibility, size: 1 });
            if let Some(page) = page(&path, listed) {
                for link in links(&page).into_iter().filter(|link| *link != "/") {
                    let link = link.replace("&amp;", "&").replace("&#39;", "'");
                    let link = link.replace("%20", " ").replace("%3C", "<").replace("%22", "\"");
                    let name = link.trim_start_matches('/');
                    let is_above = path.trim_matches('/').starts_with(name);
                    let shown = files.iter().any(|(file, seen)| {
                        *seen == Visibility::Public
                            && (file == name || file.starts_with(&format!("{name}/")))
                    });
                    prop_assert!(shown || is_above, "{}", link);
                }
                prop_assert_eq!(page.matches('<').count(), page.matches('>').count());
            }
        }
    }
}
