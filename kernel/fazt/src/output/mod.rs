//! What a command prints: results to standard output, everything else to standard error.
//!
//! The only place of this crate that writes to the terminal. Text that comes from a node is
//! printed without control characters, so that no value can move the cursor or set a title.

mod json;
mod markdown;
mod progress;
mod table;
mod terminal;
mod value;

use std::io::{self, Write};

use fazt_sdk::command::{Column, TableFields};
use serde_json::Value;

use crate::failure::Failure;

pub(crate) use progress::Progress;
pub(crate) use terminal::Terminal;
pub(crate) use value::{
    bytes as bytes_text, files as files_text, plain as plain_text, time as time_text,
};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// Aligned columns.
    #[default]
    Table,
    /// The reply's `data`, stable for scripts.
    Json,
    /// A table that documents and issues show well.
    Markdown,
}

impl Format {
    /// The names of all formats.
    pub(crate) const NAMES: [&str; 3] = ["table", "json", "markdown"];

    /// The format of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "table" => Some(Self::Table),
            "json" => Some(Self::Json),
            "markdown" => Some(Self::Markdown),
            _ => None,
        }
    }
}

/// Where and how this command prints.
pub(crate) struct Output<'a> {
    out: &'a mut (dyn Write + Send),
    err: &'a mut (dyn Write + Send),
    /// How results are printed.
    pub(crate) format: Format,
    /// Whether more is said about what happens.
    pub(crate) verbose: bool,
    /// What standard output is connected to.
    pub(crate) terminal: Terminal,
}

impl<'a> Output<'a> {
    /// Prints results to `out` and the rest to `err`.
    pub(crate) fn new(
        out: &'a mut (dyn Write + Send),
        err: &'a mut (dyn Write + Send),
        terminal: Terminal,
    ) -> Self {
        Self { out, err, format: Format::Table, verbose: false, terminal }
    }

    /// Prints a result: a list or a record in these columns, or the sentence.
    ///
    /// A list is a table; an empty one is the sentence, or `none`. A record is the sentence, or
    /// one line for each column. With [`Format::Json`] it is the data as it came.
    pub(crate) fn result(
        &mut self,
        data: &Value,
        columns: &[Column],
        says: Option<&str>,
    ) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.line(&json::document(data));
        }
        if let Value::Array(rows) = data {
            if rows.is_empty() {
                return self.line(says.unwrap_or("none"));
            }
            let columns = value::columns_of(rows, columns);
            let text = if self.format == Format::Markdown {
                markdown::table(rows, &columns)
            } else {
                table::table(rows, &columns, self.terminal)
            };
            return self.text(&text);
        }
        if let Some(says) = says {
            return self.line(&value::fill(says, data));
        }
        match data {
            Value::Null => self.line("done"),
            Value::Object(_) => {
                let columns = value::columns_of(std::slice::from_ref(data), columns);
                let text = if self.format == Format::Markdown {
                    markdown::record(data, &columns)
                } else {
                    table::record(data, &columns, self.terminal)
                };
                self.text(&text)
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                self.line(&value::plain(data))
            }
        }
    }

    /// Prints a result that is a table of its own, or the sentence when it has no columns.
    pub(crate) fn own_table(
        &mut self,
        data: &Value,
        fields: &TableFields,
        says: Option<&str>,
    ) -> Result<(), Failure> {
        let Some((rows, columns)) = value::own_table(data, fields) else {
            return self.result(data, &[], says);
        };
        match self.format {
            Format::Json => return self.line(&json::document(data)),
            Format::Markdown => self.text(&markdown::table(&rows, &columns))?,
            Format::Table => self.text(&table::table(&rows, &columns, self.terminal))?,
        }
        if data.get("truncated") == Some(&Value::Bool(true)) {
            self.note(&format!("there is more than these {} rows; --limit shows more", rows.len()));
        }
        Ok(())
    }

    /// Prints one line of a result.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.text(&format!("{line}\n"))
    }

    /// Prints part of a result as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Prints part of a result that may be no text, for what stands behind a pipe.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::silent()),
            Err(error) => Err(Failure::failed(format!("the output cannot be written: {error}"))),
        }
    }

    /// Tells the person something that is no result: a choice, a warning, the next step.
    pub(crate) fn note(&mut self, note: &str) {
        // Nobody is left to tell when standard error is closed.
        drop(writeln!(self.err, "{note}"));
    }

    /// A note for `--verbose` only.
    pub(crate) fn detail(&mut self, note: &str) {
        if self.verbose {
            self.note(note);
        }
    }

    /// Prints why the command failed, and what to do.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        if failure.message.is_empty() {
            return;
        }
        self.note(&format!("error: {}", value::without_controls(&failure.message)));
        if let Some(hint) = &failure.hint {
            self.note(&format!("  hint: {}", value::without_controls(hint)));
        }
        if let Some(code) = &failure.code {
            self.detail(&format!("  code: {}", value::without_controls(code)));
        }
        if let Some(request_id) = &failure.request_id {
            self.detail(&format!("  request: {}", value::without_controls(request_id)));
        }
    }

    /// A progress line for work over `total` bytes; silent when standard error is no terminal.
    pub(crate) fn progress(&self, doing: &str, total: u64) -> Progress {
        Progress::new(doing, total, self.terminal.progress)
    }
}
