//! Arguments become one operation's request: parameters of the path, then query or JSON body.
//!
//! No rules live here. Values get the type that the operation's schema names; whether they make
//! sense is for the node to say.

use fazt_sdk::command::Command;
use fazt_sdk::http::Method;
use serde_json::{Map, Value};

use crate::arguments::{Arguments, Given};
use crate::failure::Failure;
use crate::transport::Request;

/// The request for `command` with these arguments.
///
/// `input` is the schema of the operation's input, if the operation is known here.
pub(crate) fn request(
    command: &Command,
    input: Option<&Value>,
    arguments: &Arguments,
) -> Result<Request, Failure> {
    let words = command.words.join(" ");
    let (method, path) = command
        .operation
        .split_once(' ')
        .and_then(|(method, path)| Some((Method::from_name(method)?, path)))
        .ok_or_else(|| {
            Failure::failed(format!(
                "the command {words} names no operation: a defect of its plugin"
            ))
        })?;
    let (mut target, in_path) = fill(path, arguments).map_err(|name| {
        Failure::failed(format!(
            "the command {words} has no argument {name} for its path: a defect of its plugin"
        ))
    })?;
    let rest = arguments.iter().filter(|(name, _)| !in_path.iter().any(|used| used == name));

    if matches!(method, Method::Get | Method::Head | Method::Delete) {
        let query: Vec<String> = rest.flat_map(|(name, given)| pairs(name, given)).collect();
        if !query.is_empty() {
            target.push('?');
            target.push_str(&query.join("&"));
        }
        return Ok(Request::new(method, target));
    }
    let mut document = Map::new();
    for (name, given) in rest {
        document.insert(name.to_owned(), typed(name, given, field_schema(input, name))?);
    }
    Ok(Request::new(method, target).json(&Value::Object(document)))
}

/// The text as one segment of a path or one part of a query (RFC 3986 §2.3: unreserved stays).
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    encoded
}

/// The path with its parameters filled in, and their names; or the name that was not given.
fn fill<'a>(path: &'a str, arguments: &Arguments) -> Result<(String, Vec<&'a str>), &'a str> {
    let (mut filled, mut used) = (String::new(), Vec::new());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        // `{name...}` takes the rest of the path, with its slashes.
        let (name, is_rest) = match name.strip_suffix("...") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let value = arguments.text(name).ok_or(name)?;
        filled.push_str(before);
        if is_rest {
            filled.push_str(&value.split('/').map(segment).collect::<Vec<_>>().join("/"));
        } else {
            filled.push_str(&segment(value));
        }
        used.push(name);
        rest = after;
    }
    filled.push_str(rest);
    Ok((filled, used))
}

/// A value as a segment that no server takes for a step up (RFC 3986 §5.2.4).
fn segment(value: &str) -> String {
    if matches!(value, "." | "..") { value.replace('.', "%2E") } else { encoded(value) }
}

fn pairs(name: &str, given: &Given) -> Vec<String> {
    let pair = |value: &str| format!("{}={}", encoded(name), encoded(value));
    match given {
        Given::Text(text) => vec![pair(text)],
        Given::List(values) => vec![pair(&values.join(","))],
        Given::Switch => vec![pair("true")],
    }
}

fn field_schema<'a>(input: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    let input = input?;
    resolved(input, input.get("properties")?.get(name)?)
}

/// Follows references into the definitions of `root`, and steps over the null of an option.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    let mut schema = schema;
    for _ in 0..REFERENCES_MAX {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            schema = root.pointer(reference.strip_prefix('#')?)?;
        } else if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
            let is_null = |choice: &&Value| choice.get("type").is_some_and(|kind| kind == "null");
            schema = choices.iter().find(|choice| !is_null(choice))?;
        } else {
            return Some(schema);
        }
    }
    None
}

fn has_type(schema: Option<&Value>, kind: &str) -> bool {
    match schema.and_then(|schema| schema.get("type")) {
        Some(Value::String(name)) => name == kind,
        Some(Value::Array(names)) => names.iter().any(|name| name == kind),
        _ => false,
    }
}

/// The given value in the type that the schema names; text where it names none.
fn typed(name: &str, given: &Given, schema: Option<&Value>) -> Result<Value, Failure> {
    match given {
        Given::Switch => Ok(Value::Bool(true)),
        Given::List(values) => {
            let items = schema.and_then(|schema| schema.get("items"));
            values.iter().map(|value| scalar(name, value, items)).collect()
        }
        Given::Text(text) => scalar(name, text, schema),
    }
}

