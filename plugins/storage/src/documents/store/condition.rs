//! Queries as conditions of SQL, with every value and every path as a parameter.
//!
//! The text depends on the shape of a query only. A value of a document is made comparable by one
//! expression, whose result keeps types apart in SQLite's own order (numbers, then texts, then
//! blobs): missing and null are -9e999, below every number; false and true are x'00' and x'01', lists
//! and objects x'02'. It is never NULL, so NOT means what it says.

use std::borrow::Cow;

use fazt_sdk::cartridge::{FromValue, Value};

use crate::json::Json;
use crate::kv::store::successor;
use crate::query::{Field, Place, Query, Side, Test};

/// A parameter, or a value that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// A whole number.
    Integer(i64),
    /// Any other number, and -Inf for what is missing.
    Real(f64),
    /// A text.
    Text(String),
    /// A boolean, or what is only told apart from the others.
    Blob(Cow<'static, [u8]>),
}

impl Bound {
    pub(crate) const NOTHING: Self = Self::Real(f64::NEG_INFINITY);
    const FALSE: Self = Self::Blob(Cow::Borrowed(&[0]));
    const TRUE: Self = Self::Blob(Cow::Borrowed(&[1]));
    pub(crate) const COMPOSITE: Self = Self::Blob(Cow::Borrowed(&[2]));

    /// A value of JSON in the form in which it is compared.
    pub(crate) fn of(value: &Json) -> Self {
        match value {
            Json::Null => Self::NOTHING,
            Json::Bool(false) => Self::FALSE,
            Json::Bool(true) => Self::TRUE,
            Json::Number(number) => value.as_integer().map_or(Self::Real(*number), Self::Integer),
            Json::Text(text) => Self::Text(text.clone()),
            Json::List(_) | Json::Object(_) => Self::COMPOSITE,
        }
    }

    pub(crate) fn as_value(&self) -> Value<'_> {
        match self {
            Self::Integer(number) => Value::Integer(*number),
            Self::Real(number) => Value::Real(*number),
            Self::Text(text) => Value::Text(text.as_str().into()),
            Self::Blob(bytes) => Value::Blob(bytes.as_ref().into()),
        }
    }
}

impl<'a> FromValue<'a> for Bound {
    fn from_value(value: Value<'a>) -> Option<Self> {
        match value {
            Value::Integer(number) => Some(Self::Integer(number)),
            Value::Real(number) => Some(Self::Real(number)),
            Value::Text(text) => Some(Self::Text(text.as_str().to_owned())),
            Value::Blob(bytes) => Some(Self::Blob(Cow::Owned(bytes.as_slice().to_vec()))),
            Value::Null => None,
        }
    }
}

/// The parameters of a statement that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<Bound>);

impl Parameters {
    /// Adds one; returns its name in the statement.
    pub(crate) fn add(&mut self, value: Bound) -> String {
        self.0.push(value);
        format!("?{}", self.0.len())
    }

    pub(crate) fn text(&mut self, text: &str) -> String {
        self.add(Bound::Text(text.to_owned()))
    }

    pub(crate) fn integer(&mut self, number: i64) -> String {
        self.add(Bound::Integer(number))
    }

    pub(crate) fn values(&self) -> Vec<Value<'_>> {
        self.0.iter().map(Bound::as_value).collect()
    }
}

/// A query as SQL.
#[derive(Debug)]
pub struct Compiled {
    /// A condition on the document `d`.
    pub sql: String,
    /// Its parameters, from `?1` on.
    pub parameters: Vec<Bound>,
    /// Whether it is all that the query says. Else it lets more through, never less.
    pub is_exact: bool,
}

impl Compiled {
    /// The condition of a query, as statements have it.
    #[must_use]
    pub fn of(query: &Query) -> Self {
        let mut parameters = Parameters::default();
        let Condition { sql, is_exact } = condition(query, &mut parameters);
        Self { sql, parameters: parameters.0, is_exact }
    }
}

/// A condition, and whether it is all that the query says. One that is not lets more through, never
/// less.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) sql: String,
    pub(crate) is_exact: bool,
}

