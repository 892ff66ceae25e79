//! One app on a node, and a client for its API.

use fazt_tests::{Answer, Node, Request};
use serde_json::Value;

/// An app on a node.
pub(crate) struct App<'n> {
    pub(crate) node: &'n Node,
    host: String,
}

impl<'n> App<'n> {
    /// The app that is called so.
    pub(crate) fn new(node: &'n Node, name: &str) -> Self {
        Self { node, host: format!("{name}.localhost") }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, &self.host, path)
    }

    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str) -> Answer {
        self.node.send(&self.request(method, path))
    }

    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.node.send(&self.request(method, path).json(body))
    }

    /// What `GET path` answers, which has to be JSON and good.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }
}

/// Status and code of a refusal, which is JSON.
#[track_caller]
pub(crate) fn refusal(answer: &Answer) -> (u16, String) {
    let kind = answer.field("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/json"), "{}: {}", answer.status, answer.text());
    assert!(!answer.json()["error"]["message"].as_str().unwrap_or_default().is_empty());
    (answer.status, answer.code())
}
