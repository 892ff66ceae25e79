//! A kernel with the plugin in it, and the few moves that tests make.
//!
//! With the feature `loaded` the plugin is loaded from its library instead of compiled in.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fazt_sdk::call::{Principal, PrincipalId, Scope};
use fazt_sdk::http::Method;
use fazt_sdk::services::app_data::Usage;
use fazt_sdk::{AppId, Error, Result, wire};
use fazt_testkit::{Answer, BuiltIn, Caller, SkippingClock, TestKernel};
use serde_json::Value;
use zip::write::SimpleFileOptions;

use crate::probe::{self, Probe, Question};

pub(crate) const BOUNDARY: &str = "----a-boundary";

/// Bytes that do not compress.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ (length as u64) << 20;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Files to deploy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Site {
    files: Vec<(String, Vec<u8>)>,
    spa: Option<bool>,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((path.to_owned(), content.as_ref().to_vec()));
        self
    }

    pub(crate) fn spa(mut self, spa: bool) -> Self {
        self.spa = Some(spa);
        self
    }

    pub(crate) fn zip(&self) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (path, content) in &self.files {
            writer.start_file(path.as_str(), SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }
}

/// A form with these parts; `file` is sent as a file.
pub(crate) fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in parts {
        let file = if *name == "file" { "; filename=\"site.zip\"" } else { "" };
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// An answer of the node.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self { status: answer.status, headers: answer.headers, body: answer.body }
    }
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("(not text)")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }
}

/// What a visitor sees: path, status, entity tag, content.
pub(crate) type Snapshot = Vec<(String, u16, Option<String>, Bytes)>;

