//! The arguments of one call, as JSON texts. Those that JavaScript left out are missing or null.

use std::time::Duration;

use fazt_sdk::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The arguments. Those that a function does not take are ignored, as everywhere in JavaScript.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Arguments(Vec<Box<RawValue>>);

impl Arguments {
    /// The JSON text at `index`; nothing for what was left out.
    pub(super) fn json(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(|value| value.get()).filter(|text| *text != "null")
    }

    /// The JSON text at `index`, null included; nothing when it was left out.
    pub(super) fn any_json(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(|value| value.get())
    }

    /// The argument at `index`, if it is there.
    ///
    /// # Errors
    /// `Invalid` when it is something else than `what`.
    pub(super) fn optional<T: DeserializeOwned>(
        &self,
        index: usize,
        what: &str,
    ) -> Result<Option<T>> {
        self.json(index)
            .map(|text| {
                serde_json::from_str(text).map_err(|error| {
                    Error::invalid(format!("{what}: {error}")).with_code("INVALID_ARGUMENT")
                })
            })
            .transpose()
    }

    /// The argument at `index`.
    ///
    /// # Errors
    /// `Invalid` with `requirement`, as in "kv.set requires key and value".
    pub(super) fn required<T: DeserializeOwned>(
        &self,
        index: usize,
        requirement: &str,
    ) -> Result<T> {
        self.optional(index, requirement)?.ok_or_else(|| missing(requirement))
    }

    /// The text at `index`; numbers are taken as their digits.
    ///
    /// # Errors
    /// As [`Self::required`].
    pub(super) fn text(&self, index: usize, requirement: &str) -> Result<String> {
        match self.json(index) {
            Some(text) if text.starts_with('"') => self.required(index, requirement),
            Some(text)
                if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) =>
            {
                Ok(text.to_owned())
            }
            _ => Err(missing(requirement)),
        }
    }

    /// Milliseconds at `index`.
    ///
    /// # Errors
    /// `Invalid` for what is no positive number.
    pub(super) fn milliseconds(&self, index: usize, what: &str) -> Result<Option<Duration>> {
        let Some(ms) = self.optional::<f64>(index, what)? else { return Ok(None) };
        if ms.is_finite() && ms > 0.0 {
            return Ok(Some(Duration::from_secs_f64((ms / 1e3).min(SECONDS_MAX))));
        }
        Err(Error::invalid(format!("{what} is a number of milliseconds above 0"))
            .with_code("INVALID_ARGUMENT"))
    }
}

/// What a call lacks.
pub(super) fn missing(requirement: &str) -> Error {
    Error::invalid(requirement.to_owned()).with_code("INVALID_ARGUMENT")
}

/// `limit` and `cursor` of a listing.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<String>,
}

/// A thousand years: further than any limit that is checked later.
const SECONDS_MAX: f64 = 3.2e10;
