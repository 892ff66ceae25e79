//! What every provider of `fazt.transactions/1` does, over its values and documents.

use fazt_sdk::error::{Error, ErrorKind, Result};
use fazt_sdk::services::Space;
use fazt_sdk::services::documents::Documents;
use fazt_sdk::services::kv::Kv;
use fazt_sdk::services::transactions::{Check, STEPS_MAX, Transactions, Write};

use super::{Stage, fails};

const SHARED: Space = Space::Shared;

/// The three that belong together.
#[derive(Debug)]
pub(super) struct Provided<K, D, T> {
    pub(super) kv: K,
    pub(super) documents: D,
    pub(super) transactions: T,
}

/// Runs all claims.
pub(super) async fn failures<K: Kv, D: Documents, T: Transactions>(
    provided: &Provided<K, D, T>,
    stage: &Stage,
) -> Vec<String> {
    claims!(
        stage,
        provided,
        what_changed_since_it_was_read_stops_everything,
        a_write_that_fails_takes_the_others_with_it,
        transfers_at_once_keep_the_sum,
        a_transaction_has_bounds,
    )
}

fn set(key: &str, value: &str) -> Write {
    Write::Set { space: SHARED, key: key.to_owned(), value: value.to_owned(), ttl: None }
}

fn insert(collection: &str, document: &str) -> Write {
    let (collection, document) = (collection.to_owned(), document.to_owned());
    Write::Insert { space: SHARED, collection, document }
}

