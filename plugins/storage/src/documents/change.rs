//! The language in which documents are changed, and its effect on one document.
//!
//! All changes of one call are applied together or not at all. Two of them may not concern the same
//! field, nor a field and something inside of it: their order would decide.

use std::cmp::Ordering;

use fazt_sdk::{Error, Result};

use crate::json::Json;
use crate::query::Field;

/// Changes to a document.
#[derive(Debug, Clone)]
pub struct Changes(Vec<(Field, Change)>);

#[derive(Debug, Clone)]
enum Change {
    Set(Json),
    Unset,
    Increase(f64),
    Push(Vec<Json>),
    Pull(Json),
    /// Becomes the operand where that is greater, or less.
    Bound(Ordering, Json),
    Rename(Field),
}

impl Changes {
    /// Reads changes: operators, or fields that are set.
    ///
    /// # Errors
    /// `Invalid` with `INVALID_CHANGE` or `UNKNOWN_OPERATOR`; what [`Json::parse`] says.
    pub fn parse(text: &str) -> Result<Self> {
        let Json::Object(fields) = Json::parse(text)? else {
            return Err(invalid("changes are an object"));
        };
        let mut changes = Vec::new();
        for (name, operand) in fields {
            if !name.starts_with('$') {
                changes.push((Field::parse(&name)?, Change::Set(operand)));
                continue;
            }
            let read: fn(&str, Json) -> Result<Change> = match name.as_str() {
                "$set" => |_, value| Ok(Change::Set(value)),
                "$unset" => |_, _| Ok(Change::Unset),
                "$inc" => increase,
                "$push" => push,
                "$pull" => pull,
                "$max" => |operator, value| bound(operator, Ordering::Greater, value),
                "$min" => |operator, value| bound(operator, Ordering::Less, value),
                "$rename" => rename,
                other => {
                    let shown: String = other.chars().take(40).collect();
                    return Err(Error::invalid(format!("unknown operator: {shown}"))
                        .with_code("UNKNOWN_OPERATOR"));
                }
            };
            let Json::Object(operands) = operand else {
                return Err(invalid(format!("{name} requires an object of fields")));
            };
            for (field, operand) in operands {
                changes.push((Field::parse(&field)?, read(&name, operand)?));
            }
        }
        if changes.len() > CHANGES_MAX {
            return Err(invalid(format!("one call makes at most {CHANGES_MAX} changes")));
        }
        refuse_overlaps(&changes)?;
        // What was read with a document may be written back with it: times are kept by themselves.
        changes.retain(|(field, change)| !(matches!(change, Change::Set(_)) && is_time(field)));
        if let Some((field, _)) = changes.iter().find(|(field, change)| {
            is_time(field)
                || matches!(change, Change::Rename(to) if is_time(to) || to.text() == "id")
                || (field.text() == "id" && !matches!(change, Change::Set(Json::Text(_))))
        }) {
            return Err(invalid(format!("`{}` is not changed this way", field.text())));
        }
        Ok(Self(changes))
    }

    /// The document `body` with the id `id` after the changes.
    ///
    /// # Errors
    /// `Invalid` with `INVALID_CHANGE` where a field holds something that a change does not fit, or
    /// with `INTEGER_OVERFLOW`.
    pub fn apply(&self, id: &str, mut body: Json) -> Result<Json> {
        for (field, change) in &self.0 {
            if field.text() == "id" {
                if matches!(change, Change::Set(Json::Text(same)) if same == id) {
                    continue;
                }
                return Err(invalid("the `id` of a document stays as it is"));
            }
            apply(&mut body, field, change)?;
        }
        if body.depth() > crate::json::DEPTH_MAX {
            return Err(invalid("the document would be nested too deep"));
        }
        Ok(body)
    }

    /// The id that the changes set, if they do.
    pub(crate) fn id(&self) -> Option<&str> {
        self.0.iter().find_map(|(field, change)| match change {
            Change::Set(Json::Text(id)) if field.text() == "id" => Some(id.as_str()),
            _ => None,
        })
    }
}

