//! The cartridge as a plugin sees it: reads on the spot, writes in turn, rows without copies.
//!
//! A plugin reaches its own tables only (`<plugin>_…`). SQL lives in the plugin's `store.rs`.
//! Closures call neither services nor the cartridge again.

use std::sync::{Arc, Mutex, PoisonError};

use abi_stable::std_types::{RResult, RSlice, RStr, RVec};
use bytes::Bytes;
use fazt_abi::abi_stable;
use fazt_abi::bytes::RawBytes;
pub use fazt_abi::closure::Visit;
use fazt_abi::closure::{self, RawOnce, RawScan, RawWrite, ReaderVisitor, RowVisitor};
use fazt_abi::error::RawError;
use fazt_abi::host::{RawHost, RawUpload};
use fazt_abi::row::{RawReader, RawRow, RawTransaction};
pub use fazt_abi::value::Value;

use crate::error::{Error, Result, from_raw, to_raw};
use crate::event::Event;
use crate::ids::AppId;
use crate::wire;

/// The one file that holds everything. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cartridge(pub(crate) RawHost);

impl Cartridge {
    /// Reads on the calling thread, for at most 5 ms.
    ///
    /// # Errors
    /// `Timeout` past 5 ms (use [`Self::scan`]); what `read` returns.
    pub fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T>) -> Result<T> {
        let mut read = Some(read);
        let mut result = None;
        let mut visit = |reader: RawReader<'_>| {
            if let Some(read) = read.take() {
                result = Some(read(&Reader(reader)));
            }
            RResult::ROk(())
        };
        let outcome = from_raw(self.0.read(ReaderVisitor::new(&mut visit)));
        match (outcome, result) {
            (Ok(()), Some(result)) => result,
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(Error::internal("the kernel did not run a read")),
        }
    }

    /// Reads on a scanning thread, for at most 5 s. Few run at a time; the rest wait.
    ///
    /// # Errors
    /// `Timeout` past 5 s, `Busy` when too many wait; what `read` returns.
    pub async fn scan<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Reader<'_>) -> Result<T> + Send + 'static,
    {
        let job = Arc::new(ScanJob { work: Mutex::new(Some(read)), result: Mutex::new(None) });
        let outcome = from_raw(self.0.scan(RawScan::new(Arc::clone(&job))).await);
        let result = job.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome?;
        result.unwrap_or_else(|| Err(Error::internal("the kernel did not run a scan")))
    }

    /// Writes, in a savepoint of the one writer's transaction. When this is ready with `Ok`, the
    /// write survives a loss of power.
    ///
    /// `write` may run more than once (another write can take the shared transaction down with
    /// it); only the run that committed counts, so it changes nothing outside but through
    /// [`Transaction::on_commit`]. Give the app whose turn it is, so that apps share fairly.
    /// Dropping the future before the writer took the work withdraws it.
    ///
    /// # Errors
    /// `Full`, `Busy`, `Unavailable`; what `write` returns, after its savepoint was rolled back.
    pub async fn write<T, F>(&self, app: Option<AppId>, write: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Transaction<'_>) -> Result<T> + Send + Sync + 'static,
    {
        let job = Arc::new(WriteJob { work: write, result: Mutex::new(None) });
        let app = app.map_or([0; 12], |app| *app.key());
        let outcome = self.0.write(&app, RawWrite::new(Arc::clone(&job)));
        from_raw(outcome.await)?;
        let result = job.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.ok_or_else(|| Error::internal("the kernel did not run a write"))
    }

    /// Stores contents under their SHA-256 in one write, each unless it is there; at most 4 MiB
    /// together. Returns the hashes in order.
    ///
    /// # Errors
    /// `TooLarge` past 4 MiB: use [`Self::upload`]. Otherwise as [`Self::write`].
    pub async fn put_blobs(
        &self,
        app: Option<AppId>,
        contents: Vec<Bytes>,
    ) -> Result<Vec<[u8; 32]>> {
        let app = app.map_or([0; 12], |app| *app.key());
        let stored = self.0.put_blobs(&app, contents.into_iter().map(RawBytes::from).collect());
        let hashes = from_raw(stored.await)?;
        let (whole, _) = hashes.as_chunks::<32>();
        Ok(whole.to_vec())
    }

    /// Begins the upload of one content of any size. It appears when it is finished, or never.
    ///
    /// # Errors
    /// `Unavailable` when the node is stopping.
    pub fn upload(&self, app: Option<AppId>) -> Result<Upload> {
        let app = app.map_or([0; 12], |app| *app.key());
        from_raw(self.0.upload(&app)).map(Upload)
    }
}

