//! Routes: which requests reach a plugin.

use serde::{Deserialize, Serialize};

use crate::call::Scope;
use crate::http::Method;

/// Where a route is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// On every app's hosts.
    App,
    /// On the node's own name (the landing page lives there).
    Node,
    /// On `admin.<domain>`, behind the owner's session or a token.
    Admin,
}

/// Who may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Those whom the surface's sign-in knows.
    SignedIn,
}

/// One route.
///
/// The pattern is a path whose segments are literal, `{name}` (one segment) or, last, `{name...}`
/// (the rest, slashes included, possibly empty). The most literal pattern wins. `/{name...}` alone
/// captures nothing: the rest is the request's path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where.
    pub surface: Surface,
    /// The method; `None` for all.
    pub method: Option<Method>,
    /// The pattern.
    pub pattern: String,
    /// Who.
    pub visibility: Visibility,
    /// The most bytes that a request's body may have; 0 stands for the node's default.
    #[serde(default)]
    pub body_bytes_max: u64,
    /// Whether it takes as long as it takes, on the admin surface: the wall clock of a request does
    /// not cut it.
    #[serde(default)]
    pub unhurried: bool,
    /// The scope that a key needs, on the admin surface; without one it is as for an operation:
    /// `read` for GET, `admin` for everything else.
    #[serde(default)]
    pub scope: Option<String>,
    /// Whether a key that is limited to one app may pass, on the admin surface. With a capture
    /// `{app}` it may, for that app only, which the kernel checks; without one only if the route
    /// says so, and then the handler checks `Call::check_app`.
    #[serde(default)]
    pub for_app_keys: bool,
    /// Whether it comes after all others, also after those that are less literal: it sees what they
    /// pass on with `Response::pass`.
    #[serde(default)]
    pub fallback: bool,
}

impl Route {
    fn new(surface: Surface, method: Option<Method>, pattern: &str) -> Self {
        Self {
            surface,
            method,
            pattern: pattern.to_owned(),
            visibility: Visibility::SignedIn,
            body_bytes_max: 0,
            unhurried: false,
            scope: None,
            for_app_keys: pattern.contains("{app}"),
            fallback: false,
        }
    }

    /// A route on every app's hosts.
    #[must_use]
    pub fn app(method: Method, pattern: &str) -> Self {
        Self::new(Surface::App, Some(method), pattern)
    }

    /// A route on every app's hosts, for all methods.
    #[must_use]
    pub fn app_any(pattern: &str) -> Self {
        Self::new(Surface::App, None, pattern)
    }

    /// A route on the node's own name.
    #[must_use]
    pub fn node(method: Method, pattern: &str) -> Self {
        Self::new(Surface::Node, Some(method), pattern)
    }

    /// A route on the admin host that is not a typed operation: an upload, a download. Its path
    /// starts with `/api/`; a key needs the scope `read` for GET and `admin` otherwise, unless
    /// [`Route::scope`] says something else.
    #[must_use]
    pub fn admin(method: Method, pattern: &str) -> Self {
        Self::new(Surface::Admin, Some(method), pattern)
    }

    /// The scope that a key needs, on the admin surface.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope.name().to_owned());
        self
    }

    /// A key that is limited to one app may pass, on the admin surface; the handler checks
    /// `Call::check_app` itself.
    #[must_use]
    pub fn for_app_keys(mut self) -> Self {
        self.for_app_keys = true;
        self
    }

    /// The name of the scope that a key needs, on the admin surface.
    #[must_use]
    pub fn needed_scope(&self) -> &str {
        let default =
            if self.method == Some(Method::Get) { Scope::Read } else { Scope::Admin }.name();
        self.scope.as_deref().unwrap_or(default)
    }

    /// It comes after all others, and sees what they pass on.
    #[must_use]
    pub fn fallback(mut self) -> Self {
        self.fallback = true;
        self
    }

    /// Everybody may pass.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.visibility = Visibility::Public;
        self
    }

    /// Bodies up to `bytes`.
    #[must_use]
    pub fn body_max(mut self, bytes: u64) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    /// It takes as long as it takes, and ends when the caller leaves; on the admin surface.
    #[must_use]
    pub fn unhurried(mut self) -> Self {
        self.unhurried = true;
        self
    }
}
