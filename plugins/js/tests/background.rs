//! Jobs and schedules of apps on whole nodes, in cells and on threads.
//!
//! As in `cells.rs` there is no harness: this test starts itself again as a worker.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails where something is missing, and waits for what is to come"
)]

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fazt_kernel::workers::{Program, worker_main};
use fazt_kernel::{AdminRequest, BootOptions, BuiltIn, Connection, Kernel, Mode};
use fazt_sdk::export::root_of;
use fazt_sdk::http::{Body, Method};
use fazt_sdk::{Json, json};
use fazt_testkit::{Clock, SkippingClock};
use rustix::process::{Pid, Signal, kill_process};

fn built_in() -> Vec<BuiltIn> {
    vec![
        BuiltIn { name: "hosting", root: root_of::<fazt_hosting::Hosting> },
        BuiltIn { name: "js", root: root_of::<fazt_js::Js> },
        BuiltIn { name: "template", root: root_of::<fazt_template::Template> },
    ]
}

fn main() {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(code) = worker_main(&words, built_in) {
        std::process::exit(code);
    }
    let wanted = words.iter().filter_map(|word| word.to_str()).find(|word| !word.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for (name, isolations, scenario) in SCENARIOS {
        for isolation in *isolations {
            let title = format!("{name}_{isolation}");
            if wanted.is_none_or(|part| title.contains(part)) {
                let began = Instant::now();
                runtime.block_on(async {
                    let mut node = Node::boot(isolation).await;
                    scenario(&mut node).await;
                    node.kernel.take().unwrap().stop().await.unwrap();
                });
                println!("test {title} ... ok ({:.1} s)", began.elapsed().as_secs_f64());
            }
        }
    }
}

struct Node {
    kernel: Option<Kernel>,
    clock: Arc<SkippingClock>,
    isolation: &'static str,
    home: tempfile::TempDir,
}

async fn boot(path: &Path, isolation: &str, clock: &Arc<SkippingClock>) -> Kernel {
    let mut options = BootOptions::new(path.to_owned(), Mode::Serve, built_in());
    options.create = !path.exists();
    options.workers = Some(Program::own().unwrap());
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    options.clock = clock;
    for (name, value) in
        [("js.isolation", isolation), ("js.wall_ms", "10s"), ("js.memory_bytes", "32 MiB")]
    {
        options.settings.insert(name.to_owned(), value.to_owned());
    }
    Kernel::boot(options).await.unwrap()
}

impl Node {
    async fn boot(isolation: &'static str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(SkippingClock::default());
        let kernel = Some(boot(&home.path().join("data.db"), isolation, &clock).await);
        Self { kernel, clock, isolation, home }
    }

    fn kernel(&self) -> &Kernel {
        self.kernel.as_ref().unwrap()
    }

    async fn restart(&mut self) {
        self.kernel.take().unwrap().stop().await.unwrap();
        let path = self.home.path().join("data.db");
        self.kernel = Some(boot(&path, self.isolation, &self.clock).await);
    }

    async fn admin(&self, method: Method, path: &str, body: &Json) -> Json {
        let answer = self.try_admin(method, path, body).await;
        assert!(answer["error"].is_null(), "{path}: {answer}");
        answer["data"].clone()
    }

    async fn try_admin(&self, method: Method, path: &str, body: &Json) -> Json {
        let kind = [("content-type", "application/json")];
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let headers = if text.is_empty() { &kind[..0] } else { &kind[..] };
        let answer = self.kernel().admin(request(method, path, headers, text.into())).await;
        serde_json::from_str(&read(answer).await.1).unwrap()
    }

    /// Deploys these files; returns the warnings.
    async fn deploy(&self, app: &str, files: &[(&str, &str)]) -> Vec<String> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (path, text) in files {
            zip.start_file(*path, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        let archive = zip.finish().unwrap().into_inner();
        let kind = [("content-type", "application/zip")];
        let path = format!("/api/deploy?site_name={app}");
        let (status, text) =
            read(self.kernel().admin(request(Method::Post, &path, &kind, archive)).await).await;
        assert_eq!(status, 200, "{text}");
        let answer: Json = serde_json::from_str(&text).unwrap();
        serde_json::from_value(answer["data"]["warnings"].clone()).unwrap()
    }

    /// An app that runs whatever it is sent, and these files.
    async fn app(&self, app: &str, files: &[(&str, &str)]) {
        let all: Vec<_> = [("index.html", "x"), ("api/main.js", RUNS)]
            .into_iter()
            .chain(files.iter().copied())
            .collect();
        self.deploy(app, &all).await;
    }

    /// What the app's code makes of an expression.
    async fn run(&self, app: &str, expression: &str) -> Json {
        let request = request(Method::Post, "/api", &[], expression.to_owned().into());
        let host = format!("{app}.localhost");
        let (status, text) =
            read(self.kernel().request(Connection::Loopback, &host, request).await).await;
        assert_eq!(status, 200, "{expression}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{expression}: {text}"))
    }

    /// Waits until an expression is true.
    async fn until(&self, app: &str, expression: &str) {
        let began = Instant::now();
        loop {
            let value = self.run(app, expression).await;
            if value == json!(true) {
                return;
            }
            if began.elapsed() > Duration::from_secs(30) {
                let jobs = node_jobs(self).await;
                panic!("{expression}: {value}; {jobs}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn signal(&self, signal: Signal) {
        let workers = self.admin(Method::Get, "/api/workers", &Json::Null).await;
        for worker in workers["workers"].as_array().unwrap() {
            let pid = i32::try_from(worker["pid"].as_u64().unwrap()).unwrap();
            kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap_or_default();
        }
    }
}

async fn node_jobs(node: &Node) -> Json {
    node.admin(Method::Get, "/api/jobs", &Json::Null).await
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> AdminRequest {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    AdminRequest {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        body: if body.is_empty() { Body::empty() } else { Body::full(body.into()) },
    }
}

async fn read(mut answer: fazt_kernel::AdminResponse) -> (u16, String) {
    let body = answer.body.collect(64 << 20).await.unwrap_or_default();
    (answer.status, String::from_utf8_lossy(&body).into_owned())
}

/// Answers what the body, an expression, comes to; an error is its code and message.
const RUNS: &str = "export default { async fetch(request) {
    const text = await request.text();
    try {
        const value = await (0, eval)('(async () => (' + text + '))()');
        return Response.json(value === undefined ? null : value);
    } catch (error) {
        return Response.json({ code: error.code, message: error.message });
    }
} }";

type Scenario = for<'n> fn(&'n mut Node) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'n>>;

const BOTH: &[&str] = &["cell", "thread"];
const CELL: &[&str] = &["cell"];

macro_rules! scenarios {
    ($($name:ident in $isolations:ident),* $(,)?) => {
        const SCENARIOS: &[(&str, &[&str], Scenario)] =
            &[$((stringify!($name), $isolations, |node| Box::pin($name(node)))),*];
    };
}
scenarios![
    a_job_outlives_its_request_and_says_how_far_it_is in BOTH,
    handlers_of_every_style_are_found in BOTH,
    a_classic_script_spawns_and_waits_without_await in BOTH,
    a_job_that_fails_is_tried_again_and_then_says_where in BOTH,
    a_handler_that_is_not_there_is_told_at_once_or_later in BOTH,
    what_is_asked_for_wrongly_is_refused in CELL,
    a_job_that_loops_ends_with_its_time in BOTH,
    a_job_that_takes_all_memory_ends_alone in BOTH,
    a_job_is_cancelled_whether_it_listens_or_not in CELL,
    jobs_with_one_key_are_one_and_daemons_are_few in CELL,
    a_checkpoint_outlives_the_cell in CELL,
    a_daemon_goes_on_where_it_was_after_a_restart in BOTH,
    five_jobs_of_an_app_run_at_a_time in CELL,
    an_app_sees_its_own_jobs_only in CELL,
    a_job_reads_nobody_but_itself_and_has_no_rights in CELL,
    an_app_that_is_removed_ends_its_jobs in CELL,
    a_job_goes_on_while_plugins_come_and_go in BOTH,
    the_next_job_of_an_app_gets_the_cell in CELL,
    many_small_jobs_keep_nobody_waiting in CELL,
    schedules_of_the_manifest_are_those_of_the_active_deployment in CELL,
    a_wrong_schedule_is_told_with_its_place_and_the_rest_counts in CELL,
    a_schedule_runs_its_handler_when_its_moment_comes in BOTH,
    code_makes_and_changes_schedules in CELL,
    the_workspace_of_the_address_reaches_the_code in BOTH,
    a_secret_is_for_its_hosts_and_never_in_the_cell in BOTH,
];

async fn a_job_outlives_its_request_and_says_how_far_it_is(node: &mut Node) {
    let job = "export default async function (job) {
        job.progress(50);
        job.log('half', { of: 'it' });
        await new Promise((done) => setTimeout(done, 400));
        return { sum: job.data.a + 1, id: job.id, attempt: job.attempt };
    }";
    node.app("blog", &[("jobs/add.js", job)]).await;
    let spawned = node.run("blog", "fazt.worker.spawn('jobs/add.js', { data: { a: 41 } })").await;
    let id = spawned["id"].as_str().unwrap().to_owned();
    assert_eq!((&spawned["handler"], &spawned["attempt"]), (&json!("jobs/add.js"), &json!(0)));
    node.until("blog", &format!("fazt.worker.get('{id}').then((job) => job.progress === 50)"))
        .await;
    let done = node.run("blog", &format!("fazt.worker.wait('{id}')")).await;
    assert_eq!(done["status"], "done", "{done}");
    assert_eq!(done["value"], json!({ "sum": 42, "id": id, "attempt": 1 }));
    assert_eq!(
        serde_json::from_str::<Json>(done["result"].as_str().unwrap()).unwrap(),
        done["value"]
    );
    let shown = node.run("blog", &format!("fazt.worker.get({id})")).await;
    assert_eq!(shown["logs"][0]["message"], "half {\"of\":\"it\"}", "{shown}");
    let listed = node.run("blog", "fazt.worker.list({ status: 'done' })").await;
    assert_eq!(listed[0]["id"], json!(id));
    let cli = node.admin(Method::Get, "/api/jobs?app=blog", &Json::Null).await;
    assert_eq!((&cli[0]["state"], &cli[0]["name"]), (&json!("done"), &json!("blog")), "{cli}");
}

async fn handlers_of_every_style_are_found(node: &mut Node) {
    let files = [
        (
            "jobs/exports.js",
            "const { twice } = require('./lib.js'); module.exports = (job) => twice(job.data)",
        ),
        ("jobs/lib.js", "exports.twice = (n) => 2 * n"),
        ("jobs/handler.js", "function handler(job) { sleep(5); return job.data + 1 }"),
        (
            "jobs/default.mjs",
            "import { half } from './half.mjs'; export default async (job) => half(job.data)",
        ),
        ("jobs/half.mjs", "export const half = (n) => n / 2"),
        (
            "jobs/typed.ts",
            "export default function (job: { data: number }): number { return job.data - 1 }",
        ),
        ("workers/old.js", "module.exports = function (job) { return -job.data }"),
    ];
    node.app("blog", &files).await;
    for (handler, expected) in [
        ("jobs/exports.js", 20),
        ("jobs/handler.js", 11),
        ("./jobs/default.mjs", 5),
        ("jobs/typed", 9),
        ("workers/old.js", -10),
    ] {
        let spawn = format!("fazt.worker.spawn('{handler}', {{ data: 10 }})");
        let done =
            node.run("blog", &format!("{spawn}.then((job) => fazt.worker.wait(job.id))")).await;
        assert_eq!((&done["status"], &done["value"]), (&json!("done"), &json!(expected)), "{done}");
    }
}

async fn a_classic_script_spawns_and_waits_without_await(node: &mut Node) {
    let main = "const job = fazt.worker.spawn('jobs/x.js', { data: [1] });
        respond({ done: fazt.worker.wait(job.id, { timeout: '8s' }).value })";
    let files = [("api/main.js", main), ("jobs/x.js", "module.exports = (job) => job.data.length")];
    node.deploy("old", &files).await;
    let request = request(Method::Get, "/api", &[], Vec::new());
    let answer = node.kernel().request(Connection::Loopback, "old.localhost", request).await;
    assert_eq!(read(answer).await.1, "{\"done\":1}");
}

async fn a_job_that_fails_is_tried_again_and_then_says_where(node: &mut Node) {
    let job = "export default (job) => {\n  job.log('attempt ' + job.attempt);\n  throw new RangeError('no luck');\n}";
    node.app("blog", &[("jobs/fail.js", job), ("jobs/broken.js", "const x = ;")]).await;
    let spawn = "fazt.worker.spawn('jobs/fail.js', { retry: 2, retryDelay: '10ms' })";
    let done = node.run("blog", &format!("{spawn}.then((job) => fazt.worker.wait(job.id))")).await;
    assert_eq!((&done["status"], &done["attempt"]), (&json!("failed"), &json!(3)), "{done}");
    let why = done["error"].as_str().unwrap();
    assert!(why.starts_with("FUNCTION_ERROR: jobs/fail.js:3:"), "{why}");
    assert!(why.contains("RangeError: no luck"), "{why}");
    let id = done["id"].as_str().unwrap();
    let logs = node.run("blog", &format!("fazt.worker.get('{id}').then((job) => job.logs)")).await;
    assert_eq!(logs.as_array().unwrap().len(), 3, "{logs}");
    let dead = node.admin(Method::Get, "/api/jobs?app=blog&state=dead", &Json::Null).await;
    assert_eq!(dead.as_array().unwrap().len(), 1, "{dead}");
    let spawn = "fazt.worker.spawn('jobs/broken.js')";
    let done = node.run("blog", &format!("{spawn}.then((job) => fazt.worker.wait(job.id))")).await;
    let why = done["error"].as_str().unwrap();
    assert!(why.starts_with("LOAD_ERROR: jobs/broken.js:1:"), "{why}");
}

async fn a_handler_that_is_not_there_is_told_at_once_or_later(node: &mut Node) {
    node.app("blog", &[("jobs/x.js", "module.exports = () => 1")]).await;
    for missing in ["jobs/y.js", "../jobs/x.js", "index.html"] {
        let told = node.run("blog", &format!("fazt.worker.spawn('{missing}')")).await;
        assert_eq!(told["code"], "NO_SUCH_HANDLER", "{told}");
    }
    let later = "fazt.worker.spawn('jobs/x.js', { delay: '1s', retry: 1, retryDelay: 1 })";
    let id = node.run("blog", later).await["id"].as_str().unwrap().to_owned();
    node.app("blog", &[]).await;
    node.clock.skip(Duration::from_secs(5));
    // Whoever sleeps until a moment does not see the clock being set; a change makes him look.
    node.run("blog", "fazt.worker.spawn('api/main.js')").await;
    let done = node.run("blog", &format!("fazt.worker.wait('{id}')")).await;
    assert_eq!((&done["status"], &done["attempt"]), (&json!("failed"), &json!(2)), "{done}");
    assert!(done["error"].as_str().unwrap().starts_with("NO_SUCH_HANDLER"), "{done}");
}

async fn what_is_asked_for_wrongly_is_refused(node: &mut Node) {
    node.app("blog", &[("jobs/x.js", "module.exports = () => 1")]).await;
    for (wrong, words) in [
        ("fazt.worker.spawn()", "worker.spawn requires handler path"),
        ("fazt.worker.spawn('jobs/x.js', { retires: 1 })", "retires"),
        ("fazt.worker.spawn('jobs/x.js', { timeout: 'soon' })", "timeout"),
        ("fazt.worker.spawn('jobs/x.js', { memory: '4GB' })", "js.job_memory_bytes"),
        ("fazt.worker.spawn('jobs/x.js', { data: 'x'.repeat(70000) })", "payload"),
        ("fazt.worker.wait('7')", "no job 7"),
        ("fazt.worker.wait('x')", "no such job"),
        ("fazt.worker.cancel('7')", "no job 7"),
        ("fazt.worker.list({ status: 'odd' })", "odd"),
        ("fazt.cron.schedule('x', '61 * * * *', 'jobs/x.js')", "61"),
        ("fazt.cron.schedule('x', '@daily', 'jobs/y.js')", "jobs/y.js"),
        ("fazt.cron.pause('x')", "no schedule x"),
    ] {
        let told = node.run("blog", wrong).await;
        let message = told["message"].as_str().unwrap_or_else(|| panic!("{wrong}: {told}"));
        assert!(message.contains(words), "{wrong}: {message}");
    }
    assert_eq!(node.run("blog", "fazt.worker.get('7')").await, Json::Null);
    let waited = "fazt.worker.spawn('jobs/x.js', { delay: '1h' })
        .then((job) => fazt.worker.wait(job.id, { timeout: 50 }))";
    let told = node.run("blog", waited).await;
    assert_eq!(told, json!({ "code": "WAIT_TIMEOUT", "message": "wait timeout exceeded" }));
}

async fn a_job_that_loops_ends_with_its_time(node: &mut Node) {
    node.app("blog", &[("jobs/loop.js", "export default () => { for (;;); }")]).await;
    let began = Instant::now();
    let spawn = "fazt.worker.spawn('jobs/loop.js', { timeout: '1s' })";
    let done = node.run("blog", &format!("{spawn}.then((job) => fazt.worker.wait(job.id))")).await;
    assert_eq!(done["status"], "failed", "{done}");
    assert!(done["error"].as_str().unwrap().starts_with("timeout exceeded"), "{done}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let waits = "export default () => new Promise((done) => setTimeout(done, 60000))";
    node.app("blog", &[("jobs/wait.js", waits)]).await;
    let spawn = "fazt.worker.spawn('jobs/wait.js', { timeout: '500ms' })";
    let done = node.run("blog", &format!("{spawn}.then((job) => fazt.worker.wait(job.id))")).await;
    assert!(done["error"].as_str().unwrap().starts_with("timeout exceeded"), "{done}");
}

async fn a_job_that_takes_all_memory_ends_alone(node: &mut Node) {
    let files = [
        (
            "jobs/eat.js",
            "export default () => { const all = []; for (;;) all.push(new Array(1000).fill(1)) }",
        ),
        (
            "jobs/fine.js",
            "export default async () => { await new Promise((d) => setTimeout(d, 500)); return 'fine' }",
        ),
    ];
    node.app("blog", &files).await;
    let both = "Promise.all([fazt.worker.spawn('jobs/fine.js'), fazt.worker.spawn('jobs/eat.js', { memory: '16MB' })])
        .then((all) => Promise.all(all.map((job) => fazt.worker.wait(job.id))))";
    let done = node.run("blog", both).await;
    assert_eq!(
        (&done[0]["value"], &done[1]["status"]),
        (&json!("fine"), &json!("failed")),
        "{done}"
    );
    assert!(done[1]["error"].as_str().unwrap().contains("MEMORY"), "{done}");
}

async fn a_job_is_cancelled_whether_it_listens_or_not(node: &mut Node) {
    let files = [
        ("jobs/deaf.js", "export default () => { for (;;); }"),
        (
            "jobs/heeds.js",
            "export default async (job) => {
            while (!job.cancelled) await new Promise((done) => setTimeout(done, 10));
            job.log('heard');
            return 'left by itself';
        }",
        ),
    ];
    node.app("blog", &files).await;
    for (handler, within) in [("jobs/heeds.js", 1_500), ("jobs/deaf.js", 5_000)] {
        let spawned = node.run("blog", &format!("fazt.worker.spawn('{handler}')")).await;
        let id = spawned["id"].as_str().unwrap();
        let running = format!("fazt.worker.get('{id}').then((job) => job.status === 'running')");
        node.until("blog", &running).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let began = Instant::now();
        let done = format!("fazt.worker.cancel('{id}').then(() => fazt.worker.wait('{id}'))");
        let done = node.run("blog", &done).await;
        assert_eq!(done["status"], "cancelled", "{done}");
        assert!(
            began.elapsed() < Duration::from_millis(within),
            "{handler}: {:?}",
            began.elapsed()
        );
        assert_eq!(node.run("blog", &format!("fazt.worker.cancel('{id}')")).await, json!(false));
    }
    // The owner's word is heard as well.
    let id = node.run("blog", "fazt.worker.spawn('jobs/heeds.js')").await["id"].clone();
    let id = id.as_str().unwrap();
    node.until("blog", &format!("fazt.worker.get('{id}').then((job) => job.status === 'running')"))
        .await;
    node.admin(Method::Post, &format!("/api/jobs/{id}/cancel"), &Json::Null).await;
    let done = node.run("blog", &format!("fazt.worker.wait('{id}')")).await;
    assert_eq!(done["status"], "cancelled", "{done}");
    let shown = node.run("blog", &format!("fazt.worker.get('{id}')")).await;
    assert_eq!(shown["logs"][0]["message"], "heard", "{shown}");
}

async fn jobs_with_one_key_are_one_and_daemons_are_few(node: &mut Node) {
    let sleeps = "export default (job) => new Promise((done) => setTimeout(done, 600000))";
    node.app("blog", &[("jobs/sleep.js", sleeps)]).await;
    let twice =
        "Promise.all([1, 2].map(() => fazt.worker.spawn('jobs/sleep.js', { uniqueKey: 'k' })))
        .then((all) => all[0].id === all[1].id)";
    assert_eq!(node.run("blog", twice).await, json!(true));
    for _ in 0..2 {
        let daemon = node.run("blog", "fazt.worker.spawn('jobs/sleep.js', { daemon: true })").await;
        assert_eq!(daemon["daemon"], json!(true), "{daemon}");
    }
    let third = node.run("blog", "fazt.worker.spawn('jobs/sleep.js', { daemon: true })").await;
    assert_eq!(third["code"], "TOO_MANY_DAEMONS", "{third}");
    assert!(third["message"].as_str().unwrap().contains("max daemons (2) reached"), "{third}");
}

async fn a_checkpoint_outlives_the_cell(node: &mut Node) {
    let job = "export default async (job) => {
        const before = job.getCheckpoint();
        if (before) return { before, attempt: job.attempt, same: job.checkpoint().step };
        job.checkpoint({ step: 7 });
        await new Promise((done) => setTimeout(done, 600000));
    }";
    node.app("blog", &[("jobs/steps.js", job)]).await;
    let spawn = "fazt.worker.spawn('jobs/steps.js', { retry: 1, retryDelay: '10ms' })";
    let id = node.run("blog", spawn).await["id"].as_str().unwrap().to_owned();
    node.until("blog", &format!("fazt.worker.get('{id}').then((job) => job.status === 'running')"))
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    node.signal(Signal::KILL).await;
    // The cell that answers requests went as well; asking once more is harmless.
    node.kernel()
        .request(Connection::Loopback, "blog.localhost", request(Method::Get, "/api", &[], vec![]))
        .await;
    let done = node.run("blog", &format!("fazt.worker.wait('{id}')")).await;
    let expected = json!({ "before": { "step": 7 }, "attempt": 2, "same": 7 });
    assert_eq!(done["value"], expected, "{done}");
}

