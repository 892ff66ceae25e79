//! Requests and answers as apps write and read them: `fazt.net.fetch(url, options)`.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fazt_sdk::Result;
use fazt_sdk::services::egress::{OutboundRequest, OutboundResponse, Redirects};
use serde::Deserialize;
use serde_json::{Value, json};

use super::failure;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Options {
    method: Option<String>,
    headers: Option<Fields>,
    body: Option<Content>,
    /// `follow`, `manual` or `error`, as in the Fetch standard.
    redirect: Option<String>,
    /// Milliseconds.
    timeout: Option<u64>,
    /// The name of a secret.
    auth: Option<String>,
    /// How long an earlier answer will do, in milliseconds.
    cache_ttl: Option<u64>,
    /// The largest answer, in bytes.
    max_bytes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Fields {
    Pairs(Vec<(String, String)>),
    Map(BTreeMap<String, Values>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Bytes {
        #[serde(rename = "$bytes")]
        bytes: String,
    },
}

/// The request that these arguments ask for.
///
/// # Errors
/// `Invalid` for arguments that are not `(url, options?)`.
pub(super) fn request(arguments: Value) -> Result<OutboundRequest> {
    let wrong =
        |why: &dyn std::fmt::Display| failure::invalid(format!("fetch(url, options): {why}"));
    let (url, options): (String, Option<Options>) = match arguments {
        Value::Array(mut list) if list.len() == 1 => {
            list.push(Value::Null);
            serde_json::from_value(Value::Array(list))
        }
        other => serde_json::from_value(other),
    }
    .map_err(|error| wrong(&error))?;
    let options = options.unwrap_or_default();
    let mut request = OutboundRequest::new(&spelled(options.method.as_deref()), &url);
    let mut add = |name: String, value| request.headers.push((name.to_ascii_lowercase(), value));
    match options.headers {
        Some(Fields::Pairs(pairs)) => pairs.into_iter().for_each(|(name, value)| add(name, value)),
        Some(Fields::Map(map)) => {
            for (name, values) in map {
                match values {
                    Values::One(value) => add(name, value),
                    Values::Many(values) => {
                        values.into_iter().for_each(|value| add(name.clone(), value));
                    }
                }
            }
        }
        None => {}
    }
    request.body = match options.body {
        Some(Content::Text(text)) => text.into_bytes(),
        Some(Content::Bytes { bytes }) => STANDARD.decode(bytes).map_err(|error| wrong(&error))?,
        None => Vec::new(),
    };
    request.redirects = match options.redirect.as_deref() {
        None | Some("follow") => request.redirects,
        Some("manual") => Redirects::Answer,
        Some("error") => Redirects::Refuse,
        Some(other) => {
            return Err(wrong(&format!("redirect is follow, manual or error, not {other}")));
        }
    };
    if let Some(ms) = options.timeout {
        request.timeout = Duration::from_millis(ms);
    }
    if let Some(bytes) = options.max_bytes {
        request.response_bytes_max = bytes;
    }
    request.auth = options.auth;
    request.cache = options.cache_ttl.map(Duration::from_millis);
    Ok(request)
}

/// The methods that everybody knows are upper-case however they are written (Fetch standard, §2.2.1).
fn spelled(method: Option<&str>) -> String {
    let method = method.unwrap_or("GET");
    let upper = method.to_ascii_uppercase();
    let known =
        matches!(upper.as_str(), "DELETE" | "GET" | "HEAD" | "OPTIONS" | "PATCH" | "POST" | "PUT");
    if known { upper } else { method.to_owned() }
}

/// An answer as apps read it.
pub(super) fn response(answer: OutboundResponse) -> Value {
    json!({
        "status": answer.status,
        "ok": (200..300).contains(&answer.status),
        "headers": answer.headers,
        "body": { "$bytes": STANDARD.encode(answer.body) },
        "url": answer.url,
        "redirected": answer.redirected,
        "fromCache": answer.from_cache,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_alone_is_a_request() {
        for arguments in [json!(["https://example.com/"]), json!(["https://example.com/", null])] {
            let made = request(arguments).unwrap();
            assert_eq!(made, OutboundRequest::new("GET", "https://example.com/"));
        }
    }

    #[test]
    fn options_say_the_rest() {
        let made = request(json!(["https://example.com/", {
            "method": "post", "headers": {"X-One": "1", "x-many": ["2", "3"]},
            "body": {"$bytes": "AAEC"}, "redirect": "manual", "timeout": 1500, "auth": "KEY",
            "cacheTtl": 60000, "maxBytes": 10,
        }]))
        .unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(made.method, "POST");
        let mut headers = made.headers.clone();
        headers.sort();
        let expected = [pair("x-many", "2"), pair("x-many", "3"), pair("x-one", "1")];
        assert_eq!(headers, expected);
        assert_eq!(made.body, [0, 1, 2]);
        assert_eq!(made.redirects, Redirects::Answer);
        assert_eq!(made.timeout, Duration::from_millis(1_500));
        assert_eq!(made.auth.as_deref(), Some("KEY"));
        assert_eq!(made.cache, Some(Duration::from_secs(60)));
        assert_eq!(made.response_bytes_max, 10);
    }

    #[test]
    fn arguments_that_make_no_sense_are_refused() {
        for bad in [
            json!([]),
            json!([1]),
            json!(["https://a.com", {"metod": "GET"}]),
            json!(["https://a.com", {"redirect": "x"}]),
            json!(["https://a.com", {"body": {"$bytes": "!"}}]),
            json!(["https://a.com", {"timeout": -1}]),
            json!(["https://a.com", {}, 3]),
            json!({"url": "https://a.com"}),
        ] {
            assert_eq!(request(bad.clone()).unwrap_err().code(), "NET_ERROR", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn bytes_arrive_as_they_were(bytes: Vec<u8>) {
            let made = request(json!(["https://a.com", {
                "method": "PUT", "body": {"$bytes": STANDARD.encode(&bytes)},
            }]));
            prop_assert_eq!(made.unwrap().body, bytes);
        }
    }
}
