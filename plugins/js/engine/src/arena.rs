//! Memory of an interpreter that can be put back as it was.
//!
//! Everything that QuickJS keeps of a runtime lies in the blocks that its allocator hands out: objects,
//! shapes, atoms, queued jobs, the runtime itself. So a copy of these blocks is a copy of the runtime,
//! and writing it back undoes all that happened since, in the time that it takes to copy some hundred
//! KiB. A classic script gets a realm of its own that way: the same one, each time as new.
//!
//! Blocks come in size classes out of chunks that are filled from their beginnings; a block that is
//! freed waits for another of its class. Blocks that no class is large enough for are allocated one by
//! one. Nothing is given back before the memory is put back.

#![expect(unsafe_code, reason = "an allocator for C deals in raw memory")]

use rquickjs::allocator::Allocator;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};
use std::rc::Rc;

/// Stands before each block: its class, or [`LARGE`].
const HEADER_BYTES: usize = size_of::<u64>();

/// Stands before a block of its own: its size, its place in the list, then the header.
const LARGE_HEADER_BYTES: usize = 3 * size_of::<u64>();

/// The class of blocks that have none.
const LARGE: u64 = u64::MAX;

/// Bytes of one chunk.
const CHUNK_BYTES: usize = 256 << 10;

/// Chunks beyond the image that are kept when the memory is put back.
const SPARE_CHUNKS: usize = 8;

const ALIGN: usize = 16;

/// Classes up to 512 bytes are 16 apart; then there are four between two powers of two.
const FINE_BYTES: usize = 512;
const FINE_CLASSES: usize = FINE_BYTES / 16;
const CLASSES: usize = FINE_CLASSES + 4 * 6;

/// The largest block with a class, header included.
const CLASSED_BYTES_MAX: usize = FINE_BYTES << 6;

/// Memory of one interpreter.
pub(crate) struct Arena {
    /// Where the next block of the current chunk begins, and what is left of the chunk.
    next: Cell<*mut u8>,
    left: Cell<usize>,
    /// Freed blocks of each class, linked through their first word.
    free: [Cell<*mut u8>; CLASSES],
    chunks: RefCell<Vec<NonNull<u8>>>,
    /// How many chunks are in use.
    used: Cell<usize>,
    large: RefCell<Vec<Option<NonNull<u8>>>>,
    /// Bytes of chunks and large blocks, and how many there may be.
    taken: Cell<usize>,
    most: usize,
    image: RefCell<Option<Image>>,
}

/// What the memory was like.
struct Image {
    chunks: Vec<Vec<u8>>,
    next: *mut u8,
    left: usize,
    free: [*mut u8; CLASSES],
    /// What was in each large block, header included.
    large: Vec<Option<Vec<u8>>>,
}

impl Arena {
    /// Memory of at most so many bytes. The limit of the interpreter comes first, since it tells
    /// scripts; this one counts what lies between blocks, too.
    pub(crate) fn new(most: usize) -> Rc<Self> {
        Rc::new(Self {
            next: Cell::new(ptr::null_mut()),
            left: Cell::new(0),
            free: std::array::from_fn(|_| Cell::new(ptr::null_mut())),
            chunks: RefCell::default(),
            used: Cell::new(0),
            large: RefCell::default(),
            taken: Cell::new(0),
            most,
            image: RefCell::new(None),
        })
    }

    /// Remembers what the memory is like now.
    pub(crate) fn take_image(&self) {
        let chunks = self.chunks.borrow();
        let used = self.used.get();
        let copies = chunks.iter().take(used).enumerate().map(|(at, chunk)| {
            let filled = if at + 1 == used { CHUNK_BYTES - self.left.get() } else { CHUNK_BYTES };
            // SAFETY: the chunk is as large as that, and the interpreter, which alone writes to it,
            // does not run. What no block has used yet was zeroed when the chunk was made.
            unsafe { std::slice::from_raw_parts(chunk.as_ptr(), filled) }.to_vec()
        });
        let large = self.large.borrow();
        let large = large.iter().map(|block| {
            // SAFETY: the block is alive, and as large as it says.
            block.map(|block| unsafe {
                std::slice::from_raw_parts(block.as_ptr(), large_bytes(block)).to_vec()
            })
        });
        let image = Image {
            chunks: copies.collect(),
            next: self.next.get(),
            left: self.left.get(),
            free: std::array::from_fn(|class| self.free[class].get()),
            large: large.collect(),
        };
        self.image.replace(Some(image));
    }

