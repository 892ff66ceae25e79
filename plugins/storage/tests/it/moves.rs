//! An app's data as pages of records: out of one node and into another, each page once or twice.

use fazt_sdk::export::root_of;
use fazt_sdk::prelude::*;
use fazt_sdk::services::AppDataApi;
use fazt_sdk::services::app_data::AppData as _;
use fazt_sdk::{Json, json};
use fazt_storage::Storage;
use fazt_testkit::{BuiltIn, Caller, TestKernel};

const OUT: &str = "/api/moves/{app}/out";
const IN: &str = "/api/moves/{app}/in";

/// Moves pages; a node sees no other side of it.
#[derive(Debug, Default)]
struct Mover;

struct Out(Host);
struct In(Host);

impl Plugin for Mover {
    fn manifest(&self) -> Manifest {
        Manifest::new("mover", "1")
            .uses::<AppDataApi>()
            .route(Route::admin(Method::Get, OUT))
            .route(Route::admin(Method::Post, IN).body_max(64 << 20))
    }

    fn start(&self, host: Host) -> Result<Started> {
        Ok(Started::new().handle(OUT, Out(host.clone())).handle(IN, In(host)))
    }
}

fn keeper(host: &Host) -> Result<Service<AppDataApi>> {
    let all = host.contributions::<AppDataApi>()?;
    let storage = all.into_iter().find(|keeper| keeper.provider() == "storage");
    storage.ok_or_else(|| Error::not_found("nobody keeps data"))
}

impl Handler for Out {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let app = request.capture(0).parse()?;
        let (keeper, mut pages, mut cursor) = (keeper(&self.0)?, Vec::new(), None);
        loop {
            let page = keeper.export(call, app, cursor).await?;
            pages.push(page.records);
            cursor = page.next;
            if cursor.is_none() {
                return Response::json(&pages);
            }
        }
    }
}

impl Handler for In {
    async fn call(&self, call: &Call, mut request: Request) -> Result<Response> {
        let app = request.capture(0).parse()?;
        let body = request.body().collect(64 << 20).await?;
        let page: Vec<Vec<u8>> =
            serde_json::from_slice(&body).map_err(|error| Error::invalid(error.to_string()))?;
        keeper(&self.0)?.import(call, app, &page).await?;
        Response::json(&json!({}))
    }
}

async fn node() -> (TestKernel, String) {
    let built_in = vec![
        BuiltIn { name: "storage", root: root_of::<Storage> },
        BuiltIn { name: "mover", root: root_of::<Mover> },
    ];
    let kernel = TestKernel::with(built_in).await.unwrap();
    let app = kernel.app("blog").await.unwrap().to_string();
    (kernel, app)
}

#[tokio::test]
async fn contents_of_many_parts_arrive_whole_also_when_pages_come_twice() {
    let ((from, from_app), (to, to_app)) = (node().await, node().await);
    let large: Vec<u8> = (0..1_300_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let objects = [("a/large.bin", large.clone()), ("b/same.bin", large), ("c/empty", Vec::new())];
    for (path, content) in &objects {
        let path = format!("/api/storage/blog/blobs/{path}");
        let put = from.admin(Caller::OWNER, Method::Put, &path, "", content.clone()).await;
        assert_eq!(put.status, 200, "{}", put.text());
    }
    let set = json!({ "key": "k", "value": [1] });
    from.operate(Method::Put, "/api/storage/blog/kv", set).await.unwrap();
    let out =
        from.admin(Caller::OWNER, Method::Get, &format!("/api/moves/{from_app}/out"), "", "").await;
    let pages = out.json();
    let pages = pages.as_array().unwrap();
    // 256 KiB a part: the content is in five parts at least, each a page of its own.
    assert!(pages.len() > 10, "{} pages", pages.len());
    for page in pages {
        for _ in 0..2 {
            let path = format!("/api/moves/{to_app}/in");
            let taken = to.admin(Caller::OWNER, Method::Post, &path, "", page.to_string()).await;
            assert_eq!(taken.status, 200, "{}", taken.text());
        }
    }
    for (path, content) in &objects {
        let path = format!("/api/storage/blog/blobs/{path}");
        let got = to.admin(Caller::OWNER, Method::Get, &path, "", "").await;
        assert_eq!((got.status, got.body.len()), (200, content.len()), "{path}");
        assert!(got.body == content, "{path}");
    }
    let usage = async |kernel: &TestKernel| {
        kernel.operate(Method::Get, "/api/storage/blog/usage", Json::Null).await.unwrap()
    };
    assert_eq!(usage(&from).await, usage(&to).await);
    // A part that does not follow the one before is refused, and nothing is half there.
    let (fresh, app) = node().await;
    let parts = pages.iter().filter(|page| page.to_string().len() > 200_000).nth(1).unwrap();
    let path = format!("/api/moves/{app}/in");
    let refused = fresh.admin(Caller::OWNER, Method::Post, &path, "", parts.to_string()).await;
    assert_eq!(refused.json()["error"]["code"], "IMPORT_DAMAGED", "{}", refused.text());
}
