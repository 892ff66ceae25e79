//! What JavaScript can keep, asked of whole nodes in real cells and on threads: every call of the contract,
//! in every style, shared and of a user, and nobody sees what is not theirs.
//!
//! There is no harness: this test starts itself again as a worker, as the program does, and `main` belongs to
//! the worker first.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where something is missing, and says which one runs"
)]

use fazt_kernel::workers::worker_main;
use fazt_sdk::call::{Principal, PrincipalId};
use fazt_sdk::export::root_of;
use fazt_sdk::http::Method;
use fazt_testkit::{Answer, BuiltIn, Caller, TestKernel};
use serde_json::{Value, json};

fn built_in() -> Vec<BuiltIn> {
    vec![
        BuiltIn { name: "hosting", root: root_of::<fazt_hosting::Hosting> },
        BuiltIn { name: "js", root: root_of::<fazt_js::Js> },
        BuiltIn { name: "storage", root: root_of::<fazt_storage::Storage> },
    ]
}

type Scenario = for<'n> fn(&'n Node) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'n>>;

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        const SCENARIOS: &[(&str, Scenario)] =
            &[$((stringify!($name), |node| Box::pin($name(node)))),*];
    };
}
scenarios![
    every_call_answers_the_same_in_every_style_and_scope,
    what_belongs_to_a_user_is_that_users_alone,
    whoever_asks_while_a_cell_starts_asks_in_their_own_name,
    apps_see_their_own_data_only,
    the_old_names_are_the_shared_data,
    a_signed_address_serves_an_object_until_it_expires,
    writes_of_one_turn_are_all_there,
];

fn main() {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(code) = worker_main(&words, built_in) {
        std::process::exit(code);
    }
    let wanted = words.iter().filter_map(|word| word.to_str()).find(|word| !word.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut passed = 0;
    for (name, scenario) in SCENARIOS {
        for isolation in ["cell", "thread"] {
            let title = format!("{name}_{isolation}");
            if wanted.is_none_or(|part| title.contains(part)) {
                runtime.block_on(async {
                    let mut node = Node::boot(isolation).await;
                    scenario(&node).await;
                    node.kernel.stop().await.unwrap();
                });
                passed += 1;
                println!("test {title} ... ok");
            }
        }
    }
    println!("{passed} passed, 0 failed");
}

const EVALUATOR: &str = include_str!("evaluator.js");
const CALLS: &str = include_str!("calls.txt");

/// Somebody who is signed in.
fn user(name: &str) -> Principal {
    Principal::User(PrincipalId::new(name).unwrap())
}

struct Node {
    kernel: TestKernel,
}

impl Node {
    async fn boot(isolation: &str) -> Self {
        let settings = [("js.isolation", isolation)];
        Self { kernel: TestKernel::working(built_in(), &settings).await.unwrap() }
    }

    async fn deploy(&self, app: &str, main: &str) {
        let archive = fazt_tests::archive(&[("api/main.js", main), ("index.html", "x")]);
        let query = format!("site_name={app}");
        let headers = [("content-type", "application/zip")];
        let (owner, post) = (Caller::OWNER, Method::Post);
        let answer = self.kernel.admin_with(owner, post, "/api/deploy", &query, &headers, archive);
        let answer = answer.await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// An app that evaluates what it is sent.
    async fn evaluator(&self, app: &str, is_classic: bool) {
        let end = if is_classic {
            "evaluate(request.body)"
        } else {
            "export default { fetch: async (request) => Response.json(await evaluate(await request.json())) };"
        };
        self.deploy(app, &format!("{EVALUATOR}\n{end}\n")).await;
    }

    async fn send(&self, visitor: Principal, app: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        let post = Method::Post;
        self.kernel.request_as(visitor, app, post, "/api", &headers, body.to_string()).await
    }

    /// What `source` comes to, with the shared data of an app.
    async fn evaluate(&self, app: &str, source: &str) -> Value {
        self.evaluate_as(Principal::Anonymous, app, source).await
    }

    async fn evaluate_as(&self, visitor: Principal, app: &str, source: &str) -> Value {
        let body = json!({ "api": "app", "scope": "shared", "source": source });
        let answer = self.send(visitor, app, &body).await;
        assert_eq!(answer.status, 200, "{source}: {}", answer.text());
        answer.json()
    }
}

/// The lines of `calls.txt`: what is evaluated, and what it comes to.
fn calls() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = CALLS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (source, expected) = line.rsplit_once('→').unwrap_or_else(|| panic!("{line}"));
        (source.trim(), expected.trim())
    })
}

