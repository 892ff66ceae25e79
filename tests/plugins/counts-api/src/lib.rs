//! The interface that `counts` provides and `report` requires.

use fazt_sdk::prelude::*;

/// One tally.
#[derive(Wire, Debug, Clone, PartialEq, Default)]
pub struct Tallied {
    /// Whose it is.
    pub name: String,
    /// How many.
    pub count: u64,
    /// The last change.
    pub last: Option<i64>,
    /// Words about it.
    pub tags: Vec<String>,
}

/// Tallies by name.
#[service("counts.tally", 1)]
pub trait Tally {
    /// Adds `by` to the tally of `name` and returns it.
    ///
    /// # Errors
    /// `Invalid` when the tally would fall below zero.
    async fn add(&self, call: &Call, name: &str, by: i64) -> Result<u64>;

    /// Scales a number; negative when `down`.
    ///
    /// # Errors
    /// None.
    async fn scale(&self, call: &Call, number: f64, by: u32, down: bool) -> Result<f64>;

    /// The first `limit` bytes of `content`, in reverse.
    ///
    /// # Errors
    /// None.
    async fn reverse(&self, call: &Call, content: &[u8], limit: Option<u32>) -> Result<Bytes>;

    /// A record per name, each like `pattern` but for its name.
    ///
    /// # Errors
    /// None.
    async fn stamp(&self, call: &Call, names: &[String], pattern: &Tallied) -> Result<Vec<Tallied>>;

    /// The app that the call is for.
    ///
    /// # Errors
    /// None.
    async fn app(&self, call: &Call) -> Result<Option<AppId>>;

    /// Refuses.
    ///
    /// # Errors
    /// `Conflict` with the code `NEVER` and `why` in its details, always.
    async fn refuse(&self, call: &Call, why: &str) -> Result<()>;

    /// Answers after `ms` milliseconds.
    ///
    /// # Errors
    /// None.
    async fn wait(&self, call: &Call, ms: u32) -> Result<u32>;
}

/// Methods that do next to nothing, to measure what it costs to reach them.
#[service("counts.cost", 1)]
pub trait Cost {
    /// Nothing.
    ///
    /// # Errors
    /// None.
    async fn nothing(&self, call: &Call) -> Result<()>;

    /// The length of a text.
    ///
    /// # Errors
    /// None.
    async fn length(&self, call: &Call, text: &str) -> Result<u32>;

    /// A record, and another like it.
    ///
    /// # Errors
    /// None.
    async fn next(&self, call: &Call, record: &Tallied) -> Result<Tallied>;
}
