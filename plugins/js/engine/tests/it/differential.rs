//! The same expressions here and in Node: `tests/differential/cases.txt`, with Node's answers in
//! `recorded.txt` (`node record.mjs > recorded.txt`) and every deliberate difference, with its
//! reason, in `differences.txt`.

use crate::cell::Build;
use std::collections::BTreeMap;

const CASES: &str = include_str!("../differential/cases.txt");
const RECORDED: &str = include_str!("../differential/recorded.txt");
const DIFFERENCES: &str = include_str!("../differential/differences.txt");
const SUITE: &str = include_str!("../differential/suite.mjs");

/// Lines of expressions, each followed by an indented answer. Lines that begin with `#` are reasons.
fn pairs(text: &str) -> BTreeMap<&str, &str> {
    let mut pairs = BTreeMap::new();
    let mut expression = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(answer) => {
                pairs.insert(expression, answer);
            }
            None => expression = line,
        }
    }
    pairs
}

#[test]
fn expressions_answer_as_in_node() {
    let cases = serde_json::to_string(CASES).unwrap();
    let main = format!(
        "import {{ answers }} from './suite.mjs'; const cases = {cases}; \
         export default async () => Response.json(await answers(cases));"
    );
    let mut cell = Build::new(&[("api/main.js", &main), ("api/suite.mjs", SUITE)])
        .limits(|limits| {
            limits.cpu_ms = 60_000;
            limits.wall_ms = 120_000;
        })
        .start();
    let answers: Vec<(String, String)> = serde_json::from_str(&cell.get("/").text()).unwrap();
    let (recorded, differences) = (pairs(RECORDED), pairs(DIFFERENCES));
    assert!(answers.len() >= 400, "only {} expressions", answers.len());
    let mut wrong = Vec::new();
    let mut unneeded = Vec::new();
    for (expression, answer) in &answers {
        let node = recorded.get(expression.as_str()).copied();
        let expected = differences.get(expression.as_str()).copied().or(node);
        if expected != Some(answer.as_str()) {
            wrong.push(format!(
                "{expression}\n    here     {answer}\n    expected {}",
                expected.unwrap_or("nothing recorded")
            ));
        } else if differences.contains_key(expression.as_str()) && node == expected {
            unneeded.push(expression);
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), answers.len(), wrong.join("\n"));
    assert!(unneeded.is_empty(), "these are no differences: {unneeded:?}");
    let unknown: Vec<_> = differences.keys().filter(|line| !recorded.contains_key(*line)).collect();
    assert!(unknown.is_empty(), "these are no cases: {unknown:?}");
}