fn is_time(field: &Field) -> bool {
    matches!(field.names(), [name] if name == "_createdAt" || name == "_updatedAt")
}

fn invalid(what: impl Into<String>) -> Error {
    Error::invalid(what).with_code("INVALID_CHANGE")
}

fn increase(_: &str, value: Json) -> Result<Change> {
    match value {
        Json::Number(by) => Ok(Change::Increase(by)),
        other => Err(invalid(format!("$inc adds a number, not {}", other.kind()))),
    }
}

fn push(_: &str, value: Json) -> Result<Change> {
    match value {
        Json::Object(fields) if fields.iter().any(|(name, _)| name.starts_with('$')) => {
            match fields.as_slice() {
                [(name, Json::List(items))] if name == "$each" => Ok(Change::Push(items.clone())),
                _ => Err(invalid("$push takes a value, or {$each: [values]}")),
            }
        }
        value => Ok(Change::Push(vec![value])),
    }
}

fn pull(_: &str, value: Json) -> Result<Change> {
    match &value {
        Json::Object(fields) if fields.iter().any(|(name, _)| name.starts_with('$')) => {
            Err(invalid("$pull takes the value that it removes"))
        }
        _ => Ok(Change::Pull(value)),
    }
}

fn bound(operator: &str, side: Ordering, value: Json) -> Result<Change> {
    match value {
        Json::Number(_) | Json::Text(_) => Ok(Change::Bound(side, value)),
        other => {
            Err(invalid(format!("{operator} compares numbers or texts, not {}", other.kind())))
        }
    }
}

fn rename(_: &str, value: Json) -> Result<Change> {
    match value {
        Json::Text(to) => Ok(Change::Rename(Field::parse(&to)?)),
        other => Err(invalid(format!("$rename requires the new name, not {}", other.kind()))),
    }
}

fn refuse_overlaps(changes: &[(Field, Change)]) -> Result<()> {
    let mut touched: Vec<&Field> = Vec::new();
    for (field, change) in changes {
        touched.push(field);
        if let Change::Rename(to) = change {
            touched.push(to);
        }
    }
    touched.sort_by(|one, two| one.names().cmp(two.names()));
    // In this order a field stands right before what is inside of it.
    for pair in touched.windows(2) {
        if pair[1].names().starts_with(pair[0].names()) {
            return Err(invalid(format!("`{}` is changed twice", pair[1].text())));
        }
    }
    Ok(())
}

fn apply(body: &mut Json, field: &Field, change: &Change) -> Result<()> {
    match change {
        Change::Set(value) => set(body, field, value.clone()),
        Change::Unset => {
            take(body, field);
            Ok(())
        }
        Change::Increase(by) => {
            let sum = match find(body, field) {
                None => *by,
                Some(Json::Number(number)) => sum(field, *number, *by)?,
                Some(other) => return Err(unfit(field, other, "$inc adds to a number")),
            };
            set(body, field, Json::Number(sum))
        }
        Change::Push(values) => match find_mut(body, field) {
            None => set(body, field, Json::List(values.clone())),
            Some(Json::List(items)) => {
                items.extend(values.iter().cloned());
                Ok(())
            }
            Some(other) => Err(unfit(field, other, "$push adds to a list")),
        },
        Change::Pull(value) => match find_mut(body, field) {
            None => Ok(()),
            Some(Json::List(items)) => {
                items.retain(|item| !item.same(value));
                Ok(())
            }
            Some(other) => Err(unfit(field, other, "$pull removes from a list")),
        },
        Change::Bound(side, value) => {
            let order = match (value, find(body, field)) {
                (_, None) => Some(*side),
                (Json::Number(one), Some(Json::Number(two))) => one.partial_cmp(two),
                (Json::Text(one), Some(Json::Text(two))) => Some(one.cmp(two)),
                (_, Some(other)) => {
                    return Err(unfit(field, other, "$max and $min compare values of one type"));
                }
            };
            if order == Some(*side) { set(body, field, value.clone()) } else { Ok(()) }
        }
        Change::Rename(to) => match take(body, field) {
            None => Ok(()),
            Some(value) => set(body, to, value),
        },
    }
}

