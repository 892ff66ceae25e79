//! An app's code: the files of one deployment that a cell needs, and which of them answers what.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fazt_js_engine::protocol::{Role, Style};
use fazt_sdk::call::Call;
use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::service::Service;
use fazt_sdk::services::apps::{Apps as _, AppsApi};
use fazt_sdk::services::sites::{CodeFile, FileVisibility, SiteCode, Sites as _, SitesApi};
use fazt_sdk::{AppId, Result};

use crate::store::Store;
use crate::stripped::{self, Stripped, is_typescript};

/// The largest file that is taken for code.
const FILE_BYTES_MAX: u64 = 2 << 20;

/// All code of one app together.
const CODE_BYTES_MAX: u64 = 16 << 20;

/// Code of so many deployments is kept.
const KEPT_MAX: usize = 256;

/// In the order in which they are looked for.
const ENDINGS: [&str; 5] = ["js", "mjs", "ts", "mts", "cjs"];

/// The code of one deployment of an app. What a cell is made from.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) app: AppId,
    pub(crate) name: String,
    pub(crate) url: String,
    /// Path and text, by path.
    pub(crate) files: Vec<(String, String)>,
    /// Files that answer requests.
    pub(crate) entries: Vec<(String, Role)>,
    /// A JSON object of strings.
    pub(crate) env: String,
    /// Of the variables that `env` is made from.
    env_version: u64,
    main: Option<u16>,
    named: HashMap<String, u16>,
    root: Option<u16>,
    /// What the first cell found out.
    styles: OnceLock<Vec<Style>>,
    /// The hashes of files in TypeScript, by path.
    typescript: HashMap<String, [u8; 32]>,
    /// What they were made into, by path, once all of them were.
    stripped: OnceLock<HashMap<String, String>>,
}

impl Code {
    /// The entry that answers `path`, which starts with `/api`.
    pub(crate) fn api(&self, path: &str) -> Option<u16> {
        let named = || {
            let name = path.strip_prefix("/api/")?.split('/').next()?;
            self.named.get(name).copied()
        };
        self.main.or_else(named)
    }

    fn has(&self, path: &str) -> bool {
        self.files.binary_search_by(|(is, _)| (**is).cmp(path)).is_ok()
    }

    /// The entry that answers what is no file.
    pub(crate) fn root(&self) -> Option<u16> {
        self.root
    }

    /// How entry `number` is run, once a cell has said so.
    pub(crate) fn style(&self, number: u16) -> Option<Style> {
        self.styles.get()?.get(usize::from(number)).copied()
    }

    pub(crate) fn learn(&self, styles: &[Style]) {
        // Every cell of the same code says the same.
        drop(self.styles.set(styles.to_vec()));
    }

    /// A file as cells get it: its text, and whether that was TypeScript once.
    pub(crate) fn as_run<'a>(&'a self, path: &str, source: &'a str) -> (&'a str, bool) {
        match self.stripped.get().and_then(|stripped| stripped.get(path)) {
            Some(code) => (code, true),
            None => (source, false),
        }
    }

    /// Files in TypeScript were made into JavaScript: path and text. Answers what is worth keeping.
    pub(crate) fn learn_stripped(&self, made: HashMap<String, String>) -> Vec<Stripped> {
        let found = made.iter().filter_map(|(path, code)| {
            Some(Stripped { hash: *self.typescript.get(path)?, code: code.clone() })
        });
        let found: Vec<_> = found.collect();
        if found.len() == self.typescript.len() {
            // Whoever was first made the same.
            drop(self.stripped.set(made));
        }
        found
    }

    /// Whether the requests of some entry share a cell.
    pub(crate) fn shares(&self) -> bool {
        self.styles.get().is_none_or(|styles| styles.contains(&Style::Module))
    }
}

/// By app and deployment; nothing for one that has no code.
type Kept = HashMap<(AppId, String), Option<Arc<Code>>>;

/// The code of all apps that were asked for lately.
pub(crate) struct Codes {
    cartridge: Cartridge,
    sites: Service<SitesApi>,
    apps: Service<AppsApi>,
    store: Store,
    kept: Mutex<Kept>,
}

