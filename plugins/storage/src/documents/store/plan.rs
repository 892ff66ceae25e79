//! Which way a query takes to its documents, and the statement for it.
//!
//! An index narrows: the documents that it leads to are still tested for all that the query says, so a
//! result never depends on the way. Keys of an index hold the start of a long text only, so its bounds
//! are inclusive and as short.

use fazt_sdk::services::documents::Order;

use super::condition::{Bound, Condition, Parameters, condition, sortable};
use crate::json::Json;
use crate::query::{Field, Place, Query, SORTED_CHARS, Side, Test};

/// An index that can be used.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) id: i64,
    pub(crate) field: String,
}

/// What documents are sorted by; the place breaks ties, and is all without a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sort {
    pub(crate) field: Option<Field>,
    pub(crate) order: Order,
}

/// Where a page begins: behind the document with this key at this place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Behind {
    pub(crate) key: Option<Bound>,
    pub(crate) place: i64,
}

/// A statement, its parameters, and whether rows have to be tested again.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) sql: String,
    pub(crate) parameters: Parameters,
    pub(crate) is_exact: bool,
}

/// What a statement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Rows: place, id, body, version, created_at, updated_at, sort key.
    Documents,
    /// Their number.
    Count,
}

/// Everything that decides about a statement.
#[derive(Debug)]
pub(crate) struct Request<'r> {
    pub(crate) collection: i64,
    /// The places of the collection, the last one included.
    pub(crate) places: (i64, i64),
    pub(crate) indexes: &'r [Index],
    pub(crate) query: &'r Query,
    pub(crate) sort: &'r Sort,
    pub(crate) behind: Option<&'r Behind>,
    pub(crate) wanted: Wanted,
    /// How many rows, and how many of them are skipped; all where rows are tested again.
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

/// The way to the documents.
enum Way<'r> {
    /// By their ids.
    Ids(Vec<String>),
    /// Along an index: to one key, to several, or between two.
    Key(&'r Index, Bound),
    Keys(&'r Index, Vec<Json>),
    Range(&'r Index, Option<Bound>, Option<Bound>),
    /// One after the other.
    All,
}

/// The statement for a request.
pub(crate) fn plan(request: &Request<'_>) -> Plan {
    let mut parameters = Parameters::default();
    let way = way(request);
    let from = match &way {
        Way::Ids(_) | Way::All => "storage_document AS d",
        // In this order, whatever the planner believes: the index is the point.
        _ => "storage_index_entry AS e CROSS JOIN storage_document AS d ON d.place = e.place",
    };
    let (mut wheres, mut sort, mut place) = (Vec::new(), None, "d.place");
    let index = match way {
        Way::Ids(ids) => {
            let collection = parameters.integer(request.collection);
            let ids = Json::List(ids.into_iter().map(Json::Text).collect()).to_string();
            let ids = parameters.text(&ids);
            wheres.push(format!(
                "d.collection = {collection} AND d.id IN (SELECT i.value FROM json_each({ids}) AS i)"
            ));
            None
        }
        Way::Key(index, key) => {
            let (index_id, key) = (parameters.integer(index.id), parameters.add(key));
            wheres.push(format!("e.idx = {index_id} AND e.key = {key}"));
            Some(index)
        }
        Way::Keys(index, keys) => {
            let index_id = parameters.integer(index.id);
            let keys = parameters.text(&Json::List(keys).to_string());
            wheres.push(format!(
                "e.idx = {index_id} AND e.key IN (SELECT i.value FROM json_each({keys}) AS i)"
            ));
            Some(index)
        }
        Way::Range(index, low, high) => {
            let index_id = parameters.integer(index.id);
            wheres.push(format!("e.idx = {index_id}"));
            for (sign, bound) in [(">=", low), ("<=", high)] {
                if let Some(bound) = bound {
                    wheres.push(format!("e.key {sign} {}", parameters.add(bound)));
                }
            }
            Some(index)
        }
        Way::All => {
            let (first, last) = request.places;
            let (first, last) = (parameters.integer(first), parameters.integer(last));
            wheres.push(format!("d.place BETWEEN {first} AND {last}"));
            None
        }
    };
    if let Some(index) = index {
        place = "e.place";
        if request.sort.field.as_ref().is_some_and(|field| field.text() == index.field) {
            sort = Some("e.key".to_owned());
        }
    }
    if let (None, Some(field)) = (&sort, &request.sort.field) {
        sort = sortable(field, &mut parameters);
    }
    let Condition { sql, is_exact } = condition(request.query, &mut parameters);
    if sql != "1" {
        wheres.push(sql);
    }
    let (sign, direction) = match request.sort.order {
        Order::Ascending => (">", "ASC"),
        Order::Descending => ("<", "DESC"),
    };
    if let Some(behind) = request.behind {
        let bound = parameters.integer(behind.place);
        wheres.push(match (&sort, &behind.key) {
            (Some(sort), Some(key)) => {
                format!("({sort}, {place}) {sign} ({}, {bound})", parameters.add(key.clone()))
            }
            _ => format!("{place} {sign} {bound}"),
        });
    }
    let wheres = wheres.join(" AND ");
    let sql = match request.wanted {
        Wanted::Count => format!("SELECT count(*) FROM {from} WHERE {wheres}"),
        Wanted::Documents => {
            let key = sort.as_deref().unwrap_or("0");
            let by = sort.as_ref().map_or_else(String::new, |_| format!("sort_key {direction}, "));
            let (limit, offset) = if is_exact { (request.limit, request.offset) } else { (-1, 0) };
            let (limit, offset) = (parameters.integer(limit), parameters.integer(offset));
            format!(
                "SELECT d.place, d.id, d.body, d.version, d.created_at, d.updated_at, {key} AS sort_key \
                 FROM {from} WHERE {wheres} ORDER BY {by}{place} {direction} LIMIT {limit} OFFSET {offset}"
            )
        }
    };
    Plan { sql, parameters, is_exact }
}

fn way<'r>(request: &Request<'r>) -> Way<'r> {
    let tests: Vec<_> = request
        .query
        .parts()
        .iter()
        .filter_map(|part| match part {
            Query::Field(field, test) => Some((field, test)),
            _ => None,
        })
        .collect();
    for (field, test) in &tests {
        if field.place() == Place::Id
            && let Some(ids) = texts(test)
        {
            return Way::Ids(ids);
        }
    }
    let of = |index: &'r Index| {
        let field = index.field.clone();
        tests.iter().filter(move |(known, _)| known.text() == field).map(|(_, test)| *test)
    };
    for index in request.indexes {
        for test in of(index) {
            if let Test::Equal(operand) = test {
                return Way::Key(index, key(operand));
            }
        }
    }
    for index in request.indexes {
        for test in of(index) {
            if let Test::In(operands) = test
                && operands.iter().all(|one| matches!(one, Json::Number(_) | Json::Text(_)))
            {
                return Way::Keys(index, operands.iter().map(cut).collect());
            }
        }
    }
    let is_sorted_by = |index: &Index| {
        request.sort.field.as_ref().is_some_and(|field| field.text() == index.field)
    };
    // What is sorted by anyway comes first.
    let ordered = request.indexes.iter().filter(|index| is_sorted_by(index));
    for index in ordered.chain(request.indexes.iter().filter(|index| !is_sorted_by(index))) {
        let (mut low, mut high) = (None, None);
        for test in of(index) {
            match test {
                Test::Compare(Side::Greater | Side::GreaterOrEqual, operand) => {
                    low = Some(key(operand));
                    high = high.or_else(|| Some(end_of(operand)));
                }
                Test::Compare(Side::Less | Side::LessOrEqual, operand) => {
                    high = Some(key(operand));
                    low = low.or_else(|| Some(start_of(operand)));
                }
                Test::StartsWith(prefix) => {
                    low = Some(key(&Json::Text(prefix.clone())));
                    high = crate::kv::store::successor(prefix)
                        .map(|end| key(&Json::Text(end)))
                        .or_else(|| Some(Bound::Blob([].as_slice().into())));
                }
                _ => {}
            }
        }
        if low.is_some() || high.is_some() {
            return Way::Range(index, low, high);
        }
    }
    match request.indexes.iter().find(|index| is_sorted_by(index)) {
        Some(index) if request.wanted == Wanted::Documents => Way::Range(index, None, None),
        _ => Way::All,
    }
}