    /// Makes the memory what it was when the image was taken. Nothing may run in the interpreter, and
    /// nobody may hold a value that it made since.
    pub(crate) fn put_back(&self) {
        let image = self.image.borrow();
        let Some(image) = image.as_ref() else { return };
        let mut chunks = self.chunks.borrow_mut();
        for (chunk, saved) in chunks.iter().zip(&image.chunks) {
            // SAFETY: chunks stay where they are, and the copy is no longer than a chunk.
            unsafe { ptr::copy_nonoverlapping(saved.as_ptr(), chunk.as_ptr(), saved.len()) };
        }
        let kept = chunks.len().min(image.chunks.len() + SPARE_CHUNKS);
        for chunk in chunks.drain(kept..) {
            // SAFETY: no block of the image lies in it, and blocks made since are given up.
            unsafe { dealloc(chunk.as_ptr(), CHUNK) };
            self.taken.set(self.taken.get() - CHUNK_BYTES);
        }
        self.used.set(image.chunks.len());
        self.next.set(image.next);
        self.left.set(image.left);
        for (class, saved) in self.free.iter().zip(image.free) {
            class.set(saved);
        }
        let mut large = self.large.borrow_mut();
        let kept = large.len().min(image.large.len());
        for block in large.drain(kept..).flatten() {
            // SAFETY: as for the chunks.
            unsafe { self.release(block) };
        }
        for (block, saved) in large.iter().zip(&image.large) {
            if let (Some(block), Some(saved)) = (block, saved) {
                // SAFETY: blocks of the image are not released before the arena.
                unsafe {
                    ptr::copy_nonoverlapping(saved.as_ptr(), block.as_ptr(), saved.len());
                }
            }
        }
    }

    fn alloc(&self, size: usize) -> *mut u8 {
        let Some(whole) = size.checked_add(HEADER_BYTES) else { return ptr::null_mut() };
        if whole > CLASSED_BYTES_MAX {
            return self.alloc_large(size);
        }
        let class = class_of(whole);
        let waiting = &self.free[class];
        let mut block = waiting.get();
        if block.is_null() {
            block = self.cut(class_bytes(class));
            if block.is_null() {
                return block;
            }
            // SAFETY: the block is larger than its header, and aligned for it.
            unsafe { block.cast::<u64>().write(class as u64) };
            // SAFETY: as above.
            return unsafe { block.add(HEADER_BYTES) };
        }
        // SAFETY: a freed block keeps its header, and the next one's place in its first word.
        unsafe {
            block = block.add(HEADER_BYTES);
            waiting.set(block.cast::<*mut u8>().read());
        }
        block
    }

    /// Takes so many bytes of the current chunk, or of another one.
    fn cut(&self, bytes: usize) -> *mut u8 {
        if self.left.get() < bytes && !self.next_chunk() {
            return ptr::null_mut();
        }
        let block = self.next.get();
        // SAFETY: so much is left of the chunk.
        self.next.set(unsafe { block.add(bytes) });
        self.left.set(self.left.get() - bytes);
        block
    }

    /// Goes on with another chunk; whether there is one.
    fn next_chunk(&self) -> bool {
        let mut chunks = self.chunks.borrow_mut();
        let at = self.used.get();
        if at == chunks.len() {
            if self.taken.get() + CHUNK_BYTES > self.most {
                return false;
            }
            // SAFETY: the layout is not empty.
            let Some(chunk) = NonNull::new(unsafe { alloc_zeroed(CHUNK) }) else {
                return false;
            };
            self.taken.set(self.taken.get() + CHUNK_BYTES);
            chunks.push(chunk);
        }
        let Some(chunk) = chunks.get(at) else { return false };
        self.used.set(at + 1);
        self.next.set(chunk.as_ptr());
        self.left.set(CHUNK_BYTES);
        true
    }

