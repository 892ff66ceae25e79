//! Against another reader of JSON, and the numbers that tend to go wrong.

use proptest::prelude::*;

use super::{Json, canonical};

fn code(text: &str) -> String {
    match Json::parse(text) {
        Ok(value) => format!("{value}"),
        Err(error) => error.code().to_owned(),
    }
}

#[test]
fn numbers_are_exact_or_refused() {
    for (given, kept) in [
        ("9007199254740991", "9007199254740991"),
        ("9007199254740992", "9007199254740992"),
        ("9007199254740994", "9007199254740994"),
        ("-9007199254740992", "-9007199254740992"),
        ("123456789012345680000", "123456789012345680000"),
        ("1180591620717411303424", "1.1805916207174113e21"),
        ("1e21", "1e21"),
        ("1E+2", "100"),
        ("1.0", "1"),
        ("0.1", "0.1"),
        ("-0", "-0"),
        ("-0.0", "-0"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e308"),
        ("0e99999", "0"),
    ] {
        assert_eq!(code(given), kept, "{given}");
        assert_eq!(code(kept), kept, "{kept}");
    }
    for given in [
        "9007199254740993",
        "-9007199254740993",
        "1e309",
        "-1e400",
        "1e-400",
        "18446744073709551617",
    ] {
        assert_eq!(code(given), "NUMBER_NOT_EXACT", "{given}");
    }
    assert_eq!(code(&"9".repeat(400)), "NUMBER_NOT_EXACT");
}

#[test]
fn what_is_no_json_is_refused() {
    for given in [
        "",
        " ",
        "NaN",
        "Infinity",
        "-",
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "'a'",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\u{1}\"",
        "nul",
        "true false",
        "[1 2]",
        "{\"a\":1,\"a\":2}",
        "undefined",
        "1 1",
    ] {
        assert_eq!(code(given), "NOT_JSON", "{given}");
    }
    let many: Vec<_> = (0..40).map(|n| format!("\"k{}\":{n}", n % 39)).collect();
    assert_eq!(code(&format!("{{{}}}", many.join(","))), "NOT_JSON");
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(code(&deep(64)), deep(64));
    assert_eq!(code(&deep(66)), "NOT_JSON");
    assert_eq!(code(&"[".repeat(1_000_000)), "NOT_JSON");
}

#[test]
fn texts_have_one_spelling_and_fields_keep_their_order() {
    assert_eq!(
        code(r#" { "b" : "\u0061\/\ud83d\ude00" , "a" : [ true , null ] } "#),
        "{\"b\":\"a/😀\",\"a\":[true,null]}"
    );
    assert_eq!(code(r#""\u0000\u001f\b\f\n\r\t\"\\""#), r#""\u0000\u001f\b\f\n\r\t\"\\""#);
}

#[test]
fn values_are_the_same_whatever_their_spelling() {
    let same = |one: &str, two: &str| Json::parse(one).unwrap().same(&Json::parse(two).unwrap());
    assert!(same(r#"{"a":1,"b":[2]}"#, r#"{"b":[2.0],"a":1.0}"#));
    assert!(same("-0", "0"));
    assert!(!same(r#"{"a":1}"#, r#"{"a":1,"b":null}"#));
    assert!(!same("[1,2]", "[2,1]"));
    assert!(!same("1", "\"1\""));
    assert!(!same("0", "false"));
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        // Eighths: what the other reader reads exactly.
        any::<i32>().prop_map(|number| (f64::from(number) / 8.0).into()),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_another_writer_writes_is_read_as_the_same_value(value in values()) {
        let kept = canonical(&value.to_string()).unwrap();
        let again: serde_json::Value = serde_json::from_str(&kept).unwrap();
        let spelled = |value: &serde_json::Value| canonical(&value.to_string()).unwrap();
        prop_assert_eq!(spelled(&again), spelled(&value));
        prop_assert_eq!(canonical(&kept).unwrap(), kept);
    }

    #[test]
    fn every_double_survives(number in any::<f64>().prop_filter("finite", |number| number.is_finite())) {
        let text = Json::Number(number).to_string();
        let Json::Number(read) = Json::parse(&text).unwrap() else { panic!("{text}") };
        prop_assert_eq!(read.to_bits(), number.to_bits());
    }

    #[test]
    fn garbage_is_refused_or_read_as_another_reader_reads_it(text in "[\\[\\]{}:,\"\\\\a0-9eE.+\\- tfnu]{0,40}") {
        let ours = Json::parse(&text);
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        if ours.is_ok() {
            prop_assert!(theirs.is_ok(), "{}", text);
        }
    }
}