async fn a_daemon_goes_on_where_it_was_after_a_restart(node: &mut Node) {
    let job = "export default async (job) => {
        let step = job.getCheckpoint() ?? 0;
        for (;;) {
            job.checkpoint(++step);
            job.log('step ' + step);
            await new Promise((done) => setTimeout(done, 100));
        }
    }";
    node.app("blog", &[("jobs/steps.js", job)]).await;
    let id = node.run("blog", "fazt.worker.spawn('jobs/steps.js', { daemon: true })").await;
    let id = id["id"].as_str().unwrap().to_owned();
    let said = |step: u32| {
        format!("fazt.worker.get('{id}').then((job) =>
            job.status === 'running' && (job.logs ?? []).some((line) => line.message === 'step {step}'))")
    };
    node.until("blog", &said(3)).await;
    let began = Instant::now();
    node.restart().await;
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "a stop does not wait: {:?}",
        began.elapsed()
    );
    node.until("blog", &said(8)).await;
    let job = node.run("blog", &format!("fazt.worker.get('{id}')")).await;
    // What was stopped in order does not count as an attempt, and no step came twice.
    assert_eq!(job["attempt"], json!(1), "{job}");
    let lines: Vec<_> =
        job["logs"].as_array().unwrap().iter().map(|line| &line["message"]).collect();
    let ones = lines.iter().filter(|line| **line == "step 1").count();
    assert_eq!(ones, 1, "{lines:?}");
}

