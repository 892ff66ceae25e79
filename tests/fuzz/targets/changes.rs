//! Whatever changes say, a document stays a document: JSON that is read back the same, with its id, not too deep.
#![no_main]

use fazt_storage::documents::change::Changes;
use fazt_storage::json::Json;
use libfuzzer_sys::fuzz_target;

const OPERATORS: [&str; 8] = ["set", "unset", "inc", "push", "pull", "max", "min", "rename"];

fuzz_target!(|input: (u8, &str, &str, &str, &str)| {
    let (choice, field, value, body, raw) = input;
    let name = Json::Text(field.to_owned());
    let value = Json::parse(value).unwrap_or_else(|_| Json::Text(value.to_owned()));
    let changes = match choice % 3 {
        0 => raw.to_owned(),
        1 => format!("{{\"${}\":{{{name}:{value}}}}}", OPERATORS[usize::from(choice / 3) % 8]),
        _ => format!("{{{name}:{value}}}"),
    };
    let (Ok(changes), Ok(body)) = (Changes::parse(&changes), Json::parse(body)) else { return };
    if !matches!(body, Json::Object(_)) {
        return;
    }
    let Ok(changed) = changes.apply("the id", body) else { return };
    assert!(matches!(changed, Json::Object(_)), "{changed}");
    // Numbers stay exact, and nothing is there twice.
    let read = Json::parse(&changed.to_string()).unwrap();
    assert!(read.same(&changed), "{read} {changed}");
    assert_eq!(read.to_string(), changed.to_string());
});
