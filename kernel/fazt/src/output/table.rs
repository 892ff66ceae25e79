//! Aligned columns without lines: what people read on a terminal.
//!
//! On a terminal the widest columns are cut until a row fits the width; elsewhere nothing is cut,
//! so that a pipe sees whole values.

use fazt_sdk::command::{Column, Format};
use serde_json::Value;

use super::terminal::Terminal;
use super::value;

/// One line for each row, under a line of headings.
pub(super) fn table(rows: &[Value], columns: &[Column], terminal: Terminal) -> String {
    let titles: Vec<String> = columns.iter().map(|column| column.title.to_uppercase()).collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| columns.iter().map(|column| value::cell(row, column)).collect())
        .collect();
    let mut widths: Vec<usize> = titles.iter().map(|title| value::width(title)).collect();
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(value::width(cell));
        }
    }
    if let Some(available) = terminal.width {
        shrink(&mut widths, available);
    }
    let right: Vec<bool> = columns.iter().map(|column| is_right_aligned(rows, column)).collect();

    let heading = line(&titles, &widths, &right);
    let mut text =
        if terminal.color { format!("\u{1b}[1m{heading}\u{1b}[0m\n") } else { heading + "\n" };
    for row in &cells {
        text.push_str(&line(row, &widths, &right));
        text.push('\n');
    }
    text
}

/// One line for each column: its title, then the value.
pub(super) fn record(data: &Value, columns: &[Column], terminal: Terminal) -> String {
    let width_max =
        columns.iter().map(|column| value::width(&column.title)).max().unwrap_or_default();
    let mut text = String::new();
    for column in columns {
        let padding = width_max - value::width(&column.title);
        let (bold, normal) = if terminal.color { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        text.push_str(bold);
        text.push_str(&column.title.to_lowercase());
        text.push_str(normal);
        text.extend(std::iter::repeat_n(' ', padding + GAP));
        text.push_str(&value::cell(data, column));
        text.push('\n');
    }
    text
}

fn line(cells: &[String], widths: &[usize], right: &[bool]) -> String {
    let mut line = String::new();
    for ((cell, width), right) in cells.iter().zip(widths).zip(right) {
        let cell = value::cut(cell, *width);
        let padding = std::iter::repeat_n(' ', width.saturating_sub(value::width(&cell)));
        if *right {
            line.extend(padding);
            line.push_str(&cell);
        } else {
            line.push_str(&cell);
            line.extend(padding);
        }
        line.extend(std::iter::repeat_n(' ', GAP));
    }
    line.truncate(line.trim_end().len());
    line
}

/// Takes cells from the widest column until the row fits or every column is narrow.
fn shrink(widths: &mut [usize], available: usize) {
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > available {
        match widths.iter_mut().max() {
            Some(widest) if *widest > COLUMN_WIDTH_MIN => *widest -= 1,
            _ => break,
        }
    }
}

/// Numbers stand under each other by their last digit.
fn is_right_aligned(rows: &[Value], column: &Column) -> bool {
    column.format != Format::Time
        && !column.field.is_empty()
        && rows
            .iter()
            .all(|row| matches!(value::field(row, &column.field), Value::Number(_) | Value::Null))
        && rows.iter().any(|row| value::field(row, &column.field).is_number())
}

/// Cells between columns.
const GAP: usize = 2;
/// Columns are not cut below this width.
const COLUMN_WIDTH_MIN: usize = 6;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows() -> (Vec<Value>, Vec<Column>) {
        let rows = vec![
            json!({"name": "blog", "title": "A quiet place for long words", "size": 1_536}),
            json!({"name": "写真", "title": null, "size": 20}),
        ];
        let column = |title: &str, field: &str, format| Column {
            title: title.to_owned(),
            field: field.to_owned(),
            format,
        };
        let columns = vec![
            column("name", "name", Format::Plain),
            column("title", "title", Format::Plain),
            column("size", "size", Format::Bytes),
        ];
        (rows, columns)
    }

    #[test]
    fn columns_are_aligned_and_whole_in_a_pipe() {
        let (rows, columns) = rows();
        assert_eq!(
            table(&rows, &columns, Terminal::NONE),
            "NAME  TITLE                            SIZE\n\
             blog  A quiet place for long words  1.5 KiB\n\
             写真  -                                20 B\n"
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_column() {
        let (rows, columns) = rows();
        let terminal = Terminal { width: Some(30), ..Terminal::NONE };
        let text = table(&rows, &columns, terminal);
        assert_eq!(
            text,
            "NAME  TITLE               SIZE\n\
             blog  A quiet place f…  1.5 K…\n\
             写真  -                   20 B\n"
                .replace("1.5 K…", "1.5 KiB")
                .replace("A quiet place f…  ", "A quiet place …  ")
        );
        assert!(text.lines().all(|line| value::width(line) <= 30));
    }

    #[test]
    fn a_record_is_one_line_for_each_field() {
        let (rows, columns) = rows();
        assert_eq!(
            record(&rows[0], &columns, Terminal::NONE),
            "name   blog\ntitle  A quiet place for long words\nsize   1.5 KiB\n"
        );
    }
}
