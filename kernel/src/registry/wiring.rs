//! The rules of composition: what may stand beside what, and in which order it starts.
//!
//! Pure functions over manifests. Each refusal is one sentence with the way out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fazt_sdk::call::Scope;
use fazt_sdk::http::Method;
use fazt_sdk::manifest::Manifest;
use fazt_sdk::route::Surface;
use fazt_sdk::{Error, Result};

use crate::routing::pattern::Pattern;

/// Names under which the node keeps settings of its own.
const RESERVED_NAMES: [&str; 3] = ["server", "edge", "fazt"];

/// Manifests of plugins and of the kernel, asked about who needs whom.
pub(crate) struct Wiring<'a> {
    manifests: &'a BTreeMap<String, &'a Manifest>,
}

impl<'a> Wiring<'a> {
    pub(crate) fn new(manifests: &'a BTreeMap<String, &'a Manifest>) -> Self {
        Self { manifests }
    }

    fn provider(&self, name: &str, major: u32) -> Option<&'a str> {
        self.manifests
            .iter()
            .find(|(_, manifest)| {
                manifest.provides.iter().any(|id| id.name == name && id.major == major)
            })
            .map(|(plugin, _)| plugin.as_str())
    }

    /// `wanted` and all that they require, in the order of their start.
    ///
    /// # Errors
    /// `Invalid` for a plugin that is not there, a requirement that nobody provides, a circle.
    pub(crate) fn start_order(&self, wanted: &[String]) -> Result<Vec<String>> {
        let mut order = Vec::new();
        let mut done = BTreeSet::new();
        for plugin in wanted {
            self.place(plugin, &mut Vec::new(), &mut done, &mut order)?;
        }
        Ok(order)
    }

    fn place(
        &self,
        plugin: &str,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
        order: &mut Vec<String>,
    ) -> Result<()> {
        if done.contains(plugin) {
            return Ok(());
        }
        if path.iter().any(|before| before == plugin) {
            path.push(plugin.to_owned());
            return Err(Error::invalid(format!(
                "plugins require each other in a circle: {}; one of them must say `uses` instead",
                path.join(" → ")
            )));
        }
        let Some(manifest) = self.manifests.get(plugin) else {
            let known: Vec<_> = self.manifests.keys().map(String::as_str).collect();
            return Err(Error::not_found(format!(
                "there is no plugin `{plugin}`; this node has: {}",
                known.join(", ")
            ))
            .with_code("NO_SUCH_PLUGIN"));
        };
        path.push(plugin.to_owned());
        for required in &manifest.requires {
            let Some(provider) = self.provider(&required.name, required.major) else {
                return Err(Error::invalid(format!("the plugin {plugin} requires the service {required}, which no plugin provides; add one that does, or leave {plugin} out"))
                    .with_code("REQUIREMENT_MISSING"));
            };
            if provider != plugin {
                self.place(provider, path, done, order)?;
            }
        }
        path.pop();
        done.insert(plugin.to_owned());
        order.push(plugin.to_owned());
        Ok(())
    }

    /// The plugins that require a service of `plugin`, directly or through others.
    pub(crate) fn dependents(&self, plugin: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        let mut look_at = vec![plugin.to_owned()];
        while let Some(provider) = look_at.pop() {
            let Some(offered) = self.manifests.get(&provider) else { continue };
            for (name, manifest) in self.manifests {
                let needs = manifest.requires.iter().any(|id| {
                    offered
                        .provides
                        .iter()
                        .any(|offer| offer.name == id.name && offer.major == id.major)
                });
                if needs && name != plugin && found.insert(name.clone()) {
                    look_at.push(name.clone());
                }
            }
        }
        found.into_iter().collect()
    }
}

/// Checks one manifest by itself.
///
/// # Errors
/// `Invalid`, naming what is wrong.
pub(crate) fn check_manifest(manifest: &Manifest) -> Result<()> {
    let name = &manifest.name;
    let good_name = !name.is_empty()
        && name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !good_name {
        return Err(Error::invalid(format!(
            "`{name}` is no plugin name: use up to 32 lower-case letters and digits, a letter first"
        )));
    }
    if RESERVED_NAMES.contains(&name.as_str()) {
        return Err(Error::invalid(format!(
            "the name {name} belongs to the node; give the plugin another one"
        )));
    }
    check_contents(manifest).map_err(|error| error.context(format!("the plugin {name}")))
}

/// Checks what a manifest declares, the kernel's own as well.
///
/// # Errors
/// `Invalid`, naming what is wrong.
pub(crate) fn check_contents(manifest: &Manifest) -> Result<()> {
    check_addresses(manifest)?;
    let operations: BTreeSet<String> =
        manifest.operations.iter().map(fazt_sdk::operation::Operation::key).collect();
    for command in &manifest.commands {
        if !operations.contains(&command.operation) {
            return Err(Error::invalid(format!(
                "it declares the command `fazt {}` that calls `{}`, which is no operation of its own",
                command.words.join(" "),
                command.operation
            )));
        }
    }
    Ok(())
}

