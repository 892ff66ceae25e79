//! A node with the plugin in it, and the few moves that tests make.

use std::sync::Arc;
use std::time::Duration;

use fazt_sdk::export::root_of;
use fazt_sdk::http::Method;
use fazt_sdk::{Error, Json, Result, json};
use fazt_storage::Storage;
use fazt_testkit::{Answer, BuiltIn, Caller, SkippingClock, TestKernel, conformance};

pub(crate) struct World {
    pub(crate) kernel: TestKernel,
    clock: Arc<SkippingClock>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these settings, and the apps `alpha` and `beta`.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let clock = Arc::new(SkippingClock::new());
        let built_in =
            vec![BuiltIn { name: "storage", root: root_of::<Storage> }, conformance::plugin()];
        let kernel =
            TestKernel::configured_at(built_in, Vec::new(), settings, Some(clock.clone())).await;
        let world = Self { kernel: kernel.unwrap(), clock };
        for name in ["alpha", "beta"] {
            world.kernel.app(name).await.unwrap();
        }
        world
    }

    pub(crate) fn skip(&self, time: Duration) {
        self.clock.skip(time);
    }

    pub(crate) async fn conforms(&self, suite: &str) {
        let failures = conformance::failures(&self.kernel, suite).await.unwrap();
        assert!(failures.is_empty(), "\n  {}", failures.join("\n  "));
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, query: &str, body: &str) -> Answer {
        self.kernel.admin(Caller::OWNER, method, path, query, body.to_owned()).await
    }

    pub(crate) async fn get(&self, path: &str, query: &str) -> Result<Json> {
        self.ask(Method::Get, path, query, "").await.data()
    }

    pub(crate) async fn put(&self, path: &str, body: &Json) -> Result<Json> {
        self.ask(Method::Put, path, "", &body.to_string()).await.data()
    }

    pub(crate) async fn delete(&self, path: &str, query: &str) -> Result<Json> {
        self.ask(Method::Delete, path, query, "").await.data()
    }

    /// The address under which anybody may fetch an object of `alpha` for a while.
    pub(crate) async fn signed(&self, path: &str) -> String {
        let path = format!("/api/storage/alpha/sign/{path}");
        let body = json!({ "expires_in_s": 60 }).to_string();
        let answer = self.ask(Method::Post, &path, "", &body).await.data().unwrap();
        answer["url"].as_str().unwrap().to_owned()
    }

    /// Copies an app.
    pub(crate) async fn fork(&self, from: &str, to: &str) {
        let body = json!({ "as": to }).to_string();
        let path = format!("/api/apps/{from}/fork");
        self.ask(Method::Post, &path, "", &body).await.data().unwrap();
    }

    /// The one number that a statement answers.
    pub(crate) async fn rows(&self, sql: &str) -> i64 {
        let body = json!({ "query": sql }).to_string();
        let answer = self.ask(Method::Post, "/api/sql", "", &body).await;
        answer.data().unwrap()["rows"][0][0].as_i64().unwrap()
    }

    /// Whether a statement answers this number within some seconds.
    pub(crate) async fn becomes(&self, sql: &str, expected: i64) -> bool {
        for _ in 0..500 {
            if self.rows(sql).await == expected {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// How many of `what` an app keeps, and their bytes.
    pub(crate) async fn usage(&self, app: &str, what: &str) -> (u64, u64) {
        let usage = self.get(&format!("/api/storage/{app}/usage"), "").await.unwrap();
        let line = usage.as_array().unwrap().iter().find(|line| line["what"] == what).unwrap();
        (line["count"].as_u64().unwrap(), line["size_bytes"].as_u64().unwrap())
    }
}

/// The code of an error.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().code().to_owned()
}

/// Text as a value of a query string.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