async fn what_changed_since_it_was_read_stops_everything<K: Kv, D: Documents, T: Transactions>(
    provided: &Provided<K, D, T>,
    stage: &Stage,
) -> Result<()> {
    let Provided { kv, documents, transactions } = provided;
    let call = &stage.call;
    let version = kv.set(call, &SHARED, "tx:a", "1", None).await?;
    documents.insert(call, &SHARED, "tx", r#"{"id":"d"}"#).await?;
    let document = documents.get(call, &SHARED, "tx", "d").await?;
    let document = document.ok_or_else(|| Error::internal("it was inserted"))?.version;
    let collection = transactions.version(call, &SHARED, "tx").await?;
    same!(transactions.version(call, &SHARED, "nothing").await?, 0, "of no collection");
    let key = |key: &str, version| Check::Key { space: SHARED, key: key.to_owned(), version };
    let keys =
        |count, version| Check::Keys { space: SHARED, prefix: "tx:".to_owned(), count, version };
    let of = |id: &str, version| {
        let (collection, id) = ("tx".to_owned(), id.to_owned());
        Check::Document { space: SHARED, collection, id, version }
    };
    let whole = |version| Check::Collection { space: SHARED, collection: "tx".to_owned(), version };
    let checks = [
        key("tx:a", version),
        key("tx:none", 0),
        keys(1, version),
        of("d", document),
        of("none", 0),
        whole(collection),
    ];
    same!(
        transactions.commit(call, &checks, &[]).await?,
        Vec::<u64>::new(),
        "everything is as it was"
    );
    for wrong in [
        key("tx:a", version + 1),
        key("tx:a", 0),
        key("tx:none", 1),
        keys(2, version),
        keys(1, version + 1),
        of("d", 0),
        of("none", 1),
        whole(collection - 1),
    ] {
        let what = format!("{wrong:?}");
        let refused = transactions.commit(call, &[wrong], &[set("tx:a", "2")]).await;
        claim!(fails(&refused, ErrorKind::Conflict, "TX_CONFLICT"), "{what}: {refused:?}");
    }
    let value = kv.get(call, &SHARED, "tx:a").await?.map(|entry| entry.value);
    same!(value.as_deref(), Some("1"), "nothing was written");
    let writes = [set("tx:b", "2"), insert("tx", r#"{"id":"e"}"#)];
    same!(transactions.commit(call, &checks, &writes).await?, vec![1, 1], "it is written");
    for stale in [keys(1, version), whole(collection), of("e", 0), key("tx:b", 0)] {
        let what = format!("{stale:?}");
        let refused = transactions.commit(call, &[stale], &[]).await;
        claim!(fails(&refused, ErrorKind::Conflict, "TX_CONFLICT"), "{what}: {refused:?}");
    }
    let elsewhere = transactions.commit(&stage.other, &[key("tx:a", 0)], &[]).await;
    claim!(elsewhere.is_ok(), "the other app has no such key: {elsewhere:?}");
    Ok(())
}

async fn a_write_that_fails_takes_the_others_with_it<K: Kv, D: Documents, T: Transactions>(
    provided: &Provided<K, D, T>,
    stage: &Stage,
) -> Result<()> {
    let call = &stage.call;
    let writes = [
        set("all:a", "1"),
        insert("all", r#"{"id":"x"}"#),
        Write::Update {
            space: SHARED,
            collection: "all".to_owned(),
            query: "{}".to_owned(),
            changes: r#"{"n":1}"#.to_owned(),
        },
        insert("all", r#"{"id":"x"}"#),
    ];
    let refused = provided.transactions.commit(call, &[], &writes).await;
    claim!(fails(&refused, ErrorKind::Conflict, "DUPLICATE_ID"), "{refused:?}");
    claim!(!provided.kv.has(call, &SHARED, "all:a").await?, "the value");
    same!(provided.documents.count(call, &SHARED, "all", "{}").await?, 0, "the documents");
    let done = provided.transactions.commit(call, &[], &writes[..3]).await?;
    same!(done, vec![1, 1, 1], "a later write sees an earlier one");
    let got = provided.documents.get(call, &SHARED, "all", "x").await?;
    same!(got.map(|document| document.body), Some(r#"{"n":1}"#.to_owned()), "both");
    Ok(())
}

async fn transfers_at_once_keep_the_sum<K: Kv, D: Documents, T: Transactions>(
    provided: &Provided<K, D, T>,
    stage: &Stage,
) -> Result<()> {
    let (kv, call) = (&provided.kv, &stage.call);
    for key in ["sum:a", "sum:b"] {
        kv.set(call, &SHARED, key, "100", None).await?;
    }
    let amount = |entry: &Option<fazt_sdk::services::kv::Entry>| {
        entry.as_ref().and_then(|entry| entry.value.parse::<i64>().ok()).unwrap_or(0)
    };
    let transfer = async |by: i64| {
        loop {
            let keys = ["sum:a".to_owned(), "sum:b".to_owned()];
            let read = kv.get_many(call, &SHARED, &keys).await?;
            let checks: Vec<_> = read
                .iter()
                .zip(&keys)
                .map(|(entry, key)| Check::Key {
                    space: SHARED,
                    key: key.clone(),
                    version: entry.as_ref().map_or(0, |entry| entry.version),
                })
                .collect();
            let writes = [
                set("sum:a", &(amount(&read[0]) - by).to_string()),
                set("sum:b", &(amount(&read[1]) + by).to_string()),
            ];
            match provided.transactions.commit(call, &checks, &writes).await {
                Err(error) if error.code() == "TX_CONFLICT" => {}
                other => return other.map(drop),
            }
        }
    };
    futures_util::future::try_join_all((1..=16).map(transfer)).await?;
    let keys = ["sum:a".to_owned(), "sum:b".to_owned()];
    let read = kv.get_many(call, &SHARED, &keys).await?;
    same!((amount(&read[0]), amount(&read[1])), (100 - 136, 100 + 136), "every transfer once");
    Ok(())
}

async fn a_transaction_has_bounds<K: Kv, D: Documents, T: Transactions>(
    provided: &Provided<K, D, T>,
    stage: &Stage,
) -> Result<()> {
    let writes = vec![set("bound", "1"); STEPS_MAX + 1];
    let refused = provided.transactions.commit(&stage.call, &[], &writes).await;
    claim!(fails(&refused, ErrorKind::TooLarge, "TX_TOO_LARGE"), "{refused:?}");
    for wrong in [set("", "1"), set("k", "NaN"), insert("a/b", "{}"), insert("c", "[]")] {
        let what = format!("{wrong:?}");
        let refused = provided.transactions.commit(&stage.call, &[], &[wrong]).await;
        claim!(refused.is_err(), "{what}");
    }
    Ok(())
}