/// Content that arrives in parts. Dropping it before [`Self::finish`] throws it away.
#[derive(Debug)]
pub struct Upload(RawUpload);

impl Upload {
    /// Adds the next bytes. Waits for a commit now and then, so that memory stays bounded.
    ///
    /// # Errors
    /// As [`Cartridge::write`]; the upload is over then.
    pub async fn push(&mut self, content: Bytes) -> Result<()> {
        from_raw(self.0.push(content.into()).await)
    }

    /// Publishes the content and returns its SHA-256, after the sync.
    ///
    /// # Errors
    /// As [`Cartridge::write`].
    pub async fn finish(self) -> Result<[u8; 32]> {
        let hash = from_raw(self.0.finish().await)?;
        <[u8; 32]>::try_from(hash.as_slice())
            .map_err(|_| Error::internal("the kernel answered with no hash"))
    }
}

impl Upload {
    /// Publishes the content if it has the SHA-256 that was announced, after the sync. Otherwise what
    /// arrived is removed.
    ///
    /// # Errors
    /// `Invalid` with the code `HASH_MISMATCH`; as [`Cartridge::write`].
    pub async fn finish_as(self, hash: &[u8; 32]) -> Result<()> {
        from_raw(self.0.finish_as(hash).await)
    }
}

struct ScanJob<T, F> {
    work: Mutex<Option<F>>,
    result: Mutex<Option<Result<T>>>,
}

impl<T, F> closure::Scan for ScanJob<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Reader<'_>) -> Result<T> + Send + 'static,
{
    fn run(self: &Arc<Self>, reader: RawReader<'_>) -> RResult<(), RawError> {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            let result = work(&Reader(reader));
            *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
        RResult::ROk(())
    }
}

struct WriteJob<T, F> {
    work: F,
    result: Mutex<Option<T>>,
}

impl<T, F> closure::Write for WriteJob<T, F>
where
    T: Send + 'static,
    F: Fn(&Transaction<'_>) -> Result<T> + Send + Sync + 'static,
{
    fn run(self: &Arc<Self>, transaction: RawTransaction<'_>) -> RResult<(), RawError> {
        let result = (self.work)(&Transaction(transaction));
        to_raw(result.map(|value| {
            *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        }))
    }
}

/// A row, lent to the closure that visits it.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a>(RawRow<'a>);

impl<'a> Row<'a> {
    /// The column at `index`, counted from 0.
    ///
    /// # Errors
    /// `Internal` when the column holds another type; the message names the column's number.
    pub fn get<T: FromValue<'a>>(&self, index: u32) -> Result<T> {
        let value = self.0.column(index);
        T::from_value(value).ok_or_else(|| {
            Error::internal(format!(
                "column {index} holds {value:?}, not {}",
                std::any::type_name::<T>()
            ))
        })
    }

    /// All columns at once, as a tuple in the order of the SELECT.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn read<T: FromRow<'a>>(&self) -> Result<T> {
        T::from_row(self)
    }
}

/// Several columns of a row at once; implemented for tuples.
pub trait FromRow<'a>: Sized {
    /// Reads the columns in order.
    ///
    /// # Errors
    /// As [`Row::get`].
    fn from_row(row: &Row<'a>) -> Result<Self>;
}

macro_rules! tuples {
    ($(($($ty:ident $index:literal),+))+) => { $(
        impl<'a, $($ty: FromValue<'a>),+> FromRow<'a> for ($($ty,)+) {
            fn from_row(row: &Row<'a>) -> Result<Self> {
                Ok(($(row.get::<$ty>($index)?,)+))
            }
        }
    )+ };
}
tuples! {
    (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5) (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7) (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
}

/// A column value as a Rust type.
pub trait FromValue<'a>: Sized {
    /// The value, if it is of this type.
    fn from_value(value: Value<'a>) -> Option<Self>;
}

/// A Rust value as an SQL parameter.
pub trait ToValue {
    /// The parameter, borrowed from `self`.
    fn to_value(&self) -> Value<'_>;
}

impl<'a> FromValue<'a> for &'a str {
    fn from_value(value: Value<'a>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.as_str()) } else { None }
    }
}

