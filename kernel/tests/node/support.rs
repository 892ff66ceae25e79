//! What the tests of a node share: keys, sessions, and requests as a browser or a program sends them.

use fazt_sdk::http::Method;
use fazt_testkit::{Answer, Connection, TestKernel};
use serde_json::{Value, json};

pub(crate) const ADMIN: &str = "admin.localhost";

/// Where the pages of [`ADMIN`] come from; requests of these tests have no port.
pub(crate) const OWN_ORIGIN: (&str, &str) = ("origin", "http://admin.localhost");

/// Makes a key with these scopes; returns its id and its text.
pub(crate) async fn key(node: &TestKernel, scopes: &[&str], app: Option<&str>) -> (String, String) {
    let mut input = json!({ "name": "test", "scopes": scopes });
    if let Some(app) = app {
        input["app"] = app.into();
    }
    let made = node.operate(Method::Post, "/api/keys", input).await.unwrap();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

/// A request to the admin host, over loopback.
pub(crate) async fn ask(
    node: &TestKernel,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    node.exchange(Connection::Loopback, ADMIN, method, path, headers, body.to_owned()).await
}

/// A request to the admin host with a key.
pub(crate) async fn ask_with_key(
    node: &TestKernel,
    key: &str,
    method: Method,
    path: &str,
    body: &str,
) -> Answer {
    ask(node, method, path, &[("authorization", &format!("Bearer {key}"))], body).await
}

/// The code of an answer that is an error.
pub(crate) fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

/// The token of a new sign-in link.
pub(crate) async fn link_token(node: &TestKernel) -> String {
    let made = node.operate(Method::Post, "/api/login-link", Value::Null).await.unwrap();
    made["url"].as_str().unwrap().split_once("/login#").unwrap().1.to_owned()
}

/// Signs in with a link; returns the cookie as a browser sends it back.
pub(crate) async fn sign_in(node: &TestKernel) -> String {
    let body = format!("token={}", link_token(node).await);
    let answer = ask(node, Method::Post, "/login", &[OWN_ORIGIN], &body).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}
