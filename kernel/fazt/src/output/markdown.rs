//! Tables in Markdown, for documents and issues.

use fazt_sdk::command::Column;
use serde_json::Value;

use super::value;

/// One row of the table for each value.
pub(super) fn table(rows: &[Value], columns: &[Column]) -> String {
    let titles: Vec<String> = columns.iter().map(|column| column.title.clone()).collect();
    let mut text = row(&titles);
    text.push('|');
    text.push_str(&" --- |".repeat(columns.len()));
    text.push('\n');
    for data in rows {
        let cells: Vec<String> = columns.iter().map(|column| value::cell(data, column)).collect();
        text.push_str(&row(&cells));
    }
    text
}

/// One list item for each column.
pub(super) fn record(data: &Value, columns: &[Column]) -> String {
    columns
        .iter()
        .map(|column| format!("- **{}**: {}\n", column.title, value::cell(data, column)))
        .collect()
}

fn row(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bars_in_values_do_not_end_a_cell() {
        let rows = [json!({"name": "a|b", "files": 2})];
        assert_eq!(
            table(&rows, &value::columns_of(&rows, &[])),
            "| files | name |\n| --- | --- |\n| 2 | a\\|b |\n"
        );
    }
}
