//! Server code where the plugin that runs it is a library, and so are the functions that it calls.
//!
//! There is no harness: this test starts itself again as a worker, as the program does. Neither plugin is
//! compiled into it as one: a worker that did not load the library would have no code to run.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where something is missing, and there is no harness"
)]

use std::path::Path;
use std::time::Duration;

use fazt_kernel::workers::{Program, worker_main};
use fazt_kernel::{AdminRequest, BootOptions, BuiltIn, Connection, Kernel, Mode};
use fazt_sdk::export::root_of;
use fazt_sdk::http::{Body, Method};
use fazt_sdk::{Json, json};
use fazt_tests::archive;
use fazt_tests::fixtures::Library;

fn built_in() -> Vec<BuiltIn> {
    vec![
        BuiltIn { name: "hosting", root: root_of::<fazt_hosting::Hosting> },
        BuiltIn { name: "storage", root: root_of::<fazt_storage::Storage> },
    ]
}

fn main() {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(code) = worker_main(&words, built_in) {
        std::process::exit(code);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data.db");
        let mut node = Node(boot(&path).await);
        for library in [Library::Js, Library::Template] {
            let bytes = std::fs::read(library.path()).unwrap();
            node.admin(Method::Post, "/api/plugins", "application/octet-stream", bytes).await;
        }
        runs_code_in_sandboxed_workers(&node).await;
        runs_jobs_and_calls_other_plugins(&node).await;
        ends_its_workers_with_the_plugin(&node).await;
        // What is loaded from the cartridge at the start works as well.
        node.0.stop().await.unwrap();
        node = Node(boot(&path).await);
        runs_jobs_and_calls_other_plugins(&node).await;
        node.0.stop().await.unwrap();
    });
}

async fn boot(path: &Path) -> Kernel {
    let mut options = BootOptions::new(path.to_owned(), Mode::Serve, built_in());
    options.create = !path.exists();
    options.workers = Some(Program::own().unwrap());
    Kernel::boot(options).await.unwrap()
}

struct Node(Kernel);

impl Node {
    async fn admin(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Json {
        let answer = self.0.admin(request(method, path, kind, body)).await;
        let (status, text) = read(answer).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str::<Json>(&text).unwrap()["data"].clone()
    }

    async fn get(&self, app: &str, path: &str) -> (u16, String) {
        let host = format!("{app}.localhost");
        let request = request(Method::Get, path, "", Vec::new());
        read(self.0.request(Connection::Loopback, &host, request).await).await
    }

    async fn deploy(&self, app: &str, files: &[(&str, &str)]) -> Json {
        let path = format!("/api/deploy?site_name={app}");
        self.admin(Method::Post, &path, "application/zip", archive(files)).await
    }

    async fn workers(&self) -> Json {
        self.admin(Method::Get, "/api/workers", "", Vec::new()).await
    }
}

fn request(method: Method, path: &str, kind: &str, body: Vec<u8>) -> AdminRequest {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let headers = Some(("content-type".into(), kind.into())).filter(|_| !body.is_empty());
    AdminRequest {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.into_iter().collect(),
        body: if body.is_empty() { Body::empty() } else { Body::full(body.into()) },
    }
}

async fn read(mut answer: fazt_kernel::AdminResponse) -> (u16, String) {
    let body = answer.body.collect(64 << 20).await.unwrap_or_default();
    (answer.status, String::from_utf8_lossy(&body).into_owned())
}

async fn runs_code_in_sandboxed_workers(node: &Node) {
    let module =
        "export default { fetch: (request) => new Response(new URL(request.url).pathname) }";
    let classic =
        "const { half } = require('./lib.js'); respond(201, { half: half(8), path: request.path })";
    node.deploy("new", &[("index.html", "x"), ("api/main.js", module)]).await;
    node.deploy("old", &[("api/main.js", classic), ("api/lib.js", "exports.half = (n) => n / 2")])
        .await;
    for _ in 0..3 {
        assert_eq!(node.get("new", "/api/a").await, (200, "/api/a".to_owned()));
        let (status, text) = node.get("old", "/api/b").await;
        assert_eq!((status, &*text), (201, "{\"half\":4,\"path\":\"/api/b\"}"));
    }
    let workers = node.workers().await;
    let pids: Vec<_> =
        workers["workers"].as_array().unwrap().iter().map(|one| &one["pid"]).collect();
    assert!(pids.len() >= 2, "{workers}");
    assert!(pids.iter().all(|pid| **pid != json!(std::process::id())), "{workers}");
    // The sandbox is whole, and takes a loop by its time.
    assert_eq!(workers["lacking"], json!([]), "{workers}");
    println!("test a_library_runs_code_in_sandboxed_workers ... ok");
}

async fn runs_jobs_and_calls_other_plugins(node: &Node) {
    let main = "export default { async fetch() {
        const job = await fazt.worker.spawn('jobs/count.js', { data: '/_template/hello' });
        const done = await fazt.worker.wait(job.id);
        return Response.json([await fazt.template.count('/_template/hello'), done.value ?? done]);
    } }";
    let job = "module.exports = (job) => fazt.template.count(job.data)";
    node.deploy("blog", &[("api/main.js", main), ("jobs/count.js", job)]).await;
    let (_, before) = node.get("blog", "/api").await;
    let before: Json = serde_json::from_str(&before).unwrap_or_else(|_| panic!("{before}"));
    node.get("blog", "/_template/hello").await;
    let (status, text) = node.get("blog", "/api").await;
    let count = before[0].as_u64().unwrap() + 1;
    assert_eq!((status, text), (200, json!([count, count]).to_string()));
    println!("test a_library_runs_jobs_and_calls_functions_of_another ... ok");
}

async fn ends_its_workers_with_the_plugin(node: &Node) {
    node.admin(Method::Post, "/api/plugins/js/disable", "", Vec::new()).await;
    for _ in 0..200 {
        if node.workers().await["workers"] == json!([]) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(node.workers().await["workers"], json!([]));
    assert_eq!(node.get("new", "/").await, (200, "x".to_owned()));
    node.admin(Method::Post, "/api/plugins/js/enable", "", Vec::new()).await;
    assert_eq!(node.get("new", "/api/a").await, (200, "/api/a".to_owned()));
    println!("test a_library_that_is_disabled_ends_its_workers_and_comes_back ... ok");
}
