//! The frames between a node and a cell. A frame is one byte that says its kind, then its fields:
//! numbers are little endian, strings and bytes have their length (u32) in front, lists their count
//! (u32), an optional field one byte (0 or 1) before it. The length of the frame itself is the
//! transport's. Decoding borrows from the frame, allocates no more than a small multiple of its
//! length, and refuses whatever is cut off, left over, not UTF-8 or unknown.
//!
//! JSON travels as text. Bytes inside JSON are `{"$bytes": "<base64>"}` in both directions.

mod wire;

use bytes::Bytes;
use std::fmt;
use wire::{Field as _, Reader, Writer};

/// The largest frame that either side accepts.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// How many bytes of one streamed body may be on the way before the receiver grants more
/// ([`ToCell::Credit`], [`FromCell::Credit`]).
pub const STREAM_WINDOW_BYTES: u32 = 256 << 10;

/// The call of a frame belongs to no request: code at the top level of a module, for instance.
pub const NO_REQUEST: u64 = 0;

/// Why a frame was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DecodeError(&'static str);

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a frame is malformed: {}", self.0)
    }
}

impl std::error::Error for DecodeError {}

/// What a node sends to a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum ToCell<'a> {
    /// The first frame of a cell that serves an app; once.
    Init(Box<Init<'a>>),
    /// A request for a handler.
    Request(Request<'a>),
    /// More of a request's body that was announced with `more`.
    RequestChunk {
        /// The request.
        id: u64,
        /// What came.
        bytes: &'a [u8],
        /// Whether this is the end.
        last: bool,
    },
    /// The answer to [`FromCell::Call`].
    Result {
        /// The call.
        call: u64,
        /// JSON text, empty for `undefined`, or what failed.
        result: Result<&'a str, CallFailure<'a>>,
    },
    /// The client left, or the node's patience is over: abort the request and forget it.
    Cancel {
        /// The request.
        id: u64,
    },
    /// The receiver of a streamed response took this many bytes.
    Credit {
        /// The request.
        id: u64,
        /// How many bytes more may come.
        bytes: u32,
    },
    /// A background job.
    Job {
        /// Answered by [`FromCell::Outcome`] or [`FromCell::Failed`] with this id.
        id: u64,
        /// The file that handles it.
        path: &'a str,
        /// `{id, data, attempt, …}`; becomes the fields of `job`.
        job: &'a str,
    },
    /// Something that happened, for an exported function: `scheduled`, `email`.
    Event {
        /// Answered by [`FromCell::Outcome`] or [`FromCell::Failed`] with this id.
        id: u64,
        /// The file that handles it.
        path: &'a str,
        /// The export to call; a classic script finds `event`.
        name: &'a str,
        /// The event, JSON.
        event: &'a str,
    },
    /// Checks a source without running it. Needs no [`Init`].
    Check {
        /// Comes back in [`FromCell::Checked`].
        id: u64,
        /// The path in the app; its ending counts.
        path: &'a str,
        /// The source as written.
        source: &'a str,
        /// For what the file is used.
        role: Role,
    },
    /// Gives back the memory that can be given back. For idle cells.
    Collect,
    /// Compiles the platform; answered by [`FromCell::Prelude`]. Only for a cell that never held
    /// an app's code: what it answers runs in the cells of all apps.
    Compile,
}

/// What a cell sends to its node.
#[derive(Clone, Debug, PartialEq)]
pub enum FromCell<'a> {
    /// The platform as bytecode, the answer to [`ToCell::Compile`]. It belongs in the [`Init`] of
    /// cells of the same executable, and nowhere else. A cell without it compiles for itself.
    Prelude {
        /// Opaque.
        bytecode: &'a [u8],
    },
    /// The cell takes requests: the style of every entry of [`Init`], in its order. An entry that
    /// cannot be compiled was reported with [`FromCell::LoadError`] before.
    Ready {
        /// By index of [`Init::entries`].
        styles: Vec<Style>,
    },
    /// An entry cannot be compiled; requests for it fail with the same words.
    LoadError {
        /// Index in [`Init::entries`].
        entry: u16,
        /// What and where.
        problem: Problem<'a>,
    },
    /// The head of an answer and its body or the beginning of it.
    Response {
        /// The request.
        id: u64,
        /// 100 ..= 599 in any case.
        status: u16,
        /// Names in lower case.
        headers: Headers<'a>,
        /// The whole body, or its beginning.
        body: &'a [u8],
        /// Whether [`FromCell::Chunk`]s follow.
        more: bool,
        /// The processor time if nothing else follows for this request: then there is no
        /// [`FromCell::Done`].
        done_cpu_us: Option<u64>,
    },
    /// More of a response's body.
    Chunk {
        /// The request.
        id: u64,
        /// What came.
        bytes: &'a [u8],
        /// Whether this is the end.
        last: bool,
    },
    /// The request, job or event ended without an answer, or its body broke off.
    /// [`FromCell::Done`] follows.
    Failed {
        /// The request, job or event.
        id: u64,
        /// `FUNCTION_ERROR`, `CPU_LIMIT`, `WALL_LIMIT`, `MEMORY_LIMIT`, `STACK_LIMIT`,
        /// `RESPONSE_TOO_LARGE`, `NEVER_SETTLED`, `LOAD_ERROR`, `NO_HANDLER`, `CANCELLED`;
        /// `MALFORMED_BODY`: the client's fault, 400; `CELL_RESTARTED`: another request took the
        /// realm down, this one may be tried again if that does no harm.
        code: &'a str,
        /// What and where.
        problem: Problem<'a>,
        /// Whether the cell should be replaced: its realm may be in any state.
        replace: bool,
    },
    /// What a job or an event came to.
    Outcome {
        /// The job or event.
        id: u64,
        /// JSON, empty for `undefined`.
        result: &'a str,
    },
    /// A call into the node.
    Call {
        /// Chosen by the cell; comes back in [`ToCell::Result`].
        call: u64,
        /// On whose behalf, or [`NO_REQUEST`].
        request: u64,
        /// Index in [`Init::bindings`].
        binding: u16,
        /// A JSON array.
        arguments: &'a str,
        /// Whether the cell does nothing else until the result is there.
        waits: bool,
    },
    /// A line for the app's log.
    Log {
        /// The request, or [`NO_REQUEST`].
        request: u64,
        /// How bad.
        level: Level,
        /// One message, possibly of several lines.
        text: &'a str,
    },
    /// Nothing follows for this request, job or event.
    Done {
        /// Which.
        id: u64,
        /// The processor time that its turns took.
        cpu_us: u64,
    },
    /// The receiver of a streamed request body took this many bytes.
    Credit {
        /// The request.
        id: u64,
        /// How many bytes more may come.
        bytes: u32,
    },
    /// The answer to [`ToCell::Check`].
    Checked {
        /// Of the question.
        id: u64,
        /// The style, and for TypeScript the JavaScript that it became (empty otherwise).
        result: Result<(Style, &'a str), Problem<'a>>,
    },
}

/// What a cell has to know before its first request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Init<'a> {
    /// The app's id.
    pub app_id: &'a str,
    /// Its name, as its owner calls it.
    pub app_name: &'a str,
    /// Where it is reached: `https://blog.example.org`.
    pub app_url: &'a str,
    /// `fazt.version`.
    pub version: &'a str,
    /// What a request and the cell may use.
    pub limits: Limits,
    /// Whether errors answer with message and stack.
    pub dev: bool,
    /// A JSON object of strings: the app's variables.
    pub env: &'a str,
    /// What the node offers below `fazt.`.
    pub bindings: Vec<Binding<'a>>,
    /// Scripts of plugins, run in each realm once the bindings are there: name, source.
    pub scripts: Vec<(&'a str, &'a str)>,
    /// All server-side files of the deployment.
    pub files: Vec<File<'a>>,
    /// The files that answer requests. [`Request::entry`] is an index in here.
    pub entries: Vec<Entry<'a>>,
    /// [`FromCell::Prelude`] of a cell of the same executable.
    pub prelude: Option<&'a [u8]>,
}

