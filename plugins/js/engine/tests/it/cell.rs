//! A cell in this process: the engine on a thread, and its other end.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

use bytes::Bytes;
use fazt_js_engine::protocol::{
    Binding, CallFailure, Entry, File, FromCell, Headers, Init, Limits, Request, Role, Style,
    ToCell,
};
use fazt_js_engine::{Closed, Port, Wait};
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

struct Channel {
    frames: Receiver<Vec<Bytes>>,
    queued: Vec<Bytes>,
    out: Sender<Bytes>,
}

impl Port for Channel {
    fn receive(&mut self, wait: Wait) -> Result<Vec<Bytes>, Closed> {
        match wait {
            Wait::Forever => self.frames.recv().map_err(|_| Closed),
            Wait::No => match self.frames.recv_timeout(Duration::ZERO) {
                Err(RecvTimeoutError::Disconnected) => Err(Closed),
                other => Ok(other.unwrap_or_default()),
            },
            Wait::Until(time) => match self.frames.recv_timeout(time) {
                Err(RecvTimeoutError::Disconnected) => Err(Closed),
                other => Ok(other.unwrap_or_default()),
            },
        }
    }

    fn send(&mut self, frame: Bytes) {
        self.queued.push(frame);
    }

    fn flush(&mut self) -> Result<(), Closed> {
        for frame in self.queued.drain(..) {
            self.out.send(frame).map_err(|_| Closed)?;
        }
        Ok(())
    }
}

/// The answer to a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) failure: Option<Failure>,
    pub(crate) outcome: Option<String>,
    pub(crate) logs: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) stack: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) replace: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        assert!(self.failure.is_none(), "failed: {:?} {:?}", self.failure, self.logs);
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn failed(&self) -> &Failure {
        let Some(failure) = &self.failure else { panic!("answered {self:?}") };
        failure
    }
}

type Handler = Box<dyn FnMut(&str, &str) -> Result<String, (String, String)> + Send>;

/// The node's end.
pub(crate) struct Cell {
    frames: Sender<Vec<Bytes>>,
    out: Receiver<Bytes>,
    next: u64,
    bindings: Vec<String>,
    handler: Handler,
    pub(crate) styles: Vec<Style>,
    pub(crate) load_errors: Vec<Failure>,
    /// Calls in the order of their coming: name, arguments, whether the cell waits.
    pub(crate) calls: Vec<(String, String, bool)>,
}

/// Starts an engine.
fn thread() -> (Sender<Vec<Bytes>>, Receiver<Bytes>) {
    let (frames, received) = channel();
    let (out, answers) = channel();
    let port = move || Channel { frames: received, queued: Vec::new(), out };
    thread::Builder::new()
        .stack_size(4 << 20)
        .spawn(move || fazt_js_engine::run(Box::new(port())))
        .unwrap();
    (frames, answers)
}

/// How a cell is made.
pub(crate) struct Build<'a> {
    files: Vec<(&'a str, &'a str)>,
    entries: Vec<(&'a str, Role)>,
    bindings: Vec<Binding<'a>>,
    scripts: Vec<(&'a str, &'a str)>,
    env: &'a str,
    pub(crate) limits: Limits,
    handler: Handler,
    prelude: Option<&'a [u8]>,
}

impl<'a> Build<'a> {
    pub(crate) fn new(files: &[(&'a str, &'a str)]) -> Self {
        let role = |path: &str| if path == "main.js" { Role::Root } else { Role::Api };
        Self {
            files: files.to_vec(),
            entries: files.first().map(|(path, _)| (*path, role(path))).into_iter().collect(),
            bindings: Vec::new(),
            scripts: Vec::new(),
            env: "{}",
            limits: Limits { cpu_ms: 2_000, wall_ms: 10_000, ..Limits::default() },
            handler: Box::new(|_, _| Ok(String::new())),
            prelude: None,
        }
    }

    pub(crate) fn prelude(mut self, bytecode: &'a [u8]) -> Self {
        self.prelude = Some(bytecode);
        self
    }