async fn five_jobs_of_an_app_run_at_a_time(node: &mut Node) {
    let waits = "export default (job) => new Promise((done) => setTimeout(done, 700))";
    node.app("blog", &[("jobs/wait.js", waits)]).await;
    node.app("shop", &[("jobs/wait.js", waits)]).await;
    node.run(
        "blog",
        "Promise.all(Array.from({ length: 12 }, () => fazt.worker.spawn('jobs/wait.js')))",
    )
    .await;
    let other = node
        .run("shop", "fazt.worker.spawn('jobs/wait.js').then((job) => fazt.worker.wait(job.id))")
        .await;
    assert_eq!(other["status"], "done", "a neighbor waits for nobody: {other}");
    let mut most = 0;
    loop {
        let running = node
            .run("blog", "fazt.worker.list({ status: 'running' }).then((all) => all.length)")
            .await;
        most = most.max(running.as_u64().unwrap());
        let done = node
            .run("blog", "fazt.worker.list({ status: 'done' }).then((all) => all.length)")
            .await;
        if done == json!(12) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(most, 5);
}

async fn an_app_sees_its_own_jobs_only(node: &mut Node) {
    let waits = "export default (job) => new Promise((done) => setTimeout(done, 600000))";
    node.app("blog", &[("jobs/wait.js", waits)]).await;
    node.app("evil", &[]).await;
    let id = node.run("blog", "fazt.worker.spawn('jobs/wait.js')").await["id"].clone();
    let id = id.as_str().unwrap();
    assert_eq!(node.run("evil", "fazt.worker.list()").await, json!([]));
    assert_eq!(node.run("evil", &format!("fazt.worker.get('{id}')")).await, Json::Null);
    for call in ["cancel", "wait"] {
        let told = node.run("evil", &format!("fazt.worker.{call}('{id}')")).await;
        assert_eq!(told["code"], "NO_SUCH_JOB", "{told}");
    }
}

async fn a_job_reads_nobody_but_itself_and_has_no_rights(node: &mut Node) {
    let files = [
        (
            "jobs/forge.js",
            "export default async (job) => {
            const own = job.id;
            job.id = String(Number(own) - 1);
            job.progress(77);
            job.checkpoint('forged');
            return own;
        }",
        ),
        ("jobs/wait.js", "export default (job) => new Promise((done) => setTimeout(done, 600000))"),
    ];
    node.app("blog", &files).await;
    let victim = node.run("blog", "fazt.worker.spawn('jobs/wait.js')").await;
    let forged = "fazt.worker.spawn('jobs/forge.js').then((job) => fazt.worker.wait(job.id))";
    let forged = node.run("blog", forged).await;
    assert_eq!(forged["value"], forged["id"], "{forged}");
    let victim = node.run("blog", &format!("fazt.worker.get({})", victim["id"])).await;
    assert_eq!(victim["progress"], json!(0), "{victim}");
    // The functions of `job` are nothing to a request.
    assert_eq!(node.run("blog", "typeof fazt.job").await, json!("undefined"));
}

