//! Tables: rows are gathered apart, because a cell has one line.

use super::{Open, Writer};

/// The most columns of a table.
const COLUMNS_MAX: usize = 64;

/// The rows of a table, in Markdown.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) rows: String,
    cells: usize,
    row_count: usize,
    /// Where the open cell starts.
    pub(super) cell: Option<usize>,
}

impl Writer<'_> {
    pub(super) fn start_cell(&mut self) {
        self.end_cell();
        if self.table.is_none() {
            return;
        }
        // Blocks in front of the table are over.
        let breaks = std::mem::take(&mut self.breaks);
        let at = self.out.len();
        if let Some(table) = &mut self.table {
            table.cell = Some(at);
        }
        if self.is_first_cell() {
            self.breaks = breaks;
        }
    }

    fn is_first_cell(&self) -> bool {
        self.table.as_ref().is_some_and(|table| table.row_count == 0 && table.cells == 0)
    }

    pub(super) fn end_cell(&mut self) {
        let Some(at) = self.table.as_mut().and_then(|table| table.cell.take()) else {
            return;
        };
        self.breaks = 0;
        let text = self.out.get(at..).unwrap_or_default().to_owned();
        self.out.truncate(self.out.len() - text.len());
        let Some(table) = &mut self.table else {
            return;
        };
        // What is open started in the cell.
        self.open.retain(|(_, open)| match open {
            Open::Mark(_, start) | Open::Code(start) | Open::Link { at: start, .. } => *start < at,
            Open::Heading(start, _) => *start < at,
            _ => true,
        });
        if table.cells < COLUMNS_MAX {
            table.rows.push_str(if table.cells == 0 { "| " } else { " | " });
            let line = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            table.rows.push_str(&line);
            table.cells += 1;
        }
    }

    pub(super) fn end_row(&mut self) {
        self.end_cell();
        let Some(table) = self.table.as_mut().filter(|table| table.cells > 0) else {
            return;
        };
        table.rows.push_str(" |\n");
        if table.row_count == 0 {
            table.rows.push('|');
            table.rows.push_str(&" --- |".repeat(table.cells));
            table.rows.push('\n');
        }
        table.row_count += 1;
        table.cells = 0;
    }

    pub(super) fn end_table(&mut self) {
        self.end_row();
        let Some(table) = self.table.take().filter(|table| table.row_count > 0) else {
            return;
        };
        self.block();
        let rows = table.rows.trim_end().split('\n');
        for row in rows {
            self.flush();
            self.out.push_str(row);
            self.breaks = 1;
        }
        self.block();
    }
}