impl Condition {
    fn exact(sql: String) -> Self {
        Self { sql, is_exact: true }
    }

    fn wider(sql: String) -> Self {
        Self { sql, is_exact: false }
    }
}

/// The query as a condition on the document `d`.
pub(crate) fn condition(query: &Query, parameters: &mut Parameters) -> Condition {
    match query {
        Query::All(parts) => joined(parts, " AND ", "1", parameters),
        Query::Any(parts) => joined(parts, " OR ", "0", parameters),
        Query::Not(part) => {
            let part = condition(part, parameters);
            // What is wider inside would be narrower outside.
            if part.is_exact {
                Condition::exact(format!("NOT ({})", part.sql))
            } else {
                Condition::wider(unused(&part.sql))
            }
        }
        Query::Field(field, test) => tested(field, test, parameters),
    }
}

/// A condition that is always true, and still mentions the parameters that were added for `sql`.
fn unused(sql: &str) -> String {
    format!("(1 OR ({sql}))")
}

fn joined(parts: &[Query], between: &str, empty: &str, parameters: &mut Parameters) -> Condition {
    if parts.is_empty() {
        return Condition::exact(empty.to_owned());
    }
    let parts: Vec<_> = parts.iter().map(|part| condition(part, parameters)).collect();
    let sql: Vec<_> = parts.iter().map(|part| part.sql.as_str()).collect();
    Condition {
        sql: format!("({})", sql.join(between)),
        is_exact: parts.iter().all(|part| part.is_exact),
    }
}

/// The value of a field in the form in which it is compared; nothing for a field that no path spells.
pub(crate) fn comparable(field: &Field, parameters: &mut Parameters) -> Option<String> {
    Some(match field.place() {
        // The sign takes the column's type away, which would turn a number into its digits.
        Place::Id => "+d.id".to_owned(),
        Place::CreatedAt => "+d.created_at".to_owned(),
        Place::UpdatedAt => "+d.updated_at".to_owned(),
        Place::Path(path) => expression("d.body", &parameters.text(&path), false),
        Place::Elsewhere => return None,
    })
}

/// As [`comparable`], with no more of a text than counts when documents are sorted.
pub(crate) fn sortable(field: &Field, parameters: &mut Parameters) -> Option<String> {
    Some(match field.place() {
        Place::Path(path) => expression("d.body", &parameters.text(&path), true),
        _ => return comparable(field, parameters),
    })
}

/// The expression of the head of this file.
pub(super) fn expression(body: &str, path: &str, is_cut: bool) -> String {
    let value = format!("json_extract({body}, {path})");
    let text = if is_cut {
        format!("substr({value}, 1, {})", crate::query::SORTED_CHARS)
    } else {
        value.clone()
    };
    format!(
        "CASE json_type({body}, {path}) WHEN 'text' THEN {text} WHEN 'integer' THEN {value} \
         WHEN 'real' THEN {value} WHEN 'true' THEN x'01' WHEN 'false' THEN x'00' \
         WHEN 'object' THEN x'02' WHEN 'array' THEN x'02' ELSE -9e999 END"
    )
}

fn tested(field: &Field, test: &Test, parameters: &mut Parameters) -> Condition {
    match test {
        Test::Exists(exists) => return existing(field, *exists, parameters),
        Test::Contains(operand) => return containing(field, operand, parameters),
        Test::In(operands) if operands.is_empty() => return Condition::exact("0".to_owned()),
        _ => {}
    }
    let Some(value) = comparable(field, parameters) else {
        return Condition::wider("1".to_owned());
    };
    match test {
        Test::Equal(operand) => {
            let bound = Bound::of(operand);
            let is_exact = bound != Bound::COMPOSITE;
            Condition { sql: format!("{value} = {}", parameters.add(bound)), is_exact }
        }
        Test::In(operands) => among(&value, operands, parameters),
        Test::Compare(side, operand) => {
            Condition::exact(compared(&value, *side, operand, parameters))
        }
        Test::StartsWith(prefix) => {
            let start = parameters.text(prefix);
            let end = successor(prefix);
            let end = end.map_or_else(|| "x''".to_owned(), |end| parameters.text(&end));
            Condition::exact(format!("({value} >= {start} AND {value} < {end})"))
        }
        Test::Matches(_) => Condition::wider(format!("({value} >= '' AND {value} < x'')")),
        Test::Exists(_) | Test::Contains(_) => Condition::wider("1".to_owned()),
    }
}

