//! Queries on a document in memory: for what the database cannot decide by itself.

use std::cmp::Ordering;

use super::field::Place;
use super::{Field, Query, Side, Test};
use crate::json::Json;

/// A document that a query looks at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'d> {
    /// Its id.
    pub id: &'d str,
    /// When it was inserted, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When it was changed, in milliseconds since 1970.
    pub updated_at_ms: u64,
    /// The rest of it.
    pub body: &'d Json,
}

impl Subject<'_> {
    /// What the field holds; nothing when it is missing.
    #[must_use]
    pub fn value(&self, field: &Field) -> Option<Json> {
        // Milliseconds are far below 2^53.
        #[expect(clippy::cast_precision_loss, reason = "milliseconds are far below 2^53")]
        let time = |ms: u64| Some(Json::Number(ms as f64));
        match field.place() {
            Place::Id => Some(Json::Text(self.id.to_owned())),
            Place::CreatedAt => time(self.created_at_ms),
            Place::UpdatedAt => time(self.updated_at_ms),
            Place::Path(_) | Place::Elsewhere => {
                field.names().iter().try_fold(self.body, |value, name| value.field(name)).cloned()
            }
        }
    }
}

pub(super) fn matches(query: &Query, subject: &Subject<'_>) -> bool {
    match query {
        Query::All(parts) => parts.iter().all(|part| matches(part, subject)),
        Query::Any(parts) => parts.iter().any(|part| matches(part, subject)),
        Query::Not(part) => !matches(part, subject),
        Query::Field(field, test) => passes(test, subject.value(field).as_ref()),
    }
}

fn passes(test: &Test, value: Option<&Json>) -> bool {
    match test {
        Test::Equal(operand) => equals(value, operand),
        Test::In(operands) => operands.iter().any(|operand| equals(value, operand)),
        Test::Exists(exists) => value.is_some() == *exists,
        Test::Compare(side, operand) => {
            value.and_then(|value| ordered(value, operand)).is_some_and(|order| match side {
                Side::Less => order.is_lt(),
                Side::LessOrEqual => order.is_le(),
                Side::Greater => order.is_gt(),
                Side::GreaterOrEqual => order.is_ge(),
            })
        }
        Test::Contains(operand) => match (value, operand) {
            (Some(Json::List(items)), _) => items.iter().any(|item| item.same(operand)),
            (Some(Json::Text(text)), Json::Text(part)) => text.contains(part),
            _ => false,
        },
        Test::StartsWith(prefix) => {
            matches!(value, Some(Json::Text(text)) if text.starts_with(prefix))
        }
        Test::Matches(pattern) => {
            matches!(value, Some(Json::Text(text)) if pattern.is_match(text))
        }
    }
}

fn equals(value: Option<&Json>, operand: &Json) -> bool {
    value.unwrap_or(&Json::Null).same(operand)
}

/// The order of two values of one type that has an order.
fn ordered(one: &Json, two: &Json) -> Option<Ordering> {
    match (one, two) {
        (Json::Number(one), Json::Number(two)) => one.partial_cmp(two),
        (Json::Text(one), Json::Text(two)) => Some(one.cmp(two)),
        (Json::Bool(one), Json::Bool(two)) => Some(one.cmp(two)),
        _ => None,
    }
}

/// The order of values when documents are sorted: missing and null, numbers, texts by their first
/// `SORTED_CHARS` characters up to a NUL, false, true, then lists and objects without an order.
#[must_use]
pub fn sort_order(one: Option<&Json>, two: Option<&Json>) -> Ordering {
    let rank = |value: Option<&Json>| match value {
        None | Some(Json::Null) => 0,
        Some(Json::Number(_)) => 1,
        Some(Json::Text(_)) => 2,
        Some(Json::Bool(_)) => 3,
        Some(Json::List(_) | Json::Object(_)) => 4,
    };
    let sorted = |text: &str| -> String {
        text.chars().take_while(|c| *c != '\0').take(SORTED_CHARS).collect()
    };
    rank(one).cmp(&rank(two)).then_with(|| match (one, two) {
        (Some(Json::Text(one)), Some(Json::Text(two))) => sorted(one).cmp(&sorted(two)),
        (Some(one), Some(two)) => ordered(one, two).unwrap_or(Ordering::Equal),
        _ => Ordering::Equal,
    })
}

/// How much of a text counts when documents are sorted. The key of an index holds as much.
pub(crate) const SORTED_CHARS: usize = 256;
