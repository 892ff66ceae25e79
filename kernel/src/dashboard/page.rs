//! The dashboard's HTML. Everything that comes from somebody else is escaped.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use fazt_sdk::http::Response;
use fazt_sdk::{Error, Result};

use crate::Core;
use crate::registry::State;

/// The one script and the one style sheet of these pages, by their hashes (CSP Level 3 §2.3.1), and
/// nothing else; nobody frames a page.
fn policy() -> String {
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'",
        sha256(LINK_SCRIPT),
        sha256(STYLE)
    )
}

/// The link page's only script: it posts the token that stands after `#`.
const LINK_SCRIPT: &str = "const t=location.hash.slice(1);if(t){history.replaceState(null,'','/login');document.getElementById('token').value=t;document.getElementById('form').submit()}";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:52rem;padding:2rem 1rem;color:#1c1c1c;background:#fff}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}header{display:flex;justify-content:space-between;align-items:center;gap:1rem}\
table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600;color:#666}td,th{padding:.4rem .8rem .4rem 0;border-bottom:1px solid #e5e5e5;vertical-align:top}\
a{color:#0b5cad}code{background:#f3f3f3;padding:.1rem .35rem;border-radius:3px}.note{color:#666}.bad{color:#b00020}\
input{font:inherit;padding:.45rem .6rem;border:1px solid #999;border-radius:5px;width:100%;box-sizing:border-box;background:inherit;color:inherit}\
label{display:block;margin:.8rem 0 .2rem}button{font:inherit;padding:.45rem 1rem;border:1px solid #888;border-radius:5px;background:#f6f6f6;color:#111;cursor:pointer}\
.narrow{max-width:24rem;margin:14vh auto 0}@media(prefers-color-scheme:dark){body{color:#ddd;background:#141414}td,th{border-color:#333}th,.note{color:#999}a{color:#7ab7ff}code{background:#262626}button{background:#2a2a2a;color:#ddd}.bad{color:#ff8a80}}";

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>{STYLE}</style>\n{body}\n</html>\n",
        escape(title)
    );
    Response::html(html)
        .header("content-security-policy", policy())
        .header("cache-control", "no-store")
        .header("x-content-type-options", "nosniff")
        .header("x-frame-options", "DENY")
        // Not `no-referrer`: under that, browsers send `Origin: null` with the page's own forms
        // (Fetch §3.2, "append a request Origin header"), which is refused.
        .header("referrer-policy", "same-origin")
        .header("cross-origin-opener-policy", "same-origin")
        .header("cross-origin-resource-policy", "same-origin")
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    base64(&sha2::Sha256::digest(text.as_bytes()))
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for position in 0..4 {
            if position <= chunk.len() {
                text.push(char::from(ALPHABET[(word >> (18 - 6 * position) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// The sign-in page, with what went wrong before.
pub(super) fn sign_in(core: &Core, problem: &str) -> Response {
    let problem = if problem.is_empty() {
        String::new()
    } else {
        format!("<p class=\"bad\" role=\"alert\">{}</p>", escape(problem))
    };
    let form = if core.access.has_owner() {
        "<form method=\"post\" action=\"/login\"><label for=\"username\">Username</label><input id=\"username\" name=\"username\" autocomplete=\"username\" required>\
         <label for=\"password\">Password</label><input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\
         <p><button>Sign in</button></p></form>"
    } else {
        "<p>This node has no password yet. On the machine that runs it:</p><p><code>fazt server login-link</code> prints a link that signs you in once.</p>\
         <p><code>fazt server set-credentials</code> sets a username and a password.</p>"
    };
    page(
        "Sign in to fazt",
        &format!("<main class=\"narrow\"><h1>Sign in to fazt</h1>{problem}{form}</main>"),
    )
}

/// Instead of a sign-in page where signing in is refused.
pub(super) fn refused(why: &str) -> Response {
    page(
        "Sign in to fazt",
        &format!("<main class=\"narrow\"><h1>Sign in to fazt</h1><p>{}</p></main>", escape(why)),
    )
    .status(403)
}

/// The page that a one-time link opens.
pub(super) fn link() -> Response {
    let body = format!(
        "<main class=\"narrow\"><h1>Sign in to fazt</h1><form id=\"form\" method=\"post\" action=\"/login\"><input type=\"hidden\" id=\"token\" name=\"token\"><p><button>Sign in with this link</button></p></form></main><script>{LINK_SCRIPT}</script>"
    );
    page("Sign in to fazt", &body)
}

/// What runs here.
pub(super) fn overview(core: &Core) -> Result<Response> {
    let failed =
        |error: std::fmt::Error| Error::internal(format!("the page could not be written: {error}"));
    let directory = core.directory.now();
    let mut apps = core.app_records(&directory, directory.apps.values().map(|app| &**app));
    apps.sort_by(|one, other| one.name.cmp(&other.name));
    let mut body = String::from(
        "<header><h1>fazt</h1><form method=\"post\" action=\"/logout\"><button>Sign out</button></form></header>",
    );
    write!(
        body,
        "<p class=\"note\">Version {} · {} requests answered · {} panics caught</p><h2>Apps</h2>",
        env!("CARGO_PKG_VERSION"),
        core.telemetry.counters.requests(),
        core.telemetry.counters.panics.load(Ordering::Relaxed),
    )
    .map_err(failed)?;
    if apps.is_empty() {
        body.push_str("<p>No apps yet. From a directory with an <code>index.html</code>: <code>fazt app deploy . --name hello</code></p>");
    } else {
        body.push_str("<table><tr><th>Name<th>Address<th>Id</tr>");
        for app in &apps {
            let links: Vec<_> = app
                .urls
                .iter()
                .map(|url| format!("<a href=\"{0}\">{0}</a>", escape(url)))
                .collect();
            write!(
                body,
                "<tr><td>{}<td>{}<td><code>{}</code></tr>",
                escape(&app.name),
                links.join("<br>"),
                app.id
            )
            .map_err(failed)?;
        }
        body.push_str("</table>");
    }
    body.push_str("<h2>Plugins</h2><table><tr><th>Name<th>Version<th>State<th>About</tr>");
    for entry in core.registry.list() {
        let state = match &entry.state {
            State::Failed(error) => {
                format!("<span class=\"bad\">failed: {}</span>", escape(error.message()))
            }
            state @ (State::Running(_) | State::Stopped) => state.name().to_owned(),
        };
        write!(
            body,
            "<tr><td>{}<td>{}<td>{state}<td>{}</tr>",
            escape(&entry.manifest.name),
            escape(&entry.manifest.version),
            escape(&entry.manifest.about)
        )
        .map_err(failed)?;
    }
    body.push_str("</table>");
    Ok(page("fazt", &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn nothing_leaves_html_unescaped() {
        assert_eq!(escape("<a b='\"&\"'>"), "&lt;a b=&#39;&quot;&amp;&quot;&#39;&gt;");
    }
}
