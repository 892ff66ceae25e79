//! Reads and writes of plugins: the cartridge's closures and rows in the terms of the boundary.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use abi_stable::std_types::{RResult, RSlice, RStr, RVec};
use fazt_abi::FfiFuture;
use fazt_abi::closure::{RawOnce, RawScan, RawWrite, ReaderVisitor, RowVisitor, Visit};
use fazt_abi::error::RawError;
use fazt_abi::future::guarded;
use fazt_abi::row::{RawReader, RawRow, RawTransaction, Read, RowSource, Transact};
use fazt_abi::value::Value;
use fazt_sdk::{Error, Result};

use super::to_raw;
use crate::cartridge::{
    self, AppKey, BlobHash, Cartridge, CartridgeError, EachRow, Owner, Reader, Row, SqlError,
    TxError, WriteTx,
};

/// Keeps the error that a closure of a plugin gave up with, while the cartridge carries a text.
type Reason = Arc<Mutex<Option<RawError>>>;

fn outcome(result: Result<(), CartridgeError>, reason: &Reason) -> RResult<(), RawError> {
    let reason = reason.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (result, reason) {
        (Err(CartridgeError::Tx(TxError::Aborted(_))), Some(reason)) => RResult::RErr(reason),
        (result, _) => to_raw(result.map_err(Error::from)),
    }
}

fn give_up(reason: &Reason, error: RawError) -> TxError {
    let text = error.message.to_string();
    *reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    TxError::Aborted(text)
}

pub(super) fn read(
    cartridge: &Cartridge,
    owner: &Owner,
    mut visit: ReaderVisitor<'_>,
) -> Result<()> {
    let reason = Reason::default();
    let result =
        cartridge.read(owner, &mut |reader| match visit.call(RawReader::new(&Reading(reader))) {
            RResult::ROk(()) => Ok(()),
            RResult::RErr(error) => Err(give_up(&reason, error)),
        });
    match outcome(result, &reason) {
        RResult::ROk(()) => Ok(()),
        RResult::RErr(error) => Err(error.into()),
    }
}

pub(super) fn scan(
    cartridge: &Cartridge,
    owner: &Owner,
    job: RawScan,
) -> FfiFuture<RResult<(), RawError>> {
    let reason = Reason::default();
    let inner = Arc::clone(&reason);
    let pending = cartridge.scan(
        owner,
        Box::new(move |reader| match job.run(RawReader::new(&Reading(reader))) {
            RResult::ROk(()) => Ok(()),
            RResult::RErr(error) => Err(give_up(&inner, error)),
        }),
    );
    guarded(async move { outcome(pending.await, &reason) })
}

pub(super) fn write(
    cartridge: &Cartridge,
    owner: &Owner,
    app: Option<AppKey>,
    job: RawWrite,
) -> FfiFuture<RResult<(), RawError>> {
    let reason = Reason::default();
    let inner = Arc::clone(&reason);
    let pending = cartridge.write(
        owner,
        app,
        Box::new(move |tx| match job.run(RawTransaction::new(&Writing(tx))) {
            RResult::ROk(()) => Ok(()),
            RResult::RErr(error) => Err(give_up(&inner, error)),
        }),
    );
    guarded(async move { outcome(pending.await, &reason) })
}

/// A row of the cartridge, lent on.
struct Lent<'r, 'a>(&'r Row<'a>);

impl RowSource for Lent<'_, '_> {
    fn columns(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn column(&self, index: u32) -> Value<'_> {
        match self.0.value(index as usize) {
            None | Some(cartridge::Value::Null) => Value::Null,
            Some(cartridge::Value::Integer(number)) => Value::Integer(number),
            Some(cartridge::Value::Real(number)) => Value::Real(number),
            Some(cartridge::Value::Text(text)) => Value::Text(RStr::from_str(text)),
            Some(cartridge::Value::Blob(bytes)) => Value::Blob(RSlice::from_slice(bytes)),
        }
    }
}

/// One column of bytes, lent as a row.
struct Bytes<'b>(&'b [u8]);

impl RowSource for Bytes<'_> {
    fn columns(&self) -> u32 {
        1
    }

    fn column(&self, _: u32) -> Value<'_> {
        Value::Blob(RSlice::from_slice(self.0))
    }
}

