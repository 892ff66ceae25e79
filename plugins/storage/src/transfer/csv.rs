//! CSV (RFC 4180), in both directions.
//!
//! A cell is a JSON value; a text stands as it is where nobody could take it for something else. What
//! a spreadsheet would take for a formula gets a `'` in front, which an import takes away again.

use std::collections::VecDeque;

use fazt_sdk::{Error, Result};

use crate::json::{Json, push_text};

/// The most columns of a table.
const COLUMNS_MAX: usize = 1_000;

/// The fields of some documents, in the order in which they appear: the columns of a table.
pub(super) fn columns(documents: &[Json]) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for document in documents {
        let Json::Object(fields) = document else { continue };
        for (name, _) in fields {
            if columns.len() < COLUMNS_MAX && !columns.contains(name) {
                columns.push(name.clone());
            }
        }
    }
    columns
}

/// A value as a cell; nothing for what is missing.
pub(super) fn cell(value: Option<&Json>) -> String {
    match value {
        None => String::new(),
        // What would be read as something else, or as nothing, is a JSON text.
        Some(Json::Text(text)) if text.is_empty() || Json::parse(text).is_ok() => {
            let mut quoted = String::new();
            push_text(text, &mut quoted);
            quoted
        }
        Some(Json::Text(text)) => plain(text),
        Some(other) => other.to_string(),
    }
}

/// A text that no spreadsheet takes for a formula.
pub(super) fn plain(text: &str) -> String {
    if is_formula(text) { format!("'{text}") } else { text.to_owned() }
}

fn is_formula(text: &str) -> bool {
    // With those that are taken away again, so that a text with a `'` of its own survives.
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// Appends a row.
pub(super) fn push_row(cells: impl Iterator<Item = String>, out: &mut String) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.push(',');
        }
        if cell.contains(['"', ',', '\n', '\r']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&cell);
        }
    }
    out.push_str("\r\n");
}

/// Reads a table that arrives in parts.
#[derive(Debug, Default)]
pub(super) struct Reader {
    columns: Option<Vec<String>>,
}

impl Reader {
    /// Takes whole rows out of `rest` and makes documents of them.
    pub(super) fn read(
        &mut self,
        rest: &mut Vec<u8>,
        is_end: bool,
        found: &mut VecDeque<String>,
    ) -> Result<()> {
        let mut at = 0;
        while let Some((cells, end)) = row(&rest[at..], is_end)? {
            at += end;
            if cells.iter().all(String::is_empty) {
                continue;
            }
            match &self.columns {
                None => self.columns = Some(cells.iter().map(|cell| written(cell)).collect()),
                Some(columns) if cells.len() > columns.len() => {
                    return Err(Error::invalid("a row has more cells than there are columns")
                        .with_code("INVALID_CSV"));
                }
                Some(columns) => found.push_back(document(columns, &cells)),
            }
        }
        rest.drain(..at);
        Ok(())
    }
}

fn document(columns: &[String], cells: &[String]) -> String {
    let fields = columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
    let fields = fields.map(|(name, cell)| {
        let value = Json::parse(cell).unwrap_or_else(|_| Json::Text(written(cell)));
        (name.clone(), value)
    });
    Json::Object(fields.collect()).to_string()
}

/// A text without the `'` that kept it from being a formula.
fn written(cell: &str) -> String {
    match cell.strip_prefix('\'') {
        Some(text) if is_formula(text) => text.to_owned(),
        _ => cell.to_owned(),
    }
}

