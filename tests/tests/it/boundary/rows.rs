//! Rows and bytes are lent across the boundary, never copied.
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use fazt_sdk::export::root_of;
use fazt_sdk::prelude::*;
use fazt_testkit::{BuiltIn, TestKernel};
use fazt_tests::fixtures::Library;

use super::{get, node};

/// Counts the bytes that the calling thread asks for. SQLite has an allocator of its own.
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

fn asked_for<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ASKED_FOR.get();
    let result = work();
    (result, ASKED_FOR.get() - before)
}

const ROWS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) \
     SELECT i, hex(zeroblob(32768)), zeroblob(65536) FROM n";

/// Text and blobs of one read, together.
const LENT_BYTES: usize = 10 * (65_536 + 65_536);

/// Far less than one copy of one column.
const OVERHEAD_BYTES: usize = 16_384;

/// Reads rows and says how many bytes they held and how many were allocated meanwhile.
#[derive(Default)]
struct Reads;

struct Read(Cartridge);

impl Plugin for Reads {
    fn manifest(&self) -> Manifest {
        Manifest::new("reads", "1").route(Route::app(Method::Get, "/_reads").public())
    }

    fn start(&self, host: Host) -> Result<Started> {
        Ok(Started::new().handle("/_reads", Read(host.cartridge())))
    }
}

impl Handler for Read {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        use fazt_sdk::cartridge::{Query as _, Visit};
        let (lent, allocated) = asked_for(|| {
            let mut lent = 0;
            self.0.read(|reader| {
                reader.visit(ROWS, params![], &mut |row| {
                    let (_, text, bytes): (i64, &str, &[u8]) = row.read()?;
                    lent += text.len() + bytes.len();
                    Ok(Visit::Continue)
                })
            })?;
            Ok::<usize, Error>(lent)
        });
        Ok(Response::text(format!("{} {allocated}", lent?)))
    }
}

fn numbers(text: &str) -> [usize; 2] {
    let mut numbers = text.split(' ').map(|number| number.parse().unwrap());
    [numbers.next().unwrap(), numbers.next().unwrap()]
}

#[tokio::test]
async fn rows_reach_a_built_in_plugin_without_a_copy_by_the_kernel_or_the_sdk() {
    let reads = BuiltIn { name: "reads", root: root_of::<Reads> };
    let kernel = TestKernel::with(vec![reads]).await.unwrap();
    kernel.app("blog").await.unwrap();
    // The first time statements are compiled and kept.
    get(&kernel, "/_reads").await;
    let [lent, allocated] = numbers(&get(&kernel, "/_reads").await.1);
    assert_eq!(lent, LENT_BYTES);
    assert!(allocated < OVERHEAD_BYTES, "{allocated} bytes");
}

#[tokio::test]
async fn rows_reach_a_library_without_a_copy_on_either_side() {
    let kernel = node(&[Library::Counts, Library::Report]).await;
    get(&kernel, "/_report/rows").await;
    // The library counts what it allocates by itself; the kernel's share is counted here.
    let before = ASKED_FOR.get();
    let (status, text) = get(&kernel, "/_report/rows").await;
    let by_kernel = ASKED_FOR.get() - before;
    assert_eq!(status, 200, "{text}");
    let [lent, by_library] = numbers(&text);
    assert_eq!(lent, LENT_BYTES);
    assert!(by_library < OVERHEAD_BYTES, "{by_library} bytes in the library");
    assert!(by_kernel < OVERHEAD_BYTES, "{by_kernel} bytes in the kernel");
}

#[test]
fn bytes_cross_by_their_address() {
    let bytes = Bytes::from(vec![1; 1 << 20]);
    let (address, len) = (bytes.as_ptr(), bytes.len());
    let (crossed, allocated) =
        asked_for(|| Bytes::from(fazt_sdk::abi::bytes::RawBytes::from(bytes)));
    assert_eq!((crossed.as_ptr(), crossed.len()), (address, len));
    assert!(allocated < 512, "{allocated} bytes");
}