    pub(crate) fn env(mut self, env: &'a str) -> Self {
        self.env = env;
        self
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub(crate) fn script(mut self, name: &'a str, source: &'a str) -> Self {
        self.scripts.push((name, source));
        self
    }

    /// Offers bindings that promise; `handler` gets name and arguments.
    pub(crate) fn bindings(
        mut self,
        names: &[&'a str],
        handler: impl FnMut(&str, &str) -> Result<String, (String, String)> + Send + 'static,
    ) -> Self {
        let binding = |name: &&'a str| Binding { name, arguments: Vec::new(), promise: true };
        self.bindings.extend(names.iter().map(binding));
        self.handler = Box::new(handler);
        self
    }

    pub(crate) fn start(self) -> Cell {
        let (frames, answers) = thread();
        let file = |(path, source): &(&'a str, &'a str)| File { path, source, stripped: false };
        let init = Init {
            app_id: "app_1",
            app_name: "blog",
            app_url: "https://blog.example.org",
            version: "0.1.0",
            limits: self.limits,
            dev: false,
            env: self.env,
            bindings: self.bindings.clone(),
            scripts: self.scripts.clone(),
            files: self.files.iter().map(file).collect(),
            entries: self.entries.iter().map(|(path, role)| Entry { path, role: *role }).collect(),
            prelude: self.prelude,
        };
        let mut cell = Cell {
            frames,
            out: answers,
            next: 1,
            bindings: self.bindings.iter().map(|binding| binding.name.to_owned()).collect(),
            handler: self.handler,
            styles: Vec::new(),
            load_errors: Vec::new(),
            calls: Vec::new(),
        };
        cell.send(&ToCell::Init(Box::new(init)));
        while cell.styles.is_empty() && !self.entries.is_empty() {
            let frame = cell.frame();
            match FromCell::decode(&frame).unwrap() {
                FromCell::Ready { styles } => cell.styles = styles,
                FromCell::LoadError { problem, .. } => cell.load_errors.push(Failure {
                    message: problem.message.to_owned(),
                    file: problem.file.to_owned(),
                    line: problem.line,
                    column: problem.column,
                    ..Failure::default()
                }),
                other => panic!("{other:?}"),
            }
        }
        cell
    }
}

impl Cell {
    /// A cell whose first file is its entry.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Build::new(files).start()
    }

    /// A cell without an app.
    pub(crate) fn bare() -> Self {
        let (frames, out) = thread();
        Self {
            frames,
            out,
            next: 1,
            bindings: Vec::new(),
            handler: Box::new(|_, _| Ok(String::new())),
            styles: Vec::new(),
            load_errors: Vec::new(),
            calls: Vec::new(),
        }
    }

    pub(crate) fn send(&self, frame: &ToCell<'_>) {
        self.frames.send(vec![frame.to_bytes()]).unwrap();
    }

    pub(crate) fn frame(&self) -> Bytes {
        self.out.recv_timeout(Duration::from_secs(60)).expect("the cell answers nothing")
    }

    /// A request without waiting for its answer.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> u64 {
        self.ask_as(method, path, headers, body, "")
    }

    pub(crate) fn ask_as(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
        user: &str,
    ) -> u64 {
        let id = self.next;
        self.next += 1;
        let url = format!("https://blog.example.org{path}");
        self.send(&ToCell::Request(Request {
            id,
            method,
            url: &url,
            headers: Headers(headers),
            body,
            ip: "203.0.113.7",
            user,
            ..Request::default()
        }));
        id
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.request("GET", path, "", b"")
    }

    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Answer {
        let id = self.ask(method, path, headers, body);
        self.answer(id)
    }

    pub(crate) fn job(&mut self, path: &str, job: &str) -> Answer {
        let id = self.next;
        self.next += 1;
        self.send(&ToCell::Job { id, path, job });
        self.answer(id)
    }

    pub(crate) fn event(&mut self, path: &str, name: &str, event: &str) -> Answer {
        let id = self.next;
        self.next += 1;
        self.send(&ToCell::Event { id, path, name, event });
        self.answer(id)
    }

    pub(crate) fn answer(&mut self, id: u64) -> Answer {
        self.answers(&[id]).remove(&id).unwrap_or_default()
    }

    /// Serves calls until all of these requests are over.
    pub(crate) fn answers(&mut self, ids: &[u64]) -> HashMap<u64, Answer> {
        let mut answers: HashMap<u64, Answer> = HashMap::new();
        let mut over = 0;
        while over < ids.len() {
            let frame = self.frame();
            match FromCell::decode(&frame).unwrap() {
                FromCell::Response { id, status, headers, body, done_cpu_us, .. } => {
                    let answer = answers.entry(id).or_default();
                    answer.status = status;
                    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                    answer.headers = headers.iter().map(pair).collect();
                    answer.body = body.to_vec();
                    over += usize::from(done_cpu_us.is_some() && ids.contains(&id));
                }
                FromCell::Chunk { id, bytes, .. } => {
                    answers.entry(id).or_default().body.extend_from_slice(bytes);
                    if !bytes.is_empty() {
                        self.send(&ToCell::Credit {
                            id,
                            bytes: u32::try_from(bytes.len()).unwrap(),
                        });
                    }
                }
                FromCell::Failed { id, code, problem, replace } => {
                    answers.entry(id).or_default().failure = Some(Failure {
                        code: code.to_owned(),
                        message: problem.message.to_owned(),
                        stack: problem.stack.to_owned(),
                        file: problem.file.to_owned(),
                        line: problem.line,
                        column: problem.column,
                        replace,
                    });
                }
                FromCell::Outcome { id, result } => {
                    answers.entry(id).or_default().outcome = Some(result.to_owned());
                }
                FromCell::Done { id, .. } => over += usize::from(ids.contains(&id)),
                FromCell::Log { request, text, .. } => {
                    answers.entry(request).or_default().logs.push(text.to_owned());
                }
                FromCell::Call { call, binding, arguments, waits, .. } => {
                    let name = self.bindings[usize::from(binding)].clone();
                    self.calls.push((name.clone(), arguments.to_owned(), waits));
                    match (self.handler)(&name, arguments) {
                        Ok(json) => self.send(&ToCell::Result { call, result: Ok(&json) }),
                        Err((code, _)) if code == "NEVER" => {}
                        Err((code, message)) => {
                            let failure =
                                CallFailure { code: &code, message: &message, kind: "invalid" };
                            self.send(&ToCell::Result { call, result: Err(failure) });
                        }
                    }
                }
                FromCell::Credit { .. } | FromCell::Prelude { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        answers
    }
}
