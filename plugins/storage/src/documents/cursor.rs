//! Where a page begins, as an opaque text.
//!
//! It says nothing of other collections, and one that was made up leads nowhere else.

use fazt_sdk::services::documents::Order;
use fazt_sdk::{Error, Result};
use serde::{Deserialize, Serialize};

use super::store::collection::Collection;
use super::store::condition::Bound;
use super::store::plan::{Behind, Sort};

#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    /// The number of the last document.
    n: i64,
    /// Its sort key.
    k: Option<Key>,
    /// What the page was sorted by.
    s: String,
}

#[derive(Debug, Serialize, Deserialize)]
enum Key {
    Nothing,
    Integer(i64),
    Real(f64),
    Text(String),
    Byte(u8),
}

fn sorting(sort: &Sort) -> String {
    let sign = match sort.order {
        Order::Ascending => '+',
        Order::Descending => '-',
    };
    format!("{sign}{}", sort.field.as_ref().map(crate::query::Field::text).unwrap_or_default())
}

pub(super) fn to_text(behind: &Behind, collection: &Collection, sort: &Sort) -> Result<String> {
    let key = behind.key.as_ref().map(|key| match key {
        Bound::Real(number) if number.is_infinite() => Key::Nothing,
        Bound::Integer(number) => Key::Integer(*number),
        Bound::Real(number) => Key::Real(*number),
        Bound::Text(text) => Key::Text(text.clone()),
        Bound::Blob(bytes) => Key::Byte(bytes.first().copied().unwrap_or_default()),
    });
    let cursor = Cursor { n: collection.number(behind.place), k: key, s: sorting(sort) };
    let json = serde_json::to_vec(&cursor)
        .map_err(|error| Error::internal(format!("a cursor has no JSON form: {error}")))?;
    Ok(json.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(super) fn from_text(text: &str, collection: &Collection, sort: &Sort) -> Result<Behind> {
    let wrong = || {
        Error::invalid("`cursor` is not one that this query, sorted this way, was answered with")
            .with_code("INVALID_CURSOR")
    };
    let bytes: Option<Vec<u8>> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let cursor: Cursor =
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(wrong)?;
    if cursor.s != sorting(sort) || cursor.k.is_some() != sort.field.is_some() {
        return Err(wrong());
    }
    let key = cursor.k.map(|key| match key {
        Key::Nothing => Bound::NOTHING,
        Key::Integer(number) => Bound::Integer(number),
        Key::Real(number) => Bound::Real(number),
        Key::Text(text) => Bound::Text(text),
        Key::Byte(byte) => Bound::Blob(vec![byte].into()),
    });
    Ok(Behind { key, place: collection.place(cursor.n) })
}