impl Codes {
    pub(crate) fn new(
        cartridge: Cartridge,
        sites: Service<SitesApi>,
        apps: Service<AppsApi>,
        store: Store,
    ) -> Self {
        Self { cartridge, sites, apps, store, kept: Mutex::default() }
    }

    fn kept<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The code that answers for `app` now, or in its preview; nothing when it has none.
    ///
    /// # Errors
    /// What the hosting plugin and the cartridge say.
    pub(crate) async fn find(
        &self,
        call: &Call,
        app: AppId,
        preview: Option<&str>,
    ) -> Result<Option<Arc<Code>>> {
        let preview = preview.map(str::to_owned);
        let Some(deployment) = self.sites.current(call, app, preview.clone()).await? else {
            return Ok(None);
        };
        let key = (app, deployment);
        let env_version = self.store.env_version(app);
        if let Some(found) = self.kept(|kept| kept.get(&key).cloned()) {
            match found {
                None => return Ok(None),
                Some(code) if code.env_version == env_version => return Ok(Some(code)),
                Some(_) => {}
            }
        }
        let Some(site) = self.sites.code(call, app, preview).await? else { return Ok(None) };
        let key = (app, site.deployment.clone());
        let code = self.read(call, app, site, env_version, None).await?.map(Arc::new);
        Ok(self.keep(key, code))
    }

    /// Keeps what was read, and answers what is kept: requests that read the same at the same time go on
    /// with one of them, since cells belong to one.
    fn keep(&self, key: (AppId, String), code: Option<Arc<Code>>) -> Option<Arc<Code>> {
        self.kept(|kept| {
            if let (Some(Some(other)), Some(code)) = (kept.get(&key), &code)
                && other.env_version == code.env_version
            {
                return Some(Arc::clone(other));
            }
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
            kept.insert(key, code.clone());
            code
        })
    }

    /// The code of `app` with the file that `handler` names, and its path; nothing when there is no such
    /// file. Usually that is the code that answers requests, else one with that file besides.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub(crate) async fn find_handler(
        &self,
        call: &Call,
        app: AppId,
        handler: &str,
    ) -> Result<Option<(Arc<Code>, String)>> {
        if let Some(code) = self.find(call, app, None).await?
            && let Some(path) = handler_path(handler, |path| code.has(path))
        {
            return Ok(Some((code, path)));
        }
        let Some(site) = self.sites.code(call, app, None).await? else { return Ok(None) };
        let path = handler_path(handler, |path| site.files.iter().any(|file| file.path == path));
        let Some(path) = path else { return Ok(None) };
        let env_version = self.store.env_version(app);
        // No deployment's id has a space in it.
        let key = (app, format!("{} {path}", site.deployment));
        let kept = self.kept(|kept| kept.get(&key).cloned().flatten());
        if let Some(code) = kept.filter(|code| code.env_version == env_version) {
            return Ok(Some((code, path)));
        }
        let code = self.read(call, app, site, env_version, Some(&path)).await?.map(Arc::new);
        let code = self.keep(key, code);
        Ok(code.filter(|code| code.has(&path)).map(|code| (code, path)))
    }

    async fn read(
        &self,
        call: &Call,
        app: AppId,
        site: SiteCode,
        env_version: u64,
        also: Option<&str>,
    ) -> Result<Option<Code>> {
        let entries = entries(&site.files);
        let has_jobs = site.files.iter().any(|file| file.path.starts_with("jobs/"));
        if entries.is_empty() && !has_jobs && also.is_none() {
            return Ok(None);
        }
        let also = also.map(str::to_owned);
        let files = self.cartridge.scan(move |reader| {
            let read = |file: &CodeFile| -> Result<Option<String>> {
                if file.size == 0 {
                    return Ok(Some(String::new()));
                }
                let text = reader.blob(&file.hash, 0, file.size, |bytes| {
                    std::str::from_utf8(bytes).ok().map(str::to_owned)
                })?;
                Ok(text)
            };
            let files = gather(&site.files, also.as_deref(), read)?;
            let (mut typescript, mut made) = (HashMap::new(), HashMap::new());
            for file in site.files.iter().filter(|file| is_typescript(&file.path)) {
                if files.binary_search_by(|(path, _)| path.cmp(&file.path)).is_err() {
                    continue;
                }
                typescript.insert(file.path.clone(), file.hash);
                if let Some(code) = stripped::store::find(reader, &file.hash)? {
                    made.insert(file.path.clone(), code);
                }
            }
            let stripped = OnceLock::new();
            if made.len() == typescript.len() && !made.is_empty() {
                drop(stripped.set(made));
            }
            Ok((files, typescript, stripped))
        });
        let (files, typescript, stripped) = files.await?;
        let record = self.apps.find(call, &app.to_string()).await?;
        let url = record.as_ref().and_then(|app| app.urls.first().cloned()).unwrap_or_default();
        let env = self.store.environment(app)?;
        let find = |wanted: &str| {
            (0..)
                .zip(&entries)
                .find(|(_, (path, _))| stem(path) == wanted)
                .map(|(number, _)| number)
        };
        let named = (0..).zip(&entries).filter_map(|(number, (path, role))| {
            let name = stem(path).strip_prefix("api/")?;
            (*role == Role::Api).then(|| (name.to_owned(), number))
        });
        Ok(Some(Code {
            app,
            name: record.map(|app| app.name).unwrap_or_default(),
            url,
            files,
            env,
            env_version,
            main: find("api/main"),
            root: find("main"),
            named: named.collect(),
            entries,
            styles: OnceLock::new(),
            typescript,
            stripped,
        }))
    }
}