fn unfit(field: &Field, found: &Json, rule: &str) -> Error {
    invalid(format!("{rule}; `{}` is {}", field.text(), found.kind()))
}

/// The sum: exact for integers, finite for everything else.
fn sum(field: &Field, number: f64, by: f64) -> Result<f64> {
    let sum = number + by;
    let is_integer = |value: f64| Json::Number(value).as_integer().is_some();
    let is_kept =
        if is_integer(number) && is_integer(by) { is_integer(sum) } else { sum.is_finite() };
    if is_kept {
        return Ok(sum);
    }
    Err(Error::invalid(format!("{number} + {by} in `{}` is not exact any more", field.text()))
        .with_code("INTEGER_OVERFLOW"))
}

fn find<'b>(body: &'b Json, field: &Field) -> Option<&'b Json> {
    field.names().iter().try_fold(body, |value, name| value.field(name))
}

fn find_mut<'b>(body: &'b mut Json, field: &Field) -> Option<&'b mut Json> {
    field.names().iter().try_fold(body, |value, name| match value {
        Json::Object(fields) => {
            fields.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
        }
        _ => None,
    })
}

/// Sets the field; objects around it are made where there is nothing.
fn set(body: &mut Json, field: &Field, value: Json) -> Result<()> {
    let mut at = body;
    for name in field.names() {
        if matches!(at, Json::Null) {
            *at = Json::Object(Vec::new());
        }
        let fields = match at {
            Json::Object(fields) => fields,
            other => {
                let rule = format!("it has no field `{name}` to set");
                return Err(unfit(field, other, &rule));
            }
        };
        let place = fields.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            fields.push((name.clone(), Json::Null));
            fields.len() - 1
        });
        at = &mut fields[place].1;
    }
    *at = value;
    Ok(())
}

/// Removes the field; returns what it held.
fn take(body: &mut Json, field: &Field) -> Option<Json> {
    let (last, outer) = field.names().split_last()?;
    let mut at = body;
    for name in outer {
        let Json::Object(fields) = at else { return None };
        at = &mut fields.iter_mut().find(|(known, _)| known == name)?.1;
    }
    let Json::Object(fields) = at else { return None };
    let place = fields.iter().position(|(known, _)| known == last)?;
    Some(fields.remove(place).1)
}

