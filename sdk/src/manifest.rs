//! The manifest: the lists of what a plugin contributes and needs.

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::event::Event;
use crate::migration::Migration;
use crate::operation::Operation;
use crate::route::Route;
use crate::service::{Interface, InterfaceId};
use crate::setting::Setting;

/// What a plugin is, offers and needs. Data only: it can be stored and read without the plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The plugin's name: lower-case letters and digits; it starts its tables and settings.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub about: String,
    /// Services that it provides.
    pub provides: Vec<InterfaceId>,
    /// Services without which it does not start. They order the start and have no circles.
    pub requires: Vec<InterfaceId>,
    /// Services that it uses when they are there.
    pub uses: Vec<InterfaceId>,
    /// Extension points that it contributes to.
    pub contributes: Vec<InterfaceId>,
    /// HTTP routes.
    pub routes: Vec<Route>,
    /// Admin operations.
    pub operations: Vec<Operation>,
    /// Commands.
    pub commands: Vec<Command>,
    /// JavaScript bindings.
    pub bindings: Vec<Binding>,
    /// Settings.
    pub settings: Vec<Setting>,
    /// Migrations.
    pub migrations: Vec<Migration>,
    /// Events that it listens to or follows.
    pub subscriptions: Vec<Subscription>,
    /// JavaScript that runs in each realm of an app, with `fazt` in scope, after the bindings are
    /// there: for what a list of functions cannot say. Empty for none.
    #[serde(default)]
    pub script: String,
}

impl Manifest {
    /// A manifest with empty lists.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            about: String::new(),
            provides: Vec::new(),
            requires: Vec::new(),
            uses: Vec::new(),
            contributes: Vec::new(),
            routes: Vec::new(),
            operations: Vec::new(),
            commands: Vec::new(),
            bindings: Vec::new(),
            settings: Vec::new(),
            migrations: Vec::new(),
            subscriptions: Vec::new(),
            script: String::new(),
        }
    }

    /// One sentence about it.
    #[must_use]
    pub fn about(mut self, about: &str) -> Self {
        self.about = about.to_owned();
        self
    }

    /// Provides service `I`.
    #[must_use]
    pub fn provides<I: Interface>(mut self) -> Self {
        self.provides.push(InterfaceId::of::<I>());
        self
    }

    /// Does not start without service `I`.
    #[must_use]
    pub fn requires<I: Interface>(mut self) -> Self {
        self.requires.push(InterfaceId::of::<I>());
        self
    }

    /// Uses service `I` when it is there; calls answer `Unavailable` when it is not.
    #[must_use]
    pub fn uses<I: Interface>(mut self) -> Self {
        self.uses.push(InterfaceId::of::<I>());
        self
    }

    /// Contributes to the extension point `I`.
    #[must_use]
    pub fn contributes<I: Interface>(mut self) -> Self {
        self.contributes.push(InterfaceId::of::<I>());
        self
    }

    /// With one more route.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// With one more admin operation.
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// With one more command.
    #[must_use]
    pub fn command(mut self, command: Command) -> Self {
        self.commands.push(command);
        self
    }

    /// With one more JavaScript binding.
    #[must_use]
    pub fn binding(mut self, binding: Binding) -> Self {
        self.bindings.push(binding);
        self
    }

    /// Runs this JavaScript in each realm of an app, with `fazt` in scope, after the bindings are
    /// there. It wraps the plugin's own functions and adds to its own names; it runs before the
    /// app's code, so it keeps no state and waits for nothing.
    #[must_use]
    pub fn script(mut self, script: &str) -> Self {
        script.clone_into(&mut self.script);
        self
    }

    /// With one more setting.
    #[must_use]
    pub fn setting(mut self, setting: Setting) -> Self {
        self.settings.push(setting);
        self
    }

    /// With these migrations.
    #[must_use]
    pub fn migrations(mut self, migrations: Vec<Migration>) -> Self {
        self.migrations.extend(migrations);
        self
    }

    /// Is told about published events `E`, best effort, in batches.
    #[must_use]
    pub fn listens<E: Event>(mut self) -> Self {
        self.subscriptions.push(Subscription { event: E::NAME.to_owned(), durable: false });
        self
    }

    /// Is told about emitted events `E` at least once each, after restarts too.
    #[must_use]
    pub fn follows<E: Event>(mut self) -> Self {
        self.subscriptions.push(Subscription { event: E::NAME.to_owned(), durable: true });
        self
    }
}

/// A subscription to an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The event's name.
    pub event: String,
    /// Whether it is followed through the log.
    pub durable: bool,
}

/// A function that apps' JavaScript can call, as `fazt.NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The name below `fazt.`, as in `visits.count`.
    pub name: String,
    /// The names of its arguments.
    pub arguments: Vec<String>,
    /// Whether it answers a value at once or a promise.
    pub promise: bool,
    /// One sentence.
    pub about: String,
}

impl Binding {
    /// The binding `fazt.name`; it answers a promise.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), arguments: Vec::new(), promise: true, about: String::new() }
    }

    /// With these arguments.
    #[must_use]
    pub fn args<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.arguments = names.map(str::to_owned).to_vec();
        self
    }

    /// One sentence about it.
    #[must_use]
    pub fn about(mut self, about: &str) -> Self {
        self.about = about.to_owned();
        self
    }

    /// Answers a value at once: the script waits, at the price of a round trip.
    #[must_use]
    pub fn synchronous(mut self) -> Self {
        self.promise = false;
        self
    }
}
