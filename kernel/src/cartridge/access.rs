//! Who may touch which table: the rules behind SQLite's authorizer.
//!
//! One [`Gate`] sits in every connection. SQLite asks it while it compiles a statement, also when it
//! compiles one again after a schema change, so the gate knows at every moment in whose name the
//! connection works. A refusal leaves one sentence behind for the person who reads the error.
//!
//! Transactions and savepoints belong to the cartridge: an owner can neither commit nor roll back
//! what other callers share with it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::owner::{KERNEL, Owner, Role, prefix_of};

/// In whose name a connection works.
#[derive(Debug, Clone)]
pub(super) enum Access {
    /// The cartridge's own statements: everything.
    Cartridge,
    /// Rows of what the owner may touch.
    Rows(Owner),
    /// Rows and schema, while the owner's migrations run.
    Schema(Owner),
}

/// The names of all tables and of all owners; one for all connections of a cartridge.
#[derive(Debug, Default)]
pub(super) struct Tables(RwLock<Arc<Names>>);

#[derive(Debug, Default)]
struct Names {
    /// Tables and views, in lower case.
    tables: HashSet<String>,
    /// Plugins that have migrated at least once.
    plugins: HashSet<String>,
}

impl Tables {
    pub(super) fn replace(&self, tables: HashSet<String>, plugins: HashSet<String>) {
        let names = Arc::new(Names { tables, plugins });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    pub(super) fn owner_of(&self, table: &str) -> String {
        self.names().owner_of(table).to_owned()
    }

    fn names(&self) -> Arc<Names> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Names {
    fn owner_of<'t>(&self, table: &'t str) -> &'t str {
        match prefix_of(table) {
            Some(prefix) if self.plugins.contains(&prefix.to_ascii_lowercase()) => prefix,
            _ => KERNEL,
        }
    }
}

/// The authorizer of one connection.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    state: Arc<Mutex<State>>,
    tables: Arc<Tables>,
}

#[derive(Debug)]
struct State {
    access: Access,
    denial: Option<String>,
}

impl Gate {
    pub(super) fn new(tables: Arc<Tables>) -> Self {
        let state = State { access: Access::Cartridge, denial: None };
        Self { state: Arc::new(Mutex::new(state)), tables }
    }

    /// Works in another name from now on, and returns the previous one.
    pub(super) fn enter(&self, access: Access) -> Access {
        let mut state = self.lock();
        state.denial = None;
        std::mem::replace(&mut state.access, access)
    }

    /// The sentence of the latest refusal, once.
    pub(super) fn take_denial(&self) -> Option<String> {
        self.lock().denial.take()
    }

    /// Answers SQLite.
    pub(super) fn authorize(&self, context: AuthContext<'_>) -> Authorization {
        let mut state = self.lock();
        let refusal = match &state.access {
            Access::Cartridge => None,
            // What is hidden reads as NULL, so that the rest of the row can be looked at.
            Access::Rows(owner) if is_hidden(owner, context.action) => {
                return Authorization::Ignore;
            }
            Access::Rows(owner) => self.rows(owner, context.action),
            Access::Schema(owner) => self.schema(owner, context.action),
        };
        match refusal {
            None => Authorization::Allow,
            Some(sentence) => {
                state.denial.get_or_insert(sentence);
                Authorization::Deny
            }
        }
    }

