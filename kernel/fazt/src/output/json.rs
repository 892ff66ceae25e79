//! The reply's data as a JSON document, indented by two spaces, keys in order of the alphabet.

use serde_json::Value;

/// The document, without a line break at its end.
pub(super) fn document(data: &Value) -> String {
    // `{:#}` of a Value is its indented form and cannot fail.
    format!("{data:#}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_in_order_whatever_the_node_sent() {
        let data = serde_json::from_str(r#"{"b":[],"a":{"z":1,"y":null}}"#).unwrap();
        assert_eq!(
            super::document(&data),
            "{\n  \"a\": {\n    \"y\": null,\n    \"z\": 1\n  },\n  \"b\": []\n}"
        );
    }
}
