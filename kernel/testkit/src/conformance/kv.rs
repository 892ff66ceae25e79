//! What every provider of `fazt.kv/1` does.

use std::time::Duration;

use fazt_sdk::error::{Error, ErrorKind, Result};
use fazt_sdk::services::Space;
use fazt_sdk::services::kv::{ENTRIES_MAX, Expected, INTEGER_MAX, KEY_BYTES_MAX, Kv};

use super::{Stage, fails};

const SHARED: Space = Space::Shared;

/// Runs all claims.
pub(super) async fn failures(kv: &impl Kv, stage: &Stage) -> Vec<String> {
    claims!(
        stage,
        kv,
        what_was_set_is_got_as_the_same_value,
        what_is_no_json_or_not_exact_is_refused,
        what_was_deleted_is_gone,
        keys_have_bounds,
        a_prefix_is_literal_and_pages_are_in_the_order_of_bytes,
        what_has_expired_is_never_seen,
        integers_are_exact,
        a_write_that_expects_something_else_changes_nothing,
        every_write_has_a_version_of_its_own,
        spaces_and_apps_are_apart,
        increments_at_once_lose_none,
        no_text_is_more_than_a_text,
    )
}

async fn text(kv: &impl Kv, stage: &Stage, key: &str) -> Result<Option<String>> {
    Ok(kv.get(&stage.call, &SHARED, key).await?.map(|entry| entry.value))
}

async fn set(kv: &impl Kv, stage: &Stage, key: &str, value: &str) -> Result<u64> {
    kv.set(&stage.call, &SHARED, key, value, None).await
}