/// Checks paths and scopes: what is wrong there would otherwise be found by the first request.
fn check_addresses(manifest: &Manifest) -> Result<()> {
    let known = |scope: &str, of: &str| match Scope::from_name(scope) {
        Some(_) => Ok(()),
        None => Err(Error::invalid(format!("{of} needs the scope {scope}, which does not exist"))),
    };
    let admin = |path: &str| {
        if path.starts_with("/api/") {
            return Ok(());
        }
        Err(Error::invalid(format!("{path} on the admin host has to start with /api/")))
    };
    for route in &manifest.routes {
        Pattern::parse(&route.pattern)?;
        if route.surface == Surface::Admin {
            admin(&route.pattern)?;
            known(route.needed_scope(), &route.pattern)?;
        }
    }
    for operation in &manifest.operations {
        Pattern::parse(&operation.path)?;
        admin(&operation.path)?;
        known(&operation.scope, &operation.key())?;
    }
    Ok(())
}

/// What a line of the route table answers, whatever its captures are called.
fn address(surface: Surface, method: Option<Method>, pattern: &str) -> String {
    let shape = Pattern::parse(pattern).map_or_else(|_| pattern.to_owned(), |found| found.shape());
    format!("{surface:?} address {} {shape}", method.map_or("any", Method::as_str))
}

/// Checks that no two plugins own the same thing.
///
/// # Errors
/// `Conflict`, naming the thing and both plugins.
pub(crate) fn check_ownership<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> Result<()> {
    let mut owners: HashMap<String, &str> = HashMap::new();
    for manifest in manifests {
        let routes = manifest.routes.iter().map(|route| {
            let address = address(route.surface, route.method, &route.pattern);
            if route.fallback { format!("{address} as a fallback") } else { address }
        });
        let operations = manifest
            .operations
            .iter()
            .map(|operation| address(Surface::Admin, Some(operation.method), &operation.path));
        let commands = manifest
            .commands
            .iter()
            .map(|command| format!("command fazt {}", command.words.join(" ")));
        let bindings =
            manifest.bindings.iter().map(|binding| format!("binding fazt.{}", binding.name));
        let services = manifest.provides.iter().map(|id| format!("service {id}"));
        let name = std::iter::once(format!("name {}", manifest.name));
        for thing in
            routes.chain(operations).chain(commands).chain(bindings).chain(services).chain(name)
        {
            if let Some(owner) = owners.insert(thing.clone(), &manifest.name) {
                return Err(Error::conflict(format!(
                    "the plugins {owner} and {} both own the {thing}; leave one of them out with `fazt plugin disable`",
                    manifest.name
                ))
                .with_code("OWNED_TWICE"));
            }
        }
    }
    Ok(())
}

