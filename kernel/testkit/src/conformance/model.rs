//! Queries answered the slow and obvious way, and documents and queries at random.

use std::cmp::Ordering;

use fazt_sdk::services::documents::Order;
use serde_json::{Map, Value, json};

/// What a query finds in `all`, which are in the order of their insertion.
pub(super) fn find(
    all: &[Value],
    query: &Value,
    sort: Option<&str>,
    order: Option<Order>,
) -> Vec<Value> {
    let mut found: Vec<_> =
        all.iter().enumerate().filter(|(_, document)| matches(document, query)).collect();
    let natural = if sort.is_some() { Order::Ascending } else { Order::Descending };
    found.sort_by(|(one_place, one), (two_place, two)| {
        let by_field =
            sort.map_or(Ordering::Equal, |field| compare(get(one, field), get(two, field)));
        let ordering = by_field.then(one_place.cmp(two_place));
        if order.unwrap_or(natural) == Order::Ascending { ordering } else { ordering.reverse() }
    });
    found.into_iter().map(|(_, document)| document.clone()).collect()
}

fn get<'d>(document: &'d Value, field: &str) -> Option<&'d Value> {
    field.split('.').try_fold(document, |value, name| value.as_object()?.get(name))
}

fn rank(value: Option<&Value>) -> u8 {
    match value {
        None | Some(Value::Null) => 0,
        Some(Value::Number(_)) => 1,
        Some(Value::String(_)) => 2,
        Some(Value::Bool(_)) => 3,
        Some(_) => 4,
    }
}

fn compare(one: Option<&Value>, two: Option<&Value>) -> Ordering {
    let start = |text: &str| {
        text.split('\0').next().unwrap_or_default().chars().take(256).collect::<String>()
    };
    rank(one).cmp(&rank(two)).then_with(|| match (one, two) {
        (Some(Value::String(one)), Some(Value::String(two))) => start(one).cmp(&start(two)),
        (Some(one), Some(two)) => ordered(one, two).unwrap_or(Ordering::Equal),
        _ => Ordering::Equal,
    })
}

fn ordered(one: &Value, two: &Value) -> Option<Ordering> {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => one.as_f64()?.partial_cmp(&two.as_f64()?),
        (Value::String(one), Value::String(two)) => Some(one.cmp(two)),
        (Value::Bool(one), Value::Bool(two)) => Some(one.cmp(two)),
        _ => None,
    }
}

fn same(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => one.as_f64() == two.as_f64(),
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len()
                && one.iter().all(|(name, one)| two.get(name).is_some_and(|two| same(one, two)))
        }
        _ => one == two,
    }
}

fn matches(document: &Value, query: &Value) -> bool {
    query.as_object().into_iter().flatten().all(|(name, condition)| match name.as_str() {
        "$and" => each(condition, |query| matches(document, query)).all(|matched| matched),
        "$or" => each(condition, |query| matches(document, query)).any(|matched| matched),
        "$not" => !matches(document, condition),
        field => holds(get(document, field), condition),
    })
}

fn each<'q>(
    list: &'q Value,
    test: impl Fn(&'q Value) -> bool + 'q,
) -> impl Iterator<Item = bool> + 'q {
    list.as_array().into_iter().flatten().map(test)
}

fn holds(value: Option<&Value>, condition: &Value) -> bool {
    let is_operators =
        condition.as_object().is_some_and(|fields| fields.keys().any(|name| name.starts_with('$')));
    if !is_operators {
        return equals(value, condition);
    }
    condition.as_object().into_iter().flatten().all(|(operator, operand)| {
        let order = || value.and_then(|value| ordered(value, operand));
        match operator.as_str() {
            "$eq" => equals(value, operand),
            "$ne" => !equals(value, operand),
            "$in" => each(operand, |one| equals(value, one)).any(|equal| equal),
            "$nin" => !each(operand, |one| equals(value, one)).any(|equal| equal),
            "$gt" => order().is_some_and(Ordering::is_gt),
            "$gte" => order().is_some_and(Ordering::is_ge),
            "$lt" => order().is_some_and(Ordering::is_lt),
            "$lte" => order().is_some_and(Ordering::is_le),
            "$exists" => value.is_some() == (*operand == json!(true)),
            "$contains" => match (value, operand) {
                (Some(Value::Array(items)), _) => items.iter().any(|item| same(item, operand)),
                (Some(Value::String(text)), Value::String(part)) => text.contains(part.as_str()),
                _ => false,
            },
            "$startsWith" => match (value, operand) {
                (Some(Value::String(text)), Value::String(start)) => {
                    text.starts_with(start.as_str())
                }
                _ => false,
            },
            // The random patterns are `^` and letters.
            "$regex" => match (value, operand) {
                (Some(Value::String(text)), Value::String(pattern)) => {
                    text.starts_with(pattern.trim_start_matches('^'))
                }
                _ => false,
            },
            "$not" => !holds(value, operand),
            other => panic!("the model has no {other}"),
        }
    })
}

fn equals(value: Option<&Value>, operand: &Value) -> bool {
    same(value.unwrap_or(&Value::Null), operand)
}