fn scalar(name: &str, text: &str, schema: Option<&Value>) -> Result<Value, Failure> {
    let wrong = |what: &str| {
        Failure::usage(format!("{} must be {what}, and {text:?} is not", name.replace('_', "-")))
    };
    if has_type(schema, "string") {
        return Ok(Value::from(text));
    }
    if has_type(schema, "integer") {
        let number = text.parse::<i64>().map(Value::from);
        return number
            .or_else(|_| text.parse::<u64>().map(Value::from))
            .map_err(|_| wrong("a whole number"));
    }
    if has_type(schema, "number") {
        return text
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| wrong("a number"));
    }
    if has_type(schema, "boolean") {
        return match text {
            "true" | "yes" | "on" => Ok(Value::Bool(true)),
            "false" | "no" | "off" => Ok(Value::Bool(false)),
            _ => Err(wrong("yes or no")),
        };
    }
    if has_type(schema, "object") || has_type(schema, "array") {
        return serde_json::from_str(text).map_err(|error| wrong(&format!("JSON ({error})")));
    }
    Ok(Value::from(text))
}

/// A reference may lead to a reference, but not forever.
const REFERENCES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use fazt_sdk::command::Argument;
    use serde_json::json;

    use super::*;
    use crate::catalogue::Catalogue;
    use crate::{transport, tree};

    /// What `typed` leads to: method, target and body.
    fn sent(command: &Command, input: &Value, typed: &[&str]) -> Result<(String, Value), Failure> {
        let mut manifest = fazt_sdk::manifest::Manifest::new("test", "1");
        manifest.commands.push(command.clone());
        let catalogue = Catalogue::new(&[manifest]);
        let matches = tree::parser(&catalogue).try_get_matches_from(typed).unwrap();
        let (_, arguments) = tree::chosen(&catalogue, &matches);
        let request = request(command, Some(input), &arguments)?;
        let body = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(transport::collect(request.body))
            .unwrap();
        let body =
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Ok((format!("{} {}", request.method.as_str(), request.target), body))
    }

    fn rename() -> Command {
        Command::new("test set")
            .argument(Argument::required("app", "x"))
            .argument(Argument::option("limit", "x"))
            .argument(Argument::option("dry_run", "x"))
            .argument(Argument::switch("force", "x"))
            .argument(Argument::list("scopes", "x"))
            .argument(Argument::option("text", "x"))
    }

    fn schema() -> Value {
        json!({
            "$defs": {"Count": {"type": "integer"}},
            "properties": {
                "limit": {"anyOf": [{"$ref": "#/$defs/Count"}, {"type": "null"}]},
                "dry_run": {"type": ["boolean", "null"]},
                "force": {"type": "boolean"},
                "scopes": {"type": "array", "items": {"type": "string"}},
                "text": {"type": "string"},
            }
        })
    }

    #[test]
    fn reading_puts_the_rest_into_the_query() {
        let command = rename().calls("GET /api/apps/{app}/x");
        let typed = ["fazt", "test", "set", "a b/é", "--limit", "3", "--scopes", "a,b", "--force"];
        assert_eq!(
            sent(&command, &schema(), &typed).unwrap(),
            (
                "GET /api/apps/a%20b%2F%C3%A9/x?force=true&limit=3&scopes=a%2Cb".to_owned(),
                Value::Null
            )
        );
    }

    #[test]
    fn changing_puts_the_rest_into_a_body_with_the_types_of_the_schema() {
        let command = rename().calls("POST /api/apps/{app}/x");
        let typed = [
            "fazt",
            "test",
            "set",
            "blog",
            "--limit",
            "3",
            "--dry-run",
            "no",
            "--force",
            "--scopes",
            "a",
            "--scopes",
            "b",
            "--text",
            "7",
        ];
        assert_eq!(
            sent(&command, &schema(), &typed).unwrap(),
            (
                "POST /api/apps/blog/x".to_owned(),
                json!({"limit": 3, "dry_run": false, "force": true, "scopes": ["a", "b"], "text": "7"})
            )
        );
    }

    #[test]
    fn a_name_is_never_a_step_up() {
        let command = rename().calls("DELETE /api/apps/{app}");
        for (name, target) in
            [("..", "/api/apps/%2E%2E"), (".", "/api/apps/%2E"), ("../x", "/api/apps/..%2Fx")]
        {
            let (sent, _) = sent(&command, &schema(), &["fazt", "test", "set", name]).unwrap();
            assert_eq!(sent, format!("DELETE {target}"));
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_names_the_argument() {
        let command = rename().calls("POST /api/apps/{app}");
        let failure = sent(&command, &schema(), &["fazt", "test", "set", "a", "--limit", "many"])
            .unwrap_err();
        assert_eq!(failure.message, "limit must be a whole number, and \"many\" is not");
        assert_eq!(failure.exit, crate::failure::Exit::Usage);
    }

    #[test]
    fn a_command_without_an_operation_is_a_defect_and_no_panic() {
        for operation in ["", "GET", "FETCH /x", "GET /api/{other}"] {
            let command = rename().calls(operation);
            assert!(sent(&command, &schema(), &["fazt", "test", "set", "a"]).is_err());
        }
    }
}
