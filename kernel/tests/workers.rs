//! Worker processes, asked of real ones: this test starts itself again, as the program does.
//!
//! A plugin stands on both sides. In the node it is an operation that plays a scenario with the
//! service; in the worker it does what the frames say, also what a worker must not do. There is no
//! harness, because `main` belongs to the worker first.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where something is missing"
)]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use fazt_kernel::workers::{Program, worker_main};
use fazt_kernel::{AdminRequest, BootOptions, BuiltIn, Kernel, Mode};
use fazt_sdk::export::root_of;
use fazt_sdk::prelude::*;
use fazt_sdk::services::workers::{WorkerEnd, WorkerLimits, Workers as _, WorkersApi};
use rustix::process::{Pid, Signal, kill_process};

fn built_in() -> Vec<BuiltIn> {
    vec![BuiltIn { name: "probe", root: root_of::<Probe> }]
}

fn main() {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(code) = worker_main(&words, built_in) {
        std::process::exit(code);
    }
    let wanted = words.iter().filter_map(|word| word.to_str()).find(|word| !word.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for (name, _) in
        SCENARIOS.iter().filter(|(name, _)| wanted.is_none_or(|part| name.contains(part)))
    {
        runtime.block_on(play(name));
        println!("test {name} ... ok");
    }
}

async fn play(name: &str) {
    let home = tempfile::tempdir().unwrap();
    let mut options = BootOptions::new(home.path().join("data.db"), Mode::Serve, built_in());
    options.create = true;
    options.workers = Some(Program::own().unwrap());
    let kernel = Kernel::boot(options).await.unwrap();
    let request = AdminRequest {
        method: Method::Post,
        path: format!("/api/probe/{name}"),
        query: String::new(),
        headers: Vec::new(),
        body: Body::empty(),
    };
    let mut answer = kernel.admin(request).await;
    let body = answer.body.collect(1 << 20).await.unwrap();
    assert_eq!(answer.status, 200, "{name}: {}", String::from_utf8_lossy(&body));
    kernel.stop().await.unwrap();
    let left = children();
    assert!(left.is_empty(), "{name}: processes are left: {left:?}");
}

/// The processes whose parent is this one, zombies too.
fn children() -> BTreeSet<u32> {
    let parent = std::process::id();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
            after.split_ascii_whitespace().nth(1) == Some(&parent.to_string())
        })
        .collect()
}

#[derive(Default)]
struct Probe;

struct Play(Service<WorkersApi>);

#[derive(Deserialize, JsonSchema)]
struct Input {
    name: String,
}

impl Operate for Play {
    type Input = Input;
    type Output = String;

    async fn operate(&self, call: &Call, input: Input) -> Result<String> {
        let scenario = SCENARIOS.iter().find(|(name, _)| *name == input.name).unwrap();
        (scenario.1)(Side { workers: self.0.clone(), call: *call }).await;
        Ok("played".to_owned())
    }
}

impl Plugin for Probe {
    fn manifest(&self) -> Manifest {
        Manifest::new("probe", "1.0.0")
            .requires::<WorkersApi>()
            .operation(Operation::post::<Play>("/api/probe/{name}"))
    }

    fn start(&self, host: Host) -> Result<Started> {
        let workers = host.service::<WorkersApi>()?;
        Ok(Started::new().operation("POST /api/probe/{name}", Play(workers)))
    }

    fn worker(&self, channel: i32) -> i32 {
        assert_eq!(channel, 0);
        let mut input = std::io::stdin().lock();
        let mut output =
            std::fs::File::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
        loop {
            let mut length = [0; 4];
            if input.read_exact(&mut length).is_err() {
                return 0;
            }
            let mut frame = vec![0; u32::from_le_bytes(length) as usize];
            input.read_exact(&mut frame).unwrap();
            let answer = match frame.split_first() {
                Some((b'!', command)) => misbehave(std::str::from_utf8(command).unwrap()),
                _ => frame,
            };
            let mut reply = u32::try_from(answer.len()).unwrap().to_le_bytes().to_vec();
            reply.extend_from_slice(&answer);
            output.write_all(&reply).unwrap();
        }
    }
}

