//! Closures that cross: lent ones for visits, counted ones for work that runs later.

use std::marker::PhantomData;

use abi_stable::std_types::RResult;

use crate::FfiFuture;
use crate::error::{RawError, guard};
use crate::row::{RawReader, RawRow, RawTransaction};

/// What a visitor says after a row.
#[repr(u8)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// Give me the next row.
    Continue,
    /// I have seen enough.
    Stop,
}

macro_rules! lent_closure {
    ($(#[$meta:meta])* $name:ident, $arg:ident, $ret:ty) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Debug)]
        pub struct $name<'a> {
            data: *mut (),
            call: extern "C" fn(*mut (), $arg<'_>) -> RResult<$ret, RawError>,
            lent: PhantomData<&'a mut ()>,
        }

        impl<'a> $name<'a> {
            /// Lends `closure`.
            pub fn new<F>(closure: &'a mut F) -> Self
            where
                F: FnMut($arg<'_>) -> RResult<$ret, RawError>,
            {
                extern "C" fn call<F>(data: *mut (), argument: $arg<'_>) -> RResult<$ret, RawError>
                where
                    F: FnMut($arg<'_>) -> RResult<$ret, RawError>,
                {
                    // SAFETY: `data` is the closure, borrowed mutably for 'a by `new`.
                    let closure = unsafe { &mut *data.cast::<F>() };
                    guard(move || closure(argument))
                }
                Self { data: std::ptr::from_mut(closure).cast(), call: call::<F>, lent: PhantomData }
            }

            /// Calls it.
            pub fn call(&mut self, argument: $arg<'_>) -> RResult<$ret, RawError> {
                (self.call)(self.data, argument)
            }
        }
    };
}

lent_closure!(
    /// Visits the rows of one query.
    RowVisitor, RawRow, Visit
);
lent_closure!(
    /// Uses a reader on the calling thread.
    ReaderVisitor, RawReader, ()
);

interface! {
    /// A closure that reads, run on a scanning thread.
    pub trait Scan => ScanTable, RawScan {
        /// Runs it.
        fn run(reader: RawReader<'_>) -> RResult<(), RawError>;
    }
}

interface! {
    /// A closure that writes. It may run more than once; only the run that commits counts.
    pub trait Write => WriteTable, RawWrite {
        /// Runs it.
        fn run(transaction: RawTransaction<'_>) -> RResult<(), RawError>;
    }
}

interface! {
    /// A closure that runs at most once.
    pub trait Once => OnceTable, RawOnce {
        /// Runs it.
        fn run() -> ();
    }
}

interface! {
    /// Work on the host's runtime.
    pub trait Task => TaskTable, RawTask {
        /// Starts one run.
        fn run() -> FfiFuture<RResult<(), RawError>>;
    }
}