fn texts(test: &Test) -> Option<Vec<String>> {
    let text = |value: &Json| match value {
        Json::Text(text) => Some(text.clone()),
        _ => None,
    };
    match test {
        Test::Equal(value) => text(value).map(|text| vec![text]),
        Test::In(values) => values.iter().map(text).collect(),
        _ => None,
    }
}

/// As much of a value as the key of an index holds.
fn cut(value: &Json) -> Json {
    match value {
        Json::Text(text) => {
            Json::Text(text.chars().take_while(|c| *c != '\0').take(SORTED_CHARS).collect())
        }
        other => other.clone(),
    }
}

fn key(value: &Json) -> Bound {
    Bound::of(&cut(value))
}

fn start_of(operand: &Json) -> Bound {
    match operand {
        Json::Number(_) => Bound::Real(f64::MIN),
        Json::Text(_) => Bound::Text(String::new()),
        _ => Bound::of(&Json::Bool(false)),
    }
}

fn end_of(operand: &Json) -> Bound {
    match operand {
        Json::Number(_) => Bound::Real(f64::MAX),
        Json::Text(_) => Bound::Blob([].as_slice().into()),
        _ => Bound::of(&Json::Bool(true)),
    }
}

/// Whether a query names the documents by their ids.
pub(crate) fn names_ids(query: &Query) -> bool {
    query.parts().iter().any(|part| {
        matches!(part, Query::Field(field, test) if field.place() == Place::Id && texts(test).is_some())
    })
}

/// Whether a request looks at few documents: those that it names, or that an index leads to.
pub(crate) fn is_narrow(request: &Request<'_>) -> bool {
    match way(request) {
        Way::Ids(_) | Way::Key(..) | Way::Keys(..) => true,
        Way::Range(_, low, high) => low.is_some() || high.is_some(),
        Way::All => false,
    }
}
