//! The template plugin on a node of its own, compiled in.

use fazt_sdk::export::root_of;
use fazt_sdk::http::Method;
use fazt_template::Template;
use fazt_testkit::{BuiltIn, Caller, TestKernel};

/// A node with the plugin compiled in.
#[expect(clippy::unwrap_used, reason = "without a node there is no test")]
async fn kernel() -> TestKernel {
    TestKernel::with(vec![BuiltIn { name: "template", root: root_of::<Template> }]).await.unwrap()
}

#[tokio::test]
async fn visitors_are_greeted_and_counted_per_app() {
    let kernel = kernel().await;
    kernel.app("blog").await.unwrap();
    kernel.app("shop").await.unwrap();
    assert_eq!(kernel.get("blog", "/_template/hello").await.text(), "Hello, visitor 1\n");
    assert_eq!(kernel.get("blog", "/_template/hello").await.text(), "Hello, visitor 2\n");
    assert_eq!(kernel.get("shop", "/_template/hello").await.text(), "Hello, visitor 1\n");
}

#[tokio::test]
async fn counts_survive_a_restart_and_are_shown_to_the_owner_only() {
    let mut kernel = kernel().await;
    kernel.app("blog").await.unwrap();
    kernel.get("blog", "/_template/hello").await;
    kernel.restart().await.unwrap();
    let shown = kernel
        .operate(Method::Get, "/api/template/blog/greetings", fazt_sdk::json!({}))
        .await
        .unwrap();
    assert_eq!(
        (shown[0]["path"].as_str(), shown[0]["count"].as_u64()),
        (Some("/_template/hello"), Some(1))
    );
    let refused =
        kernel.admin(Caller::ANONYMOUS, Method::Get, "/api/template/blog/greetings", "", "").await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn a_setting_changes_the_greeting_and_a_wrong_one_is_refused() {
    let plugin = || vec![BuiltIn { name: "template", root: root_of::<Template> as fn() -> _ }];
    let kernel =
        TestKernel::configured(plugin(), vec![], &[("template.greeting", "Moin")]).await.unwrap();
    kernel.app("blog").await.unwrap();
    assert_eq!(kernel.get("blog", "/_template/hello").await.text(), "Moin, visitor 1\n");
    let refused = TestKernel::configured(plugin(), vec![], &[("template.retention", "soon")])
        .await
        .err()
        .unwrap();
    assert!(refused.message().contains("template.retention"), "{refused}");
    let unknown = TestKernel::configured(plugin(), vec![], &[("template.greetings", "x")])
        .await
        .err()
        .unwrap();
    assert!(unknown.message().contains("did you mean template.greeting"), "{unknown}");
}

#[tokio::test]
async fn removing_an_app_removes_its_counts() {
    let kernel = kernel().await;
    kernel.app("blog").await.unwrap();
    kernel.get("blog", "/_template/hello").await;
    let usage = kernel.operate(Method::Get, "/api/apps/blog", fazt_sdk::json!({})).await.unwrap();
    assert_eq!(usage["usage"][0]["count"], 1);
    let removed =
        kernel.operate(Method::Delete, "/api/apps/blog", fazt_sdk::json!({})).await.unwrap();
    assert_eq!(removed["name"], "blog");
    assert_eq!(kernel.get("blog", "/_template/hello").await.status, 404);
}

#[tokio::test]
async fn unknown_parameters_and_apps_are_errors() {
    let kernel = kernel().await;
    kernel.app("blog").await.unwrap();
    for (path, query, status) in [
        ("/api/template/blog/greetings", "limit=x", 400),
        ("/api/template/blog/greetings", "order=up", 400),
        ("/api/template/none/greetings", "", 404),
        ("/api/template", "", 404),
    ] {
        let answer = kernel.admin(Caller::OWNER, Method::Get, path, query, "").await;
        assert_eq!(answer.status, status, "{path}?{query}: {}", answer.text());
        assert!(answer.json()["error"]["code"].is_string());
    }
    let answer =
        kernel.admin(Caller::OWNER, Method::Post, "/api/template/blog/greetings", "", "").await;
    assert_eq!(answer.status, 405);
}
