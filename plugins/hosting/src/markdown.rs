//! Pages as Markdown, for clients that ask for `text/markdown` (RFC 7763).
//!
//! A file that the author wrote comes first ([`find`]): `about.md` beside `about.html`, or the page's
//! name with `.md`, as <https://llmstxt.org> proposes. Without one the page itself is converted
//! ([`from_html`]): headings, paragraphs, lists, links, images, code, quotes and tables of what is in
//! `<main>`, or in the whole body when there is none; no navigation, no scripts, nothing hidden.
//!
//! The conversion is made in one pass over the text and builds no tree, so that its time and memory
//! have a bound whatever the page is. It is for reading: a browser would see more than it does.

mod tokens;
mod writer;

use self::tokens::{Token, Tokens};
use self::writer::Writer;
use crate::resolve::Viewer;
use crate::visibility::Visibility;

/// The media type of what is sent.
pub const CONTENT_TYPE: &str = "text/markdown; charset=utf-8";
/// The largest page that is converted, in bytes.
pub const HTML_BYTES_MAX: usize = 1024 * 1024;
/// The most Markdown that is made of one page, in bytes; it ends there.
pub const MARKDOWN_BYTES_MAX: usize = 2 * HTML_BYTES_MAX;

/// The file that says in Markdown what the page at `path` says. `path` and `lookup` as in
/// [`resolve`](crate::resolve::resolve), which has found that page; `lookup` is called at most four
/// times.
pub fn find<T>(
    path: &str,
    viewer: Viewer,
    lookup: impl Fn(&str) -> Option<(Visibility, T)>,
) -> Option<T> {
    let bare = path.strip_prefix('/')?;
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    let may_see = |visibility| match visibility {
        Visibility::Public => true,
        Visibility::Private => viewer == Viewer::SignedIn,
        Visibility::Server => false,
    };
    let look = |name: String| lookup(&name).filter(|(visibility, _)| may_see(*visibility));
    let found = match bare.strip_suffix(".html") {
        Some(stem) => look(format!("{bare}.md")).or_else(|| look(format!("{stem}.md"))),
        None if bare.is_empty() => {
            look("index.html.md".to_owned()).or_else(|| look("index.md".to_owned()))
        }
        None => look(format!("{bare}.md"))
            .or_else(|| look(format!("{bare}/index.html.md")))
            .or_else(|| look(format!("{bare}/index.md")))
            .or_else(|| look(format!("{bare}.html.md"))),
    };
    found.map(|(_, file)| file)
}

/// `html` as Markdown; nothing when it is over [`HTML_BYTES_MAX`], is not UTF-8 or says nothing.
///
/// Takes 15 to 30 ms for a page of 1 MiB and under one for a usual page: for when a body is
/// prepared, not for every request.
pub fn from_html(html: &[u8]) -> Option<String> {
    if html.len() > HTML_BYTES_MAX {
        return None;
    }
    let html = str::from_utf8(html).ok()?;
    let has_main =
        Tokens::of(html).any(|token| matches!(token, Token::Start(tag) if tag.is("main")));
    let mut page = Page::new(has_main);
    for token in Tokens::of(html) {
        page.read(token);
        if page.writer.len() >= MARKDOWN_BYTES_MAX {
            break;
        }
    }
    page.finish()
}

/// A page while it is read: what of it is written, and what is not.
struct Page<'a> {
    writer: Writer<'a>,
    /// How deep inside `<main>`; `None` when there is none and everything counts.
    in_main: Option<u32>,
    /// The element that is left out, and how many of that name are open.
    skipping: Option<(&'a str, u32)>,
    title: Option<&'a str>,
    has_heading: bool,
}

/// Elements whose content is not for reading.
const LEFT_OUT: [&str; 16] = [
    "nav", "footer", "svg", "math", "canvas", "object", "audio", "video", "noscript", "button",
    "select", "datalist", "dialog", "template", "form", "menu",
];

impl<'a> Page<'a> {
    fn new(has_main: bool) -> Self {
        let in_main = has_main.then_some(0);
        let writer = Writer::default();
        Self { writer, in_main, skipping: None, title: None, has_heading: false }
    }

    fn read(&mut self, token: Token<'a>) {
        if let Some((name, depth)) = self.skipping {
            let depth = match token {
                Token::Start(tag) if tag.is(name) && !tag.is_closed => depth + 1,
                Token::End(end) if end.eq_ignore_ascii_case(name) => depth - 1,
                _ => depth,
            };
            self.skipping = (depth > 0).then_some((name, depth));
            return;
        }
        match token {
            Token::Raw("title", text) => {
                self.title.get_or_insert(text);
            }
            Token::Raw(..) => {}
            Token::Start(tag) if tag.is("main") => {
                self.in_main = self.in_main.map(|depth| depth + 1);
            }
            Token::End(name) if name.eq_ignore_ascii_case("main") => {
                self.in_main = self.in_main.map(|depth| depth.saturating_sub(1));
            }
            Token::Start(tag) => {
                let is_hidden = tag.has("hidden") || tag.get("aria-hidden") == Some("true");
                if (is_hidden || LEFT_OUT.iter().any(|name| tag.is(name))) && !tag.is_void() {
                    if !tag.is_closed {
                        self.skipping = Some((tag.name, 1));
                    }
                } else if self.in_main != Some(0) {
                    self.has_heading |= tag.is("h1");
                    self.writer.start(&tag);
                }
            }
            Token::End(name) if self.in_main != Some(0) => self.writer.end(name),
            Token::Text(text) if self.in_main != Some(0) => self.writer.text(text),
            Token::End(_) | Token::Text(_) => {}
        }
    }

    fn finish(self) -> Option<String> {
        let body = self.writer.finish();
        if body.is_empty() {
            return None;
        }
        let title = match self.title {
            Some(title) if !self.has_heading => writer::line(title),
            _ => String::new(),
        };
        Some(if title.is_empty() { body } else { format!("# {title}\n\n{body}") })
    }
}

#[cfg(test)]
mod tests;