/// A file of the deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct File<'a> {
    /// Relative to the root of the app: `api/main.js`.
    pub path: &'a str,
    /// Its text, or for TypeScript the JavaScript that [`FromCell::Checked`] gave.
    pub source: &'a str,
    /// Whether `source` is that JavaScript.
    pub stripped: bool,
}

/// A file that answers requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'a> {
    /// One of [`Init::files`].
    pub path: &'a str,
    /// How it is called.
    pub role: Role,
}

/// For what a file is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Answers requests below `/api`.
    Api,
    /// `main.js` at the root, which sees `req`, `res`, `db` and `socket`.
    Root,
    /// Handles jobs and events.
    Background,
    /// Is required or imported by others.
    Library,
}

/// How a file is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// One realm for all requests, which interleave.
    Module,
    /// A fresh realm per request, one at a time.
    Classic,
    /// The same, with the globals of [`Role::Root`].
    Root,
    /// It cannot be compiled.
    Broken,
}

/// What a request and the cell may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The heap of the cell.
    pub memory_bytes: u64,
    /// The stack of the interpreter; below what the thread has.
    pub stack_bytes: u32,
    /// Processor time of one request.
    pub cpu_ms: u32,
    /// Processor time of one request to an entry in the root style.
    pub root_cpu_ms: u32,
    /// Wall clock of one request.
    pub wall_ms: u32,
    /// Requests at a time in module style.
    pub interleave: u16,
    /// A response that is not streamed.
    pub response_bytes: u32,
    /// Log lines of one request; what comes after is counted and dropped.
    pub log_lines: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            stack_bytes: 512 << 10,
            cpu_ms: 5_000,
            root_cpu_ms: 100,
            wall_ms: 30_000,
            interleave: 64,
            response_bytes: 10 << 20,
            log_lines: 200,
        }
    }
}

