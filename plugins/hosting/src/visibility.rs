//! Who may fetch a file, decided once, at deploy.
//!
//! The verdict is stored beside the file, so that a request never has to guess from its path.

use crate::rules::{HEADERS_FILE, REDIRECTS_FILE};

/// Who may fetch a file over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Whoever has a session of the app.
    Private,
    /// Nobody: code, configuration and hidden files stay on the server.
    Server,
}

impl Visibility {
    /// The visibility of the file at the canonical `path` in an app laid out as `layout` says.
    ///
    /// | Path | Visibility |
    /// |---|---|
    /// | a segment starts with `.` (but the first may be `.well-known`) | server |
    /// | `api/…`, `jobs/…` | server |
    /// | `_redirects`, `_headers` | server |
    /// | `manifest.json`, unless it is [`RootManifest::Website`] | server |
    /// | `main.js`, if it is [`RootMain::Server`] | server |
    /// | `private/…` | private |
    /// | everything else | public |
    ///
    /// Names are case-sensitive, as serving is.
    pub fn of(path: &str, layout: Layout) -> Self {
        let first = path.split('/').next().unwrap_or_default();
        let is_inside = first.len() < path.len();
        let visible_part = match first {
            ".well-known" if is_inside => &path[first.len()..],
            _ => path,
        };
        if visible_part.split('/').any(|segment| segment.starts_with('.')) {
            return Self::Server;
        }
        match (first, is_inside) {
            ("api" | "jobs", true) => Self::Server,
            (REDIRECTS_FILE | HEADERS_FILE, false) => Self::Server,
            ("manifest.json", false) if layout.manifest == RootManifest::App => Self::Server,
            ("main.js", false) if layout.main == RootMain::Server => Self::Server,
            ("private", true) => Self::Private,
            _ => Self::Public,
        }
    }

    /// The form that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Server => "server",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote. `None` is an inconsistent row.
    pub fn from_stored(stored: &str) -> Option<Self> {
        [Self::Public, Self::Private, Self::Server]
            .into_iter()
            .find(|visibility| visibility.as_str() == stored)
    }
}

/// What the two ambiguous names at the root of an app are.
///
/// The default suits an app without server code whose `manifest.json`, if any, is for fazt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// The root's `main.js`.
    pub main: RootMain,
    /// The root's `manifest.json`.
    pub manifest: RootManifest,
}

/// What `main.js` at the root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RootMain {
    /// A script for browsers, as most sites mean it.
    #[default]
    Website,
    /// The app's server code: its manifest says so.
    Server,
}

/// What `manifest.json` at the root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RootManifest {
    /// The app's own manifest.
    #[default]
    App,
    /// A web app manifest, meant for browsers under its old name.
    Website,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_holds() {
        let cases = [
            ("index.html", Visibility::Public),
            ("assets/app.js", Visibility::Public),
            ("main.js", Visibility::Public),
            ("assets/main.js", Visibility::Public),
            ("assets/manifest.json", Visibility::Public),
            ("manifest.webmanifest", Visibility::Public),
            ("api", Visibility::Public),
            ("api.html", Visibility::Public),
            ("docs/api/index.html", Visibility::Public),
            ("docs/private/a", Visibility::Public),
            ("API/main.js", Visibility::Public),
            (".well-known/security.txt", Visibility::Public),
            (".well-known/acme-challenge/x", Visibility::Public),
            ("a..b", Visibility::Public),
            ("private/a.pdf", Visibility::Private),
            ("private/a/b/c", Visibility::Private),
            ("private/api/x", Visibility::Private),
            ("api/main.js", Visibility::Server),
            ("api/a/b.js", Visibility::Server),
            ("jobs/daily.js", Visibility::Server),
            ("manifest.json", Visibility::Server),
            ("_redirects", Visibility::Server),
            ("_headers", Visibility::Server),
            ("_redirects/a", Visibility::Public),
            ("a/_headers", Visibility::Public),
            (".env", Visibility::Server),
            (".git/config", Visibility::Server),
            ("a/.git/config", Visibility::Server),
            ("a/.DS_Store", Visibility::Server),
            ("private/.env", Visibility::Server),
            (".well-known", Visibility::Server),
            (".well-known/.env", Visibility::Server),
            (".well-known/.well-known/x", Visibility::Server),
            ("a/.well-known/x", Visibility::Server),
            ("...", Visibility::Server),
        ];
        for (path, expected) in cases {
            assert_eq!(Visibility::of(path, Layout::default()), expected, "{path}");
        }
    }

    #[test]
    fn the_layout_decides_the_two_ambiguous_names_only() {
        let layout = Layout { main: RootMain::Server, manifest: RootManifest::Website };
        assert_eq!(Visibility::of("main.js", layout), Visibility::Server);
        assert_eq!(Visibility::of("assets/main.js", layout), Visibility::Public);
        assert_eq!(Visibility::of("manifest.json", layout), Visibility::Public);
        assert_eq!(Visibility::of("api/main.js", layout), Visibility::Server);
    }

    #[test]
    fn what_is_stored_reads_back() {
        for visibility in [Visibility::Public, Visibility::Private, Visibility::Server] {
            assert_eq!(Visibility::from_stored(visibility.as_str()), Some(visibility));
        }
        assert_eq!(Visibility::from_stored("PUBLIC"), None);
    }

    proptest! {
        #[test]
        fn hidden_files_and_server_code_are_never_public(
            head in "[a-z.]{0,3}", name in "[a-z.]{1,6}", tail in "(/[a-z.]{1,4}){0,2}",
        ) {
            let hidden = format!("{head}x/.{name}{tail}");
            prop_assert_eq!(Visibility::of(&hidden, Layout::default()), Visibility::Server);
            for folder in ["api", "jobs"] {
                let code = format!("{folder}/{name}{tail}");
                prop_assert_eq!(Visibility::of(&code, Layout::default()), Visibility::Server);
            }
            let private = format!("private/{name}{tail}");
            prop_assert_ne!(Visibility::of(&private, Layout::default()), Visibility::Public);
        }
    }
}
