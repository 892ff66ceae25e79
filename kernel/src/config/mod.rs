//! Settings: declared with type, default and unit; resolved command line > cartridge > default.
//!
//! An unknown name on the command line or in `set` is an error that names the nearest known one.
//! Values in the cartridge that belong to a plugin that was left out stay untouched.

mod store;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use fazt_sdk::setting::Setting;
use fazt_sdk::{Error, Result};
use serde_json::Value;

use crate::cartridge::Cartridge;

/// The settings of a node.
#[derive(Debug)]
pub(crate) struct Config {
    cartridge: Cartridge,
    /// Also captured by commit hooks, which run on the writer's thread.
    state: Arc<RwLock<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By full name.
    declared: BTreeMap<String, Setting>,
    stored: BTreeMap<String, Value>,
    /// As written on the command line.
    overrides: BTreeMap<String, String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    CommandLine,
    Cartridge,
    Default,
}

impl Origin {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CommandLine => "command line",
            Self::Cartridge => "cartridge",
            Self::Default => "default",
        }
    }
}

/// A setting with its value.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) name: String,
    pub(crate) setting: Setting,
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

impl Config {
    /// Reads what the cartridge holds.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn load(
        cartridge: &Cartridge,
        overrides: BTreeMap<String, String>,
    ) -> Result<Self> {
        let stored = store::all(cartridge).await?;
        let state = State { declared: BTreeMap::new(), stored, overrides };
        let state = Arc::new(RwLock::new(state));
        Ok(Self { cartridge: cartridge.clone(), state })
    }

    /// Declares `settings` under `prefix`, and checks the values that they have already.
    ///
    /// # Errors
    /// `Invalid` for a value of another type or out of bounds. All are declared nevertheless, so
    /// that the value can be set right.
    pub(crate) fn declare(&self, prefix: &str, settings: &[Setting]) -> Result<()> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = Ok(());
        for setting in settings {
            let name = format!("{prefix}.{}", setting.name);
            state.declared.insert(name.clone(), setting.clone());
            outcome = outcome.and(resolve(&state, &name).map(drop));
        }
        outcome
    }

    /// Checks that everything on the command line was declared by somebody and has a good value.
    ///
    /// # Errors
    /// `NotFound`, naming the unknown setting; `Invalid` for a wrong value.
    pub(crate) fn check_overrides(&self) -> Result<()> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.overrides.keys().try_for_each(|name| resolve(&state, name).map(drop))
    }

    /// The value of the setting with that full name.
    ///
    /// # Errors
    /// `NotFound` for an unknown name.
    pub(crate) fn get(&self, name: &str) -> Result<Value> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        resolve(&state, name).map(|resolved| resolved.value)
    }

    /// Everything about the setting with that full name.
    ///
    /// # Errors
    /// `NotFound` for an unknown name.
    pub(crate) fn resolved(&self, name: &str) -> Result<Resolved> {
        resolve(&self.state.read().unwrap_or_else(PoisonError::into_inner), name)
    }

    /// Text of the setting with that full name; empty when it is not text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.get(name).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// All settings, by name.
    pub(crate) fn all(&self) -> Vec<Resolved> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.declared.keys().filter_map(|name| resolve(&state, name).ok()).collect()
    }

    /// Sets a value in the cartridge, given as a person writes it. Durable when it returns.
    ///
    /// # Errors
    /// `NotFound` for an unknown name, `Invalid` for a wrong value.
    pub(crate) async fn set(&self, name: &str, text: &str) -> Result<Resolved> {
        let value = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            let setting = state.declared.get(name).ok_or_else(|| unknown(&state, name))?;
            value::parse(name, &setting.kind, text)?
        };
        let (state, stored) = (Arc::clone(&self.state), (name.to_owned(), value.clone()));
        store::put(&self.cartridge, name, &value, move || {
            let mut state = state.write().unwrap_or_else(PoisonError::into_inner);
            state.stored.insert(stored.0.clone(), stored.1.clone());
        })
        .await?;
        self.resolved(name)
    }
}

fn resolve(state: &State, name: &str) -> Result<Resolved> {
    let setting = state.declared.get(name).ok_or_else(|| unknown(state, name))?;
    let (value, origin) = if let Some(text) = state.overrides.get(name) {
        (value::parse(name, &setting.kind, text)?, Origin::CommandLine)
    } else if let Some(value) = state.stored.get(name) {
        value::check(name, &setting.kind, value)?;
        (value.clone(), Origin::Cartridge)
    } else {
        (setting.default.clone(), Origin::Default)
    };
    Ok(Resolved { name: name.to_owned(), setting: setting.clone(), value, origin })
}

fn unknown(state: &State, name: &str) -> Error {
    let nearest = state.declared.keys().max_by_key(|known| {
        let same = known.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count();
        (same, std::cmp::Reverse(known.len().abs_diff(name.len())))
    });
    let hint = nearest.map(|known| format!("; did you mean {known}?")).unwrap_or_default();
    Error::not_found(format!(
        "there is no setting {name}{hint} `fazt server config list` shows all"
    ))
    .with_code("NO_SUCH_SETTING")
}