    fn alloc_large(&self, size: usize) -> *mut u8 {
        let Some(layout) = size.checked_add(LARGE_HEADER_BYTES).and_then(large_layout) else {
            return ptr::null_mut();
        };
        if self.taken.get().saturating_add(layout.size()) > self.most {
            return ptr::null_mut();
        }
        // SAFETY: the layout is not empty.
        let Some(block) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            return ptr::null_mut();
        };
        self.taken.set(self.taken.get() + layout.size());
        let mut large = self.large.borrow_mut();
        let at = large.len();
        large.push(Some(block));
        let words = block.as_ptr().cast::<u64>();
        // SAFETY: the block is larger than its header, and aligned for it.
        unsafe {
            words.write(layout.size() as u64);
            words.add(1).write(at as u64);
            words.add(2).write(LARGE);
            block.as_ptr().add(LARGE_HEADER_BYTES)
        }
    }

    /// # Safety
    /// `block` came from [`Self::alloc`] of this arena, and is not used afterwards.
    unsafe fn free(&self, block: *mut u8) {
        // SAFETY: each block has a header before it.
        let header = unsafe { block.sub(HEADER_BYTES) };
        // SAFETY: as above.
        let class = unsafe { header.cast::<u64>().read() };
        if class == LARGE {
            // SAFETY: and a large one a longer one.
            unsafe { self.free_large(block.sub(LARGE_HEADER_BYTES)) };
            return;
        }
        let Some(waiting) = usize::try_from(class).ok().and_then(|class| self.free.get(class))
        else {
            return;
        };
        // SAFETY: the smallest block has room for a pointer behind its header.
        unsafe { block.cast::<*mut u8>().write(waiting.get()) };
        waiting.set(header);
    }

    /// # Safety
    /// `block` is the beginning of a large block, and is not used afterwards.
    unsafe fn free_large(&self, block: *mut u8) {
        // SAFETY: it begins with its header.
        let at = unsafe { block.cast::<u64>().add(1).read() };
        let Ok(at) = usize::try_from(at) else { return };
        let image = self.image.borrow();
        let kept = image.as_ref().is_some_and(|image| at < image.large.len());
        // A block of the image is alive again when the memory is put back.
        if kept {
            return;
        }
        let mut large = self.large.borrow_mut();
        let Some(block) = large.get_mut(at).and_then(Option::take) else { return };
        while image.as_ref().map_or(0, |image| image.large.len()) < large.len()
            && large.last().is_some_and(Option::is_none)
        {
            large.pop();
        }
        // SAFETY: it is out of the list, and the caller does not use it any more.
        unsafe { self.release(block) };
    }

    /// # Safety
    /// `block` is the beginning of a large block that is in no list any more.
    unsafe fn release(&self, block: NonNull<u8>) {
        // SAFETY: it begins with its header.
        let bytes = unsafe { large_bytes(block) };
        if let Some(layout) = large_layout(bytes) {
            self.taken.set(self.taken.get().saturating_sub(bytes));
            // SAFETY: it was allocated with this layout.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for chunk in self.chunks.take() {
            // SAFETY: the interpreter whose memory it was is gone.
            unsafe { dealloc(chunk.as_ptr(), CHUNK) };
        }
        for block in self.large.take().into_iter().flatten() {
            // SAFETY: as above.
            unsafe { self.release(block) };
        }
    }
}

/// A chunk's layout; the numbers are constants that are right.
const CHUNK: Layout = match Layout::from_size_align(CHUNK_BYTES, ALIGN) {
    Ok(layout) => layout,
    Err(_) => Layout::new::<u128>(),
};

fn large_layout(whole: usize) -> Option<Layout> {
    Layout::from_size_align(whole.checked_next_multiple_of(ALIGN)?, ALIGN).ok()
}

/// Bytes of a large block, header included.
///
/// # Safety
/// `block` is the beginning of a large block.
unsafe fn large_bytes(block: NonNull<u8>) -> usize {
    // SAFETY: it begins with its header.
    usize::try_from(unsafe { block.as_ptr().cast::<u64>().read() }).unwrap_or_default()
}

/// The class of blocks of so many bytes, header included.
fn class_of(whole: usize) -> usize {
    if whole <= FINE_BYTES {
        return whole.div_ceil(16).max(1) - 1;
    }
    let last = whole - 1;
    let power = last.ilog2() as usize;
    let quarter = (last >> (power - 2)) & 3;
    FINE_CLASSES + (power - 9) * 4 + quarter
}

/// Bytes of the blocks of a class, header included.
fn class_bytes(class: usize) -> usize {
    match class.checked_sub(FINE_CLASSES) {
        None => (class + 1) * 16,
        Some(coarse) => {
            let power = 9 + coarse / 4;
            (1 << power) + ((coarse % 4 + 1) << (power - 2))
        }
    }
}

/// What the interpreter allocates from.
pub(crate) struct Blocks(pub(crate) Rc<Arena>);

