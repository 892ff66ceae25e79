//! Values and rows as borrowed views.
//!
//! Nothing here copies a column: text and blobs point into SQLite's memory and live as long as the
//! callback that received the row.

use std::fmt;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use super::error::{SqlError, SqlErrorKind};

/// A parameter of a statement, or a column of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// A signed 64-bit integer.
    Integer(i64),
    /// A 64-bit float. SQLite stores NaN as NULL.
    Real(f64),
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes. A column of text that is not UTF-8 also arrives as bytes.
    Blob(&'a [u8]),
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(number),
            Self::Real(number) => ValueRef::Real(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl<'a> From<ValueRef<'a>> for Value<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::Text(text),
                Err(_) => Self::Blob(bytes),
            },
            ValueRef::Blob(bytes) => Self::Blob(bytes),
        }
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(yes: bool) -> Self {
        Self::Integer(i64::from(yes))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, T: Into<Self>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of a result, valid inside the callback that received it.
pub struct Row<'a> {
    row: &'a rusqlite::Row<'a>,
    columns: usize,
}

impl<'a> Row<'a> {
    pub(super) fn new(row: &'a rusqlite::Row<'a>, columns: usize) -> Self {
        Self { row, columns }
    }

    /// Number of columns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns
    }

    /// Whether there are no columns, which no SELECT produces.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns == 0
    }

    /// The column at `index`, counted from 0; nothing past the last one.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<Value<'a>> {
        self.row.get_ref(index).ok().map(Value::from)
    }

    /// The name of the column at `index`, as the statement spells it.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<&str> {
        let statement: &rusqlite::Statement<'_> = self.row.as_ref();
        statement.column_name(index).ok()
    }

    /// The position of the column called `name`, ignoring ASCII case.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<usize> {
        (0..self.columns).find(|&i| self.name(i).is_some_and(|n| n.eq_ignore_ascii_case(name)))
    }

    /// The integer at `index`.
    ///
    /// # Errors
    /// [`SqlErrorKind::Other`] when the column holds something else: the schema and the code disagree.
    pub fn integer(&self, index: usize) -> Result<i64, SqlError> {
        match self.value(index) {
            Some(Value::Integer(number)) => Ok(number),
            other => Err(self.mismatch(index, "an integer", other)),
        }
    }

    /// The float at `index`; an integer is converted.
    ///
    /// # Errors
    /// As [`Row::integer`].
    #[expect(clippy::cast_precision_loss, reason = "SQLite itself converts this way")]
    pub fn real(&self, index: usize) -> Result<f64, SqlError> {
        match self.value(index) {
            Some(Value::Real(number)) => Ok(number),
            Some(Value::Integer(number)) => Ok(number as f64),
            other => Err(self.mismatch(index, "a number", other)),
        }
    }

    /// The text at `index`.
    ///
    /// # Errors
    /// As [`Row::integer`].
    pub fn text(&self, index: usize) -> Result<&'a str, SqlError> {
        match self.value(index) {
            Some(Value::Text(text)) => Ok(text),
            other => Err(self.mismatch(index, "text", other)),
        }
    }

    /// The bytes at `index`.
    ///
    /// # Errors
    /// As [`Row::integer`].
    pub fn blob(&self, index: usize) -> Result<&'a [u8], SqlError> {
        match self.value(index) {
            Some(Value::Blob(bytes)) => Ok(bytes),
            other => Err(self.mismatch(index, "a blob", other)),
        }
    }

    /// Whether the column at `index` is NULL or does not exist.
    #[must_use]
    pub fn is_null(&self, index: usize) -> bool {
        matches!(self.value(index), None | Some(Value::Null))
    }

    fn mismatch(&self, index: usize, wanted: &str, found: Option<Value<'_>>) -> SqlError {
        let found = match found {
            None => "nothing",
            Some(Value::Null) => "NULL",
            Some(Value::Integer(_)) => "an integer",
            Some(Value::Real(_)) => "a float",
            Some(Value::Text(_)) => "text",
            Some(Value::Blob(_)) => "a blob",
        };
        let name = self.name(index).unwrap_or("?");
        SqlError::own(
            SqlErrorKind::Other,
            format!("column {index} (`{name}`) holds {found}, not {wanted}"),
        )
    }
}

impl fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for i in 0..self.columns {
            map.entry(&self.name(i).unwrap_or("?"), &self.value(i));
        }
        map.finish()
    }
}