/// Chance that repeats itself.
#[derive(Debug)]
pub(super) struct Random(u64);

const FIELDS: [&str; 8] = ["a", "b", "c", "o.p", "o", "o.q.r", "zz", "a\"b"];

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// xorshift64 (Marsaglia 2003).
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % bound as u64).unwrap_or(0)
    }

    fn pick<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        &values[self.below(values.len())]
    }

    /// Few different values, so that documents and queries meet.
    fn scalar(&mut self) -> Value {
        let long = format!("{}{}", "x".repeat(255), self.pick(&["", "x", "xa", "xb"]));
        let values = [
            json!(null),
            json!(true),
            json!(false),
            json!(0),
            json!(1),
            json!(1.5),
            json!(-2),
            json!(0.1),
            json!(0.30000000000000004),
            json!(1e-7),
            json!(1.7976931348623157e308),
            json!(9_007_199_254_740_991_i64),
            json!(""),
            json!("1"),
            json!("a"),
            json!("ab"),
            json!("é"),
            json!("a\0b"),
            json!("a\0"),
            json!("[1]"),
            json!("true"),
            json!("\u{10ffff}"),
            json!(long),
        ];
        self.pick(&values).clone()
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0..6 => self.scalar(),
            6 => {
                let count = self.below(3);
                (0..count).map(|_| self.value(depth - 1)).collect()
            }
            _ => {
                let mut fields = Map::new();
                for _ in 0..self.below(3) {
                    let name = *self.pick(&["x", "y"]);
                    fields.insert(name.to_owned(), self.value(depth - 1));
                }
                Value::Object(fields)
            }
        }
    }

    pub(super) fn document(&mut self) -> Value {
        let mut fields = Map::new();
        for name in ["a", "b", "c", "a\"b"] {
            if self.below(4) > 0 {
                fields.insert(name.to_owned(), self.value(2));
            }
        }
        match self.below(4) {
            0 => {}
            1 => drop(fields.insert("o".to_owned(), self.value(1))),
            _ => {
                let inner = json!({ "p": self.value(1), "q": { "r": self.scalar() } });
                fields.insert("o".to_owned(), inner);
            }
        }
        Value::Object(fields)
    }

    pub(super) fn query(&mut self, depth: usize) -> Value {
        let mut query = Map::new();
        for _ in 0..=self.below(2) {
            match self.below(if depth == 0 { 6 } else { 9 }) {
                0..6 => {
                    let field = (*self.pick(&FIELDS)).to_owned();
                    query.insert(field, self.condition(depth));
                }
                6 => drop(query.insert("$not".to_owned(), self.query(depth - 1))),
                choice => {
                    let name = if choice == 7 { "$or" } else { "$and" };
                    let count = 1 + self.below(3);
                    let list: Vec<_> = (0..count).map(|_| self.query(depth - 1)).collect();
                    query.insert(name.to_owned(), Value::Array(list));
                }
            }
        }
        Value::Object(query)
    }

    fn comparable(&mut self) -> Value {
        loop {
            let value = self.scalar();
            if !value.is_null() {
                return value;
            }
        }
    }

    fn condition(&mut self, depth: usize) -> Value {
        if self.below(3) == 0 {
            return self.value(2);
        }
        let mut operators = Map::new();
        for _ in 0..=self.below(2) {
            let (operator, operand) = match self.below(13) {
                0 => ("$eq", self.value(1)),
                1 => ("$ne", self.value(1)),
                2 => ("$gt", self.comparable()),
                3 => ("$gte", self.comparable()),
                4 => ("$lt", self.comparable()),
                5 => ("$lte", self.comparable()),
                6 => ("$in", (0..self.below(4)).map(|_| self.value(1)).collect()),
                7 => ("$nin", (0..self.below(4)).map(|_| self.value(1)).collect()),
                8 => ("$exists", json!(self.below(2) == 0)),
                9 => ("$contains", self.value(1)),
                10 => ("$startsWith", json!(*self.pick(&["", "a", "x", "\u{10ffff}", "a\0", "é"]))),
                11 => ("$regex", json!(*self.pick(&["^a", "^x", "^"]))),
                _ if depth > 0 => {
                    let inner = loop {
                        let inner = self.condition(depth - 1);
                        let is_operators = inner.as_object().is_some_and(|fields| {
                            !fields.is_empty() && fields.keys().all(|name| name.starts_with('$'))
                        });
                        if is_operators {
                            break inner;
                        }
                    };
                    ("$not", inner)
                }
                _ => ("$exists", json!(true)),
            };
            operators.insert(operator.to_owned(), operand);
        }
        Value::Object(operators)
    }

    pub(super) fn sort(&mut self) -> Option<String> {
        let fields = [None, Some("a"), Some("b"), Some("o.p"), Some("o"), Some("zz"), Some("id")];
        self.pick(&fields).map(str::to_owned)
    }

    pub(super) fn order(&mut self) -> Option<Order> {
        *self.pick(&[None, Some(Order::Ascending), Some(Order::Descending)])
    }
}
