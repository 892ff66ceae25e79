//! The route table: built when the composition changes, read by every request.

use std::collections::HashMap;
use std::sync::Arc;

use fazt_abi::http::Span;
use fazt_sdk::http::Method;
use fazt_sdk::operation::Operation;
use fazt_sdk::route::{Route, Surface};

use super::pattern::Pattern;
use crate::registry::Running;

/// What a pattern leads to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A route: the plugin answers the request itself.
    Route(Route),
    /// A typed operation: JSON in, JSON out.
    Operation(Arc<Operation>),
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) plugin: Arc<Running>,
    /// Position in the manifest's list of routes or operations.
    pub(crate) number: u32,
    pub(crate) method: Option<Method>,
    pub(crate) pattern: Pattern,
    pub(crate) target: Target,
}

/// What a look-up found.
pub(crate) enum Found<'t> {
    Entry(&'t Entry),
    /// The path is there, for these methods only.
    OtherMethods(Vec<Method>),
    Nothing,
}

/// The lines of one surface.
#[derive(Debug, Default)]
struct Lines {
    /// By a literal first segment, the most literal pattern first.
    by_first: HashMap<String, Vec<Entry>>,
    /// The rest.
    others: Vec<Entry>,
}

/// The routes of all running plugins.
#[derive(Debug, Default)]
pub(crate) struct Table {
    app: Lines,
    node: Lines,
    admin: Lines,
}

impl Table {
    pub(crate) fn build(running: &[Arc<Running>]) -> Self {
        let mut table = Self::default();
        for plugin in running {
            for (number, route) in plugin.manifest.routes.iter().enumerate() {
                let lines = match route.surface {
                    Surface::App => &mut table.app,
                    Surface::Node => &mut table.node,
                    Surface::Admin => &mut table.admin,
                };
                lines.add(
                    plugin,
                    number,
                    route.method,
                    &route.pattern,
                    Target::Route(route.clone()),
                );
            }
            for (number, operation) in plugin.manifest.operations.iter().enumerate() {
                let target = Target::Operation(Arc::new(operation.clone()));
                table.admin.add(plugin, number, Some(operation.method), &operation.path, target);
            }
        }
        for lines in [&mut table.app, &mut table.node, &mut table.admin] {
            lines.by_first.values_mut().for_each(|entries| sort(entries));
            sort(&mut lines.others);
        }
        table
    }

    /// The line for this request. `captures` is filled with spans of `path`.
    pub(crate) fn find(
        &self,
        surface: Surface,
        method: Method,
        path: &str,
        captures: &mut Vec<Span>,
    ) -> Found<'_> {
        self.find_after(0, surface, method, path, captures)
    }

    /// The line for this request after `passed` others, which had it and passed it on.
    pub(crate) fn find_after(
        &self,
        mut passed: usize,
        surface: Surface,
        method: Method,
        path: &str,
        captures: &mut Vec<Span>,
    ) -> Found<'_> {
        let lines = match surface {
            Surface::App => &self.app,
            Surface::Node => &self.node,
            Surface::Admin => &self.admin,
        };
        let first = path.get(1..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let mut allowed = Vec::new();
        let literal = if lines.by_first.is_empty() { None } else { lines.by_first.get(first) };
        for entry in literal.into_iter().flatten().chain(&lines.others) {
            if !entry.pattern.matches(path, captures) {
                continue;
            }
            match entry.method {
                Some(allows)
                    if allows != method && (allows != Method::Get || method != Method::Head) =>
                {
                    allowed.push(allows);
                }
                Some(_) | None if passed == 0 => return Found::Entry(entry),
                Some(_) | None => passed -= 1,
            }
        }
        if allowed.is_empty() { Found::Nothing } else { Found::OtherMethods(allowed) }
    }

    /// All lines, for people.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (Surface, &Entry)> {
        [(Surface::Node, &self.node), (Surface::App, &self.app), (Surface::Admin, &self.admin)]
            .into_iter()
            .flat_map(|(surface, lines)| {
                lines
                    .by_first
                    .values()
                    .flatten()
                    .chain(&lines.others)
                    .map(move |entry| (surface, entry))
            })
    }
}

impl Lines {
    fn add(
        &mut self,
        plugin: &Arc<Running>,
        number: usize,
        method: Option<Method>,
        pattern: &str,
        target: Target,
    ) {
        // Manifests are checked when they are taken in; a pattern that is wrong all the same is
        // not served.
        let Ok(pattern) = Pattern::parse(pattern) else { return };
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let first = pattern.first_literal().map(str::to_owned);
        let entry = Entry { plugin: Arc::clone(plugin), number, method, pattern, target };
        match first {
            Some(first) => self.by_first.entry(first).or_default().push(entry),
            None => self.others.push(entry),
        }
    }
}

fn sort(entries: &mut [Entry]) {
    let is_fallback =
        |entry: &Entry| matches!(&entry.target, Target::Route(route) if route.fallback);
    entries.sort_by_key(|entry| (is_fallback(entry), entry.pattern.specificity()));
}