async fn every_call_answers_the_same_in_every_style_and_scope(node: &Node) {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (style, api, is_classic) in
        [("module", "app", false), ("module-sync", "sync", false), ("classic", "app", true)]
    {
        // A promise where one is awaited, and the value itself where nothing can be.
        let is_promise = style == "module";
        for scope in ["shared", "user"] {
            let app = format!("{style}-{scope}");
            node.evaluator(&app, is_classic).await;
            let visitor = if scope == "user" { user("ada") } else { Principal::Anonymous };
            for (source, expected) in calls() {
                count += 1;
                let body = json!({ "api": api, "scope": scope, "source": source });
                let answer = node.send(visitor, &app, &body).await;
                let said = answer.json();
                let is_as_expected = match expected.strip_prefix('!') {
                    Some(code) => said["error"] == code,
                    None => {
                        let expected: Value = serde_json::from_str(expected).unwrap();
                        let is_call = !source.contains("await")
                            && ["kv.", "ds.", "s3.", "tx("].iter().any(|it| source.starts_with(it));
                        said["value"] == expected
                            && (!is_call || said["promise"] == is_promise)
                            && said.get("error").is_none()
                    }
                };
                if !is_as_expected {
                    wrong.push(format!("{app}: {source}\n    {}", answer.text()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n  {}", wrong.len(), wrong.join("\n  "));
    assert!(count > 1_000, "{count} calls");
}

async fn what_belongs_to_a_user_is_that_users_alone(node: &Node) {
    node.evaluator("blog", false).await;
    let (ada, bob) = (user("ada"), user("bob"));
    let write = "(await top.user.kv.set('k', 'mine'), await top.user.ds.insert('c', { id: '1', n: 1 }), \
                 await top.user.s3.put('o', 'mine'), 1)";
    assert_eq!(node.evaluate_as(ada, "blog", write).await["value"], 1);
    let read = "[await top.user.kv.get('k'), await top.user.ds.find('c'), await top.user.s3.get('o'), \
                (await top.user.kv.list()).length, (await top.user.s3.list()).length]";
    let nothing = json!(["$undefined", [], null, 0, 0]);
    assert_eq!(node.evaluate_as(bob, "blog", read).await["value"], nothing);
    let mine = node.evaluate_as(ada, "blog", read).await;
    assert_eq!((&mine["value"][0], &mine["value"][3]), (&json!("mine"), &json!(1)));
    assert_eq!(mine["value"][1][0]["n"], 1);
    // What visitors share is another place, whoever asks, and no name leads from one to the other.
    let shared = read.replace("top.user.", "top.");
    for visitor in [Principal::Anonymous, ada, bob] {
        assert_eq!(node.evaluate_as(visitor, "blog", &shared).await["value"], nothing);
        let tricks = "[await top.kv.get('u:ada:k'), await top.kv.get('ada/k'), await top.s3.get('u/ada/o'), \
                      (await top.ds.find('u:ada:c')).length]";
        let found = node.evaluate_as(visitor, "blog", tricks).await;
        assert_eq!(found["value"], json!(["$undefined", "$undefined", null, 0]));
    }
    let both = "await top.tx(async (t) => [await t.kv.get('k'), await t.user.kv.get('k')])";
    let found = node.evaluate_as(ada, "blog", both).await;
    assert_eq!(found["value"], json!(["$undefined", "mine"]));

    // Nobody, and the owner too, who is no user of the app.
    let key = PrincipalId::new("key").unwrap();
    for visitor in [Principal::Anonymous, Principal::Owner, Principal::Key(key)] {
        for call in [
            "kv.get('k')",
            "kv.getMany(['k'])",
            "kv.has('k')",
            "kv.list()",
            "kv.set('k', 1)",
            "kv.setIf('k', 1)",
            "kv.delete('k')",
            "kv.incr('n')",
            "ds.insert('c', {})",
            "ds.insertMany('c', [{}])",
            "ds.find('c')",
            "ds.findOne('c', {})",
            "ds.get('c', '1')",
            "ds.update('c', {}, { n: 1 })",
            "ds.upsert('c', {}, { n: 1 })",
            "ds.delete('c', {})",
            "ds.deleteOldest('c', 1)",
            "ds.count('c')",
            "ds.distinct('c', 'n')",
            "ds.index('c', 'n')",
            "ds.search('c', 'x')",
            "s3.put('o', 'x')",
            "s3.get('o')",
            "s3.head('o')",
            "s3.delete('o')",
            "s3.list()",
            "s3.url('o')",
        ] {
            let said = node.evaluate_as(visitor, "blog", &format!("top.user.{call}")).await;
            let name = call.split('(').next().unwrap();
            assert_eq!(said["error"], "LOGIN_REQUIRED", "{call}: {said}");
            assert_eq!(said["kind"], "unauthenticated", "{call}: {said}");
            let message = format!("fazt.app.user.{name} requires login");
            assert_eq!(said["message"], message, "as the predecessor says it");
        }
        for call in ["t.user.kv.get('k')", "t.user.kv.set('k', 1)", "t.user.ds.insert('c', {})"] {
            let source = format!("await top.tx(async (t) => {{ await {call}; }})");
            let said = node.evaluate_as(visitor, "blog", &source).await;
            assert_eq!(said["error"], "LOGIN_REQUIRED", "{call}: {said}");
        }
    }

    // Requests of both, one within the other in the same cell: each call is made in the name of its own.
    let slow = |name: &str| {
        format!(
            "await (async () => {{ for (let i = 0; i < 20; i++) {{ await top.user.kv.incr('{name}'); \
             await top.user.kv.set('who', '{name}'); if (await top.user.kv.get('who') !== '{name}') return i; }} \
             return (await top.user.kv.list()).map((entry) => entry.key).join(); }})()"
        )
    };
    let requests = (0..40).map(|number| {
        let name = if number % 2 == 0 { "ada" } else { "bob" };
        let source = slow(name);
        async move { (name, node.evaluate_as(user(name), "blog", &source).await["value"].clone()) }
    });
    for (name, keys) in futures_util::future::join_all(requests).await {
        let expected = if name == "ada" { "ada,k,who" } else { "bob,who" };
        assert_eq!(keys, expected);
    }
}

/// Requests that wait for the same code to load, and for the same promise of an app.
async fn whoever_asks_while_a_cell_starts_asks_in_their_own_name(node: &Node) {
    let slow = "let shared; const ready = () => (shared ??= fazt.app.kv.set('ready', 1));
        await fazt.app.ds.index('c', 'n');
        export default { async fetch(request) {
            const { name, key } = await request.json();
            await ready();
            const own = fazt.app.user.kv;
            await own.set('name', name);
            await fazt.app.tx(async (tx) => { await tx.user.kv.get(key); tx.user.kv.set(key, name); });
            const mine = [await own.get('name'), await own.get(key)];
            await fazt.app.kv.incr('count');
            return Response.json(mine);
        } };";
    for round in 0..5 {
        node.deploy("cold", &format!("{slow} // {round}")).await;
        let requests = (0..40).map(|number| async move {
            let name = format!("user{}", number % 7);
            let answer =
                node.send(user(&name), "cold", &json!({ "name": name, "key": number })).await;
            (name, answer)
        });
        for (name, answer) in futures_util::future::join_all(requests).await {
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.json(), json!([name, name]));
        }
    }
    node.evaluator("cold", false).await;
    assert_eq!(node.evaluate("cold", "top.kv.get('count')").await["value"], 200);
}

async fn apps_see_their_own_data_only(node: &Node) {
    for app in ["alpha", "beta"] {
        node.evaluator(app, false).await;
    }
    let ada = user("ada");
    for scope in ["", "user."] {
        let write = format!(
            "(await top.{scope}kv.set('k', 'alpha'), await top.{scope}ds.insert('c', {{ id: '1' }}), \
             await top.{scope}ds.index('c', 'n'), await top.{scope}s3.put('o', 'alpha'), 1)"
        );
        assert_eq!(node.evaluate_as(ada, "alpha", &write).await["value"], 1);
        let read = format!(
            "[await top.{scope}kv.get('k'), await top.{scope}kv.list(), await top.{scope}ds.count('c'), \
             await top.{scope}s3.list(), await top.{scope}ds.delete('c', {{}}), await top.{scope}kv.delete('k'), \
             await top.{scope}s3.delete('o')]"
        );
        let found = node.evaluate_as(ada, "beta", &read).await;
        assert_eq!(found["value"], json!(["$undefined", [], 0, [], 0, false, false]), "{scope}");
        let kept = format!("[await top.{scope}kv.get('k'), await top.{scope}ds.count('c')]");
        assert_eq!(node.evaluate_as(ada, "alpha", &kept).await["value"], json!(["alpha", 1]));
        // The same id is free in another app.
        let same = format!("top.{scope}ds.insert('c', {{ id: '1' }})");
        assert_eq!(node.evaluate_as(ada, "beta", &same).await["value"], "1");
    }
}

async fn the_old_names_are_the_shared_data(node: &Node) {
    node.evaluator("new", false).await;
    node.evaluator("old", true).await;
    for app in ["new", "old"] {
        let same = "[fazt.storage.kv === fazt.app.kv, fazt.storage.ds === fazt.app.ds, \
                    fazt.storage.s3 === fazt.app.s3, fazt.app.blobs === fazt.app.s3]";
        assert_eq!(node.evaluate(app, same).await["value"], json!([true, true, true, true]));
    }
    assert_eq!(node.evaluate("old", "fazt.storage.kv.set('k', 1)").await["promise"], false);
    assert_eq!(node.evaluate("old", "fazt.app.kv.get('k')").await["value"], 1);
    let blocking = "[fazt.sync.storage.kv.get('none'), fazt.sync.storage.kv.list()]";
    assert_eq!(node.evaluate("new", blocking).await["value"], json!(["$undefined", []]));
}

async fn a_signed_address_serves_an_object_until_it_expires(node: &Node) {
    for app in ["alpha", "beta"] {
        node.evaluator(app, false).await;
    }
    let ada = user("ada");
    for (visitor, scope) in [(Principal::Anonymous, ""), (ada, "user.")] {
        let put = format!("(await top.{scope}s3.put('a b/é.txt', 'hello', 'text/plain'), 1)");
        assert_eq!(node.evaluate_as(visitor, "alpha", &put).await["value"], 1);
        let url =
            |expires: u32| format!("top.{scope}s3.url('a b/é.txt', {{ expiresIn: {expires} }})");
        let path = async |expires| {
            let url = node.evaluate_as(visitor, "alpha", &url(expires)).await["value"].clone();
            let url = url.as_str().unwrap().to_owned();
            assert!(url.starts_with("/_fazt/blobs/"), "{url}");
            url
        };
        let long = path(60).await;
        // Nobody has to be signed in, and nobody can change what it leads to.
        let served = get(node, "alpha", &long).await;
        assert_eq!((served.status, &*served.text()), (200, "hello"), "{long}");
        assert_eq!(served.header("content-type"), Some("text/plain"));
        assert_ne!(get(node, "beta", &long).await.status, 200);
        for changed in [long.replace("txt", "tx"), long.replace("e=", "e=9")] {
            assert_ne!(changed, long);
            assert_ne!(get(node, "alpha", &changed).await.status, 200, "{changed}");
        }
        let short = path(1).await;
        assert_eq!(get(node, "alpha", &short).await.status, 200);
        let mut tries = 0;
        while get(node, "alpha", &short).await.status == 200 {
            tries += 1;
            assert!(tries < 100, "it does not expire");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// A request as a client sends it: the path decoded, the query as it is.
async fn get(node: &Node, app: &str, path: &str) -> Answer {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path = decoded(path);
    let target = if query.is_empty() { path } else { format!("{path}?{query}") };
    node.kernel.get(app, &target).await
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, more @ ..] = rest {
        let hex = more.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn writes_of_one_turn_are_all_there(node: &Node) {
    node.evaluator("blog", false).await;
    let many = "(await Promise.all(Array.from({ length: 200 }, (_, i) => i % 2 ? top.kv.set(`k${i}`, i) \
                : top.ds.insert('c', { n: i }))), [(await top.kv.list('k')).length, await top.ds.count('c')])";
    assert_eq!(node.evaluate("blog", many).await["value"], json!([100, 100]));
    // In the order in which they were made, and each with its own result.
    let ordered = "await (async () => { const all = []; for (let i = 1; i <= 50; i++) all.push(top.kv.incr('n')); \
                   return (await Promise.all(all)).join(); })()";
    let expected: Vec<_> = (1..=50).map(|number| number.to_string()).collect();
    assert_eq!(node.evaluate("blog", ordered).await["value"], expected.join(","));
    // One that fails takes no other with it.
    let mixed = "(await Promise.allSettled([top.kv.set('a', 1), top.kv.set('', 2), top.ds.insert('c', 1), \
                 top.kv.set('b', 2)])).map((one) => one.reason?.code ?? one.status)";
    let expected = json!(["fulfilled", "KEY_OUT_OF_BOUNDS", "INVALID_DOCUMENT", "fulfilled"]);
    assert_eq!(node.evaluate("blog", mixed).await["value"], expected);
    assert_eq!(node.evaluate("blog", "top.kv.getMany(['a', 'b'])").await["value"], json!([1, 2]));
}
