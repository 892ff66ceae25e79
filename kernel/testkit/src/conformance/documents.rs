//! What every provider of `fazt.documents/1` does.

use fazt_sdk::error::{Error, ErrorKind, Result};
use fazt_sdk::services::Space;
use fazt_sdk::services::documents::{DOCUMENTS_MAX, Documents, Find, Order};
use serde_json::{Value, json};

use super::model::{self, Random};
use super::{Stage, fails};

const SHARED: Space = Space::Shared;

/// Runs all claims.
pub(super) async fn failures(documents: &impl Documents, stage: &Stage) -> Vec<String> {
    claims!(
        stage,
        documents,
        what_was_inserted_is_found_whole,
        what_cannot_be_kept_is_refused,
        an_insert_of_several_is_all_or_nothing,
        the_newest_come_first_and_pages_miss_nothing,
        queries_answer_as_the_model_does,
        indexes_change_no_answer,
        a_malformed_query_finds_changes_and_removes_nothing,
        changes_are_made_together_or_not_at_all,
        updates_at_once_lose_none,
        an_upsert_changes_or_inserts,
        unique_means_unique,
        the_oldest_go_first,
        distinct_values_are_listed_once_and_sorted,
        words_are_searched,
        spaces_and_apps_are_apart,
        names_of_fields_are_names,
    )
}

async fn insert(
    documents: &impl Documents,
    stage: &Stage,
    collection: &str,
    document: &Value,
) -> Result<String> {
    let inserted =
        documents.insert(&stage.call, &SHARED, collection, &document.to_string()).await?;
    Ok(inserted.id)
}

async fn found(
    documents: &impl Documents,
    stage: &Stage,
    collection: &str,
    find: &Find,
) -> Result<Vec<Value>> {
    let page = documents.find(&stage.call, &SHARED, collection, find).await?;
    page.documents.iter().map(|document| value(&document.to_json())).collect()
}

fn value(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| Error::internal(format!("{error}: {text}")))
}

fn query(query: &Value) -> Find {
    Find { query: query.to_string(), ..Find::default() }
}

fn ids(documents: &[Value]) -> Vec<&str> {
    documents.iter().filter_map(|document| document["id"].as_str()).collect()
}

async fn count(
    documents: &impl Documents,
    stage: &Stage,
    collection: &str,
    query: &Value,
) -> Result<u64> {
    documents.count(&stage.call, &SHARED, collection, &query.to_string()).await
}