/// A function that a plugin offers to scripts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Binding<'a> {
    /// Below `fazt.`: `app.kv.get`. Names below `job.` become methods of `job`.
    pub name: &'a str,
    /// The names of its arguments.
    pub arguments: Vec<&'a str>,
    /// Whether modules get a promise; otherwise the call blocks everywhere, as all do in classic
    /// scripts and below `fazt.sync`.
    pub promise: bool,
}

/// A request for a handler.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request<'a> {
    /// Never [`NO_REQUEST`], and used once.
    pub id: u64,
    /// Index in [`Init::entries`].
    pub entry: u16,
    /// Upper case.
    pub method: &'a str,
    /// Absolute.
    pub url: &'a str,
    /// What the app may see.
    pub headers: Headers<'a>,
    /// The body, or its beginning.
    pub body: &'a [u8],
    /// Whether [`ToCell::RequestChunk`]s follow.
    pub more: bool,
    /// The client's address.
    pub ip: &'a str,
    /// Who is logged in, JSON; empty: nobody. Requests of different users never share a realm at
    /// the same time: what one of them awaits may continue in a turn of the other.
    pub user: &'a str,
    /// The workspace of the URL; empty: none.
    pub workspace: &'a str,
}

/// Headers as one text: `name\nvalue\n…`. Names are lower case; a byte of a value above 0x7F is the
/// character of that number. The engine hands the text over as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Headers<'a>(pub &'a str);

impl<'a> Headers<'a> {
    /// Adds a line to a text that will be `Headers`. Neither name nor value may hold a line break;
    /// returns whether that was so, and adds nothing otherwise.
    pub fn push(text: &mut String, name: &str, value: &str) -> bool {
        let fits = !name.is_empty() && !name.contains('\n') && !value.contains('\n');
        if fits {
            text.push_str(name);
            text.push('\n');
            text.push_str(value);
            text.push('\n');
        }
        fits
    }

    /// Name and value of each.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut lines = self.0.split('\n');
        std::iter::from_fn(move || Some((lines.next()?, lines.next()?)))
    }
}

/// What went wrong in a script, and where in its source as written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Problem<'a> {
    /// `TypeError: x is not a function`.
    pub message: &'a str,
    /// The calls, one a line; may be empty.
    pub stack: &'a str,
    /// The path in the app; empty: unknown.
    pub file: &'a str,
    /// From 1; 0: unknown.
    pub line: u32,
    /// From 1; 0: unknown.
    pub column: u32,
}

/// Why a call into the node failed. Scripts see an `Error` with these as properties.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CallFailure<'a> {
    /// For programs: `NET_BLOCKED`.
    pub code: &'a str,
    /// For people.
    pub message: &'a str,
    /// What the caller can do: `invalid`, `unavailable`, `limit`, …; becomes `kind`.
    pub kind: &'a str,
}

/// How bad a log line is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// `console.debug`
    Debug,
    /// `console.log`, `console.info`
    Info,
    /// `console.warn`
    Warn,
    /// `console.error`, and what went uncaught
    Error,
}

impl<'a> ToCell<'a> {
    /// The frame.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(64 + self.bulk());
        self.encode(&mut out);
        Bytes::from(out)
    }

    /// Adds the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.put(&mut Writer(out));
    }

    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// When the frame is not one that a node sends; drop the connection.
    pub fn decode(frame: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(frame);
        let value = Self::take(&mut reader)?;
        reader.end(value)
    }

    fn bulk(&self) -> usize {
        match self {
            Self::Init(init) => {
                init.files.iter().map(|file| file.source.len() + file.path.len() + 16).sum()
            }
            Self::Request(request) => {
                request.body.len() + request.url.len() + request.headers.0.len()
            }
            Self::RequestChunk { bytes, .. } => bytes.len(),
            Self::Result { result: Ok(json), .. } => json.len(),
            Self::Check { source, .. } => source.len(),
            _ => 0,
        }
    }
}

impl<'a> FromCell<'a> {
    /// The frame.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(64 + self.bulk());
        self.encode(&mut out);
        Bytes::from(out)
    }

    /// Adds the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.put(&mut Writer(out));
    }

    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// When the frame is not one that a cell sends; replace the cell.
    pub fn decode(frame: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(frame);
        let value = Self::take(&mut reader)?;
        reader.end(value)
    }

    fn bulk(&self) -> usize {
        match self {
            Self::Prelude { bytecode } => bytecode.len(),
            Self::Response { headers, body, .. } => headers.0.len() + body.len(),
            Self::Chunk { bytes, .. } => bytes.len(),
            Self::Call { arguments, .. } => arguments.len(),
            Self::Log { text, .. } => text.len(),
            Self::Outcome { result, .. } => result.len(),
            _ => 0,
        }
    }
}
