//! From JSON to a query. Everything that is not known is an error.

use std::sync::Arc;

use fazt_sdk::{Error, Result};
use regex::RegexBuilder;

use super::{Field, Query, Side, Test};
use crate::json::Json;

pub(super) fn query(value: &Json) -> Result<Query> {
    let mut budget = CONDITIONS_MAX;
    let query = object(value, &mut budget, 0)?;
    Ok(query)
}

fn invalid(what: impl Into<String>) -> Error {
    Error::invalid(what).with_code("INVALID_QUERY")
}

fn spend(budget: &mut usize, depth: usize) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(invalid(format!("a query is nested at most {DEPTH_MAX} levels deep")));
    }
    *budget = budget
        .checked_sub(1)
        .ok_or_else(|| invalid(format!("a query has at most {CONDITIONS_MAX} conditions")))?;
    Ok(())
}

/// `{field: condition, …, $and: […]}`.
fn object(value: &Json, budget: &mut usize, depth: usize) -> Result<Query> {
    let Json::Object(fields) = value else {
        return Err(invalid(format!("a query is an object, not {}", value.kind())));
    };
    let mut parts = Vec::new();
    for (name, condition) in fields {
        spend(budget, depth)?;
        match name.as_str() {
            "$and" => parts.push(Query::All(several(name, condition, budget, depth + 1)?)),
            "$or" => parts.push(Query::Any(several(name, condition, budget, depth + 1)?)),
            "$not" => parts.push(Query::Not(Box::new(object(condition, budget, depth + 1)?))),
            operator if operator.starts_with('$') => return Err(unknown(operator)),
            field => self::field(&Field::parse(field)?, condition, budget, depth + 1, &mut parts)?,
        }
    }
    Ok(Query::All(parts))
}

fn several(operator: &str, value: &Json, budget: &mut usize, depth: usize) -> Result<Vec<Query>> {
    match value {
        Json::List(queries) if !queries.is_empty() => {
            queries.iter().map(|query| object(query, budget, depth)).collect()
        }
        _ => Err(invalid(format!("{operator} requires a list of queries"))),
    }
}

/// What one field has to satisfy: a value, or operators.
fn field(
    field: &Field,
    condition: &Json,
    budget: &mut usize,
    depth: usize,
    parts: &mut Vec<Query>,
) -> Result<()> {
    let test = |test| Query::Field(field.clone(), test);
    let Json::Object(operators) = condition else {
        parts.push(test(Test::Equal(condition.clone())));
        return Ok(());
    };
    let named = operators.iter().filter(|(name, _)| name.starts_with('$')).count();
    if named == 0 {
        parts.push(test(Test::Equal(condition.clone())));
        return Ok(());
    }
    if named < operators.len() {
        return Err(invalid(format!(
            "`{}` mixes operators and fields; an object to compare with has no `$` names",
            field.text()
        )));
    }
    for (operator, operand) in operators {
        spend(budget, depth)?;
        parts.push(match operator.as_str() {
            "$eq" => test(Test::Equal(operand.clone())),
            "$ne" => Query::Not(Box::new(test(Test::Equal(operand.clone())))),
            "$gt" => test(compared(operator, Side::Greater, operand)?),
            "$gte" => test(compared(operator, Side::GreaterOrEqual, operand)?),
            "$lt" => test(compared(operator, Side::Less, operand)?),
            "$lte" => test(compared(operator, Side::LessOrEqual, operand)?),
            "$in" => test(Test::In(values(operator, operand)?)),
            "$nin" => Query::Not(Box::new(test(Test::In(values(operator, operand)?)))),
            "$exists" => match operand {
                Json::Bool(exists) => test(Test::Exists(*exists)),
                _ => return Err(invalid("$exists requires true or false")),
            },
            "$contains" => test(Test::Contains(operand.clone())),
            "$startsWith" => match operand {
                Json::Text(prefix) => test(Test::StartsWith(prefix.clone())),
                _ => return Err(invalid("$startsWith requires text")),
            },
            "$regex" => test(Test::Matches(Arc::new(regex(operand)?))),
            "$not" => {
                let mut inner = Vec::new();
                match operand {
                    Json::Object(fields)
                        if fields.iter().any(|(name, _)| name.starts_with('$')) =>
                    {
                        self::field(field, operand, budget, depth + 1, &mut inner)?;
                    }
                    _ => return Err(invalid("$not behind a field requires operators")),
                }
                Query::Not(Box::new(Query::All(inner)))
            }
            other => return Err(unknown(other)),
        });
    }
    Ok(())
}

fn compared(operator: &str, side: Side, operand: &Json) -> Result<Test> {
    match operand {
        Json::Number(_) | Json::Text(_) | Json::Bool(_) => Ok(Test::Compare(side, operand.clone())),
        other => Err(invalid(format!(
            "{operator} compares numbers, texts or booleans, not {}",
            other.kind()
        ))),
    }
}

fn values(operator: &str, operand: &Json) -> Result<Vec<Json>> {
    match operand {
        Json::List(values) if values.len() <= VALUES_MAX => Ok(values.clone()),
        Json::List(_) => Err(invalid(format!("{operator} takes at most {VALUES_MAX} values"))),
        _ => Err(invalid(format!("{operator} requires an array"))),
    }
}

/// A pattern whose search takes time in proportion to the text, whatever the pattern.
fn regex(operand: &Json) -> Result<regex::Regex> {
    let Json::Text(pattern) = operand else { return Err(invalid("$regex requires text")) };
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(invalid(format!("$regex takes at most {PATTERN_BYTES_MAX} bytes")));
    }
    RegexBuilder::new(pattern)
        .size_limit(PATTERN_MEMORY_BYTES_MAX)
        .dfa_size_limit(PATTERN_MEMORY_BYTES_MAX)
        .build()
        .map_err(|error| invalid(format!("$regex: {error}")))
}

fn unknown(operator: &str) -> Error {
    let shown: String = operator.chars().take(40).collect();
    Error::invalid(format!("unknown operator: {shown}")).with_code("UNKNOWN_OPERATOR")
}

/// How deep conditions may be nested.
const DEPTH_MAX: usize = 20;
/// The most conditions of one query.
const CONDITIONS_MAX: usize = 200;
/// The most values of `$in` and `$nin`.
const VALUES_MAX: usize = 1_000;
/// The longest pattern.
const PATTERN_BYTES_MAX: usize = 1_000;
/// The most memory that a compiled pattern takes.
const PATTERN_MEMORY_BYTES_MAX: usize = 256 * 1024;