/// What a worker tries when it is told to.
fn misbehave(what: &str) -> Vec<u8> {
    let said = |result: std::io::Result<String>| match result {
        Ok(text) => format!("done: {text}"),
        Err(error) => format!("refused: {}", error.kind()),
    };
    match what {
        "open" => said(std::fs::read_to_string("/etc/passwd")),
        "write" => said(std::fs::write("/tmp/fazt-worker-was-here", "x").map(|()| String::new())),
        "list" => said(std::fs::read_dir("/").map(|_| String::new())),
        "socket" => said(std::net::UdpSocket::bind("127.0.0.1:0").map(|_| String::new())),
        "fork" => said(std::process::Command::new("/bin/true").status().map(|_| String::new())),
        "thread" => said(std::thread::Builder::new().spawn(|| ()).map(|_| String::new())),
        "signal" => {
            let parent = rustix::process::getppid().unwrap();
            said(kill_process(parent, Signal::TERM).map_err(Into::into).map(|()| String::new()))
        }
        "environment" => format!("{:?}", std::env::vars_os().collect::<Vec<_>>()),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "leave" => std::process::exit(7),
        "abort" => std::process::abort(),
        "close" => {
            // The channel goes, the process stays.
            rustix::net::shutdown(rustix::stdio::stdin(), rustix::net::Shutdown::Both).unwrap();
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        "allocate" => {
            let mut all = Vec::new();
            loop {
                let mut part: Vec<u8> = Vec::new();
                if part.try_reserve_exact(1 << 20).is_err() {
                    return format!("{}", all.len()).into();
                }
                part.resize(1 << 20, 1);
                all.push(part);
            }
        }
        "huge" => {
            let mut output =
                std::fs::File::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
            output.write_all(&u32::MAX.to_le_bytes()).unwrap();
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        other => format!("unknown: {other}"),
    }
    .into()
}

/// The node's side of a scenario.
struct Side {
    workers: Service<WorkersApi>,
    call: Call,
}

const LIMITS: WorkerLimits = WorkerLimits {
    memory_bytes: 64 << 20,
    cpu: Duration::from_secs(60),
    frame_bytes: 1 << 20,
    queue_bytes: 1 << 20,
};

impl Side {
    async fn start(&self) -> u64 {
        self.workers.start(&self.call, "probe", &LIMITS).await.unwrap()
    }

    async fn send(&self, worker: u64, frame: &str) {
        let frames = [Bytes::copy_from_slice(frame.as_bytes())];
        self.workers.send(&self.call, worker, &frames).await.unwrap();
    }

    async fn ask(&self, worker: u64, frame: &str) -> String {
        self.send(worker, frame).await;
        let frames = self.workers.receive(&self.call, worker).await.unwrap();
        assert_eq!(frames.len(), 1);
        String::from_utf8(frames[0].to_vec()).unwrap()
    }

    async fn pid(&self, worker: u64) -> u32 {
        self.workers.usage(&self.call, worker).await.unwrap().pid
    }

    async fn signal(&self, worker: u64, signal: Signal) {
        let pid = i32::try_from(self.pid(worker).await).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// How a worker ends that is told to do `what`.
    async fn end_of(&self, what: &str) -> WorkerEnd {
        let worker = self.start().await;
        self.send(worker, what).await;
        let end = within(self.workers.ended(&self.call, worker)).await.unwrap();
        let after = self.workers.receive(&self.call, worker).await.unwrap_err();
        assert_eq!(after.code(), "WORKER_ENDED");
        end
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.unwrap()
}

type Scenario = fn(Side) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        const SCENARIOS: &[(&str, Scenario)] =
            &[$((stringify!($name), |side| Box::pin($name(side)))),*];
    };
}
scenarios![
    frames_come_back_whole_and_in_order,
    files_are_refused_and_the_worker_lives,
    sockets_processes_threads_and_signals_end_the_worker,
    nothing_is_inherited,
    memory_has_a_limit,
    processor_time_has_a_limit,
    a_worker_that_is_killed_or_crashes_says_how,
    a_stopped_worker_is_killed,
    a_worker_that_closes_its_channel_is_ended,
    a_frame_past_the_bound_ends_the_worker,
    a_full_queue_waits_and_loses_nothing,
    a_plugin_that_is_not_there_has_no_workers,
    starting_too_often_is_refused,
    two_hundred_restarts_leave_nothing_behind,
];

async fn frames_come_back_whole_and_in_order(side: Side) {
    let worker = side.start().await;
    let sent: Vec<Bytes> =
        (0..200_usize).map(|number| Bytes::from(vec![b'a'; number * 7])).collect();
    side.workers.send(&side.call, worker, &sent).await.unwrap();
    let mut received = Vec::new();
    while received.len() < sent.len() {
        received.extend(side.workers.receive(&side.call, worker).await.unwrap());
    }
    assert!(received == sent);
    let usage = side.workers.usage(&side.call, worker).await.unwrap();
    assert!(usage.memory_bytes > 0);
    side.workers.kill(&side.call, worker).await.unwrap();
    assert_eq!(side.workers.ended(&side.call, worker).await.unwrap(), WorkerEnd::Killed);
    let refused = side.workers.send(&side.call, worker, &sent[..1]).await.unwrap_err();
    assert_eq!(refused.code(), "WORKER_ENDED");
}

async fn files_are_refused_and_the_worker_lives(side: Side) {
    let worker = side.start().await;
    for what in ["!open", "!write", "!list"] {
        assert_eq!(side.ask(worker, what).await, "refused: permission denied", "{what}");
    }
    assert_eq!(side.ask(worker, "still here").await, "still here");
}

async fn sockets_processes_threads_and_signals_end_the_worker(side: Side) {
    for what in ["!socket", "!fork", "!thread", "!signal"] {
        assert_eq!(side.end_of(what).await, WorkerEnd::Forbidden, "{what}");
    }
}

async fn nothing_is_inherited(side: Side) {
    // Somebody left this open without saying that it closes on exec.
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let open = rustix::io::dup(&file).unwrap();
    let worker = side.start().await;
    assert_eq!(side.ask(worker, "!environment").await, "[]");
    let pid = side.pid(worker).await;
    // Only the superuser sees the descriptors of a process that cannot be dumped.
    if let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) {
        let open: BTreeSet<_> =
            entries.flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
        assert_eq!(
            open,
            ["0", "1", "2", "3"].map(str::to_owned).into(),
            "3 is the worker's own copy"
        );
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "Threads:\t1"] {
        assert!(status.contains(line), "{line} is missing in {status}");
    }
    drop(open);
}

async fn memory_has_a_limit(side: Side) {
    let worker = side.start().await;
    let got: u64 = side.ask(worker, "!allocate").await.parse().unwrap();
    let limit = LIMITS.memory_bytes >> 20;
    assert!((limit / 2..=limit + 16).contains(&got), "{got} MiB of {limit}");
}

async fn processor_time_has_a_limit(side: Side) {
    let limits = WorkerLimits { cpu: Duration::from_secs(1), ..LIMITS };
    let worker = side.workers.start(&side.call, "probe", &limits).await.unwrap();
    side.send(worker, "!spin").await;
    let end = within(side.workers.ended(&side.call, worker)).await.unwrap();
    assert_eq!(end, WorkerEnd::CpuLimit);
}

async fn a_worker_that_is_killed_or_crashes_says_how(side: Side) {
    for (signal, end) in
        [(Signal::KILL, WorkerEnd::Signal(9)), (Signal::SEGV, WorkerEnd::Signal(11))]
    {
        let worker = side.start().await;
        side.signal(worker, signal).await;
        if signal == Signal::SEGV {
            // The first one from outside only takes away the handler for stacks that overflow.
            side.ask(worker, "still here").await;
            side.signal(worker, signal).await;
        }
        assert_eq!(within(side.workers.ended(&side.call, worker)).await.unwrap(), end);
    }
    assert_eq!(side.end_of("!leave").await, WorkerEnd::Exited(7));
    assert_eq!(side.end_of("!abort").await, WorkerEnd::Signal(6));
}

async fn a_stopped_worker_is_killed(side: Side) {
    let worker = side.start().await;
    side.signal(worker, Signal::STOP).await;
    side.workers.kill(&side.call, worker).await.unwrap();
    let end = within(side.workers.ended(&side.call, worker)).await.unwrap();
    assert_eq!(end, WorkerEnd::Killed);
}

async fn a_worker_that_closes_its_channel_is_ended(side: Side) {
    let worker = side.start().await;
    side.send(worker, "!close").await;
    let ended = within(side.workers.receive(&side.call, worker)).await.unwrap_err();
    assert_eq!(ended.code(), "WORKER_ENDED");
    assert_eq!(side.workers.ended(&side.call, worker).await.unwrap(), WorkerEnd::Signal(9));
}

async fn a_frame_past_the_bound_ends_the_worker(side: Side) {
    let worker = side.start().await;
    let large = [Bytes::from(vec![0; (1 << 20) + 1])];
    let refused = side.workers.send(&side.call, worker, &large).await.unwrap_err();
    assert_eq!(refused.code(), "TOO_LARGE");
    side.send(worker, "!huge").await;
    let refused = within(side.workers.receive(&side.call, worker)).await.unwrap_err();
    assert!(refused.message().contains("4294967295 bytes"), "{refused}");
    assert_eq!(within(side.workers.ended(&side.call, worker)).await.unwrap(), WorkerEnd::Killed);
}

async fn a_full_queue_waits_and_loses_nothing(side: Side) {
    let worker = side.start().await;
    let frames: Vec<Bytes> = (0..64).map(|_| Bytes::from(vec![b'x'; 256 << 10])).collect();
    let sending = async { side.workers.send(&side.call, worker, &frames).await };
    let receiving = async {
        let mut received = 0;
        while received < frames.len() {
            received += side.workers.receive(&side.call, worker).await.unwrap().len();
        }
    };
    let (sent, ()) = within(async { tokio::join!(sending, receiving) }).await;
    sent.unwrap();
}

async fn a_plugin_that_is_not_there_has_no_workers(side: Side) {
    let refused = side.workers.start(&side.call, "nobody", &LIMITS).await.unwrap_err();
    assert!(refused.message().contains("there is no plugin `nobody`"), "{refused}");
}

async fn starting_too_often_is_refused(side: Side) {
    let mut refused = None;
    for _ in 0..200 {
        match side.workers.start(&side.call, "probe", &LIMITS).await {
            Ok(worker) => side.workers.kill(&side.call, worker).await.unwrap(),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    // A machine that starts fewer than the bound in a second never meets it.
    if let Some(error) = refused {
        assert_eq!(error.code(), "BUSY");
        assert!(error.message().contains("too often"), "{error}");
    }
}

async fn two_hundred_restarts_leave_nothing_behind(side: Side) {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let worker = side.start().await;
    side.workers.kill(&side.call, worker).await.unwrap();
    side.workers.ended(&side.call, worker).await.unwrap();
    let before = open();
    let mut started = 0;
    while started < 200 {
        match side.workers.start(&side.call, "probe", &LIMITS).await {
            Ok(worker) => {
                started += 1;
                side.workers.kill(&side.call, worker).await.unwrap();
                side.workers.ended(&side.call, worker).await.unwrap();
            }
            Err(error) => {
                assert_eq!(error.code(), "BUSY");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    let waited = tokio::time::timeout(Duration::from_secs(2), async {
        while open() > before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let is_clean = waited.await.is_ok();
    assert!(is_clean, "{before} descriptors before, {} after", open());
    assert!(children().is_empty());
}
