//! What people type and what they see, against a node that is played by the test.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fazt_sdk::command::{Argument, Command, Format};
use fazt_sdk::manifest::Manifest;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::environment::Environment;
use crate::output::{Output, Terminal};
use crate::run;

#[path = "../tests/golden/mod.rs"]
pub(crate) mod golden;

use golden::Golden;

/// One answer: for which request, with which status and body.
type Played = (&'static str, u16, &'static str);

/// What arrived: method and target, the key, and the body.
type Arrived = Arc<Mutex<Vec<(String, Option<String>, String)>>>;

/// A node that gives the same answers every time. It ends with the value.
struct PlayedNode {
    arrived: Arrived,
    _runtime: tokio::runtime::Runtime,
}

impl PlayedNode {
    /// Listens on the socket of the cartridge at `path`.
    fn on_socket_of(path: &Path, answers: &'static [Played]) -> Self {
        let socket =
            std::os::unix::net::UnixListener::bind(fazt_kernel::socket_path(path)).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self::start(move |arrived| async move {
            let socket = tokio::net::UnixListener::from_std(socket).unwrap();
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                serve(stream, answers, &arrived).await;
            }
        })
    }

    /// Listens on a port of this machine.
    fn on_port(answers: &'static [Played]) -> (Self, u16) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let node = Self::start(move |arrived| async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, answers, &arrived).await;
            }
        });
        (node, port)
    }

    fn start<F>(accept: impl FnOnce(Arrived) -> F) -> Self
    where
        F: Future<Output = Infallible> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let arrived = Arrived::default();
        let accepting = accept(Arc::clone(&arrived));
        runtime.spawn(accepting);
        Self { arrived, _runtime: runtime }
    }

    fn arrived(&self) -> Vec<(String, Option<String>, String)> {
        self.arrived.lock().unwrap().clone()
    }
}

async fn serve<S>(stream: S, answers: &'static [Played], arrived: &Arrived)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
        let line = format!("{} {}", request.method(), request.uri());
        let key =
            request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        arrived.lock().unwrap().push((line.clone(), key, body));
        let (status, body) = answers
            .iter()
            .find(|(played, ..)| *played == line)
            .map_or((404, "no such answer"), |(_, status, body)| (*status, *body));
        let response = http::Response::builder().status(status);
        Ok::<_, Infallible>(response.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap())
    });
    // A client that leaves early is part of the play.
    drop(
        hyper::server::conn::http1::Builder::new()
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

fn notes() -> Manifest {
    Manifest::new("notes", "1")
        .command(
            Command::new("note list")
                .about("Lists notes")
                .argument(Argument::option("limit", "How many at most"))
                .calls("GET /api/notes")
                .column("title", "title")
                .column_as("size", "size_bytes", Format::Bytes)
                .column_as("changed", "changed_at", Format::Time)
                .says("no notes yet: fazt note add \"Hello\""),
        )
        .command(
            Command::new("note info")
                .about("Shows one note")
                .example("note info hello")
                .argument(Argument::required("note", "The note"))
                .calls("GET /api/notes/{note}")
                .column("title", "title")
                .column("words", "text.words"),
        )
        .command(
            Command::new("note add")
                .about("Adds a note")
                .example("note add Hello")
                .argument(Argument::required("title", "The title"))
                .calls("POST /api/notes")
                .says("added {title}"),
        )
}

/// Types `words` with that cartridge; the conversation goes into `golden`.
fn type_words(golden: &mut Golden, environment: &Environment, words: &str) {
    let split: Vec<_> = words.split_whitespace().map(Into::into).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = {
        let mut output = Output::new(&mut out, &mut err, Terminal::NONE);
        run::run_with(&[notes()], &split, environment, &mut output)
    };
    golden.add(
        words,
        &String::from_utf8(out).unwrap(),
        &String::from_utf8(err).unwrap(),
        exit as i32,
    );
}

struct Scene {
    directory: tempfile::TempDir,
    environment: Environment,
    golden: Golden,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut golden = Golden::default();
        golden.mask(directory.path().to_str().unwrap(), "DIR");
        let environment = Environment {
            db: Some(directory.path().join("data.db")),
            home: Some(directory.path().to_owned()),
            run_directory: directory.path().join("run"),
            ..Environment::default()
        };
        Self { directory, environment, golden }
    }

    fn cartridge(&self) -> std::path::PathBuf {
        self.directory.path().join("data.db")
    }

    fn types(&mut self, words: &str) {
        type_words(&mut self.golden, &self.environment, words);
    }
}