/// A node on a temporary cartridge.
pub(crate) struct World {
    kernel: TestKernel,
    clock: Arc<SkippingClock>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// Without compression in the background, unless the settings say so: it would add contents while
    /// tests count them.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        const COMPRESSION: &str = "hosting.precompress_bytes_max";
        let mut settings = settings.to_vec();
        if !settings.iter().any(|(name, _)| *name == COMPRESSION) {
            settings.push((COMPRESSION, "0"));
        }
        Self::configured(&settings).await
    }

    /// With these settings and no other.
    pub(crate) async fn configured(settings: &[(&str, &str)]) -> Self {
        let probe = BuiltIn { name: "probe", root: fazt_sdk::export::root_of::<Probe> };
        let clock = Arc::new(SkippingClock::new());
        let time: Option<Arc<dyn fazt_testkit::Clock>> = Some(Arc::clone(&clock) as _);
        let kernel = if cfg!(feature = "loaded") {
            let libraries = vec![library()];
            let kernel =
                TestKernel::configured_at(vec![probe], libraries, &[], time).await.unwrap();
            for (name, value) in settings {
                let path = format!("/api/settings/{name}");
                let input = serde_json::json!({ "value": value });
                kernel.operate(Method::Put, &path, input).await.unwrap();
            }
            kernel
        } else {
            let hosting = BuiltIn {
                name: "hosting",
                root: fazt_sdk::export::root_of::<fazt_hosting::Hosting>,
            };
            let built_in = vec![probe, hosting];
            TestKernel::configured_at(built_in, Vec::new(), settings, time).await.unwrap()
        };
        let mut world = Self { kernel, clock };
        if cfg!(feature = "loaded") && !settings.is_empty() {
            world.restart().await;
        }
        world
    }

    /// Skips some time.
    pub(crate) fn advance(&self, time: Duration) {
        self.clock.skip(time);
    }

    /// Stops the node and starts it again on the same cartridge.
    pub(crate) async fn restart(&mut self) {
        self.kernel.restart().await.unwrap();
    }

    /// The same with exactly these plugins.
    pub(crate) async fn restart_with(&mut self, plugins: &[&str]) {
        self.kernel.restart_with(Some(plugins)).await.unwrap();
    }

    pub(crate) async fn deploy(&self, app: &str, site: &Site) {
        let reply = self.upload(app, site).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    pub(crate) async fn upload(&self, app: &str, site: &Site) -> Reply {
        self.upload_as(Caller::OWNER, app, site).await
    }

    pub(crate) async fn upload_as(&self, caller: Caller, app: &str, site: &Site) -> Reply {
        let zip = site.zip();
        let mut parts: Vec<(&str, &[u8])> = vec![("site_name", app.as_bytes())];
        match site.spa {
            Some(true) => parts.push(("spa", b"true")),
            Some(false) => parts.push(("spa", b"false")),
            None => {}
        }
        parts.push(("file", &zip));
        self.post_as(caller, &form_type(), form(&parts)).await
    }

    pub(crate) async fn upload_bytes(&self, app: &str, archive: &[u8]) -> Reply {
        let body = form(&[("site_name", app.as_bytes()), ("file", archive)]);
        self.post(&form_type(), body).await
    }

    /// An archive without a form around it.
    pub(crate) async fn upload_plain(&self, app: &str, archive: impl Into<Bytes>) -> Reply {
        let headers = [("content-type", "application/zip")];
        let query = format!("site_name={app}");
        self.kernel
            .admin_with(Caller::OWNER, Method::Post, "/api/deploy", &query, &headers, archive)
            .await
            .into()
    }

    /// A request to deploy as the owner.
    pub(crate) async fn post(&self, content_type: &str, body: Vec<u8>) -> Reply {
        self.post_as(Caller::OWNER, content_type, body).await
    }

    async fn post_as(&self, caller: Caller, content_type: &str, body: Vec<u8>) -> Reply {
        let headers = [("content-type", content_type)];
        self.post_with(caller, &headers, body).await
    }

    pub(crate) async fn post_with(
        &self,
        caller: Caller,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Reply {
        let path = "/api/deploy";
        self.kernel.admin_with(caller, Method::Post, path, "", headers, body).await.into()
    }

    pub(crate) async fn api(&self, method: &str, path: &str) -> Reply {
        self.api_as(Caller::OWNER, method, path, "").await
    }

    pub(crate) async fn api_as(
        &self,
        caller: Caller,
        method: &str,
        path: &str,
        body: &str,
    ) -> Reply {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let method = Method::from_name(method).unwrap();
        self.kernel.admin(caller, method, path, query, body.to_owned()).await.into()
    }

    pub(crate) async fn send_as(
        &self,
        caller: Caller,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Reply {
        self.kernel.admin_with(caller, method, path, "", headers, body).await.into()
    }

    /// A key with these scopes, for all apps or for one.
    pub(crate) async fn key(&self, scopes: &[Scope], app: Option<&str>) -> Caller {
        let limited_to = match app {
            Some(app) => Some(self.app(app).await),
            None => None,
        };
        let scopes = scopes.iter().fold(0, |all, scope| all | scope.bit());
        let principal = Principal::Key(PrincipalId::new("a-key").unwrap());
        Caller { principal, scopes, limited_to }
    }

    pub(crate) async fn get(&self, app: &str, path: &str) -> Reply {
        self.get_with(app, path, &[]).await
    }

    pub(crate) async fn get_with(&self, app: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send("GET", app, path, headers).await
    }

    /// A request to the node's own name.
    pub(crate) async fn get_node(&self, path: &str) -> Reply {
        self.send("GET", "", path, &[]).await
    }

    /// A request as the edge hands it over: the path is decoded.
    pub(crate) async fn send(
        &self,
        method: &str,
        app: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Reply {
        let method = Method::from_name(method).unwrap();
        self.kernel.request(app, method, path, headers, "").await.into()
    }

    pub(crate) async fn create_app(&self, app: &str) {
        self.kernel.app(app).await.unwrap();
    }

    pub(crate) async fn app(&self, app: &str) -> AppId {
        let path = format!("/api/apps/{app}");
        let info = self.kernel.operate(Method::Get, &path, Value::Null).await.unwrap();
        info["id"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) async fn has_app(&self, app: &str) -> bool {
        self.api("GET", &format!("/api/apps/{app}")).await.status == 200
    }

    pub(crate) async fn remove_app(&self, app: &str) {
        let reply = self.api("DELETE", &format!("/api/apps/{app}")).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    pub(crate) async fn roll_back(&self, app: &str, to: Option<u64>) -> Reply {
        let body = to.map_or_else(|| "{}".to_owned(), |to| format!("{{\"to\": {to}}}"));
        self.api_as(Caller::OWNER, "POST", &format!("/api/apps/{app}/rollback"), &body).await
    }

    pub(crate) async fn versions(&self, app: &str) -> Vec<u64> {
        let list = self.api("GET", &format!("/api/apps/{app}/deployments")).await.json();
        let rows = list["data"].as_array().unwrap();
        rows.iter().map(|row| row["version"].as_u64().unwrap()).collect()
    }

    /// Rows of the plugin's tables, and how many contents there are.
    pub(crate) async fn rows(&self) -> BTreeMap<String, u64> {
        let info = self.api("GET", "/api/system/cartridge").await.json();
        let tables = info["data"]["tables"].as_array().unwrap();
        let mut rows: BTreeMap<_, _> = tables
            .iter()
            .filter(|table| table["owner"] == "hosting")
            .map(|table| {
                (table["name"].as_str().unwrap().to_owned(), table["rows"].as_u64().unwrap())
            })
            .collect();
        rows.insert("blob".to_owned(), info["data"]["blobs"].as_u64().unwrap());
        rows
    }

    pub(crate) async fn snapshot(&self, app: &str, paths: &[&str]) -> Snapshot {
        let mut all = Snapshot::new();
        for path in paths {
            let reply = self.get(app, path).await;
            let etag = reply.header("etag").map(str::to_owned);
            all.push(((*path).to_owned(), reply.status, etag, reply.body));
        }
        all
    }

    /// Asks the probe.
    pub(crate) async fn ask(&self, question: Question) -> Result<probe::Reply> {
        let body = wire::to_vec(&question);
        let answer = self.kernel.admin(Caller::OWNER, Method::Post, "/api/probe", "", body).await;
        if answer.status != 200 {
            return Err(answer.data().err().unwrap_or_else(|| Error::internal("no error")));
        }
        Ok(wire::from_slice(&answer.body)?)
    }

    /// All pages of an export.
    pub(crate) async fn export(&self, app: &str) -> Vec<Vec<Vec<u8>>> {
        let app = self.app(app).await;
        let (mut pages, mut cursor) = (Vec::new(), None);
        loop {
            let reply = self.ask(Question::Export { app, cursor }).await.unwrap();
            let probe::Reply::Page(page) = reply else { panic!("{reply:?}") };
            pages.push(page.records);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return pages,
            }
        }
    }

    pub(crate) async fn import(&self, app: &str, pages: &[Vec<Vec<u8>>]) {
        self.try_import(app, pages).await.unwrap();
    }

    pub(crate) async fn try_import(&self, app: &str, pages: &[Vec<Vec<u8>>]) -> Result<()> {
        let app = self.app(app).await;
        for records in pages {
            self.ask(Question::Import { app, records: records.clone() }).await?;
        }
        Ok(())
    }

    pub(crate) async fn fork(&self, from: &str, to: &str) {
        let (from, to) = (self.app(from).await, self.app(to).await);
        self.ask(Question::Fork { from, to }).await.unwrap();
    }

    pub(crate) async fn usage(&self, app: &str) -> Vec<Usage> {
        let reply = self.ask(Question::Usage(self.app(app).await)).await.unwrap();
        let probe::Reply::Usage(usage) = reply else { panic!("{reply:?}") };
        usage
    }

    pub(crate) async fn delete_data(&self, app: &str) {
        self.ask(Question::DeleteApp(self.app(app).await)).await.unwrap();
    }

    /// Waits for what happens in the background, at most 10 s.
    pub(crate) async fn until(&self, holds: impl AsyncFn(&Self) -> bool) {
        for _ in 0..1000 {
            if holds(self).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not happen within 10 s");
    }
}

/// The content type of [`form`].
pub(crate) fn form_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// The plugin as a library: an example target, which `cargo test` builds beside this binary.
fn library() -> std::path::PathBuf {
    let binary = std::env::current_exe().unwrap();
    let target = binary.parent().and_then(std::path::Path::parent).unwrap();
    let name =
        format!("{}fazt_hosting{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    target.join("examples").join(name)
}
