//! JSON values as text: fields by path, formats of columns, and how wide text is.

use std::borrow::Cow;

use fazt_sdk::command::{Column, Format, TableFields};
use serde_json::Value;

/// The field of `row` at a path with dots; `null` where there is none.
pub(super) fn field<'a>(row: &'a Value, path: &str) -> &'a Value {
    path.split('.').try_fold(row, |value, name| value.get(name)).unwrap_or(&Value::Null)
}

/// The value as people read it.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => without_controls(text).into_owned(),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(_) => without_controls(&value.to_string()).into_owned(),
    }
}

/// The value in the format of its column.
pub(super) fn formatted(value: &Value, format: Format) -> String {
    match (format, value.as_u64()) {
        (Format::Bytes, Some(count)) => bytes(count),
        (Format::Time, Some(milliseconds)) => time(milliseconds),
        _ => plain(value),
    }
}

/// A number of bytes in the unit that fits: `512 B`, `1.5 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut unit = 0;
    let mut tenths = u128::from(count) * 10;
    tenths = rounded(tenths);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths = rounded(tenths);
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

fn rounded(tenths: u128) -> u128 {
    (tenths + 512) / 1024
}

/// Milliseconds since 1970 as date and time in UTC.
pub(crate) fn time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Days since 1970 as a date, counted in eras of 400 years that start on the first of March.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day - (153 * shifted + 2) / 5 + 1)
}

/// The sentence with `{field}` replaced by fields of `data`.
pub(super) fn fill(sentence: &str, data: &Value) -> String {
    let mut filled = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((path, after)) = after.split_once('}') else { break };
        filled.push_str(before);
        filled.push_str(&plain(field(data, path)));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The columns that the command names, or one for each field of the first row.
pub(super) fn columns_of(rows: &[Value], columns: &[Column]) -> Vec<Column> {
    if !columns.is_empty() {
        return columns.to_vec();
    }
    match rows.first() {
        Some(Value::Object(fields)) => fields
            .keys()
            .map(|name| Column {
                title: name.replace('_', " "),
                field: name.clone(),
                format: Format::Plain,
            })
            .collect(),
        // A list of plain values: the path "" is no field, so the one column shows the row.
        _ => {
            vec![Column { title: "value".to_owned(), field: String::new(), format: Format::Plain }]
        }
    }
}

/// The rows and columns of a result that is a table of its own; nothing when it has no columns. Each
/// row becomes a record of its positions, since two columns may have one name.
pub(super) fn own_table(data: &Value, fields: &TableFields) -> Option<(Vec<Value>, Vec<Column>)> {
    let titles = data.get(&fields.columns)?.as_array().filter(|titles| !titles.is_empty())?;
    let columns = titles
        .iter()
        .enumerate()
        .map(|(at, title)| Column {
            title: plain(title),
            field: at.to_string(),
            format: Format::Plain,
        })
        .collect();
    let record = |row: &Value| {
        let cells = row.as_array().into_iter().flatten().enumerate();
        Value::Object(cells.map(|(at, cell)| (at.to_string(), cell.clone())).collect())
    };
    let rows = data.get(&fields.rows)?.as_array()?.iter().map(record).collect();
    Some((rows, columns))
}

/// The cell of `row` in `column`.
pub(super) fn cell(row: &Value, column: &Column) -> String {
    if column.field.is_empty() {
        return plain(row);
    }
    formatted(field(row, &column.field), column.format)
}

/// The text without what would move the cursor, set a title or turn the direction of writing.
pub(super) fn without_controls(text: &str) -> Cow<'_, str> {
    let unsafe_to_print = |letter: char| {
        letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(unsafe_to_print) {
        return Cow::Borrowed(text);
    }
    let replaced = |letter| match letter {
        '\n' | '\t' => ' ',
        letter if unsafe_to_print(letter) => '\u{fffd}',
        letter => letter,
    };
    Cow::Owned(text.chars().map(replaced).collect())
}

/// How many cells the text takes: simple, after the blocks of Unicode that matter in practice.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

fn letter_width(letter: char) -> usize {
    match letter {
        // Combining marks, joiners and variation selectors.
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' => 0,
        // Hangul, CJK, full-width forms and emoji.
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// The text in at most `cells`, with `…` where it was cut.
pub(super) fn cut(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    let mut used = 1;
    let kept: String = text
        .chars()
        .take_while(|letter| {
            used += letter_width(*letter);
            used <= cells
        })
        .collect();
    Cow::Owned(kept + "…")
}

/// So many files.
pub(crate) fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_are_in_the_unit_that_fits() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (5 * 1024 * 1024, "5.0 MiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn times_are_utc_also_around_leap_days() {
        for (milliseconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399_000, "2000-02-28 23:59:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199_999, "2024-02-29 23:59:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(time(milliseconds), text);
        }
    }

    #[test]
    fn sentences_take_fields_and_leave_lone_braces() {
        let data = json!({"name": "blog", "app": {"id": 7}});
        assert_eq!(fill("{name} is {app.id}", &data), "blog is 7");
        assert_eq!(fill("{missing} and {", &data), "- and {");
    }

    #[test]
    fn a_table_of_its_own_has_its_own_columns_also_two_of_one_name() {
        let fields = TableFields { columns: "columns".to_owned(), rows: "rows".to_owned() };
        let data = json!({"columns": ["n", "n"], "rows": [[1, "a"], [2]]});
        let (rows, columns) = own_table(&data, &fields).unwrap();
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| columns.iter().map(|column| cell(row, column)).collect())
            .collect();
        assert_eq!(cells, [["1", "a"], ["2", "-"]]);
        for none in [json!({"columns": [], "rows": []}), json!({}), json!([1])] {
            assert!(own_table(&none, &fields).is_none());
        }
    }

    #[test]
    fn what_a_node_sends_cannot_move_the_cursor() {
        assert_eq!(plain(&json!("a\u{1b}[2Jb\u{202e}c\nd")), "a\u{fffd}[2Jb\u{fffd}c d");
    }

    #[test]
    fn cut_text_is_never_wider_than_asked() {
        for text in ["plain text", "写真のアルバム", "cafe\u{301} noir"] {
            for cells in 1..=width(text) {
                assert!(width(&cut(text, cells)) <= cells, "{text} in {cells}");
            }
        }
        assert_eq!(cut("写真のアルバム", 6), "写真…");
    }
}