async fn an_app_that_is_removed_ends_its_jobs(node: &mut Node) {
    node.app("blog", &[("jobs/loop.js", "export default () => { for (;;); }")]).await;
    node.run("blog", "fazt.worker.spawn('jobs/loop.js')").await;
    node.until("blog", "fazt.worker.list({ status: 'running' }).then((all) => all.length === 1)")
        .await;
    node.admin(Method::Delete, "/api/apps/blog", &Json::Null).await;
    let began = Instant::now();
    loop {
        let workers = node.admin(Method::Get, "/api/workers", &Json::Null).await;
        if workers["workers"].as_array().unwrap().is_empty() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{workers}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_job_goes_on_while_plugins_come_and_go(node: &mut Node) {
    let job = "export default async (job) => {
        const first = await fazt.template.count('/');
        job.log('began');
        while (job.getCheckpoint() === undefined || !job.cancelled) {
            job.checkpoint((job.getCheckpoint() ?? 0) + 1);
            await new Promise((done) => setTimeout(done, 20));
            const gone = await fazt.template.count('/').catch((error) => error.code);
            if (gone !== first) return gone;
        }
    }";
    node.app("blog", &[("jobs/long.js", job)]).await;
    let id = node.run("blog", "fazt.worker.spawn('jobs/long.js')").await["id"].clone();
    let id = id.as_str().unwrap();
    let began = format!("fazt.worker.get('{id}').then((job) => (job.logs ?? []).length === 1)");
    node.until("blog", &began).await;
    node.admin(Method::Post, "/api/plugins/template/disable", &Json::Null).await;
    let done = node.run("blog", &format!("fazt.worker.wait('{id}')")).await;
    // Its own functions have other numbers by now, and those of the plugin that left are gone.
    assert_eq!((&done["status"], &done["value"]), (&json!("done"), &json!("NO_BINDING")), "{done}");
}

async fn the_next_job_of_an_app_gets_the_cell(node: &mut Node) {
    let counts = "let count = 0; export default () => ++count";
    node.app("blog", &[("jobs/count.js", counts)]).await;
    let mut last = Json::Null;
    for _ in 0..5 {
        let spawn = "fazt.worker.spawn('jobs/count.js').then((job) => fazt.worker.wait(job.id))";
        last = node.run("blog", spawn).await;
    }
    assert!(last["value"].as_u64().unwrap() > 1, "{last}");
}

async fn many_small_jobs_keep_nobody_waiting(node: &mut Node) {
    node.app("blog", &[("jobs/small.js", "export default (job) => job.data")]).await;
    // If a place were free only when its cell goes, two seconds later, the request that waits for them
    // would not live to see it.
    let all = json!({ "value": "20" });
    node.admin(Method::Put, "/api/settings/jobs.running_per_app", &all).await;
    let all = "Promise.all(Array.from({ length: 300 }, (_, n) => fazt.worker.spawn('jobs/small.js', { data: n })))
        .then((all) => Promise.all(all.map((job) => fazt.worker.wait(job.id))))
        .then((all) => all.every((job, n) => job.value === n))";
    assert_eq!(node.run("blog", all).await, json!(true));
}

const TWO: &str = r#"{"cron": [
  {"schedule": "*/5 * * * *", "handler": "api/cron.js"},
  {"schedule": "@daily", "handler": "jobs/tidy.js", "missed": "skip", "data": {"deep": true}}
]}"#;