/// The file that `handler` names among those that `has` knows; its ending may be left out.
pub(crate) fn handler_path(handler: &str, has: impl Fn(&str) -> bool) -> Option<String> {
    let path = joined("", handler)?;
    if ENDINGS.iter().any(|ending| path.rsplit_once('.').map(|(_, is)| is) == Some(ending)) {
        return has(&path).then_some(path);
    }
    ENDINGS.iter().map(|ending| format!("{path}.{ending}")).find(|path| has(path))
}

/// A path without its ending.
fn stem(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(stem, _)| stem)
}

/// The files that answer requests: `api/main`, else each file right below `api/`; `main.js` at the root
/// when the app says that it is for the server.
fn entries(files: &[CodeFile]) -> Vec<(String, Role)> {
    let order = |path: &str| {
        ENDINGS.iter().position(|ending| path.rsplit_once('.').map(|(_, is)| is) == Some(ending))
    };
    let mut api: BTreeMap<&str, &str> = BTreeMap::new();
    let mut root = None;
    for file in files {
        let Some(rank) = order(&file.path) else { continue };
        if file.path == "main.js" && file.visibility == FileVisibility::Server {
            root = Some((file.path.clone(), Role::Root));
        }
        let Some(name) = file.path.strip_prefix("api/") else { continue };
        if name.contains('/') || file.size > FILE_BYTES_MAX {
            continue;
        }
        let best = api.entry(stem(&file.path)).or_insert(&file.path);
        if order(best).is_some_and(|before| rank < before) {
            *best = &file.path;
        }
    }
    let api: Vec<_> = match api.get("api/main") {
        Some(main) => vec![(*main).to_owned()],
        None => api.values().map(|path| (*path).to_owned()).collect(),
    };
    api.into_iter().map(|path| (path, Role::Api)).chain(root).collect()
}

/// The files that a cell needs: what stays on the server, the file `also`, and what these refer to by a
/// relative path, however many steps away. What a browser gets only is not carried around.
fn gather(
    files: &[CodeFile],
    also: Option<&str>,
    mut read: impl FnMut(&CodeFile) -> Result<Option<String>>,
) -> Result<Vec<(String, String)>> {
    let by_path: HashMap<&str, &CodeFile> = files.iter().map(|file| (&*file.path, file)).collect();
    let is_wanted = |file: &&CodeFile| {
        file.visibility != FileVisibility::Public || also == Some(file.path.as_str())
    };
    let mut waiting: Vec<&CodeFile> = files.iter().filter(is_wanted).collect();
    waiting.reverse();
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    let mut bytes = 0;
    while let Some(file) = waiting.pop() {
        if taken.contains_key(&file.path)
            || file.size > FILE_BYTES_MAX
            || bytes + file.size > CODE_BYTES_MAX
        {
            continue;
        }
        let Some(text) = read(file)? else { continue };
        bytes += file.size;
        for target in references(&file.path, &text) {
            let named = ENDINGS.iter().chain(&["json"]).map(|ending| format!("{target}.{ending}"));
            let inside = ENDINGS.iter().map(|ending| format!("{target}/index.{ending}"));
            let candidates = std::iter::once(target.clone()).chain(named).chain(inside);
            waiting.extend(candidates.filter_map(|path| by_path.get(&*path).copied()));
        }
        taken.insert(file.path.clone(), text);
    }
    Ok(taken.into_iter().collect())
}