fn parameters<'a>(raw: &'a RSlice<'_, Value<'a>>) -> Vec<cartridge::Value<'a>> {
    raw.iter()
        .map(|value| match value {
            Value::Null => cartridge::Value::Null,
            Value::Integer(number) => cartridge::Value::Integer(*number),
            Value::Real(number) => cartridge::Value::Real(*number),
            Value::Text(text) => cartridge::Value::Text(text.as_str()),
            Value::Blob(bytes) => cartridge::Value::Blob(bytes.as_slice()),
        })
        .collect()
}

/// Runs a query and lends its rows; the first error of the visitor ends it and is the result.
fn lend(
    run: impl FnOnce(EachRow<'_>) -> Result<(), SqlError>,
    mut visit: RowVisitor<'_>,
) -> RResult<(), RawError> {
    let mut failure = None;
    let result = run(&mut |row| match visit.call(RawRow::new(&Lent(row))) {
        RResult::ROk(Visit::Continue) => ControlFlow::Continue(()),
        RResult::ROk(Visit::Stop) => ControlFlow::Break(()),
        RResult::RErr(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    });
    match failure {
        Some(error) => RResult::RErr(error),
        None => to_raw(result.map_err(Error::from)),
    }
}

/// One size for each hash, `u64::MAX` where there is no such blob.
fn sizes(
    hashes: &[u8],
    size: impl Fn(BlobHash) -> Result<Option<u64>, SqlError>,
) -> RResult<RVec<u64>, RawError> {
    let (hashes, _) = hashes.as_chunks::<32>();
    let sizes = hashes.iter().map(|hash| Ok(size(BlobHash(*hash))?.unwrap_or(u64::MAX)));
    to_raw(sizes.collect::<Result<RVec<u64>, SqlError>>().map_err(Error::from))
}

struct Reading<'s, 'c>(&'c Reader<'s>);

impl Read for Reading<'_, '_> {
    fn query(
        &self,
        sql: RStr<'_>,
        raw: RSlice<'_, Value<'_>>,
        visit: RowVisitor<'_>,
    ) -> RResult<(), RawError> {
        lend(|each| self.0.query(&sql, &parameters(&raw), each), visit)
    }

    fn blob(
        &self,
        hash: &[u8; 32],
        offset: u64,
        len: u64,
        mut visit: RowVisitor<'_>,
    ) -> RResult<(), RawError> {
        let mut answer = RResult::ROk(());
        let lent = self.0.lend_blob(BlobHash(*hash), offset, len, &mut |content| {
            answer = visit.call(RawRow::new(&Bytes(content))).map(drop);
        });
        match lent {
            Ok(true) => answer,
            Ok(false) => RResult::RErr(Error::not_found("the cartridge has no such blob").into()),
            Err(error) => RResult::RErr(Error::from(error).into()),
        }
    }

    fn blob_sizes(&self, hashes: RSlice<'_, u8>) -> RResult<RVec<u64>, RawError> {
        sizes(&hashes, |hash| Ok(self.0.blob(hash)?.map(|info| info.size)))
    }
}

struct Writing<'w, 'c>(&'c WriteTx<'w>);

impl Transact for Writing<'_, '_> {
    fn query(
        &self,
        sql: RStr<'_>,
        raw: RSlice<'_, Value<'_>>,
        visit: RowVisitor<'_>,
    ) -> RResult<(), RawError> {
        lend(|each| self.0.query(&sql, &parameters(&raw), each), visit)
    }

    fn execute(&self, sql: RStr<'_>, raw: RSlice<'_, Value<'_>>) -> RResult<u64, RawError> {
        to_raw(self.0.execute(&sql, &parameters(&raw)).map_err(Error::from))
    }

    fn emit(&self, name: RStr<'_>, payload: RSlice<'_, u8>) -> RResult<u64, RawError> {
        let emitted = self.0.emit(&name, &payload).map_err(Error::from);
        to_raw(emitted.map(|sequence| u64::try_from(sequence).unwrap_or(0)))
    }

    fn advance(&self, subscriber: RStr<'_>, sequence: u64) -> RResult<(), RawError> {
        let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
        to_raw(self.0.advance_cursor(&subscriber, sequence).map_err(Error::from))
    }

    fn on_commit(&self, action: RawOnce) -> RResult<(), RawError> {
        self.0.on_commit(Box::new(move || action.run()));
        RResult::ROk(())
    }

    fn touch_blobs(&self, hashes: RSlice<'_, u8>) -> RResult<RVec<u64>, RawError> {
        sizes(&hashes, |hash| self.0.touch_blob(hash))
    }
}