const NOTES: &[Played] = &[
    (
        "GET /api/notes",
        200,
        r#"{"data":[{"title":"Hello","size_bytes":2048,"changed_at":0},
            {"title":"A | B","size_bytes":7,"changed_at":951782400000}],"meta":{"has_more":true}}"#,
    ),
    ("GET /api/notes?limit=0", 200, r#"{"data":[]}"#),
    ("GET /api/notes/hello", 200, r#"{"data":{"title":"Hello","text":{"words":3}}}"#),
    (
        "GET /api/notes/missing",
        404,
        r#"{"error":{"code":"NOTE_NOT_FOUND","message":"there is no note missing","request_id":"r7"}}"#,
    ),
    (
        "GET /api/notes/locked",
        403,
        r#"{"error":{"code":"DENIED","message":"this key may not read notes","request_id":"r8"}}"#,
    ),
    ("GET /api/notes/odd", 500, "<h1>\u{1b}[2J</h1>"),
    ("POST /api/notes", 200, r#"{"data":{"title":"Hi\u001b[2J"}}"#),
];

#[test]
fn results_are_tables_documents_or_sentences() {
    let mut scene = Scene::new();
    let node = PlayedNode::on_socket_of(&scene.cartridge(), NOTES);
    scene.environment.db = Some(scene.cartridge());
    for words in [
        "fazt note list",
        "fazt note list --format json",
        "fazt note list --format markdown",
        "fazt note list --limit 0",
        "fazt note list --limit 0 --format json",
        "fazt note info hello",
        "fazt note info hello --format markdown",
        "fazt note info hello --format json",
        "fazt note add Hi",
    ] {
        scene.types(words);
    }
    scene.golden.check("results");
    let (line, key, body) = node.arrived().pop().unwrap();
    assert_eq!((&*line, key, &*body), ("POST /api/notes", None, r#"{"title":"Hi"}"#));
}

#[test]
fn failures_say_what_why_and_what_to_do() {
    let mut scene = Scene::new();
    let _node = PlayedNode::on_socket_of(&scene.cartridge(), NOTES);
    for words in [
        "fazt note info missing",
        "fazt note info missing --verbose",
        "fazt note info locked",
        "fazt note info odd",
        "fazt note info",
        "fazt note lst",
        "fazt nte list",
        "fazt note list --limt 3",
        "fazt note list --format yaml",
        "fazt @home note list",
        "fazt note list --to http://example.com",
        "fazt note list --to https://admin.example.com",
        "fazt note list --to http://localhost:1",
        "fazt note list --to http://localhost --db x.db",
    ] {
        scene.types(words);
    }
    scene.golden.check("failures");
}

#[test]
fn help_names_every_command_and_shows_an_example() {
    let mut scene = Scene::new();
    for words in ["fazt note", "fazt note list --help", "fazt app deploy --help"] {
        scene.types(words);
    }
    scene.golden.check("help");
}

#[test]
fn a_key_goes_to_the_node_that_was_named() {
    let mut scene = Scene::new();
    let (node, port) = PlayedNode::on_port(NOTES);
    scene.environment.token = Some("secret".to_owned());
    scene.types(&format!("fazt note info hello --to http://admin.localhost:{port}"));
    let arrived = node.arrived();
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].1.as_deref(), Some("Bearer secret"));
    drop(node);
    scene.types(&format!("fazt note info hello --to http://admin.localhost:{port}"));
    scene.golden.check("key");
}

/// A node that lacks the content of one file.
const DEPLOYED: &[Played] = &[
    (
        "POST /api/apps/my-site/deployments",
        200,
        r#"{"data":{"deployment_id":"d1","expires_at_ms":0,
            "missing":["e7fbb6fbbf4ce294913eb62b53ff03a7546649cfdc0d824d9e3a2b4541502f7f"]}}"#,
    ),
    (
        "POST /api/apps/bare/deployments",
        200,
        r#"{"data":{"deployment_id":"d1","expires_at_ms":0,"missing":[]}}"#,
    ),
    (
        "POST /api/apps/old/deployments",
        405,
        r#"{"error":{"code":"METHOD_NOT_ALLOWED","message":"no","request_id":"r1"}}"#,
    ),
    ("POST /api/blobs", 200, r#"{"data":{"stored":1,"known":0}}"#),
    (
        "POST /api/deployments/d1/activate",
        200,
        r#"{"data":{"site":"my-site","app_id":"fazt_app_0123456789ab","deployment_id":"d1","version":7,
        "url":"https://my-site.example.com","preview_url":"https://p--my-site.example.com",
        "file_count":2,"size_bytes":12,"warnings":["_redirects:3: no such status"],"message":"ok"}}"#,
    ),
    (
        "POST /api/deploy",
        200,
        r#"{"data":{"site":"a","app_id":"fazt_app_0123456789ab","deployment_id":"d1","version":1,
        "url":"https://a.example.com","file_count":2,"size_bytes":12,"message":"ok"}}"#,
    ),
];