async fn what_was_inserted_is_found_whole(documents: &impl Documents, stage: &Stage) -> Result<()> {
    let call = &stage.call;
    let text = r#"{ "z" : 1, "id":"one", "a":{"n":[0.1,-0,9007199254740991],"":"\u0000é"}, "_createdAt": 5 }"#;
    let kept = documents.insert(call, &SHARED, "whole", text).await?;
    same!(
        kept.body.as_str(),
        r#"{"z":1,"a":{"n":[0.1,-0,9007199254740991],"":"\u0000é"}}"#,
        "the body"
    );
    let got = documents.get(call, &SHARED, "whole", "one").await?;
    same!(got.as_ref(), Some(&kept), "what is got");
    claim!(kept.created_at_ms > 1_000_000 && kept.created_at_ms == kept.updated_at_ms, "its times");
    let whole = value(&kept.to_json())?;
    same!(whole["_createdAt"], json!(kept.created_at_ms), "the whole document");
    let made = documents.insert(call, &SHARED, "whole", "{}").await?;
    claim!(made.id.len() == 36 && made.body == "{}", "an id is made: {made:?}");
    claim!(value(&made.to_json())?["id"] == json!(made.id), "an empty document is whole");
    same!(documents.get(call, &SHARED, "whole", "two").await?, None, "what is not there");
    same!(documents.get(call, &SHARED, "nothing", "one").await?, None, "no collection");
    let chosen =
        Find { fields: vec!["a.n".to_owned(), "q".to_owned()], ..query(&json!({"id": "one"})) };
    let page = documents.find(call, &SHARED, "whole", &chosen).await?;
    let bodies: Vec<_> = page.documents.iter().map(|document| document.body.as_str()).collect();
    same!(bodies, vec![r#"{"a":{"n":[0.1,-0,9007199254740991]}}"#], "chosen fields");
    Ok(())
}

async fn what_cannot_be_kept_is_refused(documents: &impl Documents, stage: &Stage) -> Result<()> {
    for (document, code) in [
        ("[]", "INVALID_DOCUMENT"),
        ("null", "INVALID_DOCUMENT"),
        ("\"a\"", "INVALID_DOCUMENT"),
        ("{", "NOT_JSON"),
        (r#"{"a":1,"a":2}"#, "NOT_JSON"),
        (r#"{"a":"\ud800"}"#, "NOT_JSON"),
        (r#"{"a":9007199254740993}"#, "NUMBER_NOT_EXACT"),
        (r#"{"a":NaN}"#, "NOT_JSON"),
        (r#"{"id":7}"#, "INVALID_ID"),
    ] {
        let refused = documents.insert(&stage.call, &SHARED, "strict", document).await;
        claim!(fails(&refused, ErrorKind::Invalid, code), "{document}: {refused:?}");
    }
    for collection in ["", "a/b", "a\nb", &"c".repeat(129)] {
        let refused = documents.insert(&stage.call, &SHARED, collection, "{}").await;
        claim!(fails(&refused, ErrorKind::Invalid, "INVALID_COLLECTION"), "{collection:?}");
    }
    same!(count(documents, stage, "strict", &json!({})).await?, 0, "nothing was kept");
    Ok(())
}

async fn an_insert_of_several_is_all_or_nothing(
    documents: &impl Documents,
    stage: &Stage,
) -> Result<()> {
    let call = &stage.call;
    let several = ["a", "b", "a"].map(|id| json!({ "id": id }).to_string());
    let refused = documents.insert_many(call, &SHARED, "several", &several).await;
    claim!(fails(&refused, ErrorKind::Conflict, "DUPLICATE_ID"), "{refused:?}");
    same!(count(documents, stage, "several", &json!({})).await?, 0, "none is there");
    let ids = documents.insert_many(call, &SHARED, "several", &several[..2]).await?;
    same!(ids, vec!["a".to_owned(), "b".to_owned()], "the ids, in order");
    Ok(())
}

async fn the_newest_come_first_and_pages_miss_nothing(
    documents: &impl Documents,
    stage: &Stage,
) -> Result<()> {
    for number in 0..25 {
        let document =
            json!({ "id": format!("d{number:02}"), "n": number % 4, "even": number % 2 == 0 });
        insert(documents, stage, "pages", &document).await?;
    }
    let all = found(documents, stage, "pages", &Find::default()).await?;
    let newest: Vec<_> = (0..25).rev().map(|number| format!("d{number:02}")).collect();
    same!(ids(&all), newest, "the newest first");
    for (sort, order) in [
        (None, Some(Order::Ascending)),
        (None, None),
        (Some("n"), None),
        (Some("n"), Some(Order::Descending)),
        (Some("even"), None),
        (Some("missing"), Some(Order::Descending)),
        (Some("id"), Some(Order::Descending)),
        (Some("_createdAt"), None),
        (Some("_updatedAt"), None),
    ] {
        let whole = Find { sort: sort.map(str::to_owned), order, ..Find::default() };
        let whole = found(documents, stage, "pages", &whole).await?;
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let find =
                Find { sort: sort.map(str::to_owned), order, limit: 4, cursor, ..Find::default() };
            let page = documents.find(&stage.call, &SHARED, "pages", &find).await?;
            claim!(page.documents.len() <= 4, "a page has {} documents", page.documents.len());
            seen.extend(page.documents.iter().map(|document| document.id.clone()));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        same!(seen, ids(&whole), "the pages by {sort:?} {order:?}");
        same!(seen.len(), 25, "all of them by {sort:?} {order:?}");
    }
    let part = Find { limit: 3, offset: 20, ..Find::default() };
    same!(
        ids(&found(documents, stage, "pages", &part).await?),
        newest[20..23].to_vec(),
        "an offset"
    );
    let first = Find { limit: 4, ..Find::default() };
    let next = documents.find(&stage.call, &SHARED, "pages", &first).await?.next;
    let other = Find { sort: Some("n".to_owned()), cursor: next, ..Find::default() };
    let refused = documents.find(&stage.call, &SHARED, "pages", &other).await;
    claim!(fails(&refused, ErrorKind::Invalid, "INVALID_CURSOR"), "another order: {refused:?}");
    for cursor in ["", "zz", "7b7d", "é"] {
        let made_up = Find { cursor: Some(cursor.to_owned()), ..Find::default() };
        let refused = documents.find(&stage.call, &SHARED, "pages", &made_up).await;
        claim!(fails(&refused, ErrorKind::Invalid, "INVALID_CURSOR"), "{cursor}: {refused:?}");
    }
    for limit in [0, DOCUMENTS_MAX + 1] {
        let wrong = Find { limit, ..Find::default() };
        claim!(found(documents, stage, "pages", &wrong).await.is_err(), "a limit of {limit}");
    }
    Ok(())
}

/// Documents that are awkward on purpose, in a collection of their own.
async fn populate(
    documents: &impl Documents,
    stage: &Stage,
    collection: &str,
    random: &mut Random,
) -> Result<Vec<Value>> {
    let texts: Vec<String> = (0..60).map(|_| random.document().to_string()).collect();
    documents.insert_many(&stage.call, &SHARED, collection, &texts).await?;
    let mut all = found(documents, stage, collection, &Find::default()).await?;
    all.reverse();
    Ok(all)
}

/// Asks at random, and compares with the model: the same documents in the same order.
async fn compare(
    documents: &impl Documents,
    stage: &Stage,
    collection: &str,
    all: &[Value],
    random: &mut Random,
    rounds: usize,
) -> Result<()> {
    for _ in 0..rounds {
        let asked = random.query(2);
        let sort = random.sort();
        let order = random.order();
        let find = Find { sort: sort.clone(), order, ..query(&asked) };
        let what = format!("{asked} by {sort:?} {order:?}");
        let answered = documents.find(&stage.call, &SHARED, collection, &find).await;
        let answered = answered.map_err(|error| error.context(&what))?;
        let expected = model::find(all, &asked, sort.as_deref(), order);
        let answered: Vec<_> = answered.documents.iter().map(|one| one.id.as_str()).collect();
        same!(answered, ids(&expected), "{what}");
        same!(count(documents, stage, collection, &asked).await?, expected.len() as u64, "{what}");
        let part = Find { limit: 3, offset: 2, ..find };
        let part = documents.find(&stage.call, &SHARED, collection, &part).await?;
        let part: Vec<_> = part.documents.iter().map(|one| one.id.as_str()).collect();
        let expected: Vec<_> = ids(&expected).into_iter().skip(2).take(3).collect();
        same!(part, expected, "a part of {what}");
    }
    Ok(())
}

async fn queries_answer_as_the_model_does(documents: &impl Documents, stage: &Stage) -> Result<()> {
    for seed in 1..=4 {
        let mut random = Random::new(seed);
        let collection = format!("random{seed}");
        let all = populate(documents, stage, &collection, &mut random).await?;
        compare(documents, stage, &collection, &all, &mut random, 150).await?;
    }
    Ok(())
}

async fn indexes_change_no_answer(documents: &impl Documents, stage: &Stage) -> Result<()> {
    for seed in 11..=14 {
        let mut random = Random::new(seed);
        let collection = format!("indexed{seed}");
        // One index before the documents come, the others afterwards.
        documents.index(&stage.call, &SHARED, &collection, "a", false).await?;
        let all = populate(documents, stage, &collection, &mut random).await?;
        for field in ["b", "o.p"] {
            documents.index(&stage.call, &SHARED, &collection, field, false).await?;
        }
        compare(documents, stage, &collection, &all, &mut random, 150).await?;
        // After changes and removals the indexes still say the truth.
        let (call, removed) = (&stage.call, json!({ "b": { "$gt": 1 } }).to_string());
        let changes = json!({ "$rename": { "a": "moved" }, "$set": { "o.p": 3 } }).to_string();
        let some = json!({ "o": { "$exists": false } }).to_string();
        documents.update(call, &SHARED, &collection, &some, &changes).await?;
        documents.delete(call, &SHARED, &collection, &removed).await?;
        let mut left = found(documents, stage, &collection, &Find::default()).await?;
        left.reverse();
        claim!(left.len() < all.len(), "something was removed");
        compare(documents, stage, &collection, &left, &mut random, 60).await?;
        claim!(documents.remove_index(call, &SHARED, &collection, "a").await?, "it was there");
        claim!(!documents.remove_index(call, &SHARED, &collection, "a").await?, "it is gone");
        compare(documents, stage, &collection, &left, &mut random, 30).await?;
    }
    let infos = documents.collections(&stage.call, &SHARED).await?;
    let info = infos.iter().find(|info| info.name == "indexed11");
    let fields: Vec<_> = info.into_iter().flat_map(|info| &info.indexes).collect();
    same!(fields.len(), 2, "the indexes that are left");
    claim!(fields.iter().all(|index| index.ready && !index.unique), "they are in use");
    Ok(())
}

async fn a_malformed_query_finds_changes_and_removes_nothing(
    documents: &impl Documents,
    stage: &Stage,
) -> Result<()> {
    for number in 0..3 {
        insert(documents, stage, "safe", &json!({ "n": number })).await?;
    }
    let call = &stage.call;
    for (wrong, code) in [
        ("", "NOT_JSON"),
        ("[]", "INVALID_QUERY"),
        ("null", "INVALID_QUERY"),
        (r#"{"n":{"$foo":1}}"#, "UNKNOWN_OPERATOR"),
        (r#"{"$where":"1=1"}"#, "UNKNOWN_OPERATOR"),
        (r#"{"$or":[]}"#, "INVALID_QUERY"),
        (r#"{"n":{"$in":1}}"#, "INVALID_QUERY"),
        (r#"{"n":{"$gt":1,"x":2}}"#, "INVALID_QUERY"),
        (r#"{"a..b":1}"#, "INVALID_FIELD"),
    ] {
        let find = Find { query: wrong.to_owned(), ..Find::default() };
        let refused = documents.find(call, &SHARED, "safe", &find).await;
        claim!(fails(&refused, ErrorKind::Invalid, code), "{wrong}: {refused:?}");
        let refused = documents.delete(call, &SHARED, "safe", wrong).await;
        claim!(fails(&refused, ErrorKind::Invalid, code), "{wrong}: {refused:?}");
        let refused = documents.update(call, &SHARED, "safe", wrong, r#"{"n":9}"#).await;
        claim!(fails(&refused, ErrorKind::Invalid, code), "{wrong}: {refused:?}");
        claim!(documents.count(call, &SHARED, "safe", wrong).await.is_err(), "count {wrong}");
    }
    // An object without operators is a value, and no document has it.
    let value = r#"{"n":{"x":1}}"#;
    same!(documents.delete(call, &SHARED, "safe", value).await?, 0, "{value}");
    same!(count(documents, stage, "safe", &json!({})).await?, 3, "all are there");
    same!(count(documents, stage, "safe", &json!({ "n": 9 })).await?, 0, "none was changed");
    Ok(())
}

async fn changes_are_made_together_or_not_at_all(
    documents: &impl Documents,
    stage: &Stage,
) -> Result<()> {
    let call = &stage.call;
    insert(documents, stage, "change", &json!({ "id": "a", "n": 1, "l": [1, 2, 1], "t": "x" }))
        .await?;
    insert(documents, stage, "change", &json!({ "id": "b", "n": "text" })).await?;
    let changes = json!({
        "$set": { "deep.er": [1] }, "$inc": { "n": 2, "m": 1 }, "$pull": { "l": 1 },
        "$rename": { "t": "u" }, "$max": { "high": 5 }, "plain": true,
    });
    let one = json!({ "id": "a" }).to_string();
    let changed = documents.update(call, &SHARED, "change", &one, &changes.to_string()).await?;
    same!(changed, 1, "one document");
    let got = documents.get(call, &SHARED, "change", "a").await?;
    let got = got.map(|document| document.body);
    let expected =
        r#"{"n":3,"l":[2],"deep":{"er":[1]},"m":1,"u":"x","high":5,"plain":true}"#.to_owned();
    same!(value(&got.clone().unwrap_or_default())?, value(&expected)?, "all changes");
    let refused = documents.update(call, &SHARED, "change", "{}", r#"{"$inc":{"n":1}}"#).await;
    claim!(fails(&refused, ErrorKind::Invalid, "INVALID_CHANGE"), "{refused:?}");
    let after = documents.get(call, &SHARED, "change", "a").await?.map(|document| document.body);
    same!(after, got, "a document before the one that did not fit");
    for (changes, code) in [
        ("[]", "INVALID_CHANGE"),
        (r#"{"$foo":{"a":1}}"#, "UNKNOWN_OPERATOR"),
        (r#"{"a":1,"$inc":{"a":1}}"#, "INVALID_CHANGE"),
        (r#"{"id":"other"}"#, "INVALID_CHANGE"),
    ] {
        let refused = documents.update(call, &SHARED, "change", &one, changes).await;
        claim!(fails(&refused, ErrorKind::Invalid, code), "{changes}: {refused:?}");
    }
    let none = json!({ "id": "z" }).to_string();
    same!(documents.update(call, &SHARED, "change", &none, "{}").await?, 0, "no such document");
    same!(documents.update(call, &SHARED, "no such", "{}", "{}").await?, 0, "no such collection");
    Ok(())
}

async fn updates_at_once_lose_none(documents: &impl Documents, stage: &Stage) -> Result<()> {
    insert(documents, stage, "busy", &json!({ "id": "a", "n": 0, "kind": "x" })).await?;
    for query in [json!({ "id": "a" }), json!({ "kind": "x" })] {
        let query = query.to_string();
        let all = (0..32)
            .map(|_| documents.update(&stage.call, &SHARED, "busy", &query, r#"{"$inc":{"n":1}}"#));
        futures_util::future::try_join_all(all).await?;
    }
    same!(count(documents, stage, "busy", &json!({ "n": 64 })).await?, 1, "every increment");
    Ok(())
}

async fn an_upsert_changes_or_inserts(documents: &impl Documents, stage: &Stage) -> Result<()> {
    let call = &stage.call;
    let upsert = async |query: Value, changes: Value| {
        documents.upsert(call, &SHARED, "upsert", &query.to_string(), &changes.to_string()).await
    };
    let first =
        upsert(json!({ "mail": "a@b", "n": { "$gt": 5 } }), json!({ "$inc": { "n": 1 } })).await?;
    let inserted = first.inserted.map(|document| value(&document.body)).transpose()?;
    same!(inserted, Some(json!({ "mail": "a@b", "n": 1 })), "it was inserted");
    let second = upsert(json!({ "mail": "a@b" }), json!({ "$inc": { "n": 1 } })).await?;
    same!((second.updated, second.inserted.is_none()), (1, true), "it was changed");
    let named = upsert(json!({ "id": "x" }), json!({ "a": 1 })).await?;
    same!(named.inserted.map(|document| document.id), Some("x".to_owned()), "the id of the query");
    let all = (0..16).map(|_| upsert(json!({ "id": "y" }), json!({ "$inc": { "n": 1 } })));
    futures_util::future::try_join_all(all).await?;
    let got = documents.get(call, &SHARED, "upsert", "y").await?;
    same!(got.map(|document| document.body), Some(r#"{"n":16}"#.to_owned()), "many at once");
    Ok(())
}

async fn unique_means_unique(documents: &impl Documents, stage: &Stage) -> Result<()> {
    let call = &stage.call;
    documents.index(call, &SHARED, "unique", "mail", true).await?;
    documents.index(call, &SHARED, "unique", "mail", true).await?;
    let refused = documents.index(call, &SHARED, "unique", "mail", false).await;
    claim!(fails(&refused, ErrorKind::Conflict, "INDEX_DIFFERS"), "{refused:?}");
    for document in [
        json!({ "id": "1", "mail": "a" }),
        json!({ "id": "2", "mail": 1 }),
        json!({}),
        json!({ "mail": null }),
    ] {
        insert(documents, stage, "unique", &document).await?;
    }
    for mail in [json!("a"), json!(1.0)] {
        let refused = insert(documents, stage, "unique", &json!({ "mail": mail })).await;
        claim!(fails(&refused, ErrorKind::Conflict, "DUPLICATE_VALUE"), "{mail}: {refused:?}");
    }
    for mail in [json!([1]), json!("x".repeat(300)), json!("a\0b")] {
        let refused = insert(documents, stage, "unique", &json!({ "mail": mail })).await;
        claim!(fails(&refused, ErrorKind::Invalid, "INVALID_UNIQUE_VALUE"), "{mail}: {refused:?}");
    }
    let refused =
        documents.update(call, &SHARED, "unique", r#"{"id":"2"}"#, r#"{"mail":"a"}"#).await;
    claim!(fails(&refused, ErrorKind::Conflict, "DUPLICATE_VALUE"), "{refused:?}");
    let same =
        documents.update(call, &SHARED, "unique", r#"{"id":"1"}"#, r#"{"mail":"a"}"#).await?;
    same!(same, 1, "its own value is no other's");
    documents.delete(call, &SHARED, "unique", r#"{"id":"1"}"#).await?;
    insert(documents, stage, "unique", &json!({ "mail": "a" })).await?;
    let all = (0..8).map(|_| documents.insert(call, &SHARED, "unique", r#"{"mail":"race"}"#));
    let won = futures_util::future::join_all(all).await.iter().filter(|one| one.is_ok()).count();
    same!(won, 1, "of eight at once");
    for number in 0..2 {
        insert(documents, stage, "twice", &json!({ "n": number / 2 })).await?;
    }
    let refused = documents.index(call, &SHARED, "twice", "n", true).await;
    claim!(fails(&refused, ErrorKind::Conflict, "DUPLICATE_VALUE"), "{refused:?}");
    insert(documents, stage, "twice", &json!({ "n": 0 })).await?;
    Ok(())
}

async fn the_oldest_go_first(documents: &impl Documents, stage: &Stage) -> Result<()> {
    for number in 0..20 {
        insert(documents, stage, "oldest", &json!({ "id": format!("{number}") })).await?;
    }
    same!(documents.delete_oldest(&stage.call, &SHARED, "oldest", 5).await?, 15, "of twenty");
    let left = found(documents, stage, "oldest", &Find::default()).await?;
    same!(ids(&left), vec!["19", "18", "17", "16", "15"], "the newest five");
    same!(documents.delete_oldest(&stage.call, &SHARED, "oldest", 5).await?, 0, "nothing more");
    insert(documents, stage, "oldest", &json!({ "id": "0" })).await?;
    let left = found(documents, stage, "oldest", &Find::default()).await?;
    same!(ids(&left)[..2].to_vec(), vec!["0", "19"], "one that came back is the newest");
    Ok(())
}

async fn distinct_values_are_listed_once_and_sorted(
    documents: &impl Documents,
    stage: &Stage,
) -> Result<()> {
    for n in [
        json!("b"),
        json!(2),
        json!(1.0),
        json!(1),
        json!(true),
        json!(null),
        json!([1]),
        json!("a"),
    ] {
        insert(documents, stage, "distinct", &json!({ "n": n, "o": { "p": 1 } })).await?;
    }
    insert(documents, stage, "distinct", &json!({})).await?;
    let values = documents.distinct(&stage.call, &SHARED, "distinct", "n", "{}").await?;
    same!(values, vec!["null", "1", "2", "\"a\"", "\"b\"", "true", "[1]"], "by type, then value");
    let some = json!({ "n": { "$gt": 1 } }).to_string();
    let values = documents.distinct(&stage.call, &SHARED, "distinct", "n", &some).await?;
    same!(values, vec!["2"], "of some documents");
    Ok(())
}

async fn words_are_searched(documents: &impl Documents, stage: &Stage) -> Result<()> {
    for (id, text) in
        [("a", "The quick brown fox"), ("b", "quick quick rivers"), ("c", "Café crème")]
    {
        insert(documents, stage, "words", &json!({ "id": id, "in": { "side": [text] }, "n": 1 }))
            .await?;
    }
    let call = &stage.call;
    let search =
        async |words: &str| documents.search(call, &SHARED, "words", words, &Find::default()).await;
    let names = |found: Vec<fazt_sdk::services::documents::Document>| {
        found.into_iter().map(|document| document.id).collect::<Vec<_>>()
    };
    same!(names(search("QUICK").await?), vec!["b", "a"], "those that have it most often first");
    same!(names(search("quick fox").await?), vec!["a"], "all words");
    same!(names(search("riv*").await?), vec!["b"], "the start of a word");
    same!(names(search("cafe").await?), vec!["c"], "without accents");
    same!(names(search("\"fox\" OR").await?).len(), 0, "operators are words");
    insert(documents, stage, "words", &json!({ "id": "d", "t": "another fox" })).await?;
    same!(names(search("fox").await?), vec!["d", "a"], "what was inserted after the first search");
    documents.update(call, &SHARED, "words", r#"{"id":"a"}"#, r#"{"in":"hound"}"#).await?;
    documents.delete(call, &SHARED, "words", r#"{"id":"d"}"#).await?;
    same!(names(search("fox").await?).len(), 0, "what was changed or removed");
    same!(names(search("hound").await?), vec!["a"], "what it was changed to");
    for words in ["", "  ", "*", "\"", "-", &"w ".repeat(21)] {
        let refused = search(words).await;
        claim!(fails(&refused, ErrorKind::Invalid, "INVALID_SEARCH"), "{words:?}: {refused:?}");
    }
    let other = documents.search(&stage.other, &SHARED, "words", "quick", &Find::default()).await?;
    same!(other.len(), 0, "the other app's words");
    Ok(())
}

async fn spaces_and_apps_are_apart(documents: &impl Documents, stage: &Stage) -> Result<()> {
    let ann = Space::User("ann".to_owned());
    let places = [
        (stage.call, SHARED),
        (stage.call, ann.clone()),
        (stage.other, SHARED),
        (stage.other, ann),
    ];
    for (number, (call, space)) in places.iter().enumerate() {
        let document = json!({ "id": "same", "n": number }).to_string();
        documents.insert(call, space, "apart", &document).await?;
    }
    let removed = documents.delete(&stage.call, &SHARED, "apart", "{}").await?;
    same!(removed, 1, "everything of one place");
    documents.update(&stage.other, &SHARED, "apart", "{}", r#"{"n":9}"#).await?;
    let mut numbers = Vec::new();
    for (call, space) in &places {
        let got = documents.get(call, space, "apart", "same").await?;
        numbers.push(got.map(|document| document.body));
    }
    let text = |n: &str| Some(n.to_owned());
    same!(
        numbers,
        vec![None, text(r#"{"n":1}"#), text(r#"{"n":9}"#), text(r#"{"n":3}"#)],
        "each its own"
    );
    Ok(())
}

async fn names_of_fields_are_names(documents: &impl Documents, stage: &Stage) -> Result<()> {
    let hostile = [
        "x') OR 1=1 --",
        "a\"b",
        "a\\b",
        "a'b",
        "a[0]",
        "$.a",
        "*",
        "é ü",
        "a\nb",
        "%",
        "__proto__",
        "?1",
    ];
    insert(documents, stage, "names", &json!({ "id": "bystander", "a": 1 })).await?;
    for (number, name) in hostile.iter().enumerate() {
        let id = format!("h{number}");
        // A name may hold dots and `$` in a document, but a query takes them for more.
        let is_path = name.starts_with('$') || name.contains('.');
        let mut document = json!({ "id": id });
        document[*name] = json!(number);
        insert(documents, stage, "names", &document).await?;
        let mut asked = json!({});
        asked[*name] = json!(number);
        let counted = count(documents, stage, "names", &asked).await;
        if is_path {
            claim!(counted.is_err() || counted == Ok(0), "{name}: {counted:?}");
            continue;
        }
        same!(counted?, 1, "{name}");
        asked[*name] = json!({ "$exists": true });
        let deleted = documents.delete(&stage.call, &SHARED, "names", &asked.to_string()).await?;
        same!(deleted, 1, "{name}");
    }
    same!(
        count(documents, stage, "names", &json!({ "id": "bystander" })).await?,
        1,
        "the bystander"
    );
    Ok(())
}