/// The relative paths that stand in quotes in a source, as paths of the app. Too many do no harm.
fn references(from: &str, text: &str) -> Vec<String> {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    for quote in ['"', '\'', '`'] {
        let mut parts = text.split(quote);
        parts.next();
        for part in parts {
            if (part.starts_with("./") || part.starts_with("../"))
                && part.len() < 256
                && let Some(path) = joined(folder, part)
            {
                found.push(path);
            }
        }
    }
    found
}

/// `relative`, seen from `folder`; nothing when it leads out of the app.
fn joined(folder: &str, relative: &str) -> Option<String> {
    let mut segments: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for segment in relative.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            name => segments.push(name),
        }
    }
    Some(segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, visibility: FileVisibility) -> CodeFile {
        CodeFile { path: path.to_owned(), hash: [0; 32], size: 10, visibility }
    }

    fn named(files: &[CodeFile]) -> Vec<String> {
        entries(files).into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn main_answers_alone_and_else_each_file_under_its_name() {
        let server = |path| file(path, FileVisibility::Server);
        assert_eq!(
            named(&[server("api/main.ts"), server("api/main.js"), server("api/a.js")]),
            ["api/main.js"]
        );
        assert_eq!(
            named(&[server("api/b.ts"), server("api/a.js"), server("api/x/y.js")]),
            ["api/a.js", "api/b.ts"]
        );
        assert_eq!(
            named(&[server("api/data.json"), file("main.js", FileVisibility::Public)]),
            Vec::<String>::new()
        );
        assert_eq!(named(&[server("main.js")]), ["main.js"]);
    }

    #[test]
    fn what_server_code_refers_to_comes_along_and_nothing_else() {
        let files = [
            file("api/main.js", FileVisibility::Server),
            file("assets/app.js", FileVisibility::Public),
            file("lib/a.js", FileVisibility::Public),
            file("lib/b/index.js", FileVisibility::Public),
            file("lib/c.json", FileVisibility::Public),
        ];
        let read = |file: &CodeFile| {
            Ok(Some(match &*file.path {
                "api/main.js" => {
                    "import a from '../lib/a.js'; import '../../etc/passwd'".to_owned()
                }
                "lib/a.js" => "require(\"./b\"), require(`./c`), './a.js'".to_owned(),
                other => format!("// {other}"),
            }))
        };
        let gathered = gather(&files, None, read).unwrap();
        let paths: Vec<_> = gathered.iter().map(|(path, _)| &**path).collect();
        assert_eq!(paths, ["api/main.js", "lib/a.js", "lib/b/index.js", "lib/c.json"]);
        let gathered = gather(&files, Some("assets/app.js"), read).unwrap();
        assert!(gathered.iter().any(|(path, _)| path == "assets/app.js"));
    }

    #[test]
    fn a_handler_is_found_with_and_without_its_ending_and_only_inside() {
        let has = |path: &str| ["jobs/x.js", "jobs/y.ts", "a.json"].contains(&path);
        let find = |handler| handler_path(handler, has);
        for handler in ["jobs/x.js", "./jobs/x.js", "/jobs/x.js", "jobs/x", "jobs/../jobs/x.js"] {
            assert_eq!(find(handler).as_deref(), Some("jobs/x.js"), "{handler}");
        }
        assert_eq!(find("jobs/y").as_deref(), Some("jobs/y.ts"));
        for handler in ["jobs/z.js", "../jobs/x.js", "", "a.json", "jobs/x.js.js"] {
            assert_eq!(find(handler), None, "{handler}");
        }
    }

    #[test]
    fn a_path_never_leads_out_of_the_app() {
        assert_eq!(joined("api", "../lib/./x.js").as_deref(), Some("lib/x.js"));
        assert_eq!(joined("api", "../../x.js"), None);
        assert_eq!(joined("", "../x.js"), None);
    }
}
