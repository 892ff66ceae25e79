//! Commands as data: words, arguments, the operation that they call, the columns that they print.
//!
//! A command holds no rules. The command line reads these from manifests, also of plugins that are
//! not loaded, so help and completion work without running anything.

use serde::{Deserialize, Serialize};

/// One command of the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The words after `fazt`: noun, verb.
    pub words: Vec<String>,
    /// One sentence.
    pub about: String,
    /// An example of its use, without `fazt`.
    pub example: String,
    /// Arguments and flags.
    pub arguments: Vec<Argument>,
    /// The operation that it calls: `GET /api/apps`.
    pub operation: String,
    /// The columns of its table, for results that are lists or records.
    pub columns: Vec<Column>,
    /// Where the result has a table of its own, for results whose columns nobody knows before.
    #[serde(default)]
    pub table: Option<TableFields>,
    /// What it prints instead of a table, with `{field}` for fields of the result.
    pub says: Option<String>,
}

/// The fields of a result that is a table of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFields {
    /// The field with the headings, a list of texts. A result without any is no table.
    pub columns: String,
    /// The field with the rows, a list of lists.
    pub rows: String,
}

impl Command {
    /// The command `words`, as in `"app list"`.
    #[must_use]
    pub fn new(words: &str) -> Self {
        Self {
            words: words.split_whitespace().map(str::to_owned).collect(),
            about: String::new(),
            example: words.to_owned(),
            arguments: Vec::new(),
            operation: String::new(),
            columns: Vec::new(),
            table: None,
            says: None,
        }
    }

    /// One sentence about it.
    #[must_use]
    pub fn about(mut self, about: &str) -> Self {
        self.about = about.to_owned();
        self
    }

    /// An example of its use, without `fazt`.
    #[must_use]
    pub fn example(mut self, example: &str) -> Self {
        self.example = example.to_owned();
        self
    }

    /// With one more argument.
    #[must_use]
    pub fn argument(mut self, argument: Argument) -> Self {
        self.arguments.push(argument);
        self
    }

    /// Calls this operation: `GET /api/apps`.
    #[must_use]
    pub fn calls(mut self, operation: &str) -> Self {
        self.operation = operation.to_owned();
        self
    }

    /// With one more column.
    #[must_use]
    pub fn column(mut self, title: &str, field: &str) -> Self {
        self.columns.push(Column {
            title: title.to_owned(),
            field: field.to_owned(),
            format: Format::Plain,
        });
        self
    }

    /// With one more column in this format.
    #[must_use]
    pub fn column_as(mut self, title: &str, field: &str, format: Format) -> Self {
        self.columns.push(Column { title: title.to_owned(), field: field.to_owned(), format });
        self
    }

    /// Prints the table that the result itself has: headings in the field `columns`, rows in the field
    /// `rows`. Says so when the result has a field `truncated` that is true.
    #[must_use]
    pub fn table_from(mut self, columns: &str, rows: &str) -> Self {
        self.table = Some(TableFields { columns: columns.to_owned(), rows: rows.to_owned() });
        self
    }

    /// Prints this sentence, with `{field}` for fields of the result.
    #[must_use]
    pub fn says(mut self, sentence: &str) -> Self {
        self.says = Some(sentence.to_owned());
        self
    }
}

/// One argument of a command; it becomes the operation's input field of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// Its name, also the field's.
    pub name: String,
    /// How it is given.
    pub kind: ArgumentKind,
    /// Whether it must be given.
    pub required: bool,
    /// One sentence.
    pub about: String,
}

/// How an argument is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentKind {
    /// By its position.
    Positional,
    /// As `--name VALUE`.
    Option,
    /// As `--name`, a boolean.
    Switch,
    /// As `--name VALUE`, several times, or comma-separated: a list.
    List,
}

impl Argument {
    fn new(name: &str, kind: ArgumentKind, required: bool, about: &str) -> Self {
        Self { name: name.to_owned(), kind, required, about: about.to_owned() }
    }

    /// A required argument by position.
    #[must_use]
    pub fn required(name: &str, about: &str) -> Self {
        Self::new(name, ArgumentKind::Positional, true, about)
    }

    /// An optional argument by position.
    #[must_use]
    pub fn optional(name: &str, about: &str) -> Self {
        Self::new(name, ArgumentKind::Positional, false, about)
    }

    /// `--name VALUE`.
    #[must_use]
    pub fn option(name: &str, about: &str) -> Self {
        Self::new(name, ArgumentKind::Option, false, about)
    }

    /// `--name`.
    #[must_use]
    pub fn switch(name: &str, about: &str) -> Self {
        Self::new(name, ArgumentKind::Switch, false, about)
    }

    /// `--name VALUE`, several times.
    #[must_use]
    pub fn list(name: &str, about: &str) -> Self {
        Self::new(name, ArgumentKind::List, false, about)
    }
}

/// One column of a command's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The heading.
    pub title: String,
    /// The field of each row, with dots for fields of fields.
    pub field: String,
    /// How the value is shown.
    pub format: Format,
}

/// How a value is shown in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As it is.
    Plain,
    /// Bytes, as KiB or MiB.
    Bytes,
    /// Milliseconds since 1970, as a UTC date and time.
    Time,
}
