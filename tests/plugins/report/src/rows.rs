//! Reads rows and says how many bytes they held and how many this library allocated meanwhile.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use fazt_sdk::cartridge::{Query as _, Visit};
use fazt_sdk::prelude::*;

struct Counting;

thread_local! {
    static ASKED_FOR: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED_FOR.set(ASKED_FOR.get() + layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROWS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) \
     SELECT i, hex(zeroblob(32768)), zeroblob(65536) FROM n";

pub(crate) struct Rows(pub(crate) Cartridge);

impl Handler for Rows {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        let (before, mut lent) = (ASKED_FOR.get(), 0);
        self.0.read(|reader| {
            reader.visit(ROWS, params![], &mut |row| {
                let (_, text, bytes): (i64, &str, &[u8]) = row.read()?;
                lent += text.len() + bytes.len();
                Ok(Visit::Continue)
            })
        })?;
        Ok(Response::text(format!("{lent} {}", ASKED_FOR.get() - before)))
    }
}