async fn schedules_of_the_manifest_are_those_of_the_active_deployment(node: &mut Node) {
    let files = [("api/cron.js", "x"), ("jobs/tidy.js", "x")];
    let with =
        |manifest| files.into_iter().chain([("manifest.json", manifest)]).collect::<Vec<_>>();
    node.app("blog", &with(TWO)).await;
    let listed = |app: &'static str| format!("/api/cron?app={app}");
    let names = |all: &Json| -> Vec<String> {
        let all = all.as_array().unwrap();
        all.iter()
            .map(|one| {
                format!("{} {}", one["name"].as_str().unwrap(), one["cron"].as_str().unwrap())
            })
            .collect()
    };
    let all = node.admin(Method::Get, &listed("blog"), &Json::Null).await;
    assert_eq!(names(&all), ["api.cron */5 * * * *", "jobs.tidy @daily"], "{all}");
    assert_eq!((&all[0]["source"], &all[1]["missed"]), (&json!("manifest"), &json!("skip")));
    // What stands still goes on standing still, and what code made stays.
    node.run("blog", "fazt.cron.schedule('own', '@hourly', 'jobs/tidy.js')").await;
    node.run("blog", "fazt.cron.pause('jobs.tidy')").await;
    node.app("blog", &with(r#"{"cron": [{"schedule": "@weekly", "handler": "jobs/tidy.js"}]}"#))
        .await;
    let all = node.admin(Method::Get, &listed("blog"), &Json::Null).await;
    assert_eq!(names(&all), ["jobs.tidy @weekly", "own @hourly"], "{all}");
    assert_eq!(all[0]["state"], "paused");
    node.app("blog", &[]).await;
    let all = node.admin(Method::Get, &listed("blog"), &Json::Null).await;
    assert_eq!(names(&all), ["own @hourly"], "{all}");
    // A rollback brings them back, shortly after.
    node.admin(Method::Post, "/api/apps/blog/rollback", &json!({ "to": 1 })).await;
    let began = Instant::now();
    loop {
        let all = node.admin(Method::Get, &listed("blog"), &Json::Null).await;
        if names(&all).len() == 3 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{all}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.admin(Method::Delete, "/api/apps/blog", &Json::Null).await;
    assert_eq!(node.admin(Method::Get, "/api/cron", &Json::Null).await, json!([]));
}

async fn a_wrong_schedule_is_told_with_its_place_and_the_rest_counts(node: &mut Node) {
    let manifest = r#"{
  "name": "blog",
  "cron": [
    {"schedule": "61 * * * *", "handler": "api/cron.js"},
    {"schedule": "@daily", "handler": "api/none.js"},
    {"schedule": "@daily"},
    {"schedule": "@hourly", "handler": "api/cron.js"}
  ]
}"#;
    let files = [("index.html", "x"), ("api/cron.js", "1"), ("manifest.json", manifest)];
    let warnings = node.deploy("blog", &files).await;
    for (place, words) in [
        ("manifest.json:4:5: ", "61"),
        ("manifest.json:5:5: ", "api/none.js"),
        ("manifest.json:6:5: ", "handler"),
    ] {
        let told = warnings.iter().any(|one| one.starts_with(place) && one.contains(words));
        assert!(told, "{place}: {warnings:?}");
    }
    let all = node.admin(Method::Get, "/api/cron?app=blog", &Json::Null).await;
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    assert_eq!(all[0]["cron"], "@hourly");
}

async fn a_schedule_runs_its_handler_when_its_moment_comes(node: &mut Node) {
    let manifest = r#"{"cron": [
        {"schedule": "0 0 1 1 *", "handler": "api/cron.js", "data": {"a": 1}},
        {"schedule": "0 0 1 1 *", "handler": "jobs/classic.js"}
    ]}"#;
    let module = "export async function scheduled(event, env, ctx) {
        ctx.waitUntil(new Promise((done) => setTimeout(done, 10)));
        return event;
    }";
    let files = [
        ("manifest.json", manifest),
        ("api/cron.js", module),
        ("jobs/classic.js", "event.cron + ' ' + event.name"),
    ];
    node.app("blog", &files).await;
    let before = node.run("blog", "fazt.cron.get('api.cron')").await;
    assert_eq!(before["lastAt"], Json::Null, "{before}");
    node.clock.skip(Duration::from_secs(366 * 24 * 3_600));
    // Whoever sleeps looks at the clock now and then; a change makes it look at once.
    node.run("blog", "fazt.cron.schedule('wake', '@yearly', 'api/cron.js')").await;
    node.until(
        "blog",
        "fazt.cron.list().then((all) => all.filter((one) => one.lastAt).length >= 2)",
    )
    .await;
    for (name, check) in [
        (
            "api.cron",
            "job.value.type === 'scheduled' && job.value.data.a === 1 && job.value.scheduledTime === schedule.lastAt && job.value.cron === '0 0 1 1 *'",
        ),
        ("jobs.classic", "job.value === '0 0 1 1 * jobs.classic'"),
    ] {
        let done = format!(
            "fazt.cron.get('{name}').then(async (schedule) => {{
            const job = await fazt.worker.wait(schedule.lastJob);
            return ({check}) || job;
        }})"
        );
        assert_eq!(node.run("blog", &done).await, json!(true));
    }
}

