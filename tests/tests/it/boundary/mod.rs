//! The boundary between the kernel and plugins that were built apart.

mod lifecycle;
mod load;
mod panics;
mod rows;
mod services;
mod streams;
mod suites;

use std::path::PathBuf;
use std::time::Duration;

use fazt_sdk::http::Method;
use fazt_sdk::{Json, Result, json};
use fazt_testkit::{Answer, TestKernel};
use fazt_tests::fixtures::Library;

/// A node with an app `blog` that loads these libraries, in order.
pub(crate) async fn node(libraries: &[Library]) -> TestKernel {
    let paths: Vec<PathBuf> = libraries.iter().map(|library| library.path()).collect();
    let kernel = TestKernel::loaded(paths).await.unwrap();
    kernel.app("blog").await.unwrap();
    kernel
}

/// Status and text of a GET to the app.
pub(crate) async fn get(kernel: &TestKernel, path: &str) -> (u16, String) {
    let answer: Answer = kernel.get("blog", path).await;
    (answer.status, answer.text())
}

pub(crate) async fn enable(kernel: &TestKernel, plugin: &str) -> Result<Json> {
    kernel.operate(Method::Post, &format!("/api/plugins/{plugin}/enable"), json!({})).await
}

pub(crate) async fn disable(kernel: &TestKernel, plugin: &str, cascade: bool) -> Result<Json> {
    let path = format!("/api/plugins/{plugin}/disable");
    kernel.operate(Method::Post, &path, json!({ "cascade": cascade })).await
}

pub(crate) async fn info(kernel: &TestKernel, plugin: &str) -> Json {
    kernel.operate(Method::Get, &format!("/api/plugins/{plugin}"), json!({})).await.unwrap()
}

/// Asks until the text is the expected one; a minute is for ever.
pub(crate) async fn until_text(kernel: &TestKernel, path: &str, expected: &str) {
    let mut last = String::new();
    for _ in 0..6_000 {
        last = get(kernel, path).await.1;
        if last == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{path} says {last:?}, not {expected:?}");
}
