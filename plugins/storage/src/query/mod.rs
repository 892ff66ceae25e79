//! The language in which documents are asked for: parsed whole before anything runs, so that an
//! operator that nobody knows is an error and never "all".
//!
//! Values are compared with their types: a number is never equal to a text, and `$lt` and its kin
//! look at values of their operand's type only. `null` stands for null and for missing.

mod evaluate;
mod field;
mod parse;

use std::sync::Arc;

use fazt_sdk::Result;
use regex::Regex;

use crate::json::Json;

pub(crate) use evaluate::SORTED_CHARS;
pub use evaluate::{Subject, sort_order};
pub use field::{Field, Place};

/// What documents have to satisfy.
#[derive(Debug, Clone)]
pub enum Query {
    /// All of these; none of them is satisfied by everything.
    All(Vec<Self>),
    /// One of these.
    Any(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// A field passes a test.
    Field(Field, Test),
}

/// What a field is tested for. A test that a value of another type cannot pass is failed by it.
#[derive(Debug, Clone)]
pub enum Test {
    /// The same value; null also for missing.
    Equal(Json),
    /// Before or behind a number, a text or a boolean.
    Compare(Side, Json),
    /// One of these values.
    In(Vec<Json>),
    /// There, null included; or not.
    Exists(bool),
    /// A list with this element, or a text with this part.
    Contains(Json),
    /// A text that starts with this.
    StartsWith(String),
    /// A text in which this is found.
    Matches(Arc<Regex>),
}

/// On which side of its operand a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Below.
    Less,
    /// Below or equal.
    LessOrEqual,
    /// Above.
    Greater,
    /// Above or equal.
    GreaterOrEqual,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// `Invalid` with `INVALID_QUERY` for what is no query; what [`Json::parse`] says.
    pub fn parse(text: &str) -> Result<Self> {
        parse::query(&Json::parse(text)?)
    }

    /// Whether every document satisfies it.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }

    /// The parts that all have to be satisfied.
    #[must_use]
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::All(parts) => parts,
            other => std::slice::from_ref(other),
        }
    }

    /// Whether a document satisfies it.
    #[must_use]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        evaluate::matches(self, subject)
    }
}

#[cfg(test)]
mod tests;
