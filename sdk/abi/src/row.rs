//! Rows, readers and transactions, lent for the length of one callback.

use abi_stable::std_types::{RResult, RSlice, RStr, RVec};

use crate::closure::{RawOnce, RowVisitor};
use crate::error::RawError;
use crate::value::Value;

/// One row of a result. Columns are borrowed and valid only inside the visitor.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RawRow<'a> {
    data: *const (),
    column: extern "C" fn(*const (), u32) -> Value<'static>,
    columns: u32,
    lent: std::marker::PhantomData<&'a ()>,
}

/// Whoever holds a row while it is visited.
pub trait RowSource {
    /// Number of columns.
    fn columns(&self) -> u32;
    /// The column at `index`, counted from 0; `Null` past the end.
    fn column(&self, index: u32) -> Value<'_>;
}

impl<'a> RawRow<'a> {
    /// Lends `source` as a row.
    pub fn new<T: RowSource>(source: &'a T) -> Self {
        extern "C" fn column<T: RowSource>(data: *const (), index: u32) -> Value<'static> {
            // SAFETY: `data` is the borrowed source; the lifetime is narrowed again by `column`.
            let source = unsafe { &*data.cast::<T>() };
            let value =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| source.column(index)))
                    .unwrap_or(Value::Null);
            // SAFETY: the value borrows from the source, which outlives `'a`; `RawRow::column`
            // hands it out with `'a` only.
            unsafe { std::mem::transmute::<Value<'_>, Value<'static>>(value) }
        }
        Self {
            data: std::ptr::from_ref(source).cast(),
            column: column::<T>,
            columns: source.columns(),
            lent: std::marker::PhantomData,
        }
    }

    /// Number of columns.
    #[must_use]
    pub fn columns(&self) -> u32 {
        self.columns
    }

    /// The column at `index`, counted from 0; `Null` past the end.
    #[must_use]
    pub fn column(&self, index: u32) -> Value<'a> {
        if index < self.columns { (self.column)(self.data, index) } else { Value::Null }
    }
}

lent_interface! {
    /// Reads from the cartridge, on the calling thread.
    pub trait Read => ReadTable, RawReader {
        /// Runs one statement and lends each row to `visit`, in order.
        fn query(sql: RStr<'_>, parameters: RSlice<'_, Value<'_>>, visit: RowVisitor<'_>) -> RResult<(), RawError>;
        /// Reads `len` bytes of a blob from `offset` into the visitor, as one row of one column.
        fn blob(hash: &[u8; 32], offset: u64, len: u64, visit: RowVisitor<'_>) -> RResult<(), RawError>;
        /// The sizes of blobs whose hashes stand one after the other; `u64::MAX` for one that is not there.
        fn blob_sizes(hashes: RSlice<'_, u8>) -> RResult<RVec<u64>, RawError>;
    }
}

lent_interface! {
    /// Writes to the cartridge, inside one savepoint of the writer's transaction.
    pub trait Transact => TransactTable, RawTransaction {
        /// Runs one statement that returns rows.
        fn query(sql: RStr<'_>, parameters: RSlice<'_, Value<'_>>, visit: RowVisitor<'_>) -> RResult<(), RawError>;
        /// Runs one statement; answers the number of rows that it changed.
        fn execute(sql: RStr<'_>, parameters: RSlice<'_, Value<'_>>) -> RResult<u64, RawError>;
        /// Appends an event to the durable log, in the same transaction.
        fn emit(name: RStr<'_>, payload: RSlice<'_, u8>) -> RResult<u64, RawError>;
        /// Advances the cursor of a durable subscriber.
        fn advance(subscriber: RStr<'_>, sequence: u64) -> RResult<(), RawError>;
        /// Runs `action` after the sync and before the caller is answered.
        fn on_commit(action: RawOnce) -> RResult<(), RawError>;
        /// Notes that blobs are wanted, and answers as `Read::blob_sizes`.
        fn touch_blobs(hashes: RSlice<'_, u8>) -> RResult<RVec<u64>, RawError>;
    }
}
