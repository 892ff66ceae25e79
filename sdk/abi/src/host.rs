//! What the host offers to a plugin.

use abi_stable::std_types::{RResult, RSlice, RStr, RString, RVec};

use crate::FfiFuture;
use crate::bytes::RawBytes;
use crate::call::RawCall;
use crate::closure::{RawOnce, RawScan, RawTask, RawWrite, ReaderVisitor};
use crate::error::RawError;
use crate::http::RawPrepared;

interface! {
    /// The host as one plugin sees it. One object per plugin, so that the host knows who asks.
    pub trait Host => HostTable, RawHost {
        /// Milliseconds since 1970, by the wall clock.
        fn unix_ms() -> u64;
        /// Nanoseconds since the host started; never goes back.
        fn monotonic_ns() -> u64;
        /// Ready after `ns` nanoseconds.
        fn sleep(ns: u64) -> FfiFuture<RResult<(), RawError>>;
        /// `len` random bytes (at most 4096), fit for keys.
        fn random(len: u32) -> RVec<u8>;
        /// Writes one record to the log: level 1 (error) to 5 (trace), a sentence, fields as JSON or empty.
        fn log(level: u8, message: RStr<'_>, fields: RStr<'_>) -> ();

        /// Lends a reader on the calling thread; at most 5 ms.
        fn read(visit: ReaderVisitor<'_>) -> RResult<(), RawError>;
        /// Runs `job` on a scanning thread; at most 5 s.
        fn scan(job: RawScan) -> FfiFuture<RResult<(), RawError>>;
        /// Queues `job` for the writer under the app's turn (all zero for none); ready after the sync.
        fn write(app: &[u8; 12], job: RawWrite) -> FfiFuture<RResult<(), RawError>>;
        /// Hashes contents of at most 4 MiB together and stores them in one write; ready after the sync, with their SHA-256 hashes, 32 bytes each.
        fn put_blobs(app: &[u8; 12], contents: RVec<RawBytes>) -> FfiFuture<RResult<RVec<u8>, RawError>>;
        /// Begins the upload of one content of any size.
        fn upload(app: &[u8; 12]) -> RResult<RawUpload, RawError>;

        /// The value of one of the plugin's own settings, as JSON.
        fn setting(name: RStr<'_>) -> RResult<RString, RawError>;

        /// A handle to a service, by name, major and the hashes of the methods that the caller knows.
        fn service(name: RStr<'_>, major: u32, methods: RSlice<'_, u64>) -> RResult<RawService, RawError>;
        /// Handles to all contributions to an extension point.
        fn contributions(name: RStr<'_>, major: u32, methods: RSlice<'_, u64>) -> RResult<RVec<RawService>, RawError>;

        /// Starts a supervised task; it is restarted with back-off when it fails, until it returns well.
        fn spawn(name: RStr<'_>, task: RawTask) -> RResult<(), RawError>;
        /// Runs `task` every `ns` nanoseconds, never twice at a time.
        fn every(name: RStr<'_>, ns: u64, task: RawTask) -> RResult<(), RawError>;

        /// Publishes an event to those who listen now. Best effort: dropped and counted when their queue is full.
        fn publish(name: RStr<'_>, payload: RawBytes) -> ();

        /// A scratch file for one large upload, unnamed and gone when the handle is.
        fn spool() -> RResult<RawSpool, RawError>;
        /// Makes a response head ready: fields as in `RawResponseHead::Fields`.
        fn prepare(fields: RSlice<'_, u8>) -> RResult<RawPrepared, RawError>;

        /// Seals `plain` under a label; opens only with the same label and plugin.
        fn seal(label: RStr<'_>, plain: RSlice<'_, u8>) -> RResult<RVec<u8>, RawError>;
        /// Opens what `seal` made.
        fn open(label: RStr<'_>, sealed: RSlice<'_, u8>) -> RResult<RVec<u8>, RawError>;

        /// Runs `work`, which may take long, beside the threads that answer requests.
        fn blocking(work: RawOnce) -> FfiFuture<RResult<(), RawError>>;
        /// Runs `work` when the processor has nothing better to do.
        fn idle(work: RawOnce) -> FfiFuture<RResult<(), RawError>>;
    }
}

interface! {
    /// A service as its consumer holds it: calls go to whoever provides it at that moment.
    pub trait ServiceHandle => ServiceHandleTable, RawService {
        /// Calls a method by its index, with arguments in the wire encoding.
        fn call(method: u32, call: &RawCall, arguments: RVec<u8>) -> FfiFuture<RResult<RVec<u8>, RawError>>;
        /// Whether somebody provides it now.
        fn available() -> bool;
        /// Name of the plugin that provides it now, or empty.
        fn provider() -> RVec<u8>;
    }
}

interface! {
    /// A scratch file.
    pub trait Spool => SpoolTable, RawSpool {
        /// Appends; blocks for one write to the file system.
        fn append(content: RSlice<'_, u8>) -> RResult<(), RawError>;
        /// Reads at most `len` bytes from `offset`; empty at the end.
        fn read_at(offset: u64, len: u32) -> RResult<RVec<u8>, RawError>;
        /// Bytes written so far.
        fn size() -> u64;
    }
}

interface! {
    /// Content that arrives in parts. Dropping it before the end throws it away.
    pub trait Upload => UploadTable, RawUpload {
        /// Adds the next bytes.
        fn push(content: RawBytes) -> FfiFuture<RResult<(), RawError>>;
        /// Publishes the content; ready after the sync, with its SHA-256.
        fn finish() -> FfiFuture<RResult<RVec<u8>, RawError>>;
        /// Publishes the content if it has this SHA-256, and removes it otherwise.
        fn finish_as(hash: &[u8; 32]) -> FfiFuture<RResult<(), RawError>>;
    }
}
