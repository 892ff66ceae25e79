//! The root's `manifest.json`: whose it is, and what it says to hosting.

use serde_json::Value;

use crate::visibility::{Layout, RootMain, RootManifest};

/// The largest `manifest.json` that is looked into, in bytes. A larger one is the website's.
pub const MANIFEST_BYTES_MAX: u64 = 64 * 1024;

/// Keys that only fazt understands. One of them makes the manifest ours.
const OURS: [&str; 7] = ["fazt", "cron", "email", "spa", "server", "analytics", "listing"];

/// Keys of a web app manifest (W3C, Web Application Manifest) that we have no use for.
const WEB: [&str; 7] =
    ["icons", "start_url", "display", "short_name", "theme_color", "background_color", "scope"];

/// What a root manifest says to hosting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AppManifest {
    /// What the two ambiguous names at the root are.
    pub layout: Layout,
    /// Whether the app routes its paths in the browser.
    pub is_spa: bool,
    /// Whether a folder without a page shows what is in it.
    pub lists_folders: bool,
}

impl AppManifest {
    /// Reads a root manifest.
    ///
    /// It is the website's when it has keys of a web app manifest and none of ours; then the browser
    /// gets it and it says nothing to us. In doubt it is ours, and stays on the node. One that is not
    /// a JSON object says nothing.
    pub fn read(json: &[u8]) -> Self {
        let Ok(Value::Object(manifest)) = serde_json::from_slice(json) else {
            return Self::default();
        };
        let has = |keys: &[&str]| keys.iter().any(|key| manifest.contains_key(*key));
        if has(&WEB) && !has(&OURS) {
            return Self::of_website();
        }
        let server = match manifest.get("server") {
            None | Some(Value::Null | Value::Bool(false)) => RootMain::Website,
            Some(_) => RootMain::Server,
        };
        let is_on = |key: &str| manifest.get(key) == Some(&Value::Bool(true));
        Self {
            layout: Layout { main: server, manifest: RootManifest::App },
            is_spa: is_on("spa"),
            lists_folders: is_on("listing"),
        }
    }

    /// What a manifest says that is the website's.
    pub fn of_website() -> Self {
        let layout = Layout { manifest: RootManifest::Website, ..Layout::default() };
        Self { layout, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> AppManifest {
        AppManifest::read(json.as_bytes())
    }

    #[test]
    fn a_web_app_manifest_is_the_websites() {
        for json in [
            r#"{"name": "x", "icons": []}"#,
            r#"{"start_url": "/"}"#,
            r#"{"name": "x", "display": "standalone"}"#,
        ] {
            assert_eq!(read(json), AppManifest::of_website(), "{json}");
        }
    }

    #[test]
    fn ours_and_what_cannot_be_read_stay_on_the_node() {
        for json in [
            "",
            "[]",
            "{",
            "\u{feff}{}",
            "{}",
            r#"{"name": "my-app"}"#,
            r#"{"cron": []}"#,
            r#"{"fazt": 1, "icons": []}"#,
        ] {
            assert_eq!(read(json).layout.manifest, RootManifest::App, "{json}");
            assert!(!read(json).is_spa);
        }
    }

    #[test]
    fn ours_says_what_to_do_with_pages_and_with_main_js() {
        assert!(read(r#"{"spa": true, "icons": []}"#).is_spa);
        assert!(read(r#"{"listing": true, "icons": []}"#).lists_folders);
        assert!(!read(r#"{"listing": "yes"}"#).lists_folders);
        for json in [r#"{"spa": false}"#, r#"{"spa": "true"}"#, r#"{"spa": 1}"#] {
            assert!(!read(json).is_spa, "{json}");
        }
        for json in [r#"{"server": true}"#, r#"{"server": "main.js"}"#, r#"{"server": {}}"#] {
            assert_eq!(read(json).layout.main, RootMain::Server, "{json}");
        }
        for json in [r#"{"server": false}"#, r#"{"server": null}"#, r#"{"name": "x"}"#] {
            assert_eq!(read(json).layout.main, RootMain::Website, "{json}");
        }
    }
}