async fn what_was_set_is_got_as_the_same_value(kv: &impl Kv, stage: &Stage) -> Result<()> {
    for (value, kept) in [
        ("null", "null"),
        (" [ 1 , \"a\" ] ", "[1,\"a\"]"),
        (r#"{"b":1,"a":{"z":[],"":"\u0000"}}"#, r#"{"b":1,"a":{"z":[],"":"\u0000"}}"#),
        ("9007199254740991", "9007199254740991"),
        ("-0", "-0"),
        ("0.1", "0.1"),
        ("\"\\ud83d\\ude00\"", "\"😀\""),
    ] {
        set(kv, stage, "round", value).await?;
        same!(text(kv, stage, "round").await?.as_deref(), Some(kept), "{value}");
        claim!(kv.has(&stage.call, &SHARED, "round").await?, "{value} is there");
    }
    let keys = ["round", "missing", "round"].map(str::to_owned);
    let many = kv.get_many(&stage.call, &SHARED, &keys).await?;
    let there: Vec<_> = many.iter().map(Option::is_some).collect();
    same!(there, vec![true, false, true], "several keys, in their order");
    Ok(())
}

async fn what_is_no_json_or_not_exact_is_refused(kv: &impl Kv, stage: &Stage) -> Result<()> {
    set(kv, stage, "strict", "1").await?;
    for (value, code) in [
        ("", "NOT_JSON"),
        ("NaN", "NOT_JSON"),
        ("{", "NOT_JSON"),
        ("{\"a\":1,\"a\":2}", "NOT_JSON"),
        ("\"\\ud800\"", "NOT_JSON"),
        ("9007199254740993", "NUMBER_NOT_EXACT"),
        ("1e400", "NUMBER_NOT_EXACT"),
    ] {
        let refused = kv.set(&stage.call, &SHARED, "strict", value, None).await;
        claim!(fails(&refused, ErrorKind::Invalid, code), "{value}: {refused:?}");
    }
    let deep = "[".repeat(100_000);
    let refused = kv.set(&stage.call, &SHARED, "strict", &deep, None).await;
    claim!(fails(&refused, ErrorKind::Invalid, "NOT_JSON"), "deep nesting: {refused:?}");
    same!(text(kv, stage, "strict").await?.as_deref(), Some("1"), "a refused value changed it");
    Ok(())
}

async fn what_was_deleted_is_gone(kv: &impl Kv, stage: &Stage) -> Result<()> {
    set(kv, stage, "gone", "1").await?;
    claim!(kv.delete(&stage.call, &SHARED, "gone").await?, "it held something");
    claim!(!kv.delete(&stage.call, &SHARED, "gone").await?, "it held nothing any more");
    same!(text(kv, stage, "gone").await?, None, "what was deleted");
    Ok(())
}

async fn keys_have_bounds(kv: &impl Kv, stage: &Stage) -> Result<()> {
    for key in ["k".repeat(KEY_BYTES_MAX), "\0".to_owned(), "\u{10ffff}".to_owned()] {
        set(kv, stage, &key, "1").await?;
        same!(text(kv, stage, &key).await?.as_deref(), Some("1"), "{key:?}");
        claim!(kv.delete(&stage.call, &SHARED, &key).await?, "{key:?} is deleted");
    }
    for key in [String::new(), "k".repeat(KEY_BYTES_MAX + 1), "k".repeat(1 << 20)] {
        claim!(set(kv, stage, &key, "1").await.is_err(), "a key of {} bytes", key.len());
        claim!(kv.get(&stage.call, &SHARED, &key).await.is_err(), "get of {} bytes", key.len());
        claim!(kv.increment(&stage.call, &SHARED, &key, 1).await.is_err(), "{} bytes", key.len());
    }
    Ok(())
}

async fn a_prefix_is_literal_and_pages_are_in_the_order_of_bytes(
    kv: &impl Kv,
    stage: &Stage,
) -> Result<()> {
    let mut keys =
        vec!["l%a", "l_a", "lXa", "l", "m", "lé", "l\u{10ffff}", "l\u{10ffff}\u{10ffff}", "L%a"];
    for key in &keys {
        set(kv, stage, key, "1").await?;
    }
    let list = async |prefix: &str, limit, cursor| {
        kv.list(&stage.call, &SHARED, prefix, limit, cursor).await
    };
    let names = |page: &fazt_sdk::services::kv::KvPage| {
        page.entries.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>()
    };
    for prefix in ["l%", "l_", "L"] {
        let page = list(prefix, 10, None).await?;
        claim!(page.entries.len() == 1, "{prefix} is literal: {:?}", names(&page));
    }
    same!(names(&list("l\u{10ffff}", 10, None).await?).len(), 2, "a prefix of the last character");
    keys.retain(|key| key.starts_with('l'));
    keys.sort_unstable();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = list("l", 2, cursor).await?;
        seen.extend(names(&page));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    same!(seen, keys.clone(), "the pages together");
    for limit in [0, ENTRIES_MAX + 1] {
        claim!(list("l", limit, None).await.is_err(), "a limit of {limit}");
    }
    for key in keys.into_iter().chain(["m", "L%a"]) {
        kv.delete(&stage.call, &SHARED, key).await?;
    }
    Ok(())
}

async fn what_has_expired_is_never_seen(kv: &impl Kv, stage: &Stage) -> Result<()> {
    let (call, ttl) = (&stage.call, Some(Duration::from_millis(40)));
    for key in ["t:a", "t:b", "t:c"] {
        kv.set(call, &SHARED, key, "5", ttl).await?;
    }
    kv.set(call, &SHARED, "t:long", "5", Some(Duration::from_secs(3_600))).await?;
    claim!(kv.increment(call, &SHARED, "t:long", 1).await? == 6, "incrementing what expires");
    let kept = kv.get(call, &SHARED, "t:long").await?.and_then(|entry| entry.expires_at_ms);
    claim!(kept.is_some(), "incrementing keeps when it expires");
    kv.set(call, &SHARED, "t:long", "1", None).await?;
    let kept = kv.get(call, &SHARED, "t:long").await?.and_then(|entry| entry.expires_at_ms);
    same!(kept, None, "setting without a time to live");
    let mut tries = 0;
    while kv.has(call, &SHARED, "t:a").await? {
        tries += 1;
        claim!(tries < 1_000, "it is still there");
        stage.clock.sleep(Duration::from_millis(5)).await;
    }
    stage.clock.sleep(Duration::from_millis(50)).await;
    same!(text(kv, stage, "t:b").await?, None, "get");
    let listed = kv.list(call, &SHARED, "t:", 10, None).await?;
    same!(listed.entries.len(), 1, "what is listed");
    let expired = Expected::Value("5".to_owned());
    let set = kv.set_if(call, &SHARED, "t:a", "6", &expired, None).await?;
    same!(set, None, "what has expired is not what is expected");
    let set = kv.set_if(call, &SHARED, "t:a", "6", &Expected::Absent, None).await?;
    claim!(set.is_some(), "what has expired is absent");
    same!(kv.increment(call, &SHARED, "t:b", 2).await?, 2, "counting starts anew");
    claim!(!kv.delete(call, &SHARED, "t:c").await?, "what has expired held nothing");
    let refused = kv.set(call, &SHARED, "t:a", "1", Some(Duration::ZERO)).await;
    claim!(refused.is_err(), "a time to live of nothing");
    Ok(())
}

async fn integers_are_exact(kv: &impl Kv, stage: &Stage) -> Result<()> {
    let (call, key) = (&stage.call, "n");
    same!(kv.increment(call, &SHARED, key, INTEGER_MAX).await?, INTEGER_MAX, "the last integer");
    for by in [1, i64::MAX, i64::MIN] {
        let refused = kv.increment(call, &SHARED, key, by).await;
        claim!(fails(&refused, ErrorKind::Invalid, "INTEGER_OVERFLOW"), "{by}: {refused:?}");
    }
    same!(kv.increment(call, &SHARED, key, -1).await?, INTEGER_MAX - 1, "one less");
    for value in ["1.5", "\"1\"", "null", "true", "[]", "1e21"] {
        set(kv, stage, key, value).await?;
        let refused = kv.increment(call, &SHARED, key, 1).await;
        claim!(fails(&refused, ErrorKind::Invalid, "NOT_AN_INTEGER"), "{value}: {refused:?}");
        same!(text(kv, stage, key).await?.as_deref(), Some(value), "a refused increment");
    }
    Ok(())
}

async fn a_write_that_expects_something_else_changes_nothing(
    kv: &impl Kv,
    stage: &Stage,
) -> Result<()> {
    let (call, key) = (&stage.call, "cas");
    let set_if = async |value: &str, expected: Expected| {
        kv.set_if(call, &SHARED, key, value, &expected, None).await
    };
    let value = |text: &str| Expected::Value(text.to_owned());
    claim!(set_if("1", value("1")).await?.is_none(), "there is nothing yet");
    let first = set_if(r#"{"a":1,"b":[2]}"#, Expected::Absent).await?;
    let first = first.ok_or_else(|| Error::internal("there was nothing, as expected"))?;
    claim!(set_if("2", Expected::Absent).await?.is_none(), "it is there");
    claim!(set_if("2", value(r#"{"a":1}"#)).await?.is_none(), "a part is not the value");
    claim!(set_if("2", Expected::Version(first + 1)).await?.is_none(), "another version");
    same!(text(kv, stage, key).await?.as_deref(), Some(r#"{"a":1,"b":[2]}"#), "nothing changed");
    claim!(set_if("2", value(r#"{"b":[2.0],"a":1}"#)).await?.is_some(), "the same value");
    claim!(set_if("3", Expected::Version(first)).await?.is_none(), "the version that was");
    claim!(!kv.delete_if(call, &SHARED, key, &value("9")).await?, "another value");
    claim!(kv.delete_if(call, &SHARED, key, &value("2")).await?, "the value that is there");
    claim!(!kv.delete_if(call, &SHARED, key, &value("2")).await?, "there is nothing");
    claim!(set_if("2", value("{")).await.is_err(), "what is expected is no JSON");
    Ok(())
}

async fn every_write_has_a_version_of_its_own(kv: &impl Kv, stage: &Stage) -> Result<()> {
    let mut versions = Vec::new();
    for value in ["1", "1", "2"] {
        versions.push(set(kv, stage, "v", value).await?);
    }
    kv.delete(&stage.call, &SHARED, "v").await?;
    versions.push(set(kv, stage, "v", "1").await?);
    claim!(versions.is_sorted_by(|one, two| one < two), "versions grow: {versions:?}");
    let found = kv.get(&stage.call, &SHARED, "v").await?.map(|entry| entry.version);
    same!(found, versions.last().copied(), "the version that is read");
    Ok(())
}

async fn spaces_and_apps_are_apart(kv: &impl Kv, stage: &Stage) -> Result<()> {
    let user = |name: &str| Space::User(name.to_owned());
    let places = [
        (stage.call, SHARED),
        (stage.call, user("ann")),
        (stage.call, user("bob")),
        (stage.other, SHARED),
        (stage.other, user("ann")),
    ];
    for (number, (call, space)) in places.iter().enumerate() {
        kv.set(call, space, "apart", &number.to_string(), None).await?;
    }
    for (number, (call, space)) in places.iter().enumerate() {
        let found = kv.get(call, space, "apart").await?.map(|entry| entry.value);
        same!(found, Some(number.to_string()), "{space:?}");
        same!(kv.list(call, space, "apart", 10, None).await?.entries.len(), 1, "{space:?}");
    }
    kv.delete(&stage.call, &user("ann"), "apart").await?;
    claim!(kv.has(&stage.other, &user("ann"), "apart").await?, "the other app's");
    claim!(kv.has(&stage.call, &SHARED, "apart").await?, "what is shared");
    for key in ["u:ann:apart", "ann/apart"] {
        claim!(!kv.has(&stage.call, &SHARED, key).await?, "{key} leads into a user's space");
    }
    Ok(())
}

async fn increments_at_once_lose_none(kv: &impl Kv, stage: &Stage) -> Result<()> {
    let all = (0..64).map(|_| kv.increment(&stage.call, &SHARED, "busy", 1));
    let mut sums = futures_util::future::try_join_all(all).await?;
    sums.sort_unstable();
    same!(sums, (1..=64).collect::<Vec<_>>(), "every sum once");
    Ok(())
}

async fn no_text_is_more_than_a_text(kv: &impl Kv, stage: &Stage) -> Result<()> {
    let before = kv.list(&stage.call, &SHARED, "", ENTRIES_MAX, None).await?.entries.len();
    for hostile in
        ["'; DROP TABLE storage_kv; --", "x' OR '1'='1", "%", "_", "\\", "*", "\"", "a\0b"]
    {
        let value = serde_json::Value::from(hostile).to_string();
        set(kv, stage, hostile, &value).await?;
        same!(text(kv, stage, hostile).await?, Some(value.clone()), "{hostile}");
        let listed = kv.list(&stage.call, &SHARED, hostile, 10, None).await?;
        same!(listed.entries.len(), 1, "below {hostile}");
        let missing = format!("{hostile}?");
        claim!(!kv.delete(&stage.call, &SHARED, &missing).await?, "{missing} is not there");
        claim!(kv.delete(&stage.call, &SHARED, hostile).await?, "{hostile} is deleted");
    }
    let after = kv.list(&stage.call, &SHARED, "", ENTRIES_MAX, None).await?.entries.len();
    same!(after, before, "what else there is");
    Ok(())
}
