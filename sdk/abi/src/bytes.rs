//! Byte buffers that cross without being copied.

use std::mem::ManuallyDrop;

use bytes::Bytes;

/// A shared, immutable byte buffer with the owner's own way to free it.
#[repr(C)]
#[derive(Debug)]
pub struct RawBytes {
    start: *const u8,
    len: usize,
    owner: *mut (),
    release: extern "C" fn(*mut ()),
}

// SAFETY: the bytes are immutable and the owner is a Bytes, which is Send and Sync.
unsafe impl Send for RawBytes {}
// SAFETY: as above.
unsafe impl Sync for RawBytes {}

impl RawBytes {
    /// An empty buffer; allocates nothing.
    #[must_use]
    pub fn empty() -> Self {
        extern "C" fn nothing(_: *mut ()) {}
        Self {
            start: std::ptr::NonNull::dangling().as_ptr(),
            len: 0,
            owner: std::ptr::null_mut(),
            release: nothing,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `start` and `len` describe a buffer that the owner keeps alive.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl From<Bytes> for RawBytes {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        let (start, len) = (bytes.as_ptr(), bytes.len());
        Self { start, len, owner: Box::into_raw(Box::new(bytes)).cast(), release }
    }
}

impl From<RawBytes> for Bytes {
    fn from(raw: RawBytes) -> Self {
        if raw.len == 0 {
            return Self::new();
        }
        // Our own function: nobody else's library has it at this address.
        if std::ptr::fn_addr_eq(raw.release, release as extern "C" fn(*mut ())) {
            let raw = ManuallyDrop::new(raw);
            // SAFETY: this function goes with owners that `From<Bytes>` above made; `raw` is not
            // dropped, so the owner is taken once.
            return *unsafe { Box::from_raw(raw.owner.cast::<Self>()) };
        }
        Self::from_owner(raw)
    }
}

/// Frees what `From<Bytes> for RawBytes` made.
extern "C" fn release(owner: *mut ()) {
    // SAFETY: `owner` came from Box::into_raw and is released once, by Drop.
    drop(unsafe { Box::from_raw(owner.cast::<Bytes>()) });
}

impl AsRef<[u8]> for RawBytes {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Drop for RawBytes {
    fn drop(&mut self) {
        (self.release)(self.owner);
    }
}
