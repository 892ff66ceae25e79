//! Fields: names with dots between them, and what keeps itself beside a document.

use fazt_sdk::{Error, Result};

/// A field of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    names: Vec<String>,
}

/// Where a field is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The document's id.
    Id,
    /// When it was inserted, in milliseconds since 1970.
    CreatedAt,
    /// When it was changed, in milliseconds since 1970.
    UpdatedAt,
    /// In the body, at this path of SQLite's JSON functions.
    Path(String),
    /// In the body, under a name that such a path cannot spell for certain.
    Elsewhere,
}

impl Field {
    /// Reads `a.b.c`.
    ///
    /// # Errors
    /// `Invalid` for an empty name, a name that starts with `$`, and what is too long or too deep.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let shown: String = text.chars().take(80).collect();
            Error::invalid(format!("`{shown}` is no field: {why}")).with_code("INVALID_FIELD")
        };
        if text.len() > FIELD_BYTES_MAX {
            return Err(wrong("it has more than 512 bytes"));
        }
        let names: Vec<_> = text.split('.').map(str::to_owned).collect();
        if names.iter().any(String::is_empty) {
            return Err(wrong("a name between two dots is empty"));
        }
        if names.iter().any(|name| name.starts_with('$')) {
            return Err(wrong("a name starts with `$`"));
        }
        if names.len() > FIELD_LEVELS_MAX {
            return Err(wrong("it is deeper than 16 levels"));
        }
        Ok(Self { names })
    }

    /// The names from the outside in.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The field as it is written.
    #[must_use]
    pub fn text(&self) -> String {
        self.names.join(".")
    }

    /// Where it is kept.
    #[must_use]
    pub fn place(&self) -> Place {
        match self.names.as_slice() {
            [name] if name == "id" => return Place::Id,
            [name] if name == "_createdAt" => return Place::CreatedAt,
            [name] if name == "_updatedAt" => return Place::UpdatedAt,
            _ => {}
        }
        let is_plain =
            |name: &String| !name.chars().any(|c| matches!(c, '"' | '\\') || c.is_control());
        if !self.names.iter().all(is_plain) {
            return Place::Elsewhere;
        }
        let mut path = "$".to_owned();
        for name in &self.names {
            path.push_str(".\"");
            path.push_str(name);
            path.push('"');
        }
        Place::Path(path)
    }
}

const FIELD_BYTES_MAX: usize = 512;
const FIELD_LEVELS_MAX: usize = 16;
