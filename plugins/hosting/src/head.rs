//! The head of a response with a file: what it says, and what that depends on.

use std::borrow::Cow;

use fazt_sdk::http::Request;

use crate::accept::Encoding;
use crate::cache_policy::{PRIVATE, REVALIDATE, SECURITY_HEADERS};
use crate::content_type::{is_compressible, is_html};
use crate::markdown;
use crate::representation::Representation;
use crate::rules::Selection;
use crate::site_rules::SiteRules;

/// How many fields a head has unless the site's own rules add to them.
const FIELDS_COMMON: usize = 16;

/// What a file is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// What the path names.
    File,
    /// The text of a page, for clients that ask for Markdown.
    Markdown,
    /// The app's page for paths that name nothing, or for another error.
    ErrorPage,
}

/// What the head of a response depends on, besides what is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) role: Role,
    /// The deployment is shown for trial: search engines leave it alone.
    pub(crate) is_preview: bool,
    /// The request's path, decoded.
    pub(crate) path: &'a str,
    /// The request.
    pub(crate) request: &'a Request,
    pub(crate) rules: &'a SiteRules,
    /// Those of `rules` that apply.
    pub(crate) selection: Selection,
}

impl Context<'_> {
    /// Whether responses to other paths may have another head.
    pub(crate) fn depends_on_address(&self) -> bool {
        self.selection != Selection::NONE && self.rules.headers.depends_on_address(self.selection)
    }

    /// Whether the same path may be answered otherwise by what else the visitor sends.
    pub(crate) fn depends_on_visitor(&self) -> bool {
        self.rules.redirects.depends_on_visitor(self.path)
    }

    /// The value of `cache-control`, unless the site's own rules have another.
    pub(crate) fn cache_control(&self, sent: &Representation<'_>) -> &'static str {
        match self.role {
            // Not every shared cache looks at `vary`.
            _ if self.depends_on_visitor() => PRIVATE,
            Role::File | Role::Markdown => sent.file.entry.cache_control,
            Role::ErrorPage => REVALIDATE,
        }
    }

    /// The strong entity tag of the response.
    pub(crate) fn etag(&self, sent: &Representation<'_>) -> String {
        match self.role {
            Role::File | Role::ErrorPage => sent.etag(sent.encoding_suffix()),
            Role::Markdown => sent.etag("-md"),
        }
    }

    fn content_type(&self, sent: &Representation<'_>) -> &'static str {
        match self.role {
            Role::File | Role::ErrorPage => sent.file.entry.content_type,
            Role::Markdown => markdown::CONTENT_TYPE,
        }
    }

    /// The fields of a whole response; names in lower case, each once.
    pub(crate) fn fields<'f>(
        &self,
        sent: &Representation<'f>,
        etag: &'f str,
    ) -> Vec<(Cow<'f, str>, Cow<'f, str>)> {
        let mut fields = Vec::with_capacity(FIELDS_COMMON);
        fields.push(("content-type", self.content_type(sent)));
        if sent.encoding != Encoding::Identity {
            fields.push(("content-encoding", sent.encoding.as_str()));
        }
        fields.push(("cache-control", self.cache_control(sent)));
        match self.role {
            Role::File => fields.extend([("accept-ranges", "bytes"), ("etag", etag)]),
            Role::Markdown => fields.push(("etag", etag)),
            Role::ErrorPage => {}
        }
        if self.is_preview {
            fields.push(("x-robots-tag", "noindex"));
        }
        fields.extend(SECURITY_HEADERS);
        let host = Some(self.request.host());
        let set = self.rules.headers.fields(self.selection, self.path, host);
        let owned = |(name, value): (&str, &str)| (name.to_owned().into(), value.to_owned().into());
        let mut fields: Vec<(Cow<'f, str>, Cow<'f, str>)> = if self.selection == Selection::NONE {
            let mut borrowed = Vec::with_capacity(FIELDS_COMMON);
            borrowed.extend(fields.into_iter().map(|(name, value)| (name.into(), value.into())));
            borrowed
        } else {
            set.over(fields).into_iter().filter(|(name, _)| *name != "vary").map(owned).collect()
        };
        if let Some(vary) = self.vary(sent, set.get("vary")) {
            fields.push(("vary".into(), vary));
        }
        fields
    }

    /// What caches must tell apart (RFC 9110 §12.5.5). A site adds to it and takes nothing away.
    fn vary(&self, sent: &Representation<'_>, own: Option<&str>) -> Option<Cow<'static, str>> {
        // Also before the compressed forms are made: a cache must not hand what it has to everybody.
        let kind = sent.file.entry.content_type;
        let encoding = is_compressible(kind).then_some("accept-encoding");
        // A page has a form in Markdown, and a file in Markdown may stand for a page.
        let is_negotiated = is_html(kind) || kind == markdown::CONTENT_TYPE;
        let accept = (is_negotiated && self.role != Role::ErrorPage).then_some("accept");
        let visitor = self.depends_on_visitor().then_some("accept-language, cookie");
        match (encoding, accept, visitor, own) {
            (None, None, None, None) => return None,
            (Some(one), None, None, None) => return Some(one.into()),
            (Some(_), Some(_), None, None) => return Some("accept-encoding, accept".into()),
            _ => {}
        }
        let mut names = encoding.into_iter().chain(accept).chain(visitor).chain(own);
        let first = names.next()?.to_owned();
        Some(names.fold(first, |all, name| format!("{all}, {name}")).into())
    }
}
