//! Whatever a query says, the statement that is made of it runs, says nothing of the caller's text, and finds
//! what the evaluator finds; where it is not exact, no less than that.
#![no_main]

use std::cell::RefCell;

use fazt_storage::documents::{Bound, Compiled};
use fazt_storage::json::Json;
use fazt_storage::query::{Query, Subject};
use libfuzzer_sys::fuzz_target;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

const OPERATORS: [&str; 12] = [
    "eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "exists", "contains", "startsWith", "regex",
];

thread_local! {
    static DATABASE: RefCell<Connection> = {
        let database = Connection::open_in_memory().unwrap();
        database
            .execute_batch("CREATE TABLE d (place INTEGER PRIMARY KEY, id TEXT, body TEXT, created_at, updated_at)")
            .unwrap();
        RefCell::new(database)
    };
}

fuzz_target!(|input: (u8, &str, &str, &str, &str)| {
    let (choice, field, value, body, raw) = input;
    let query = match choice % 4 {
        0 => raw.to_owned(),
        1 => condition(choice, field, value),
        2 => format!("{{\"$not\":{}}}", condition(choice, field, value)),
        _ => format!("{{\"$or\":[{},{raw}]}}", condition(choice, field, value)),
    };
    let (Ok(query), Ok(body)) = (Query::parse(&query), Json::parse(body)) else { return };
    if !matches!(body, Json::Object(_)) {
        return;
    }
    let compiled = Compiled::of(&query);
    // Every letter of the statement is ours: what is sent is a parameter.
    assert!(compiled.sql.is_ascii(), "{}", compiled.sql);
    assert!(!compiled.sql.contains(['"', ';', '`']) && !compiled.sql.contains("--"), "{}", compiled.sql);
    let subject = Subject { id: "the id", created_at_ms: 1_000, updated_at_ms: 2_000, body: &body };
    let matches = query.matches(&subject);
    let found = DATABASE.with_borrow(|database| {
        database.execute("DELETE FROM d", []).unwrap();
        database
            .execute("INSERT INTO d VALUES (1, 'the id', ?1, 1000, 2000)", [body.to_string()])
            .unwrap();
        let sql = format!("SELECT count(*) FROM d WHERE {}", compiled.sql);
        let parameters = compiled.parameters.iter().map(bound);
        let mut statement = database.prepare_cached(&sql).unwrap();
        statement.query_row(params_from_iter(parameters), |row| row.get::<_, i64>(0)).unwrap() == 1
    });
    if compiled.is_exact {
        assert_eq!(found, matches, "{query:?} {body} {}", compiled.sql);
    } else {
        assert!(found || !matches, "{query:?} {body} {}", compiled.sql);
    }
});

fn condition(choice: u8, field: &str, value: &str) -> String {
    let field = Json::Text(field.to_owned());
    let operator = OPERATORS[usize::from(choice / 4) % OPERATORS.len()];
    let value = match Json::parse(value) {
        Ok(value) if matches!(operator, "in" | "nin") => Json::List(vec![value]),
        Ok(value) => value,
        Err(_) => Json::Text(value.to_owned()),
    };
    format!("{{{field}:{{\"${operator}\":{value}}}}}")
}

fn bound(value: &Bound) -> Value {
    match value {
        Bound::Integer(number) => Value::Integer(*number),
        Bound::Real(number) => Value::Real(*number),
        Bound::Text(text) => Value::Text(text.clone()),
        Bound::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}
