//! Admin operations: typed input, typed output, one path. The CLI, the HTTP API and the admin
//! pages call the same ones.

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::call::{Call, Scope};
use crate::error::Result;
use crate::http::Method;

/// Runs one operation.
///
/// The input is one JSON object: parameters of the path and the query, and the fields of the body,
/// together. Give it `#[serde(deny_unknown_fields)]`: unknown fields are errors.
pub trait Operate: Send + Sync + 'static {
    /// What it takes.
    type Input: DeserializeOwned + JsonSchema + Send;
    /// What it answers.
    type Output: Serialize + JsonSchema + Send;
    /// Runs it.
    fn operate(
        &self,
        call: &Call,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// An operation as the manifest declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The path on the admin host, with `{name}` for parameters.
    pub path: String,
    /// One sentence.
    pub summary: String,
    /// The scope that a key needs.
    pub scope: String,
    /// JSON schema of the input.
    pub input: serde_json::Value,
    /// JSON schema of the output.
    pub output: serde_json::Value,
    /// An example of an input.
    pub example: Option<serde_json::Value>,
    /// Codes of errors beyond the general ones.
    pub errors: Vec<String>,
    /// Whether the output is a [`List`], answered page by page.
    #[serde(default)]
    pub paginated: bool,
    /// Whether a key that is limited to one app may call it. With a parameter `{app}` it may, for
    /// that app only, which the kernel checks; without one only if the operation says so.
    #[serde(default)]
    pub for_app_keys: bool,
    /// Whether it is answered on the node's own machine only: to its owner, over the control socket
    /// or inside one process, and over HTTP to nobody.
    #[serde(default)]
    pub on_this_machine: bool,
    /// Whether it takes as long as it takes: the wall clock of a request does not cut it.
    #[serde(default)]
    pub unhurried: bool,
}

/// One page of a list: the output of an operation marked [`Operation::paginated`]. The kernel
/// answers `{"data": items, "meta": {"has_more": …, "cursor": next}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct List<T> {
    /// The items; never missing.
    pub items: Vec<T>,
    /// The cursor of the next page; nothing after the last.
    pub next: Option<String>,
}

impl Operation {
    fn new<O: Operate>(method: Method, path: &str) -> Self {
        let schema = |schema: schemars::Schema| schema.to_value();
        let mut generator = SchemaGenerator::default();
        Self {
            method,
            path: path.to_owned(),
            summary: String::new(),
            scope: if method == Method::Get { Scope::Read } else { Scope::Admin }.name().to_owned(),
            input: schema(generator.root_schema_for::<O::Input>()),
            output: schema(SchemaGenerator::default().into_root_schema_for::<O::Output>()),
            example: None,
            errors: Vec::new(),
            paginated: false,
            for_app_keys: path.contains("{app}"),
            on_this_machine: false,
            unhurried: false,
        }
    }

    /// Reads; changes nothing. Needs the scope `read`.
    #[must_use]
    pub fn get<O: Operate>(path: &str) -> Self {
        Self::new::<O>(Method::Get, path)
    }

    /// Does something. Needs the scope `admin`.
    #[must_use]
    pub fn post<O: Operate>(path: &str) -> Self {
        Self::new::<O>(Method::Post, path)
    }

    /// Sets something. Needs the scope `admin`.
    #[must_use]
    pub fn put<O: Operate>(path: &str) -> Self {
        Self::new::<O>(Method::Put, path)
    }

    /// Removes something. Needs the scope `admin`.
    #[must_use]
    pub fn delete<O: Operate>(path: &str) -> Self {
        Self::new::<O>(Method::Delete, path)
    }

    /// One sentence about it.
    #[must_use]
    pub fn summary(mut self, summary: &str) -> Self {
        self.summary = summary.to_owned();
        self
    }

    /// The scope that a key needs.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope.name().to_owned();
        self
    }

    /// An example of an input.
    #[must_use]
    pub fn example(mut self, input: serde_json::Value) -> Self {
        self.example = Some(input);
        self
    }

    /// Its output is a [`List`].
    #[must_use]
    pub fn paginated(mut self) -> Self {
        self.paginated = true;
        self
    }

    /// A key that is limited to one app may call it: it answers for what the call may see, and
    /// checks `Call::check_app` itself.
    #[must_use]
    pub fn for_app_keys(mut self) -> Self {
        self.for_app_keys = true;
        self
    }

    /// It is answered on the node's own machine only, and never over HTTP: what it says must not
    /// travel.
    #[must_use]
    pub fn on_this_machine(mut self) -> Self {
        self.on_this_machine = true;
        self
    }

    /// It takes as long as it takes, and ends when the caller leaves: for work that grows with the
    /// cartridge, such as a backup.
    #[must_use]
    pub fn unhurried(mut self) -> Self {
        self.unhurried = true;
        self
    }

    /// A code that it may answer beyond the general ones.
    #[must_use]
    pub fn error(mut self, code: &str) -> Self {
        self.errors.push(code.to_owned());
        self
    }

    /// Method and path, the key of the operation: `GET /api/apps`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.method.as_str(), self.path)
    }
}

/// An operation's input when it takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoInput {}