/// One row and where it ends; nothing when it is not whole yet.
fn row(bytes: &[u8], is_end: bool) -> Result<Option<(Vec<String>, usize)>> {
    let not_text = |_| Error::invalid("the table is not UTF-8").with_code("INVALID_CSV");
    let (mut cells, mut cell, mut at) = (Vec::new(), Vec::new(), 0);
    if bytes.is_empty() {
        return Ok(None);
    }
    loop {
        if bytes.get(at) == Some(&b'"') && cell.is_empty() {
            at += 1;
            loop {
                match (bytes.get(at), bytes.get(at + 1)) {
                    (Some(b'"'), Some(b'"')) => {
                        cell.push(b'"');
                        at += 2;
                    }
                    // Whether another quote follows is not known yet.
                    (Some(b'"'), None) if !is_end => return Ok(None),
                    (Some(b'"'), _) => {
                        at += 1;
                        break;
                    }
                    (Some(byte), _) => {
                        cell.push(*byte);
                        at += 1;
                    }
                    (None, _) if is_end => {
                        return Err(Error::invalid("a cell in quotes does not end")
                            .with_code("INVALID_CSV"));
                    }
                    (None, _) => return Ok(None),
                }
            }
        }
        match bytes.get(at) {
            Some(b',') => {
                cells.push(String::from_utf8(std::mem::take(&mut cell)).map_err(not_text)?);
                at += 1;
            }
            Some(b'\n') => {
                cells.push(String::from_utf8(cell).map_err(not_text)?);
                return Ok(Some((cells, at + 1)));
            }
            Some(b'\r') if bytes.get(at + 1) == Some(&b'\n') => at += 1,
            Some(b'\r') if bytes.len() == at + 1 && !is_end => return Ok(None),
            Some(byte) => {
                cell.push(*byte);
                at += 1;
            }
            None if is_end => {
                cells.push(String::from_utf8(cell).map_err(not_text)?);
                return Ok(Some((cells, at)));
            }
            None => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_formula_is_neutralised_and_comes_back() {
        for text in ["=HYPERLINK(\"x\")", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "'=1", "''=1"] {
            let shown = cell(Some(&Json::Text(text.to_owned())));
            assert!(shown.starts_with('\''), "{shown}");
            assert_eq!(written(&shown), text);
        }
        assert_eq!(cell(Some(&Json::Number(-5.0))), "-5");
        assert_eq!(cell(Some(&Json::Text("5".to_owned()))), "\"5\"");
        assert_eq!(cell(Some(&Json::Text("it's".to_owned()))), "it's");
    }

    fn values() -> impl Strategy<Value = Json> {
        prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            any::<i32>().prop_map(|number| Json::Number(number.into())),
            "[=+@'\",\\r\\n\\t a-c0-9é{}\\[\\]-]{0,8}".prop_map(Json::Text),
            prop::collection::vec(any::<i8>().prop_map(|number| Json::Number(number.into())), 0..3)
                .prop_map(Json::List),
        ]
    }

    proptest! {
        #[test]
        fn a_table_is_read_as_it_was_written_however_it_is_cut(
            rows in prop::collection::vec((values(), values()), 1..6), cut in 1_usize..20,
        ) {
            let documents: Vec<_> = rows
                .into_iter()
                .map(|(a, b)| Json::Object(vec![("=a".to_owned(), a), ("b,\"".to_owned(), b)]))
                .collect();
            let names = columns(&documents);
            let mut text = String::new();
            push_row(names.iter().map(|name| plain(name)), &mut text);
            for document in &documents {
                push_row(names.iter().map(|name| cell(document.field(name))), &mut text);
            }
            let (mut reader, mut rest, mut found) = (Reader::default(), Vec::new(), VecDeque::new());
            for chunk in text.as_bytes().chunks(cut) {
                rest.extend_from_slice(chunk);
                reader.read(&mut rest, false, &mut found).unwrap();
            }
            reader.read(&mut rest, true, &mut found).unwrap();
            let expected: Vec<_> = documents.iter().map(ToString::to_string).collect();
            prop_assert_eq!(Vec::from(found), expected, "{}", text);
        }

        #[test]
        fn garbage_ends(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let (mut rest, mut found) = (bytes, VecDeque::new());
            drop(Reader::default().read(&mut rest, true, &mut found));
        }
    }
}