// SAFETY: blocks are aligned to 8 bytes, as large as they are asked for or larger, and `usable_size`
// answers what their class has room for.
unsafe impl Allocator for Blocks {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        self.0.alloc(size)
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        let Some(whole) = count.checked_mul(size) else { return ptr::null_mut() };
        let block = self.0.alloc(whole);
        if !block.is_null() {
            // SAFETY: the block is that large.
            unsafe { ptr::write_bytes(block, 0, whole) };
        }
        block
    }

    unsafe fn dealloc(&mut self, block: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.0.free(block) };
    }

    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            return self.0.alloc(size);
        }
        // SAFETY: the caller's promise.
        let room = unsafe { Self::usable_size(block) };
        // One that shrinks by less than half stays where it is.
        if size <= room && (size >= room / 2 || room <= FINE_BYTES) {
            return block;
        }
        let other = self.0.alloc(size);
        if !other.is_null() {
            // SAFETY: both are that large, and they are different blocks.
            unsafe {
                ptr::copy_nonoverlapping(block, other, room.min(size));
                self.0.free(block);
            }
        }
        other
    }

    unsafe fn usable_size(block: *mut u8) -> usize {
        // SAFETY: the caller's promise; each block has a header before it.
        let class = unsafe { block.sub(HEADER_BYTES).cast::<u64>().read() };
        if class == LARGE {
            // SAFETY: and a large one a longer one, which begins with its size.
            let whole = unsafe { block.sub(LARGE_HEADER_BYTES).cast::<u64>().read() };
            return usize::try_from(whole).unwrap_or_default() - LARGE_HEADER_BYTES;
        }
        class_bytes(usize::try_from(class).unwrap_or_default()) - HEADER_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rquickjs::{Context, Runtime};

    proptest! {
        #[test]
        fn a_class_fits_what_is_in_it_and_wastes_a_quarter_at_most(whole in 9..=CLASSED_BYTES_MAX) {
            let class = class_of(whole);
            prop_assert!(class < CLASSES);
            prop_assert!(class_bytes(class) >= whole);
            prop_assert!(class == 0 || class_bytes(class - 1) < whole);
            prop_assert!(class_bytes(class) - whole < (whole / 4).max(16));
        }

        #[test]
        fn memory_that_was_put_back_is_what_it_was(
            before in prop::collection::vec((1_usize..100_000, any::<u8>()), 1..40),
            after in prop::collection::vec((1_usize..400_000, any::<bool>()), 1..60),
        ) {
            let arena = Arena::new(1 << 30);
            let mut blocks = Blocks(Rc::clone(&arena));
            let made: Vec<_> = before.iter().map(|(size, fill)| {
                let block = blocks.alloc(*size);
                // SAFETY: the block is that large.
                unsafe { ptr::write_bytes(block, *fill, *size) };
                (block, *size, *fill)
            }).collect();
            arena.take_image();
            for _ in 0..3 {
                let mut there: Vec<*mut u8> = made.iter().map(|(block, ..)| *block).collect();
                for (size, frees) in &after {
                    if *frees && !there.is_empty() {
                        // SAFETY: it is alive, and out of the list.
                        unsafe { blocks.dealloc(there.swap_remove(size % there.len())) };
                    } else {
                        let block = blocks.alloc(*size);
                        // SAFETY: the block is that large.
                        unsafe { ptr::write_bytes(block, 0xEE, *size) };
                        there.push(block);
                    }
                }
                arena.put_back();
                for (block, size, fill) in &made {
                    // SAFETY: it is alive again.
                    let bytes = unsafe { std::slice::from_raw_parts(*block, *size) };
                    prop_assert!(bytes.iter().all(|byte| byte == fill));
                }
            }
        }
    }

    #[test]
    fn a_limit_is_one() {
        let arena = Arena::new(1 << 20);
        let mut blocks = Blocks(Rc::clone(&arena));
        assert!(blocks.alloc(2 << 20).is_null());
        let small = std::iter::repeat_with(|| blocks.alloc(1_000)).take_while(|it| !it.is_null());
        assert!((700..1_100).contains(&small.count()));
    }

    #[test]
    fn an_interpreter_forgets_what_happened_since() {
        let arena = Arena::new(64 << 20);
        let runtime = Runtime::new_with_alloc(Blocks(Rc::clone(&arena))).unwrap();
        let context = Context::full(&runtime).unwrap();
        context.with(|ctx| ctx.eval::<(), _>("var kept = { list: [1, 2, 3] }").unwrap());
        arena.take_image();
        for _ in 0..50 {
            let seen: String = context.with(|ctx| {
                ctx.eval(
                    "let seen = typeof late + kept.list.length + [].at; kept.list.push(4);
                     var late = 'x'.repeat(1e6); delete Array.prototype.at;
                     Promise.resolve().then(() => { for (;;) Promise.resolve().then(() => {}) });
                     globalThis.junk = Array.from({ length: 20_000 }, (_, n) => ({ n, s: 's' + n }));
                     seen",
                )
                .unwrap()
            });
            assert!(seen.starts_with("undefined3function at"), "{seen}");
            arena.put_back();
        }
        let taken = arena.taken.get();
        assert!(taken < 8 << 20, "{taken}");
        drop((context, runtime));
    }
}
