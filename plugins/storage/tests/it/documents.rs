//! Documents in collections.

use fazt_sdk::http::Method;
use fazt_sdk::{Json, json};
use fazt_testkit::Caller;

use crate::world::{World, code, encoded};

const POSTS: &str = "/api/storage/alpha/docs/posts";

#[tokio::test]
async fn the_provider_conforms() {
    World::new().await.conforms("documents").await;
}

#[tokio::test]
async fn transactions_conform() {
    World::new().await.conforms("transactions").await;
}

async fn insert(world: &World, path: &str, document: Json) -> fazt_sdk::Result<Json> {
    let body = json!({ "document": document }).to_string();
    world.ask(Method::Post, path, "", &body).await.data()
}

async fn explained(world: &World, query: &Json, more: &str) -> String {
    let query = format!("query={}{more}", encoded(&query.to_string()));
    let steps = world.get("/api/storage/alpha/explain/posts", &query).await.unwrap();
    steps.as_array().unwrap().iter().filter_map(Json::as_str).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn owners_look_at_documents_and_change_them() {
    let world = World::new().await;
    for number in 0..5 {
        let document = json!({ "id": format!("p{number}"), "n": number, "tags": ["a"] });
        insert(&world, POSTS, document).await.unwrap();
    }
    let answer = world.ask(Method::Get, POSTS, "limit=2&sort=n&order=desc", "").await.json();
    assert_eq!(
        (&answer["data"][0]["id"], &answer["meta"]["has_more"]),
        (&json!("p4"), &json!(true))
    );
    let cursor = answer["meta"]["cursor"].as_str().unwrap();
    let answer = world
        .ask(Method::Get, POSTS, &format!("limit=9&sort=n&order=desc&cursor={cursor}"), "")
        .await
        .json();
    assert_eq!(answer["data"].as_array().unwrap().len(), 3);
    let query = encoded(r#"{"n":{"$gte":3}}"#);
    let found = world.get(POSTS, &format!("query={query}&fields=n")).await.unwrap();
    assert_eq!((&found[0]["n"], &found[0]["tags"]), (&json!(4), &Json::Null));
    let one = world.get("/api/storage/alpha/docs/posts/p1", "").await.unwrap();
    assert_eq!((&one["n"], one["_createdAt"].is_u64()), (&json!(1), true));
    let changes =
        json!({ "query": { "n": { "$lt": 2 } }, "changes": { "$push": { "tags": "b" } } });
    assert_eq!(world.put(POSTS, &changes).await.unwrap()["updated"], 2);
    let changes = json!({ "query": "{\"id\":\"new\"}", "changes": "{\"n\":7}", "upsert": true });
    assert_eq!(world.put(POSTS, &changes).await.unwrap()["inserted"], "new");
    let query = encoded(r#"{"tags":{"$contains":"b"}}"#);
    assert_eq!(world.delete(POSTS, &format!("query={query}")).await.unwrap()["deleted"], 2);
    let index = json!({ "field": "n", "unique": true });
    let indexes = "/api/storage/alpha/indexes/posts";
    world.ask(Method::Post, indexes, "", &index.to_string()).await.data().unwrap();
    let collections = world.get("/api/storage/alpha/docs", "").await.unwrap();
    assert_eq!(
        (&collections[0]["documents"], &collections[0]["indexes"]),
        (&json!(4), &json!(["n (unique)"]))
    );
    assert_eq!(code(insert(&world, POSTS, json!({ "n": 7 })).await), "DUPLICATE_VALUE");
    assert_eq!(code(world.get("/api/storage/alpha/docs/posts/zz", "").await), "NOT_FOUND");
    assert_eq!(world.get("/api/storage/beta/docs", "").await.unwrap(), json!([]));
    assert_eq!(world.usage("alpha", "documents").await.0, 4);
}

#[tokio::test]
async fn collections_travel_as_files() {
    let world = World::new().await;
    for document in [
        json!({ "id": "a", "t": "=HYPERLINK(\"http://evil\")", "n": -5, "l": [1, "x"] }),
        json!({ "id": "b", "t": "5", "n": 0.1, "o": { "p": null } }),
        json!({ "id": "c", "t": "line\nbreak, \"quoted\"" }),
    ] {
        insert(&world, POSTS, document).await.unwrap();
    }
    let all = world.get(POSTS, "order=asc").await.unwrap();
    for format in ["jsonl", "csv"] {
        let query = format!("format={format}");
        let file = world.ask(Method::Get, "/api/storage/alpha/export/posts", &query, "").await;
        assert_eq!(file.status, 200, "{}", file.text());
        if format == "csv" {
            let text = file.text();
            assert!(text.starts_with("id,l,n,t,_createdAt,_updatedAt,o\r\n"), "{text}");
            assert!(
                text.contains("'=HYPERLINK") && !text.contains(",=") && !text.contains("\"="),
                "{text}"
            );
        }
        for _ in 0..2 {
            let answer = world
                .kernel
                .admin(
                    Caller::OWNER,
                    Method::Post,
                    "/api/storage/beta/import/copy",
                    &query,
                    file.body.clone(),
                )
                .await;
            assert_eq!(answer.json()["data"]["imported"], 3, "{}", answer.text());
        }
        let copied = world.get("/api/storage/beta/docs/copy", "order=asc").await.unwrap();
        assert_eq!(copied, all, "{format}");
        world.delete("/api/storage/beta/docs/copy", "query=%7B%7D").await.unwrap();
    }
    for (format, body) in
        [("jsonl", "{}\n{"), ("csv", "a,b\n1,2,3\n"), ("csv", "a\n\"x"), ("xml", "")]
    {
        let query = format!("format={format}");
        let answer = world.ask(Method::Post, "/api/storage/beta/import/copy", &query, body).await;
        assert_eq!(answer.status, 400, "{format} {body:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn wrong_queries_are_refused_and_reach_nothing() {
    let world = World::new().await;
    insert(&world, POSTS, json!({ "id": "a", "secret": 1 })).await.unwrap();
    for (query, expected) in [
        ("x') OR 1=1 --", "NOT_JSON"),
        (r#"{"a":{"$foo":1}}"#, "UNKNOWN_OPERATOR"),
        (r#"{"$where":"true"}"#, "UNKNOWN_OPERATOR"),
        (r#"{"a":{"$in":"x"}}"#, "INVALID_QUERY"),
        (r#"{"a":9007199254740993}"#, "NUMBER_NOT_EXACT"),
        ("[]", "INVALID_QUERY"),
    ] {
        let query = format!("query={}", encoded(query));
        for answer in [
            world.ask(Method::Get, POSTS, &query, "").await,
            world.ask(Method::Delete, POSTS, &query, "").await,
        ] {
            assert_eq!(answer.json()["error"]["code"], expected, "{}", answer.text());
            assert_eq!(answer.status, 400);
        }
    }
    for name in ["x') OR 1=1 --", "secret') = 1 OR ('1", "\"", "'", "$", "?1", "a\\"] {
        let mut query = json!({});
        query[name] = json!("nothing");
        let query = format!("query={}", encoded(&query.to_string()));
        if let Ok(found) = world.get(POSTS, &query).await {
            assert_eq!(found, json!([]), "{name}");
        }
        let sort = world.get(POSTS, &format!("sort={}", encoded(name))).await;
        assert!(sort.is_err() || sort.unwrap().as_array().unwrap().len() == 1, "{name}");
    }
    assert_eq!(code(world.delete(POSTS, "").await), "INVALID");
    assert_eq!(world.usage("alpha", "documents").await.0, 1);
}

#[tokio::test]
async fn declared_indexes_are_used() {
    let world = World::new().await;
    for number in 0..20 {
        insert(
            &world,
            POSTS,
            json!({ "n": number, "t": format!("t{number}"), "o": { "p": number } }),
        )
        .await
        .unwrap();
    }
    let (equal, range) = (json!({ "n": 7 }), json!({ "n": { "$gt": 3, "$lte": 9 } }));
    assert!(!explained(&world, &equal, "").await.contains("INDEX"), "no index, no use of one");
    for field in ["n", "t", "o.p"] {
        let index = json!({ "field": field }).to_string();
        world
            .ask(Method::Post, "/api/storage/alpha/indexes/posts", "", &index)
            .await
            .data()
            .unwrap();
    }
    // The table of entries is its own index: a search in it by index and key.
    let entries = "SEARCH e USING PRIMARY KEY (idx=? AND key";
    let by_key = "SEARCH e USING PRIMARY KEY (idx=? AND key=?)";
    let document = "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)";
    for (query, more, expected, sorts) in [
        (&equal, "", by_key, false),
        (&equal, "&sort=t", by_key, true),
        (&json!({ "n": 7, "x": 1 }), "", by_key, false),
        (&json!({ "o.p": 7 }), "", by_key, false),
        (
            &json!({ "$and": [{ "n": 1 }] }),
            "",
            "SEARCH d USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
            false,
        ),
        (&json!({ "n": { "$in": [1, 2] } }), "", by_key, true),
        (&range, "", entries, true),
        (&range, "&sort=n", entries, false),
        (&range, "&sort=n&order=desc", entries, false),
        (&json!({ "t": { "$startsWith": "t1" } }), "&sort=t", entries, false),
        (&json!({}), "&sort=n", "SEARCH e USING PRIMARY KEY (idx=?)", false),
        (
            &json!({ "id": "x" }),
            "",
            "SEARCH d USING INDEX sqlite_autoindex_storage_document_1 (collection=? AND id=?)",
            true,
        ),
        (&json!({}), "", "SEARCH d USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", false),
        (&json!({}), "&sort=x", "SEARCH d USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", true),
    ] {
        let steps = explained(&world, query, more).await;
        assert!(steps.contains(expected), "{query}{more}: {steps}");
        assert_eq!(steps.contains("TEMP B-TREE FOR ORDER BY"), sorts, "{query}{more}: {steps}");
        assert!(!expected.contains(" e ") || steps.contains(document), "{query}{more}: {steps}");
        assert!(!steps.contains("SCAN d"), "{query}{more}: {steps}");
    }
    let index = json!({ "field": "n", "remove": true }).to_string();
    world.ask(Method::Post, "/api/storage/alpha/indexes/posts", "", &index).await.data().unwrap();
    assert!(!explained(&world, &equal, "").await.contains(" e "), "it is gone");
}

#[tokio::test]
async fn an_index_of_documents_that_are_there_knows_all_of_them() {
    let world = World::new().await;
    for _ in 0..3 {
        let documents: Vec<_> = (0..500).map(|n| json!({ "n": n % 10 }).to_string()).collect();
        for document in documents {
            let body = json!({ "json": document }).to_string();
            world.ask(Method::Post, POSTS, "", &body).await.data().unwrap();
        }
    }
    let index = json!({ "field": "n" }).to_string();
    world.ask(Method::Post, "/api/storage/alpha/indexes/posts", "", &index).await.data().unwrap();
    let query = encoded(r#"{"n":3}"#);
    assert!(explained(&world, &json!({ "n": 3 }), "").await.contains("key=?"));
    let found = world.get(POSTS, &format!("query={query}&limit=1000")).await.unwrap();
    assert_eq!(found.as_array().unwrap().len(), 150);
}

#[tokio::test]
async fn a_full_app_is_told_which_setting_stops_it() {
    let settings = [
        ("storage.documents_max", "2"),
        ("storage.documents_bytes_max", "200"),
        ("storage.document_bytes_max", "150"),
        ("storage.collections_max", "2"),
    ];
    let world = World::with(&settings).await;
    insert(&world, POSTS, json!({ "id": "a", "t": "x" })).await.unwrap();
    let refused = insert(&world, POSTS, json!({ "t": "x".repeat(200) })).await.unwrap_err();
    assert_eq!((refused.kind().http_status(), refused.code()), (413, "DOCUMENT_TOO_LARGE"));
    assert!(refused.message().contains("storage.document_bytes_max"), "{refused}");
    insert(&world, POSTS, json!({ "id": "b", "t": "x" })).await.unwrap();
    let refused = insert(&world, POSTS, json!({ "t": "x" })).await.unwrap_err();
    assert_eq!((refused.kind().http_status(), refused.code()), (507, "QUOTA_EXCEEDED"));
    assert!(refused.message().contains("storage.documents_max"), "{refused}");
    let grow = |id: &str| json!({ "query": { "id": id }, "changes": { "t": "y".repeat(120) } });
    world.put(POSTS, &grow("a")).await.unwrap();
    let refused = world.put(POSTS, &grow("b")).await.unwrap_err();
    assert!(refused.message().contains("storage.documents_bytes_max"), "{refused}");
    world.delete(POSTS, "query=%7B%7D").await.unwrap();
    assert_eq!(world.usage("alpha", "documents").await, (0, 0));
    insert(&world, "/api/storage/alpha/docs/two", json!({})).await.unwrap();
    let refused = insert(&world, "/api/storage/alpha/docs/three", json!({})).await.unwrap_err();
    assert!(refused.message().contains("storage.collections_max"), "{refused}");
}

#[tokio::test]
async fn a_fork_has_everything_and_shares_nothing() {
    let world = World::with(&[("storage.sweep", "1 s")]).await;
    for number in 0..1_100 {
        let document = json!({ "id": format!("p{number:04}"), "n": number % 7 });
        insert(&world, POSTS, document).await.unwrap();
    }
    let index = json!({ "field": "n" }).to_string();
    world.ask(Method::Post, "/api/storage/alpha/indexes/posts", "", &index).await.data().unwrap();
    world
        .put("/api/storage/alpha/kv", &json!({ "key": "k", "value": 1, "user": "ann" }))
        .await
        .unwrap();
    world.fork("alpha", "copy").await;
    let copy = "/api/storage/copy/docs/posts";
    assert_eq!(world.usage("copy", "documents").await, world.usage("alpha", "documents").await);
    let of = |path: &str| format!("{path}/p0007");
    let (one, two) =
        (world.get(&of(POSTS), "").await.unwrap(), world.get(&of(copy), "").await.unwrap());
    assert_eq!(one, two, "times too");
    let query = format!("query={}", encoded(r#"{"n":3}"#));
    let steps = world.get("/api/storage/copy/explain/posts", &query).await.unwrap();
    assert!(steps.to_string().contains("key=?"), "{steps}");
    let found = world.get(copy, &format!("{query}&limit=1000")).await.unwrap();
    assert_eq!(found.as_array().unwrap().len(), 157);
    world.delete(copy, "query=%7B%7D").await.unwrap();
    assert_eq!(world.usage("alpha", "documents").await.0, 1_100);
    assert_eq!(
        world.get("/api/storage/copy/kv/value", "key=k&user=ann").await.unwrap()["value"],
        1
    );
    // And what an app had goes with it.
    world.delete("/api/apps/alpha", "").await.unwrap();
    for table in ["storage_document", "storage_index_entry", "storage_collection"] {
        let copied = if table == "storage_collection" { 1 } else { 0 };
        assert!(world.becomes(&format!("SELECT count(*) FROM {table}"), copied).await, "{table}");
    }
}
