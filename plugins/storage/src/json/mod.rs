//! JSON as it is kept: fields in the order in which they were written, numbers exact or refused.
//!
//! Every number is an IEEE 754 double, as in JavaScript. A literal that no double holds (2^53 + 1) is
//! an error, never another number. What is kept has no spaces and one spelling per value, so a text
//! that was read and written again is the same text.

mod parse;
mod write;

use std::cmp::Ordering;

use fazt_sdk::{Error, Result};

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object; no two fields have the same name.
    Object(Vec<(String, Self)>),
}

/// The deepest nesting of a value.
pub const DEPTH_MAX: usize = 64;

impl Json {
    /// Reads one value.
    ///
    /// # Errors
    /// `Invalid`: `NOT_JSON` for what is no JSON (RFC 8259), is nested deeper than [`DEPTH_MAX`], or
    /// names a field twice; `NUMBER_NOT_EXACT` for a number that no double holds.
    pub fn parse(text: &str) -> Result<Self> {
        parse::parse(text)
    }

    /// The field of that name, if this is an object that has it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => {
                fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// What this is, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// How deep lists and objects are nested; 0 for everything else.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(fields) => {
                1 + fields.iter().map(|(_, value)| value.depth()).max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Whether both are the same value: numbers by value, objects by their fields in any order.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Number(one), Self::Number(two)) => one.partial_cmp(two) == Some(Ordering::Equal),
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::List(one), Self::List(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.same(two))
            }
            (Self::Object(one), Self::Object(two)) => {
                one.len() == two.len()
                    && one.iter().all(|(name, value)| {
                        other.field(name).is_some_and(|known| known.same(value))
                    })
            }
            _ => false,
        }
    }

    /// The integer that this is, if it is one that JSON holds exactly everywhere.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Number(number) if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER => {
                // In bounds and whole, so nothing is lost.
                #[expect(clippy::cast_possible_truncation, reason = "checked one line above")]
                let integer = *number as i64;
                Some(integer)
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Json {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        write::value(self, &mut text);
        formatter.write_str(&text)
    }
}

/// The one spelling of a JSON text.
///
/// # Errors
/// As [`Json::parse`].
pub fn canonical(text: &str) -> Result<String> {
    Json::parse(text).map(|value| value.to_string())
}

/// Appends a JSON string.
pub fn push_text(text: &str, out: &mut String) {
    write::text(text, out);
}

fn not_json(what: impl Into<String>) -> Error {
    Error::invalid(what).with_code("NOT_JSON")
}

/// `Number.MAX_SAFE_INTEGER` (ECMA-262 §21.1.2.6).
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

#[cfg(test)]
mod tests;