fn compared(value: &str, side: Side, operand: &Json, parameters: &mut Parameters) -> String {
    // Where the values of the operand's type end, below and above.
    let (lowest, highest) = match operand {
        Json::Number(_) => ("> -9e999", "< ''"),
        Json::Text(_) => (">= ''", "< x''"),
        _ => (">= x'00'", "< x'02'"),
    };
    let bound = parameters.add(Bound::of(operand));
    let (sign, end) = match side {
        Side::Less => ("<", lowest),
        Side::LessOrEqual => ("<=", lowest),
        Side::Greater => (">", highest),
        Side::GreaterOrEqual => (">=", highest),
    };
    format!("({value} {sign} {bound} AND {value} {end})")
}

/// A list of any length is one parameter, so that its length does not make another statement.
fn among(value: &str, operands: &[Json], parameters: &mut Parameters) -> Condition {
    let mut parts = Vec::new();
    let list: Vec<_> = operands
        .iter()
        .filter(|operand| matches!(operand, Json::Number(_) | Json::Text(_)))
        .cloned()
        .collect();
    if !list.is_empty() {
        let list = parameters.text(&Json::List(list).to_string());
        parts.push(format!("{value} IN (SELECT j.value FROM json_each({list}) AS j)"));
    }
    let mut is_exact = true;
    for operand in operands {
        match operand {
            Json::Null | Json::Bool(_) => {
                parts.push(format!("{value} = {}", parameters.add(Bound::of(operand))));
            }
            Json::List(_) | Json::Object(_) if is_exact => {
                is_exact = false;
                parts.push(format!("{value} = x'02'"));
            }
            _ => {}
        }
    }
    if parts.is_empty() {
        return Condition::exact("0".to_owned());
    }
    Condition { sql: format!("({})", parts.join(" OR ")), is_exact }
}

fn existing(field: &Field, exists: bool, parameters: &mut Parameters) -> Condition {
    match field.place() {
        Place::Path(path) => {
            let path = parameters.text(&path);
            let not = if exists { "NOT " } else { "" };
            Condition::exact(format!("json_type(d.body, {path}) IS {not}NULL"))
        }
        Place::Elsewhere => Condition::wider("1".to_owned()),
        _ => Condition::exact(if exists { "1" } else { "0" }.to_owned()),
    }
}

fn containing(field: &Field, operand: &Json, parameters: &mut Parameters) -> Condition {
    let path = match field.place() {
        Place::Path(path) => parameters.text(&path),
        // Of what is kept beside the body, only the id is a text.
        _ => return Condition::wider("1".to_owned()),
    };
    let (element, is_exact) = match operand {
        Json::Null => ("j.type = 'null'".to_owned(), true),
        Json::Bool(true) => ("j.type = 'true'".to_owned(), true),
        Json::Bool(false) => ("j.type = 'false'".to_owned(), true),
        Json::Number(_) => {
            let bound = parameters.add(Bound::of(operand));
            (format!("j.type IN ('integer', 'real') AND j.value = {bound}"), true)
        }
        Json::Text(_) => {
            let bound = parameters.add(Bound::of(operand));
            (format!("j.type = 'text' AND j.value = {bound}"), true)
        }
        Json::List(_) => ("j.type = 'array'".to_owned(), false),
        Json::Object(_) => ("j.type = 'object'".to_owned(), false),
    };
    let part = match operand {
        Json::Text(_) => {
            let bound = parameters.add(Bound::of(operand));
            format!(" WHEN 'text' THEN instr(json_extract(d.body, {path}), {bound}) > 0")
        }
        _ => String::new(),
    };
    Condition {
        sql: format!(
            "CASE json_type(d.body, {path}) WHEN 'array' THEN EXISTS \
             (SELECT 1 FROM json_each(d.body, {path}) AS j WHERE {element}){part} ELSE 0 END"
        ),
        is_exact,
    }
}
