//! Values under keys.

use std::time::Duration;

use fazt_sdk::http::Method;
use fazt_sdk::json;

use crate::world::{World, code};

const ALPHA: &str = "/api/storage/alpha/kv";
const BETA: &str = "/api/storage/beta/kv";

#[tokio::test]
async fn the_provider_conforms() {
    World::new().await.conforms("kv").await;
}

#[tokio::test]
async fn owners_look_at_values_and_change_them() {
    let world = World::new().await;
    let value = json!({ "n": [1, 0.1, "é"], "big": 9_007_199_254_740_991_u64 });
    world.put(ALPHA, &json!({ "key": "a/b c", "value": value })).await.unwrap();
    let got = world.get("/api/storage/alpha/kv/value", "key=a%2Fb%20c").await.unwrap();
    assert_eq!((&got["value"], &got["key"]), (&value, &json!("a/b c")));
    world.put(ALPHA, &json!({ "key": "typed", "json": "\"text\"" })).await.unwrap();
    world.put(ALPHA, &json!({ "key": "typed", "json": "7", "user": "ann" })).await.unwrap();
    let listed = world.ask(Method::Get, ALPHA, "limit=1", "").await.json();
    assert_eq!(listed["data"][0]["key"], "a/b c");
    let next = listed["meta"]["cursor"].as_str().unwrap().replace('/', "%2F").replace(' ', "%20");
    let listed = world.ask(Method::Get, ALPHA, &format!("limit=9&cursor={next}"), "").await.json();
    assert_eq!(
        (&listed["data"][0]["value"], &listed["meta"]["has_more"]),
        (&json!("text"), &json!(false))
    );
    let of_ann = world.get(ALPHA, "user=ann").await.unwrap();
    assert_eq!((of_ann.as_array().unwrap().len(), &of_ann[0]["value"]), (1, &json!(7)));
    assert_eq!(world.get(BETA, "").await.unwrap(), json!([]));
    world.delete(ALPHA, "key=typed").await.unwrap();
    assert_eq!(code(world.delete(ALPHA, "key=typed").await), "NOT_FOUND");
    assert_eq!(code(world.get("/api/storage/alpha/kv/value", "key=typed").await), "NOT_FOUND");
}

#[tokio::test]
async fn wrong_input_is_refused_with_a_code() {
    let world = World::new().await;
    for (body, expected) in [
        (r#"{"key":"k","value":9007199254740993}"#, "NUMBER_NOT_EXACT"),
        (r#"{"key":"k","json":"{"}"#, "NOT_JSON"),
        (r#"{"key":"k"}"#, "INVALID"),
        (r#"{"key":"k","json":"1","value":1}"#, "INVALID"),
        (r#"{"key":"","value":1}"#, "KEY_OUT_OF_BOUNDS"),
        (r#"{"key":"k","value":1,"ttl_ms":0}"#, "INVALID"),
        (r#"{"key":"k","value":1,"user":""}"#, "INVALID"),
        (r#"{"key":"k","value":1,"more":1}"#, "INVALID"),
    ] {
        let answer = world.ask(Method::Put, ALPHA, "", body).await;
        let error = answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
        assert_eq!(error, expected, "{body}: {}", answer.text());
        assert!((400..500).contains(&answer.status), "{body}: {}", answer.status);
    }
    assert_eq!(code(world.get("/api/storage/gamma/kv", "").await), "NOT_FOUND");
    assert_eq!(world.usage("alpha", "keys").await, (0, 0));
}

#[tokio::test]
async fn a_full_app_is_told_which_setting_stops_it_and_can_still_delete() {
    let world = World::with(&[
        ("storage.kv_keys_max", "2"),
        ("storage.kv_bytes_max", "100"),
        ("storage.kv_value_bytes_max", "60"),
    ])
    .await;
    let set = async |app: &str, key: &str, value: &str| {
        world.put(app, &json!({ "key": key, "value": value })).await
    };
    set(ALPHA, "a", "x").await.unwrap();
    set(ALPHA, "b", "x").await.unwrap();
    let refused = set(ALPHA, "c", "x").await.unwrap_err();
    assert_eq!((refused.kind().http_status(), refused.code()), (507, "QUOTA_EXCEEDED"));
    assert!(refused.message().contains("storage.kv_keys_max"), "{refused}");
    let refused = set(ALPHA, "a", &"x".repeat(100)).await.unwrap_err();
    assert_eq!((refused.kind().http_status(), refused.code()), (413, "VALUE_TOO_LARGE"));
    assert!(refused.message().contains("storage.kv_value_bytes_max"), "{refused}");
    set(ALPHA, "a", &"x".repeat(50)).await.unwrap();
    let refused = set(ALPHA, "b", &"x".repeat(50)).await.unwrap_err();
    assert!(refused.message().contains("storage.kv_bytes_max"), "{refused}");
    // Nothing of what was refused is counted, and the other app is not concerned.
    assert_eq!(world.usage("alpha", "keys").await, (2, 53 + 4));
    set(BETA, "a", "x").await.unwrap();
    world.delete(ALPHA, "key=a").await.unwrap();
    set(ALPHA, "c", "x").await.unwrap();
    assert_eq!(world.usage("alpha", "keys").await, (2, 8));
}

#[tokio::test]
async fn what_has_expired_cannot_be_read_and_is_swept() {
    let world = World::with(&[("storage.sweep", "1 s")]).await;
    for number in 0..1_200 {
        let body = json!({ "key": format!("k{number}"), "value": number, "ttl_ms": 60_000 });
        world.put(ALPHA, &body).await.unwrap();
    }
    world.put(ALPHA, &json!({ "key": "stays", "value": 1 })).await.unwrap();
    assert_eq!(world.usage("alpha", "keys").await.0, 1_201);
    world.skip(Duration::from_secs(61));
    assert_eq!(code(world.get("/api/storage/alpha/kv/value", "key=k7").await), "NOT_FOUND");
    assert_eq!(world.get(ALPHA, "").await.unwrap().as_array().unwrap().len(), 1);
    // The sweep runs in batches; each of them leaves the counts right.
    for _ in 0..500 {
        if world.usage("alpha", "keys").await.0 == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.usage("alpha", "keys").await, (1, 6));
}

#[tokio::test]
async fn the_data_of_an_app_that_was_removed_goes_too() {
    let world = World::with(&[("storage.sweep", "1 s")]).await;
    for app in [ALPHA, BETA] {
        world.put(app, &json!({ "key": "a", "value": 1 })).await.unwrap();
    }
    let alpha = world.kernel.app("alpha").await.unwrap();
    world.delete("/api/apps/alpha", "").await.unwrap();
    let rows = format!("SELECT count(*) FROM storage_kv WHERE app = '{alpha}'");
    assert!(world.becomes(&rows, 0).await);
    assert_eq!(world.usage("beta", "keys").await.0, 1);
}
