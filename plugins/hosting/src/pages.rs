//! The pages that come from fazt itself. Constant: nothing of a request is in them.

use fazt_sdk::http::Response;

use crate::cache_policy::REVALIDATE;
use crate::listing;

macro_rules! page {
    ($title:literal, $text:literal) => {
        concat!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n",
            "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
            $title,
            "</title>\n<style>body{font:1.1rem/1.6 system-ui,sans-serif;max-width:36rem;",
            "margin:20vh auto;padding:0 1rem;color-scheme:light dark}",
            "code{font-size:.95em}</style>\n<h1>",
            $title,
            "</h1>\n",
            $text,
            "\n</html>\n"
        )
    };
}

const NOT_FOUND: &str = page!("Not found", "<p>There is nothing at this address.</p>");

const NOT_DEPLOYED: &str = page!(
    "Nothing here yet",
    "<p>This app exists, and nothing was deployed to it so far.</p>\n\
     <p>In the folder with its files, run</p>\n<pre><code>fazt app deploy . --name NAME</code></pre>"
);

const UNAUTHORIZED: &str =
    page!("Sign in first", "<p>This page is for people who are signed in to this app.</p>");

const METHOD_NOT_ALLOWED: &str =
    page!("Method not allowed", "<p>This address can only be read (GET and HEAD).</p>");

const LANDING: &str = page!(
    "It runs",
    "<p>This is a <strong>fazt</strong> node: a personal cloud in one file.</p>\n\
     <p>Its owner has not chosen an app for this address: \
     <code>fazt server config set hosting.root_app NAME</code>.</p>"
);

/// These pages need nothing but their own style.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

fn page(status: u16, html: &'static str) -> Response {
    Response::new(status)
        .header("content-type", "text/html; charset=utf-8")
        .header("cache-control", "no-store")
        .header("content-security-policy", POLICY)
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "no-referrer")
        .body(html)
}

/// 404: the app has no such path.
pub(crate) fn not_found() -> Response {
    page(404, NOT_FOUND)
}

/// 404: the app has no deployment.
pub(crate) fn not_deployed() -> Response {
    page(404, NOT_DEPLOYED)
}

/// 200: what is in a folder.
pub(crate) fn listing(html: String) -> Response {
    Response::html(html)
        .header("cache-control", REVALIDATE)
        .header("content-security-policy", listing::POLICY)
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "strict-origin-when-cross-origin")
}

/// 303: a new address was made for whoever asked.
pub(crate) fn see_other(location: &str) -> Response {
    Response::new(303).header("location", location).header("cache-control", "no-store")
}

/// 401: the path needs a session of the app.
pub(crate) fn unauthorized() -> Response {
    // RFC 9110 §11.6.1 asks for a challenge. No scheme stands for a session in a cookie; browsers
    // pass over schemes that they do not know.
    page(401, UNAUTHORIZED).header("www-authenticate", "Session realm=\"app\"")
}

/// 405: files can only be read.
pub(crate) fn method_not_allowed() -> Response {
    page(405, METHOD_NOT_ALLOWED).header("allow", "GET, HEAD")
}

/// 200: the node's own page.
pub(crate) fn landing() -> Response {
    page(200, LANDING)
}