async fn code_makes_and_changes_schedules(node: &mut Node) {
    node.app(
        "blog",
        &[
            ("jobs/x.js", "exports.scheduled = (event) => event.data"),
            ("manifest.json", TWO),
            ("api/cron.js", "1"),
            ("jobs/tidy.js", "1"),
        ],
    )
    .await;
    let made = node
        .run(
            "blog",
            "fazt.cron.schedule('own', '@hourly', 'jobs/x.js', { data: 5, missed: 'all' })",
        )
        .await;
    assert_eq!(
        (&made["name"], &made["missed"], &made["source"]),
        (&json!("own"), &json!("all"), &json!("code"))
    );
    assert_eq!(made["next"].as_array().unwrap().len(), 5, "{made}");
    let ran =
        node.run("blog", "fazt.cron.run('own').then((job) => fazt.worker.wait(job.id))").await;
    assert_eq!(
        (&ran["status"], &ran["value"], &ran["schedule"]),
        (&json!("done"), &json!(5), &json!("own")),
        "{ran}"
    );
    node.run("blog", "fazt.cron.pause('own')").await;
    assert_eq!(
        node.run("blog", "fazt.cron.get('own').then((one) => one.paused)").await,
        json!(true)
    );
    node.run("blog", "fazt.cron.resume('own')").await;
    assert_eq!(
        node.run("blog", "fazt.cron.get('own').then((one) => one.paused)").await,
        json!(false)
    );
    node.run("blog", "fazt.cron.remove('own')").await;
    assert_eq!(node.run("blog", "fazt.cron.get('own')").await, Json::Null);
    let refused = node.run("blog", "fazt.cron.remove('api.cron')").await;
    assert!(refused["message"].as_str().unwrap().contains("manifest.json"), "{refused}");
    let taken = node.run("blog", "fazt.cron.schedule('api.cron', '@hourly', 'jobs/x.js')").await;
    assert_eq!(taken["code"], "SCHEDULE_TAKEN", "{taken}");
}