impl<'a> FromValue<'a> for String {
    fn from_value(value: Value<'a>) -> Option<Self> {
        <&str>::from_value(value).map(str::to_owned)
    }
}

impl<'a> FromValue<'a> for &'a [u8] {
    fn from_value(value: Value<'a>) -> Option<Self> {
        if let Value::Blob(bytes) = value { Some(bytes.as_slice()) } else { None }
    }
}

impl<'a> FromValue<'a> for Vec<u8> {
    fn from_value(value: Value<'a>) -> Option<Self> {
        <&[u8]>::from_value(value).map(<[u8]>::to_vec)
    }
}

impl<'a> FromValue<'a> for [u8; 32] {
    fn from_value(value: Value<'a>) -> Option<Self> {
        <&[u8]>::from_value(value).and_then(|bytes| bytes.try_into().ok())
    }
}

impl<'a> FromValue<'a> for f64 {
    fn from_value(value: Value<'a>) -> Option<Self> {
        if let Value::Real(number) = value { Some(number) } else { None }
    }
}

impl<'a> FromValue<'a> for bool {
    fn from_value(value: Value<'a>) -> Option<Self> {
        match value {
            Value::Integer(0) => Some(false),
            Value::Integer(1) => Some(true),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for AppId {
    fn from_value(value: Value<'a>) -> Option<Self> {
        <&str>::from_value(value)?.parse().ok()
    }
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Option<T> {
    fn from_value(value: Value<'a>) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

macro_rules! integers {
    ($($ty:ty),*) => { $(
        impl<'a> FromValue<'a> for $ty {
            fn from_value(value: Value<'a>) -> Option<Self> {
                if let Value::Integer(number) = value { number.try_into().ok() } else { None }
            }
        }
    )* };
}
integers!(i64, u64, u32, u16, i32, usize);

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Text(RStr::from_str(self))
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        self.as_str().to_value()
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Blob(RSlice::from_slice(self))
    }
}

impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value<'_> {
        self.as_slice().to_value()
    }
}

impl ToValue for [u8; 32] {
    fn to_value(&self) -> Value<'_> {
        self.as_slice().to_value()
    }
}

impl ToValue for Bytes {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl ToValue for i64 {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(*self)
    }
}

impl ToValue for u32 {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl ToValue for u16 {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl ToValue for bool {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl ToValue for f64 {
    fn to_value(&self) -> Value<'_> {
        Value::Real(*self)
    }
}

/// Numbers past `i64::MAX` are no size or count of ours: they are clamped.
impl ToValue for u64 {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

/// SQL parameters, in order: `params![app.to_string(), 5_i64]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[ $( $crate::cartridge::ToValue::to_value(&$value) ),* ]
    };
}

/// Runs `run` with a row visitor that stops at the first error of `visit` and returns it.
fn visiting(
    visit: &mut dyn FnMut(Row<'_>) -> Result<Visit>,
    run: impl FnOnce(RowVisitor<'_>) -> RResult<(), RawError>,
) -> Result<()> {
    let mut failure = None;
    let mut closure = |row: RawRow<'_>| match visit(Row(row)) {
        Ok(next) => RResult::ROk(next),
        Err(error) => {
            failure = Some(error);
            RResult::ROk(Visit::Stop)
        }
    };
    let outcome = from_raw(run(RowVisitor::new(&mut closure)));
    failure.map_or(outcome, Err)
}

/// What readers and transactions share: queries.
pub trait Query {
    /// Lends each row of the result to `visit`, in order.
    ///
    /// # Errors
    /// What the database says; what `visit` returns.
    fn visit(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        visit: &mut dyn FnMut(Row<'_>) -> Result<Visit>,
    ) -> Result<()>;

    /// The rows, each mapped.
    ///
    /// # Errors
    /// As [`Self::visit`].
    fn all<T>(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        mut map: impl FnMut(Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        self.visit(sql, parameters, &mut |row| {
            rows.push(map(row)?);
            Ok(Visit::Continue)
        })?;
        Ok(rows)
    }

    /// The first row, mapped; nothing when there is none.
    ///
    /// # Errors
    /// As [`Self::visit`].
    fn first<T>(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        mut map: impl FnMut(Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut found = None;
        self.visit(sql, parameters, &mut |row| {
            found = Some(map(row)?);
            Ok(Visit::Stop)
        })?;
        Ok(found)
    }
}

/// Reads.
#[derive(Debug)]
pub struct Reader<'a>(RawReader<'a>);

impl Query for Reader<'_> {
    fn visit(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        visit: &mut dyn FnMut(Row<'_>) -> Result<Visit>,
    ) -> Result<()> {
        visiting(visit, |rows| {
            self.0.query(RStr::from_str(sql), RSlice::from_slice(parameters), rows)
        })
    }
}

impl Reader<'_> {
    /// Lends `len` bytes of a blob from `offset`, without a copy for blobs of one row.
    ///
    /// # Errors
    /// `NotFound` when there is no such blob or range.
    pub fn blob<T>(
        &self,
        hash: &[u8; 32],
        offset: u64,
        len: u64,
        mut use_bytes: impl FnMut(&[u8]) -> T,
    ) -> Result<T> {
        let mut result = None;
        visiting(
            &mut |row| {
                result = Some(use_bytes(row.get(0)?));
                Ok(Visit::Stop)
            },
            |rows| self.0.blob(hash, offset, len, rows),
        )?;
        result.ok_or_else(|| Error::not_found("the cartridge has no such blob"))
    }
}

impl Reader<'_> {
    /// The sizes of the blobs with these hashes; nothing for one that is not there.
    ///
    /// # Errors
    /// What the database says.
    pub fn blob_sizes(&self, hashes: &[[u8; 32]]) -> Result<Vec<Option<u64>>> {
        from_raw(self.0.blob_sizes(RSlice::from_slice(hashes.as_flattened()))).map(sizes)
    }
}

fn sizes(raw: RVec<u64>) -> Vec<Option<u64>> {
    raw.into_iter().map(|size| Some(size).filter(|size| *size != u64::MAX)).collect()
}

/// Writes. One savepoint: all of it or nothing.
#[derive(Debug)]
pub struct Transaction<'a>(RawTransaction<'a>);

impl Query for Transaction<'_> {
    fn visit(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        visit: &mut dyn FnMut(Row<'_>) -> Result<Visit>,
    ) -> Result<()> {
        visiting(visit, |rows| {
            self.0.query(RStr::from_str(sql), RSlice::from_slice(parameters), rows)
        })
    }
}

impl Transaction<'_> {
    /// Runs one statement; returns the number of rows that it changed.
    ///
    /// # Errors
    /// `Conflict` when a constraint is violated; what the database says.
    pub fn execute(&self, sql: &str, parameters: &[Value<'_>]) -> Result<u64> {
        from_raw(self.0.execute(RStr::from_str(sql), RSlice::from_slice(parameters)))
    }

    /// Appends `event` to the durable log, in this transaction.
    ///
    /// # Errors
    /// What the database says.
    pub fn emit<E: Event>(&self, event: &E) -> Result<()> {
        let payload = wire::to_vec(event);
        from_raw(self.0.emit(RStr::from_str(E::NAME), RSlice::from_slice(&payload))).map(drop)
    }

    /// Runs `action` after the sync and before the caller is answered: the place to change state
    /// in memory. It runs at most once.
    ///
    /// # Errors
    /// `Unavailable` from an older kernel.
    pub fn on_commit(&self, action: impl FnOnce() + Send + 'static) -> Result<()> {
        from_raw(self.0.on_commit(RawOnce::new(Arc::new(Deferred(Mutex::new(Some(action)))))))
    }

    /// Notes that the blobs with these hashes are wanted: garbage collection spares them for three
    /// quarters of an hour, so that there is time to refer to them. Returns their sizes; nothing for
    /// one that is not there.
    ///
    /// # Errors
    /// What the database says.
    pub fn touch_blobs(&self, hashes: &[[u8; 32]]) -> Result<Vec<Option<u64>>> {
        from_raw(self.0.touch_blobs(RSlice::from_slice(hashes.as_flattened()))).map(sizes)
    }

    /// Advances a durable subscriber's cursor, in the same transaction as its own write.
    pub(crate) fn advance(&self, subscriber: &str, sequence: u64) -> Result<()> {
        from_raw(self.0.advance(RStr::from_str(subscriber), sequence))
    }
}

struct Deferred<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send + 'static> closure::Once for Deferred<F> {
    fn run(self: &Arc<Self>) {
        let action = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(action) = action {
            action();
        }
    }
}