#[test]
fn a_deploy_ends_with_the_address() {
    let mut scene = Scene::new();
    let node = PlayedNode::on_socket_of(&scene.cartridge(), DEPLOYED);
    let site = scene.directory.path().join("My Site");
    std::fs::create_dir(&site).unwrap();
    std::fs::write(site.join("index.html"), "<h1>hi</h1>").unwrap();
    std::fs::write(site.join(".env"), "SECRET").unwrap();
    std::os::unix::fs::symlink(&site, scene.directory.path().join("site")).unwrap();
    std::fs::create_dir(scene.directory.path().join("empty")).unwrap();
    std::fs::create_dir(scene.directory.path().join("bare")).unwrap();
    std::fs::write(scene.directory.path().join("bare/a.txt"), "x").unwrap();
    std::fs::write(scene.directory.path().join("a.zip"), "an archive").unwrap();
    let root = scene.directory.path().to_str().unwrap().to_owned();
    for words in [
        "fazt app deploy ROOT/site --spa",
        "fazt app deploy ROOT/site --format json",
        "fazt app deploy ROOT/site --preview --message first",
        "fazt app deploy ROOT/bare --verbose",
        "fazt app deploy ROOT/bare --name old",
        "fazt app deploy ROOT/a.zip",
        "fazt app deploy ROOT/a.zip --preview",
        "fazt app deploy ROOT/nothing",
        "fazt app deploy ROOT/empty",
        "fazt app deploy ROOT/bare/a.txt",
        "fazt app deploy /",
    ] {
        scene.types(&words.replace("ROOT", &root));
    }
    scene.golden.check("deploy");
    let arrived = node.arrived();
    let bodies = |line: &str| {
        let found = arrived.iter().filter(|(arrived, ..)| arrived == line);
        found.map(|(_, _, body)| body.clone()).collect::<Vec<_>>()
    };
    let declared = bodies("POST /api/apps/my-site/deployments");
    let first: serde_json::Value = serde_json::from_str(&declared[0]).unwrap();
    assert_eq!(first["spa"], true);
    assert_eq!(first["files"].as_array().unwrap().len(), 1, "{first}");
    assert_eq!(
        (&first["files"][0]["path"], &first["files"][0]["size"]),
        (&"index.html".into(), &11.into())
    );
    let preview: serde_json::Value = serde_json::from_str(&declared[2]).unwrap();
    assert_eq!(preview["preview"], true);
    assert_eq!(preview["source"]["message"], "first");
    assert_eq!(bodies("POST /api/blobs")[0], "\0\0\0\0\0\0\0\u{b}<h1>hi</h1>");
    let form = &bodies("POST /api/deploy")[0];
    assert!(form.contains("name=\"site_name\"\r\n\r\na\r\n"), "{form}");
}

const BACKUP: &[Played] = &[("GET /api/system/backup", 200, "a whole cartridge")];

#[test]
fn a_backup_is_the_owners_alone_and_replaces_nothing() {
    use std::os::unix::fs::PermissionsExt as _;

    let mut scene = Scene::new();
    let _node = PlayedNode::on_socket_of(&scene.cartridge(), BACKUP);
    let file = scene.directory.path().join("backup.db");
    for _ in 0..2 {
        scene.types(&format!("fazt cartridge backup {}", file.display()));
    }
    scene.types(&format!(
        "fazt cartridge backup {}/no/such/backup.db",
        scene.directory.path().display()
    ));
    scene.golden.check("backup");
    assert_eq!(std::fs::read(&file).unwrap(), b"a whole cartridge");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let names = std::fs::read_dir(scene.directory.path()).unwrap();
    assert_eq!(names.count(), 2, "the copy and the socket, and nothing else");
}

/// A node with a plugin that this program has never seen.
const GUESTS: &[Played] = &[
    (
        "GET /api/manifests",
        200,
        r#"{"data":[{"name":"guests","version":"1","about":"","provides":[],"requires":[],"uses":[],
            "contributes":[],"routes":[],"operations":[],"bindings":[],"settings":[],
            "migrations":[],"subscriptions":[],"commands":[{"words":["guest","list"],
            "about":"Lists guests","example":"guest list","arguments":[],
            "operation":"GET /api/guests","columns":[],"says":null}]}]}"#,
    ),
    ("GET /api/guests", 200, r#"{"data":[{"name":"Ada"},{"name":"Grace"}]}"#),
];

#[test]
fn a_node_brings_the_commands_of_its_plugins() {
    let mut scene = Scene::new();
    let _node = PlayedNode::on_socket_of(&scene.cartridge(), GUESTS);
    for words in ["fazt guest list", "fazt guest --help", "fazt gest list"] {
        scene.types(words);
    }
    scene.golden.check("added");
}