async fn the_workspace_of_the_address_reaches_the_code(node: &mut Node) {
    let main = "export default { async fetch() {
        return Response.json([fazt.session.id(), fazt.session.create()]);
    } }";
    let classic = "respond([fazt.session.id(), fazt.session.create()])";
    node.deploy("new", &[("api/main.js", main)]).await;
    node.deploy("old", &[("api/main.js", classic)]).await;
    for app in ["new", "old"] {
        for (query, expected) in [
            ("?s=cat-dog-owl", json!("cat-dog-owl")),
            ("", Json::Null),
            ("?s=<script>", Json::Null),
        ] {
            let request = request(Method::Get, &format!("/api/x{query}"), &[], Vec::new());
            let host = format!("{app}.localhost");
            let answer = node.kernel().request(Connection::Loopback, &host, request).await;
            let text = read(answer).await.1;
            let said: Json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(said[0], expected, "{said}");
            assert!(fazt_sdk::workspace::is_id(said[1].as_str().unwrap()), "{said}");
        }
    }
}

async fn a_secret_is_for_its_hosts_and_never_in_the_cell(node: &mut Node) {
    node.app("blog", &[]).await;
    let secret = json!({
        "value": "canary-value", "hosts": ["API.example.invalid", "*.other.invalid"],
        "place": "header", "field": "X-Api-Key",
    });
    node.admin(Method::Put, "/api/apps/blog/secrets/KEY", &secret).await;
    let listed = node.admin(Method::Get, "/api/apps/blog/secrets", &Json::Null).await;
    assert_eq!(listed[0]["hosts"], json!(["api.example.invalid", "*.other.invalid"]));
    assert_eq!(listed[0]["place"], "header X-Api-Key");
    assert!(!listed.to_string().contains("canary"), "{listed}");
    let fetched = |host: &str| format!("fetch('https://{host}/x', {{ auth: 'KEY' }})");
    for (host, code) in [
        ("evil.invalid", "NET_AUTH"),
        ("api.example.invalid.evil.invalid", "NET_AUTH"),
        ("example.invalid", "NET_AUTH"),
        // Meant for it, and so the request goes on, to a name that leads nowhere.
        ("api.example.invalid", "NET_ERROR"),
        ("a.other.invalid", "NET_ERROR"),
    ] {
        let told = node.run("blog", &fetched(host)).await;
        let cause = node
            .run(
                "blog",
                &format!("{}.catch((e) => [e.code ?? e.cause?.code, String(e)])", fetched(host)),
            )
            .await;
        assert_eq!(cause[0], code, "{host}: {told} {cause}");
    }
    let all = "JSON.stringify([Object.keys(globalThis), fazt.env.all(), await (async () => { try { return await fazt.env.get('KEY') } catch (e) { return e.message } })()])";
    let seen = node.run("blog", all).await;
    assert!(!seen.to_string().contains("canary"), "{seen}");
    for (wrong, words) in [
        (json!({ "value": "x", "hosts": ["*.com"] }), "*.com"),
        (json!({ "value": "x", "place": "header" }), "field"),
        (json!({ "value": "x", "place": "header", "field": "Host" }), "Host"),
        (json!({ "value": "x", "place": "elsewhere" }), "elsewhere"),
    ] {
        let answer = node.try_admin(Method::Put, "/api/apps/blog/secrets/BAD", &wrong).await;
        let message = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(message.contains(words), "{message}");
    }
    // A copy of the app has it on the same terms.
    node.admin(Method::Post, "/api/apps/blog/fork", &json!({ "as": "copy" })).await;
    let copied = node.admin(Method::Get, "/api/apps/copy/secrets", &Json::Null).await;
    assert_eq!(copied[0]["hosts"], listed[0]["hosts"], "{copied}");
}