/// Checks that a plugin that joins and those that are there know the same methods of the services
/// that they require of each other.
///
/// # Errors
/// `Invalid`, naming the service and both plugins.
pub(crate) fn check_methods<'a>(
    joins: &Manifest,
    others: impl Iterator<Item = &'a Manifest>,
) -> Result<()> {
    for other in others {
        for (consumer, provider) in [(joins, other), (other, joins)] {
            for required in &consumer.requires {
                let offered = provider
                    .provides
                    .iter()
                    .find(|id| id.name == required.name && id.major == required.major);
                if let Some(offered) = offered {
                    super::service::compare(
                        &consumer.name,
                        &required.methods,
                        &provider.name,
                        &offered.methods,
                        required,
                    )?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fazt_sdk::route::Route;
    use fazt_sdk::service::InterfaceId;

    fn service(name: &str) -> InterfaceId {
        InterfaceId { name: name.to_owned(), major: 1, methods: Vec::new() }
    }

    fn plugin(name: &str, provides: &[&str], requires: &[&str]) -> Manifest {
        let mut manifest = Manifest::new(name, "1");
        manifest.provides = provides.iter().map(|name| service(name)).collect();
        manifest.requires = requires.iter().map(|name| service(name)).collect();
        manifest
    }

    fn order(plugins: &[Manifest], wanted: &[&str]) -> Result<Vec<String>> {
        let all = plugins.iter().map(|manifest| (manifest.name.clone(), manifest)).collect();
        Wiring::new(&all)
            .start_order(&wanted.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_required_starts_first_and_is_pulled_in() {
        let plugins = [
            plugin("a", &[], &["s.b"]),
            plugin("b", &["s.b"], &["s.c"]),
            plugin("c", &["s.c"], &[]),
            plugin("d", &[], &[]),
        ];
        assert_eq!(order(&plugins, &["a"]).unwrap(), ["c", "b", "a"]);
        assert_eq!(order(&plugins, &["d", "c"]).unwrap(), ["d", "c"]);
    }

    #[test]
    fn a_missing_requirement_a_circle_and_an_unknown_plugin_are_named() {
        let plugins = [
            plugin("a", &["s.a"], &["s.b"]),
            plugin("b", &["s.b"], &["s.a"]),
            plugin("c", &[], &["s.none"]),
        ];
        assert!(order(&plugins, &["a"]).unwrap_err().message().contains("a → b → a"));
        assert!(order(&plugins, &["c"]).unwrap_err().message().contains("s.none/1"));
        assert!(order(&plugins, &["x"]).unwrap_err().message().contains("a, b, c"));
    }

    #[test]
    fn dependents_are_found_through_others() {
        let plugins = [
            plugin("a", &[], &["s.b"]),
            plugin("b", &["s.b"], &["s.c"]),
            plugin("c", &["s.c"], &[]),
        ];
        let all = plugins.iter().map(|manifest| (manifest.name.clone(), manifest)).collect();
        assert_eq!(Wiring::new(&all).dependents("c"), ["a", "b"]);
    }

    #[test]
    fn either_side_of_a_service_may_join_with_more_methods_but_not_with_others() {
        let with = |plugin: Manifest, methods: &[u64]| {
            let mut plugin = plugin;
            for id in plugin.provides.iter_mut().chain(&mut plugin.requires) {
                id.methods = methods.to_vec();
            }
            plugin
        };
        let provider = with(plugin("p", &["s.p"], &[]), &[1, 2]);
        for (methods, fits) in [(&[1][..], true), (&[1, 2, 3], true), (&[1, 3], false)] {
            let consumer = with(plugin("c", &[], &["s.p"]), methods);
            for (joins, there) in [(&provider, &consumer), (&consumer, &provider)] {
                let checked = check_methods(joins, std::iter::once(there));
                assert_eq!(checked.is_ok(), fits, "{methods:?}");
                if let Err(error) = checked {
                    assert!(error.message().contains("the plugin c was built for another s.p/1"));
                    assert!(error.message().contains("the plugin p"));
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused_at_once() {
        use fazt_sdk::operation::{NoInput, Operate, Operation};
        struct Nothing;
        impl Operate for Nothing {
            type Input = NoInput;
            type Output = ();
            async fn operate(&self, _: &fazt_sdk::call::Call, _: NoInput) -> Result<()> {
                Ok(())
            }
        }
        let with =
            |change: fn(Manifest) -> Manifest| check_manifest(&change(plugin("a", &[], &[])));
        assert!(with(|manifest| manifest).is_ok());
        assert!(with(|manifest| manifest.route(Route::admin(Method::Get, "/page"))).is_err());
        assert!(with(|manifest| manifest.route(Route::app(Method::Get, "page"))).is_err());
        assert!(with(|manifest| manifest.operation(Operation::get::<Nothing>("/a"))).is_err());
        assert!(with(|manifest| manifest.operation(Operation::get::<Nothing>("/api/{}"))).is_err());
        let unknown_scope = |manifest: Manifest| {
            let mut operation = Operation::get::<Nothing>("/api/a");
            operation.scope = "everything".to_owned();
            manifest.operation(operation)
        };
        assert!(with(unknown_scope).is_err());
        for name in ["server", "edge", "fazt"] {
            assert!(check_manifest(&plugin(name, &[], &[])).is_err(), "{name}");
        }
    }

    #[test]
    fn an_address_is_the_same_whatever_its_captures_are_called() {
        let mut one = plugin("one", &[], &[]);
        one.routes.push(Route::admin(Method::Get, "/api/a/{x}"));
        let mut two = plugin("two", &[], &[]);
        two.routes.push(Route::admin(Method::Get, "/api/a/{y}"));
        assert!(check_ownership([&one, &two].into_iter()).is_err());
        two.routes[0] = Route::admin(Method::Post, "/api/a/{y}");
        assert!(check_ownership([&one, &two].into_iter()).is_ok());
    }

    #[test]
    fn the_same_route_in_two_plugins_is_refused() {
        let mut one = plugin("one", &[], &[]);
        one.routes.push(Route::app(Method::Get, "/x"));
        let mut two = plugin("two", &[], &[]);
        two.routes.push(Route::app(Method::Get, "/x"));
        let error = check_ownership([&one, &two].into_iter()).unwrap_err();
        assert!(
            error.message().contains("one")
                && error.message().contains("two")
                && error.message().contains("/x")
        );
    }
}
