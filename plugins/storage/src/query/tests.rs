//! What is a query and what is not.

use super::{Query, Subject};
use crate::json::Json;

fn code(text: &str) -> String {
    Query::parse(text).map(|_| String::new()).unwrap_or_else(|error| error.code().to_owned())
}

fn matches(query: &str, body: &str) -> bool {
    let body = Json::parse(body).unwrap();
    let subject = Subject { id: "i", created_at_ms: 5, updated_at_ms: 6, body: &body };
    Query::parse(query).unwrap().matches(&subject)
}

#[test]
fn what_is_no_query_is_an_error_and_never_all() {
    for (text, expected) in [
        ("[]", "INVALID_QUERY"),
        ("\"id\"", "INVALID_QUERY"),
        ("null", "INVALID_QUERY"),
        (r#"{"a":{"$foo":1}}"#, "UNKNOWN_OPERATOR"),
        (r#"{"$foo":[]}"#, "UNKNOWN_OPERATOR"),
        (r#"{"$where":"1"}"#, "UNKNOWN_OPERATOR"),
        (r#"{"$gt":1}"#, "UNKNOWN_OPERATOR"),
        (r#"{"a":{"$gt":1,"b":2}}"#, "INVALID_QUERY"),
        (r#"{"a":{"$gt":null}}"#, "INVALID_QUERY"),
        (r#"{"a":{"$lt":[1]}}"#, "INVALID_QUERY"),
        (r#"{"a":{"$in":1}}"#, "INVALID_QUERY"),
        (r#"{"a":{"$nin":{"b":1}}}"#, "INVALID_QUERY"),
        (r#"{"a":{"$exists":1}}"#, "INVALID_QUERY"),
        (r#"{"a":{"$startsWith":1}}"#, "INVALID_QUERY"),
        (r#"{"a":{"$regex":"("}}"#, "INVALID_QUERY"),
        (r#"{"a":{"$regex":1}}"#, "INVALID_QUERY"),
        (r#"{"a":{"$regex":"(a{1000}){1000}"}}"#, "INVALID_QUERY"),
        (r#"{"a":{"$not":1}}"#, "INVALID_QUERY"),
        (r#"{"a":{"$not":{"b":1}}}"#, "INVALID_QUERY"),
        (r#"{"$and":{}}"#, "INVALID_QUERY"),
        (r#"{"$or":[]}"#, "INVALID_QUERY"),
        (r#"{"$or":[1]}"#, "INVALID_QUERY"),
        (r#"{"":1}"#, "INVALID_FIELD"),
        (r#"{"a..b":1}"#, "INVALID_FIELD"),
        (r#"{"a.$b":1}"#, "INVALID_FIELD"),
        (r#"{"a":NaN}"#, "NOT_JSON"),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
    let nested = format!("{}{{}}{}", "{\"$not\":".repeat(30), "}".repeat(30));
    assert_eq!(code(&nested), "INVALID_QUERY");
    let many: Vec<_> = (0..201).map(|n| format!("\"f{n}\":1")).collect();
    assert_eq!(code(&format!("{{{}}}", many.join(","))), "INVALID_QUERY");
    assert_eq!(code(&format!("{{\"{}\":1}}", "a.".repeat(20) + "a")), "INVALID_FIELD");
    assert_eq!(
        code(&format!("{{\"a\":{{\"$regex\":\"{}\"}}}}", "a".repeat(1001))),
        "INVALID_QUERY"
    );
}

#[test]
fn values_are_compared_with_their_types() {
    let body = r#"{"n":5,"t":"5","b":true,"z":null,"l":[1,"a",{"x":1}],"o":{"p":{"q":7},"e":{}},"long":"banana"}"#;
    for (query, expected) in [
        (r#"{}"#, true),
        (r#"{"n":5.0}"#, true),
        (r#"{"n":"5"}"#, false),
        (r#"{"t":5}"#, false),
        (r#"{"b":1}"#, false),
        (r#"{"b":true}"#, true),
        (r#"{"z":null}"#, true),
        (r#"{"missing":null}"#, true),
        (r#"{"n":null}"#, false),
        (r#"{"z":{"$exists":true}}"#, true),
        (r#"{"missing":{"$exists":false}}"#, true),
        (r#"{"o.p.q":7}"#, true),
        (r#"{"o.p":{"q":7}}"#, true),
        (r#"{"o.e":{}}"#, true),
        (r#"{"o":{}}"#, false),
        (r#"{"l":[1,"a",{"x":1}]}"#, true),
        (r#"{"l":[1,"a"]}"#, false),
        (r#"{"l":{"$contains":{"x":1}}}"#, true),
        (r#"{"l":{"$contains":2}}"#, false),
        (r#"{"long":{"$contains":"nan"}}"#, true),
        (r#"{"long":{"$startsWith":"ban"}}"#, true),
        (r#"{"long":{"$regex":"^b(an)+a$"}}"#, true),
        (r#"{"n":{"$regex":"5"}}"#, false),
        (r#"{"n":{"$gt":4,"$lt":6}}"#, true),
        (r#"{"t":{"$gt":4}}"#, false),
        (r#"{"n":{"$gt":"4"}}"#, false),
        (r#"{"b":{"$gt":false}}"#, true),
        (r#"{"missing":{"$lt":9}}"#, false),
        (r#"{"n":{"$ne":6}}"#, true),
        (r#"{"missing":{"$ne":6}}"#, true),
        (r#"{"n":{"$in":[]}}"#, false),
        (r#"{"n":{"$nin":[]}}"#, true),
        (r#"{"missing":{"$in":[null]}}"#, true),
        (r#"{"n":{"$not":{"$gt":9}}}"#, true),
        (r#"{"$not":{"n":5}}"#, false),
        (r#"{"$or":[{"n":1},{"t":"5"}]}"#, true),
        (r#"{"$and":[{"n":5},{"t":"6"}]}"#, false),
        (r#"{"id":"i","_createdAt":5,"_updatedAt":{"$gte":6}}"#, true),
    ] {
        assert_eq!(matches(query, body), expected, "{query}");
    }
}
