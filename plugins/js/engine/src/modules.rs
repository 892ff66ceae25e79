//! Where imports lead: to files of the app, to the standard library, to the platform's own parts.

use crate::libraries;
use crate::setup::Setup;
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::{Ctx, Error, Module, Result, module::Declared};
use std::rc::Rc;

/// Both halves of loading.
#[derive(Clone)]
pub(crate) struct Modules(pub(crate) Rc<Setup>);

/// Endings that an import may leave out.
const ENDINGS: [&str; 7] = ["", ".js", ".mjs", ".ts", ".json", "/index.js", "/index.ts"];

/// Joins a relative path to the folder of `base`; `None` when it leads out of the app.
pub(crate) fn join(base: &str, path: &str) -> Option<String> {
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    let (start, path) = match path.strip_prefix('/') {
        Some(absolute) => ("", absolute),
        None => (folder, path),
    };
    let mut names = Vec::new();
    for name in start.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

impl Modules {
    fn file(&self, base: &str, name: &str) -> Option<String> {
        let base = if base.starts_with("fazt:") { "" } else { base };
        let wanted = join(base, name)?;
        // What TypeScript calls ./x.js may be ./x.ts.
        let typed = wanted.strip_suffix(".js").map(|stem| format!("{stem}.ts"));
        ENDINGS
            .iter()
            .map(|ending| format!("{wanted}{ending}"))
            .chain(typed)
            .find(|path| self.0.files.contains_key(path))
    }
}

impl Resolver for Modules {
    fn resolve<'js>(
        &mut self,
        _: &Ctx<'js>,
        base: &str,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        let refuse = |why: &str| Err(Error::new_resolving_message(base, name, why));
        if let Some(library) = name.strip_prefix("fazt:") {
            let own = base.starts_with("fazt:") && !base.starts_with("fazt:library/");
            if own {
                return Ok(name.to_owned());
            }
            return if libraries::find(library).is_some() {
                Ok(format!("fazt:library/{library}"))
            } else {
                refuse("the standard library has no such package")
            };
        }
        let relative = name.starts_with("./") || name.starts_with("../") || name.starts_with('/');
        if !relative {
            return refuse("packages are bundled into the app, or imported as fazt:NAME");
        }
        match self.file(base, name) {
            Some(path) => Ok(path),
            None => refuse("no such file among the app's server files"),
        }
    }
}

impl Loader for Modules {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        if let Some(library) = name.strip_prefix("fazt:library/") {
            let source = libraries::module_source(library).unwrap_or_default();
            return Module::declare(ctx.clone(), name, source);
        }
        if name.starts_with("fazt:") {
            let part = self.0.prelude.module(ctx, name);
            return part.unwrap_or_else(|| Err(Error::new_loading(name)));
        }
        let Some(file) = self.0.files.get(name) else { return Err(Error::new_loading(name)) };
        if name.ends_with(".json") {
            let text = serde_json::to_string(&file.source).unwrap_or_default();
            return Module::declare(
                ctx.clone(),
                name,
                format!("export default JSON.parse({text});"),
            );
        }
        Module::declare(ctx.clone(), name, file.source.as_str())
    }
}
