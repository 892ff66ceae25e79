//! What apps' JavaScript calls: `fazt.app.…` for what visitors share, `fazt.app.user.…` for what
//! belongs to whoever is signed in.
//!
//! Each file declares its functions and hands over their handlers. `script.js` runs in each realm
//! and gives them the shapes that JavaScript expects.

/// What a function is given.
struct Given<'g, S> {
    store: &'g S,
    call: &'g Call,
    space: &'g Space,
    arguments: &'g Arguments,
}

/// Functions of a store: the name, the names of the arguments, what answers, and what it does. Each is declared
/// and handed over in both forms, so that none can be there by half.
macro_rules! functions {
    ($store:ty; $($name:literal, [$($argument:literal),*], $run:ident => $about:literal;)*) => {
        pub(super) fn declare(mut manifest: Manifest) -> Manifest {
            for form in Form::BOTH {
                $(
                    let binding = Binding::new(&form.name($name)).about($about);
                    manifest = manifest.binding(binding.args([$($argument),*]));
                )*
            }
            manifest
        }

        pub(super) fn bind(mut started: Started, store: &$store) -> Started {
            for form in Form::BOTH {
                $(
                    let own = store.clone();
                    let run = move |call: Call, arguments: Arguments| {
                        let store = own.clone();
                        async move {
                            let space = &form.space(&call, $name)?;
                            let (store, call, arguments) = (&store, &call, &arguments);
                            $run(&Given { store, call, space, arguments }).await
                        }
                    };
                    started = started.bind(&form.name($name), run);
                )*
            }
            started
        }
    };
}

mod arguments;
mod base64;
mod documents;
mod kv;
mod objects;
mod transactions;

use fazt_sdk::call::Call;
use fazt_sdk::manifest::Manifest;
use fazt_sdk::plugin::Started;
use fazt_sdk::services::Space;
use fazt_sdk::{Error, Result};
use serde::Serialize;
use serde_json::value::RawValue;

use arguments::Arguments;

use crate::objects::Store;
use crate::transactions::Commits;

/// JavaScript that runs in each realm once the functions below are there.
pub(crate) const SCRIPT: &str = include_str!("script.js");

/// Declares all functions.
pub(crate) fn declare(manifest: Manifest) -> Manifest {
    transactions::declare(objects::declare(documents::declare(kv::declare(manifest))))
}

/// Hands over all functions.
pub(crate) fn bind(started: Started, commits: &Commits, objects: &Store) -> Started {
    let started = documents::bind(kv::bind(started, &commits.values), &commits.collections);
    transactions::bind(objects::bind(started, objects), commits)
}

/// Which of the two forms of a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Shared,
    User,
}

impl Form {
    const BOTH: [Self; 2] = [Self::Shared, Self::User];

    /// The full name of the function `name`, below `fazt.`.
    fn name(self, name: &str) -> String {
        match self {
            Self::Shared => format!("app.{name}"),
            Self::User => format!("app.user.{name}"),
        }
    }

    /// The space that the call works in.
    fn space(self, call: &Call, name: &str) -> Result<Space> {
        match self {
            Self::Shared => Ok(Space::Shared),
            Self::User => Space::of_user(call, &format!("fazt.{}", self.name(name))),
        }
    }
}

/// JSON text as it is, without reading it.
fn raw(text: String) -> Result<Box<RawValue>> {
    RawValue::from_string(text)
        .map_err(|error| Error::internal(format!("what is kept is no JSON: {error}")))
}

/// What a key holds, or null: `script.js` makes `undefined` of it.
fn raw_or_null(text: Option<String>) -> Result<Option<Box<RawValue>>> {
    text.map(raw).transpose()
}

/// A page as `script.js` expects it.
#[derive(Debug, Serialize)]
struct Listed<T> {
    items: Vec<T>,
    cursor: Option<String>,
}
