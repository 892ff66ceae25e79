//! What was given to a command, by the names of its arguments.

use std::collections::BTreeMap;

use clap::ArgMatches;
use fazt_sdk::command::{Argument, ArgumentKind};

/// One given value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given {
    /// A value.
    Text(String),
    /// Several values.
    List(Vec<String>),
    /// A switch that is on.
    Switch,
}

/// What was given to a command; what was not given is not in here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Arguments(BTreeMap<String, Given>);

impl Arguments {
    /// What `matches` has for these arguments.
    pub(crate) fn of(arguments: &[Argument], matches: &ArgMatches) -> Self {
        let given = |argument: &Argument| match argument.kind {
            ArgumentKind::Positional | ArgumentKind::Option => {
                matches.get_one::<String>(&argument.name).cloned().map(Given::Text)
            }
            ArgumentKind::Switch => matches.get_flag(&argument.name).then_some(Given::Switch),
            ArgumentKind::List => matches
                .get_many::<String>(&argument.name)
                .map(|values| Given::List(values.cloned().collect())),
        };
        Self(
            arguments
                .iter()
                .filter_map(|argument| Some((argument.name.clone(), given(argument)?)))
                .collect(),
        )
    }

    /// What was given, in the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Given)> {
        self.0.iter().map(|(name, given)| (name.as_str(), given))
    }

    /// The value of that name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Given::Text(text)) => Some(text),
            Some(Given::List(_) | Given::Switch) | None => None,
        }
    }

    /// The values of that name.
    pub(crate) fn list(&self, name: &str) -> Option<&[String]> {
        match self.0.get(name) {
            Some(Given::List(values)) => Some(values),
            Some(Given::Text(_) | Given::Switch) | None => None,
        }
    }

    /// Whether the switch of that name is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Given::Switch)
    }
}
