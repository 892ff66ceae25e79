//! What an engine keeps of [`Init`]: the app's files, what it may use, and compiled code.

use crate::prelude::Prelude;
use crate::protocol::{Entry, Init, Limits, Role, Style};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The app of a cell. Stays as it is as long as the cell.
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) files: HashMap<String, SourceFile>,
    pub(crate) entries: Vec<(String, Role)>,
    /// By index of `entries`; known once they have been compiled.
    pub(crate) styles: Vec<Style>,
    pub(crate) scripts: Vec<(String, String)>,
    /// What realms are told, as JSON: app, env, version, bindings.
    pub(crate) facts: String,
    pub(crate) prelude: Rc<Prelude>,
    /// Bytecode of classic scripts and libraries that were compiled here: each request has a new
    /// realm, and none of them compiles again.
    pub(crate) compiled: RefCell<HashMap<String, Rc<Vec<u8>>>>,
}

/// A file of the app.
pub(crate) struct SourceFile {
    /// What runs.
    pub(crate) source: String,
    /// Whether `source` was TypeScript once; positions in it are translated back.
    pub(crate) stripped: bool,
}

impl Setup {
    /// Keeps what is needed; sources of TypeScript are as they came.
    pub(crate) fn new(init: &Init<'_>, prelude: Rc<Prelude>) -> Self {
        let files = init.files.iter().map(|file| {
            let kept = SourceFile { source: file.source.to_owned(), stripped: file.stripped };
            (file.path.to_owned(), kept)
        });
        let entries = init.entries.iter().map(|Entry { path, role }| ((*path).to_owned(), *role));
        let scripts =
            init.scripts.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned()));
        Self {
            limits: init.limits,
            files: files.collect(),
            entries: entries.collect(),
            styles: Vec::new(),
            scripts: scripts.collect(),
            facts: facts(init),
            prelude,
            compiled: RefCell::default(),
        }
    }

    /// Bytecode under a key, made by `make` the first time.
    pub(crate) fn compiled<E>(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Rc<Vec<u8>>, E> {
        if let Some(known) = self.compiled.borrow().get(key) {
            return Ok(Rc::clone(known));
        }
        let made = Rc::new(make()?);
        self.compiled.borrow_mut().insert(key.to_owned(), Rc::clone(&made));
        Ok(made)
    }
}

fn facts(init: &Init<'_>) -> String {
    let bindings: Vec<_> =
        init.bindings.iter().map(|binding| (binding.name, binding.promise)).collect();
    let env = serde_json::from_str(init.env)
        .unwrap_or_else(|_| serde_json::Value::Object(serde_json::Map::new()));
    serde_json::json!({
        "app": { "id": init.app_id, "name": init.app_name, "url": init.app_url },
        "env": env,
        "version": init.version,
        "bindings": bindings,
        "dev": init.dev,
    })
    .to_string()
}