    fn rows(&self, owner: &Owner, action: AuthAction<'_>) -> Option<String> {
        match action {
            AuthAction::Select | AuthAction::Recursive => None,
            AuthAction::Read { table_name, column_name } => {
                self.read(owner, table_name, column_name)
            }
            AuthAction::Insert { .. } | AuthAction::Update { .. } | AuthAction::Delete { .. }
                if owner.role() == Role::Inspector =>
            {
                Some("this would change rows, and was asked to read".to_owned())
            }
            AuthAction::Insert { table_name }
            | AuthAction::Update { table_name, .. }
            | AuthAction::Delete { table_name } => self.touch(owner, "write", table_name),
            AuthAction::Function { function_name } => function(owner, function_name),
            // The full-text index asks this of its own accord; it reads one number.
            AuthAction::Pragma { pragma_name: "data_version", .. } => None,
            AuthAction::Pragma { pragma_name, .. } => {
                Some(format!("`{owner}` may not set or read PRAGMA {pragma_name}"))
            }
            AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => Some(format!(
                "`{owner}` may not begin or end transactions: the closure is the transaction"
            )),
            AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
                Some(format!("`{owner}` may not attach other databases"))
            }
            _ => Some(format!("`{owner}` may change the schema in its migrations only")),
        }
    }

    fn schema(&self, owner: &Owner, action: AuthAction<'_>) -> Option<String> {
        match action {
            AuthAction::CreateTable { table_name }
            | AuthAction::CreateView { view_name: table_name } => self.name(owner, table_name),
            AuthAction::CreateIndex { index_name, table_name }
            | AuthAction::CreateTrigger { trigger_name: index_name, table_name } => {
                let automatic = index_name.starts_with("sqlite_autoindex_");
                let name = if automatic { None } else { self.name(owner, index_name) };
                name.or_else(|| self.touch(owner, "change", table_name))
            }
            AuthAction::DropTable { table_name }
            | AuthAction::DropView { view_name: table_name }
            | AuthAction::DropIndex { table_name, .. }
            | AuthAction::DropTrigger { table_name, .. }
            | AuthAction::DropVtable { table_name, .. }
            | AuthAction::AlterTable { table_name, .. }
            | AuthAction::Analyze { table_name } => self.touch(owner, "change", table_name),
            AuthAction::Reindex { index_name } => self.touch(owner, "change", index_name),
            AuthAction::CreateVtable { table_name, module_name } => {
                if VIRTUAL_TABLES.contains(&module_name.to_ascii_lowercase().as_str()) {
                    self.name(owner, table_name)
                } else {
                    Some(format!("`{owner}` may not use the virtual table module `{module_name}`"))
                }
            }
            // Creating a table writes SQLite's own catalog; DEFENSIVE refuses to do so by hand.
            AuthAction::Read { table_name, .. }
            | AuthAction::Insert { table_name }
            | AuthAction::Update { table_name, .. }
            | AuthAction::Delete { table_name }
                if is_catalog(table_name) =>
            {
                None
            }
            AuthAction::Function { function_name } if function_name.starts_with("sqlite_") => None,
            // Adding a column checks the rows that are there already.
            AuthAction::Read { table_name: "pragma_quick_check", .. }
            | AuthAction::Pragma { pragma_name: "quick_check", .. } => None,
            other => self.rows(owner, other),
        }
    }

    fn read(&self, owner: &Owner, table: &str, column: &str) -> Option<String> {
        if TABLE_FUNCTIONS.contains(&table) {
            return None;
        }
        // A common table expression of which no column is used arrives with its own name.
        let is_expression = column.is_empty()
            && !is_catalog(table)
            && !HIDDEN_TABLES.iter().any(|hidden| starts_with_ignoring_case(table, hidden))
            && !self.tables.names().tables.contains(&table.to_ascii_lowercase());
        if is_expression { None } else { self.touch(owner, "read", table) }
    }

    fn touch(&self, owner: &Owner, verb: &str, table: &str) -> Option<String> {
        let allowed = match owner.role() {
            Role::Operator | Role::Inspector if verb == "read" => {
                !is_catalog(table) || CATALOG.contains(&table.to_ascii_lowercase().as_str())
            }
            Role::Inspector => false,
            Role::Operator => !is_catalog(table) && self.tables.names().owner_of(table) != KERNEL,
            Role::Kernel => !is_catalog(table) && self.tables.names().owner_of(table) == KERNEL,
            Role::Plugin => owner.prefixes(table),
        };
        if allowed {
            return None;
        }
        if is_catalog(table) {
            return Some(format!("`{owner}` may not {verb} `{table}`: it belongs to SQLite"));
        }
        let names = self.tables.names();
        let other = names.owner_of(table);
        Some(format!("`{owner}` may not {verb} `{table}`: the table belongs to `{other}`"))
    }

    /// Whether a migration of `owner` may give this name to something new.
    fn name(&self, owner: &Owner, name: &str) -> Option<String> {
        let allowed = match owner.role() {
            Role::Operator | Role::Inspector => false,
            Role::Kernel => self.tables.names().owner_of(name) == KERNEL,
            // Spelled exactly, so that every table's name looks like its owner's.
            Role::Plugin => prefix_of(name).is_some_and(|prefix| prefix == owner.name()),
        };
        (!allowed)
            .then(|| format!("`{owner}` may not create `{name}`: its names begin with `{owner}_`"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn function(owner: &Owner, name: &str) -> Option<String> {
    FORBIDDEN_FUNCTIONS
        .contains(&name.to_ascii_lowercase().as_str())
        .then(|| format!("`{owner}` may not call {name}()"))
}

/// Whether a person who reads the tables is not to see this column.
fn is_hidden(owner: &Owner, action: AuthAction<'_>) -> bool {
    let AuthAction::Read { table_name, column_name } = action else { return false };
    matches!(owner.role(), Role::Operator | Role::Inspector)
        && HIDDEN_COLUMNS.iter().any(|(table, column)| {
            table.eq_ignore_ascii_case(table_name) && column.eq_ignore_ascii_case(column_name)
        })
}

fn is_catalog(table: &str) -> bool {
    starts_with_ignoring_case(table, "sqlite_")
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

const TABLE_FUNCTIONS: [&str; 2] = ["json_each", "json_tree"];

const VIRTUAL_TABLES: [&str; 3] = ["fts5", "fts5vocab", "rtree"];

/// What signs somebody in or opens what is sealed. Whoever adds such a column adds a line here.
const HIDDEN_COLUMNS: [(&str, &str); 6] = [
    ("meta", "value"),
    ("owner", "password"),
    ("login_link", "hash"),
    ("session", "hash"),
    ("api_key", "hash"),
    ("peer", "token"),
];

/// Tables of SQLite's own that say what there is. Its statistics would show samples of rows.
const CATALOG: [&str; 3] = ["sqlite_schema", "sqlite_master", "sqlite_sequence"];

/// Tables that SQLite makes up on the spot and that show what others keep.
const HIDDEN_TABLES: [&str; 2] = ["pragma_", "dbstat"];

const FORBIDDEN_FUNCTIONS: [&str; 4] =
    ["load_extension", "fts3_tokenizer", "sqlite_dbpage", "sqlite_dbdata"];
