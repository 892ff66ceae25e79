//! Copies of apps: all of one or nothing, and who came from whom.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex};

use fazt_sdk::prelude::*;
use fazt_sdk::services::app_data::{AppData, AppDataApi, Page, Usage};
use fazt_testkit::{BuiltIn, TestKernel};
use serde_json::json;

use crate::gadget::GADGET;
use crate::names::{answering, post};

/// Keeps a note for apps, copies it, and refuses to for those that it is told to.
const STORAGE: BuiltIn =
    BuiltIn { name: "storage", root: fazt_sdk::export::root_of::<Keeper<'s'>> };
const ZEALOUS: BuiltIn =
    BuiltIn { name: "zealous", root: fazt_sdk::export::root_of::<Keeper<'z'>> };

/// Which apps each keeper has a note of.
static NOTES: LazyLock<Mutex<BTreeSet<(char, AppId)>>> = LazyLock::new(Mutex::default);

/// The app that cannot be copied.
static STUBBORN: Mutex<Option<AppId>> = Mutex::new(None);

#[derive(Debug, Default)]
struct Keeper<const LETTER: char>;

impl<const LETTER: char> Plugin for Keeper<LETTER> {
    fn manifest(&self) -> Manifest {
        let name = if LETTER == 's' { "storage" } else { "zealous" };
        Manifest::new(name, "1").contributes::<AppDataApi>()
    }

    fn start(&self, _: Host) -> Result<Started> {
        Ok(Started::new().provide(AppDataApi::of(Notes(LETTER))))
    }
}

struct Notes(char);

impl AppData for Notes {
    async fn usage(&self, _: &Call, _: AppId) -> Result<Vec<Usage>> {
        Ok(Vec::new())
    }

    async fn export(&self, _: &Call, _: AppId, _: Option<String>) -> Result<Page> {
        Ok(Page { records: Vec::new(), next: None })
    }

    async fn import(&self, _: &Call, _: AppId, _: &[Vec<u8>]) -> Result<()> {
        Ok(())
    }

    async fn fork(&self, _: &Call, from: AppId, to: AppId) -> Result<()> {
        NOTES.lock().unwrap().insert((self.0, to));
        if self.0 == 'z' && *STUBBORN.lock().unwrap() == Some(from) {
            return Err(Error::full("there is no room"));
        }
        Ok(())
    }

    async fn delete_app(&self, _: &Call, app: AppId) -> Result<()> {
        NOTES.lock().unwrap().remove(&(self.0, app));
        Ok(())
    }

    async fn delete_user(&self, _: &Call, _: &str) -> Result<()> {
        Ok(())
    }
}

fn keepers_of(app: &str) -> String {
    let app: AppId = app.parse().unwrap();
    NOTES
        .lock()
        .unwrap()
        .iter()
        .filter(|(_, kept)| *kept == app)
        .map(|(keeper, _)| keeper)
        .collect()
}

async fn world() -> TestKernel {
    let node = TestKernel::with(vec![GADGET, STORAGE, ZEALOUS]).await.unwrap();
    node.app("blog").await.unwrap();
    node
}

#[tokio::test]
async fn a_copy_has_all_data_unless_storage_is_left_out() {
    let mut node = world().await;
    let copy = post(&node, "/api/apps/blog/fork", json!({ "as": "next" })).await.unwrap();
    assert_eq!(keepers_of(copy["id"].as_str().unwrap()), "sz");
    assert_eq!(answering(&node, "next").await.as_deref(), copy["id"].as_str());
    let bare = json!({ "as": "bare", "no_storage": true });
    let bare = post(&node, "/api/apps/next/fork", bare).await.unwrap();
    assert_eq!(keepers_of(bare["id"].as_str().unwrap()), "z");
    node.restart().await.unwrap();
    let lineage = node.operate(Method::Get, "/api/apps/bare/lineage", json!({})).await.unwrap();
    let lines: Vec<_> =
        lineage.as_array().unwrap().iter().map(|line| line["tree"].as_str().unwrap()).collect();
    assert_eq!(lines, ["blog", "└─ next", "   └─ bare"]);
    assert_eq!(lineage[2]["forked_from"], copy["id"]);
    let info = node.operate(Method::Get, "/api/apps/bare", json!({})).await.unwrap();
    assert_eq!(info["forked_from"], copy["id"]);
}

#[tokio::test]
async fn a_copy_that_fails_leaves_nothing_behind() {
    let node = world().await;
    let before = NOTES.lock().unwrap().clone();
    let stubborn = node.app("stubborn").await.unwrap();
    *STUBBORN.lock().unwrap() = Some(stubborn);
    let error = post(&node, "/api/apps/stubborn/fork", json!({ "as": "next" })).await.unwrap_err();
    assert!(error.message().contains("zealous") && error.message().contains("no room"), "{error}");
    assert_eq!(answering(&node, "next").await, None);
    let apps = node.operate(Method::Get, "/api/apps", json!({})).await.unwrap();
    assert_eq!(apps.as_array().unwrap().len(), 2, "{apps}");
    let left: Vec<_> = NOTES.lock().unwrap().difference(&before).copied().collect();
    let apps = apps.to_string();
    assert!(left.iter().all(|(_, app)| !apps.contains(&app.to_string())));
    // The name is free.
    node.app("next").await.unwrap();
    let error = post(&node, "/api/apps/blog/fork", json!({ "as": "next" })).await.unwrap_err();
    assert_eq!(error.code(), "ALIAS_TAKEN");
}