/// The most changes of one call.
const CHANGES_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(body: &str, changes: &str) -> String {
        let result = Changes::parse(changes)
            .and_then(|changes| changes.apply("i", Json::parse(body).unwrap()));
        result.map_or_else(|error| error.code().to_owned(), |body| body.to_string())
    }

    #[test]
    fn changes_are_made_together() {
        for (body, changes, expected) in [
            (r#"{"a":1}"#, r#"{"b":2}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a":1}"#, r#"{}"#, r#"{"a":1}"#),
            (
                r#"{"a":1,"n":1}"#,
                r#"{"$set":{"a":{"b":1},"c.d":2},"$inc":{"n":2,"m":-1},"e":3}"#,
                r#"{"a":{"b":1},"n":3,"c":{"d":2},"m":-1,"e":3}"#,
            ),
            (r#"{"a":{"b":1,"c":2}}"#, r#"{"$unset":{"a.b":"","x.y":1}}"#, r#"{"a":{"c":2}}"#),
            (r#"{"l":[1]}"#, r#"{"$push":{"l":{"x":1},"m":2}}"#, r#"{"l":[1,{"x":1}],"m":[2]}"#),
            (r#"{"l":[1]}"#, r#"{"$push":{"l":{"$each":[2,3]}}}"#, r#"{"l":[1,2,3]}"#),
            (
                r#"{"l":[1,{"a":1,"b":2},1]}"#,
                r#"{"$pull":{"l":{"b":2,"a":1.0},"m":1}}"#,
                r#"{"l":[1,1]}"#,
            ),
            (
                r#"{"n":5,"t":"b"}"#,
                r#"{"$max":{"n":4,"t":"c","x":1},"$min":{"m":2}}"#,
                r#"{"n":5,"t":"c","x":1,"m":2}"#,
            ),
            (
                r#"{"a":{"b":1},"c":2}"#,
                r#"{"$rename":{"a.b":"d.e","zz":"y"}}"#,
                r#"{"a":{},"c":2,"d":{"e":1}}"#,
            ),
            (r#"{"a":null}"#, r#"{"a.b":1}"#, r#"{"a":{"b":1}}"#),
            (r#"{"a":1}"#, r#"{"id":"i","_createdAt":1,"_updatedAt":2,"a":2}"#, r#"{"a":2}"#),
            (r#"{"n":0.1}"#, r#"{"$inc":{"n":0.2}}"#, r#"{"n":0.30000000000000004}"#),
            (r#"{"__proto__":{"a":1}}"#, r#"{"__proto__.b":2}"#, r#"{"__proto__":{"a":1,"b":2}}"#),
        ] {
            assert_eq!(changed(body, changes), expected, "{changes} on {body}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (body, changes, expected) in [
            ("{}", "[]", "INVALID_CHANGE"),
            ("{}", r#"{"$foo":{"a":1}}"#, "UNKNOWN_OPERATOR"),
            ("{}", r#"{"$set":1}"#, "INVALID_CHANGE"),
            ("{}", r#"{"$set":{"$a":1}}"#, "INVALID_FIELD"),
            ("{}", r#"{"$inc":{"a":"1"}}"#, "INVALID_CHANGE"),
            (r#"{"a":"1"}"#, r#"{"$inc":{"a":1}}"#, "INVALID_CHANGE"),
            (r#"{"a":9007199254740991}"#, r#"{"$inc":{"a":1}}"#, "INTEGER_OVERFLOW"),
            (r#"{"a":1.7e308}"#, r#"{"$inc":{"a":1.7e308}}"#, "INTEGER_OVERFLOW"),
            (r#"{"a":1}"#, r#"{"$push":{"a":1}}"#, "INVALID_CHANGE"),
            (r#"{"a":1}"#, r#"{"$pull":{"a":1}}"#, "INVALID_CHANGE"),
            ("{}", r#"{"$pull":{"a":{"$gt":1}}}"#, "INVALID_CHANGE"),
            ("{}", r#"{"$push":{"a":{"$slice":1}}}"#, "INVALID_CHANGE"),
            (r#"{"a":1}"#, r#"{"$max":{"a":"x"}}"#, "INVALID_CHANGE"),
            ("{}", r#"{"$max":{"a":[1]}}"#, "INVALID_CHANGE"),
            ("{}", r#"{"$rename":{"a":1}}"#, "INVALID_CHANGE"),
            (r#"{"a":1}"#, r#"{"a.b":1}"#, "INVALID_CHANGE"),
            ("{}", r#"{"a":1,"$inc":{"a":1}}"#, "INVALID_CHANGE"),
            ("{}", r#"{"$set":{"a.b":1},"$unset":{"a":1}}"#, "INVALID_CHANGE"),
            ("{}", r#"{"$rename":{"a":"b"},"$set":{"b":1}}"#, "INVALID_CHANGE"),
            ("{}", r#"{"id":"other"}"#, "INVALID_CHANGE"),
            ("{}", r#"{"$unset":{"id":1}}"#, "INVALID_CHANGE"),
            ("{}", r#"{"$inc":{"_createdAt":1}}"#, "INVALID_CHANGE"),
            ("{}", r#"{"$rename":{"a":"id"}}"#, "INVALID_CHANGE"),
        ] {
            assert_eq!(changed(body, changes), expected, "{changes} on {body}");
        }
        let deep = format!("{{\"a.b\":{}{}}}", "[".repeat(63), "]".repeat(63));
        assert_eq!(changed("{}", &deep), "INVALID_CHANGE");
    }
}
