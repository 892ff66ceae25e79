//! The macros that turn a trait into a table, its shims and its proxy.

/// Declares an interface that crosses the boundary as a counted object.
///
/// From `trait Name => Table, Raw { fn method(arg: T) -> R; … }` it makes the trait (implemented
/// by whoever provides), the `repr(C)` table, and the proxy `Raw` (held by whoever calls), which
/// is cheap to clone and may be sent between threads. Methods receive `self: &Arc<Self>`, so that
/// a future may outlive the call. Every result type implements [`crate::error::Failure`].
macro_rules! interface {
    (
        $(#[$meta:meta])*
        pub trait $name:ident => $table:ident, $raw:ident {
            $( $(#[$fmeta:meta])* fn $method:ident ( $($arg:ident : $ty:ty),* $(,)? ) -> $ret:ty; )*
        }
    ) => {
        $(#[$meta])*
        pub trait $name: Send + Sync + 'static {
            $( $(#[$fmeta])* fn $method(self: &::std::sync::Arc<Self>, $($arg: $ty),*) -> $ret; )*
        }

        #[doc = concat!("The table of [`", stringify!($name), "`]: its size, then its entries, append-only.")]
        #[repr(C)]
        #[derive(Debug)]
        pub struct $table {
            table_size: usize,
            table_retain: extern "C" fn(*const ()),
            table_release: extern "C" fn(*const ()),
            $( $method: extern "C" fn(*const (), $($ty),*) -> $ret, )*
        }

        #[doc = concat!("A counted handle to some [`", stringify!($name), "`] on either side of the boundary.")]
        #[repr(C)]
        #[derive(Debug)]
        pub struct $raw { data: *const (), table: *const $table }

        // SAFETY: the object behind the pointer implements the trait, which requires Send + Sync.
        unsafe impl Send for $raw {}
        // SAFETY: as above.
        unsafe impl Sync for $raw {}

        impl $raw {
            #[doc = concat!("Hands `object` over as a [`", stringify!($name), "`].")]
            pub fn new<T: $name>(object: ::std::sync::Arc<T>) -> Self {
                extern "C" fn retain<T>(data: *const ()) {
                    // SAFETY: `data` came from Arc::into_raw of the same T in `new`.
                    unsafe { ::std::sync::Arc::increment_strong_count(data.cast::<T>()) }
                }
                extern "C" fn release<T>(data: *const ()) {
                    // SAFETY: gives back one count taken by `new` or `retain`.
                    let object = unsafe { ::std::sync::Arc::from_raw(data.cast::<T>()) };
                    $crate::error::guard_drop(object);
                }
                $(
                    extern "C" fn $method<T: $name>(data: *const (), $($arg: $ty),*) -> $ret {
                        // SAFETY: `data` came from Arc::into_raw of the same T; the caller holds a
                        // count for the length of this call, which ManuallyDrop does not give back.
                        let this = ::std::mem::ManuallyDrop::new(unsafe {
                            ::std::sync::Arc::from_raw(data.cast::<T>())
                        });
                        $crate::error::guard(move || T::$method(&this, $($arg),*))
                    }
                )*
                struct Tables<T>(::std::marker::PhantomData<T>);
                impl<T: $name> Tables<T> {
                    const TABLE: &'static $table = &$table {
                        table_size: ::std::mem::size_of::<$table>(),
                        table_retain: retain::<T>,
                        table_release: release::<T>,
                        $( $method: $method::<T>, )*
                    };
                }
                Self { data: ::std::sync::Arc::into_raw(object).cast(), table: Tables::<T>::TABLE }
            }

            $(
                $(#[$fmeta])*
                pub fn $method(&self, $($arg: $ty),*) -> $ret {
                    let end = ::std::mem::offset_of!($table, $method) + ::std::mem::size_of::<usize>();
                    // SAFETY: `table` points to a table that lives for ever and starts with its
                    // size; the entry is read only when it lies below that size.
                    unsafe {
                        if end <= (*self.table).table_size {
                            ((*self.table).$method)(self.data, $($arg),*)
                        } else {
                            $crate::error::Failure::failed($crate::error::RawError::missing(stringify!($method)))
                        }
                    }
                }
            )*
        }

        impl Clone for $raw {
            fn clone(&self) -> Self {
                // SAFETY: the first entries exist in every version of the table.
                unsafe { ((*self.table).table_retain)(self.data) };
                Self { data: self.data, table: self.table }
            }
        }

        impl Drop for $raw {
            fn drop(&mut self) {
                // SAFETY: as in `clone`; this handle owns one count.
                unsafe { ((*self.table).table_release)(self.data) }
            }
        }
    };
}

/// Declares an interface that is lent for the length of one call: no counting, no sending.
///
/// The same shape as `interface!`, but the proxy carries a lifetime and methods take `&self`.
macro_rules! lent_interface {
    (
        $(#[$meta:meta])*
        pub trait $name:ident => $table:ident, $raw:ident {
            $( $(#[$fmeta:meta])* fn $method:ident ( $($arg:ident : $ty:ty),* $(,)? ) -> $ret:ty; )*
        }
    ) => {
        $(#[$meta])*
        pub trait $name {
            $( $(#[$fmeta])* fn $method(&self, $($arg: $ty),*) -> $ret; )*
        }

        #[doc = concat!("The table of [`", stringify!($name), "`]: its size, then its entries, append-only.")]
        #[repr(C)]
        #[derive(Debug)]
        pub struct $table {
            table_size: usize,
            $( $method: extern "C" fn(*const (), $($ty),*) -> $ret, )*
        }

        #[doc = concat!("A [`", stringify!($name), "`] lent for the length of one call.")]
        #[repr(C)]
        #[derive(Debug, Clone, Copy)]
        pub struct $raw<'a> {
            data: *const (),
            table: *const $table,
            lent: ::std::marker::PhantomData<&'a ()>,
        }

        impl<'a> $raw<'a> {
            #[doc = concat!("Lends `object` as a [`", stringify!($name), "`].")]
            pub fn new<T: $name>(object: &'a T) -> Self {
                $(
                    extern "C" fn $method<T: $name>(data: *const (), $($arg: $ty),*) -> $ret {
                        // SAFETY: the proxy's lifetime keeps the object borrowed.
                        let this = unsafe { &*data.cast::<T>() };
                        $crate::error::guard(move || T::$method(this, $($arg),*))
                    }
                )*
                struct Tables<T>(::std::marker::PhantomData<T>);
                impl<T: $name> Tables<T> {
                    const TABLE: &'static $table = &$table {
                        table_size: ::std::mem::size_of::<$table>(),
                        $( $method: $method::<T>, )*
                    };
                }
                Self {
                    data: ::std::ptr::from_ref(object).cast(),
                    table: Tables::<T>::TABLE,
                    lent: ::std::marker::PhantomData,
                }
            }

            $(
                $(#[$fmeta])*
                pub fn $method(&self, $($arg: $ty),*) -> $ret {
                    let end = ::std::mem::offset_of!($table, $method) + ::std::mem::size_of::<usize>();
                    // SAFETY: as in `interface!`.
                    unsafe {
                        if end <= (*self.table).table_size {
                            ((*self.table).$method)(self.data, $($arg),*)
                        } else {
                            $crate::error::Failure::failed($crate::error::RawError::missing(stringify!($method)))
                        }
                    }
                }
            )*
        }
    };
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macros make public items of a private module")]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use abi_stable::std_types::RResult;

    use crate::FfiFuture;
    use crate::error::{KIND_INTERNAL, KIND_UNAVAILABLE, RawError};
    use crate::future::guarded;

    type Answer = RResult<u32, RawError>;

    interface! {
        /// The first version of an interface.
        pub trait First => FirstTable, RawFirst {
            /// The one method of it.
            fn add(number: u32) -> Answer;
        }
    }

    interface! {
        /// The second version of the same interface.
        pub trait Second => SecondTable, RawSecond {
            /// As before.
            fn add(number: u32) -> Answer;
            /// Appended.
            fn later(number: u32) -> FfiFuture<Answer>;
            /// Appended, with a result that cannot carry an error.
            fn count() -> u64;
        }
    }

    lent_interface! {
        /// The first version of a lent interface.
        pub trait LentFirst => LentFirstTable, RawLentFirst {
            /// The one method of it.
            fn add(number: u32) -> Answer;
        }
    }

    lent_interface! {
        /// The second version of it.
        pub trait LentSecond => LentSecondTable, RawLentSecond {
            /// As before.
            fn add(number: u32) -> Answer;
            /// Appended.
            fn later(number: u32) -> Answer;
        }
    }

    /// Counts its drops; panics where it is told to by the number.
    struct Object(Arc<AtomicU32>);

    const PANIC_AT_ONCE: u32 = 1;
    const PANIC_WHEN_POLLED: u32 = 2;

    impl First for Object {
        fn add(self: &Arc<Self>, number: u32) -> Answer {
            RResult::ROk(number + 1)
        }
    }

    impl Second for Object {
        fn add(self: &Arc<Self>, number: u32) -> Answer {
            assert!(number != PANIC_AT_ONCE, "at once");
            RResult::ROk(number + 1)
        }
        fn later(self: &Arc<Self>, number: u32) -> FfiFuture<Answer> {
            assert!(number != PANIC_AT_ONCE, "before there was a future");
            guarded(async move {
                assert!(number != PANIC_WHEN_POLLED, "when it was polled");
                RResult::ROk(number + 2)
            })
        }
        fn count(self: &Arc<Self>) -> u64 {
            7
        }
    }

    impl LentFirst for Object {
        fn add(&self, number: u32) -> Answer {
            RResult::ROk(number + 1)
        }
    }

    impl LentSecond for Object {
        fn add(&self, number: u32) -> Answer {
            RResult::ROk(number + 1)
        }
        fn later(&self, number: u32) -> Answer {
            RResult::ROk(number + 2)
        }
    }

    impl Drop for Object {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            assert!(self.0.load(Ordering::Relaxed) < 100, "dropped");
        }
    }

    fn object(drops: u32) -> (Arc<Object>, Arc<AtomicU32>) {
        let count = Arc::new(AtomicU32::new(drops));
        (Arc::new(Object(Arc::clone(&count))), count)
    }

    /// The two versions side by side, as if one of them had crossed.
    fn as_second(first: RawFirst) -> RawSecond {
        let first = std::mem::ManuallyDrop::new(first);
        RawSecond { data: first.data, table: first.table.cast() }
    }

    fn as_first(second: RawSecond) -> RawFirst {
        let second = std::mem::ManuallyDrop::new(second);
        RawFirst { data: second.data, table: second.table.cast() }
    }

    fn ready<T>(future: impl Future<Output = T>) -> T {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            std::task::Poll::Ready(output) => output,
            std::task::Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn entries_that_an_older_side_does_not_have_answer_that_they_are_missing() {
        let (object, drops) = object(0);
        let second = as_second(RawFirst::new(object));
        assert_eq!(second.add(1).unwrap(), 2);
        let error = ready(second.later(1)).unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (KIND_UNAVAILABLE, "UNAVAILABLE"));
        assert!(error.message.contains("`later`"), "{}", error.message);
        assert_eq!(second.count(), 0);
        drop(second.clone());
        drop(second);
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn entries_that_a_newer_side_has_appended_are_not_seen() {
        let (object, drops) = object(0);
        let first = as_first(RawSecond::new(object));
        assert_eq!(first.add(2).unwrap(), 3);
        drop(first);
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn an_entry_exists_only_when_all_of_it_lies_below_the_size() {
        let (object, _) = object(0);
        let whole = RawSecond::new(object);
        let end = std::mem::offset_of!(SecondTable, later) + size_of::<usize>();
        for size in 0..=size_of::<SecondTable>() {
            // SAFETY: a bitwise copy of a table of plain function pointers.
            let mut table = unsafe { std::ptr::read(whole.table) };
            table.table_size = size;
            let cut = std::mem::ManuallyDrop::new(RawSecond {
                data: whole.data,
                table: &raw const table,
            });
            assert_eq!(ready(cut.later(5)).is_ok(), size >= end, "{size}");
        }
    }

    #[test]
    fn lent_tables_grow_in_the_same_way() {
        let (object, _) = object(0);
        let first = RawLentFirst::new(&*object);
        let newer = RawLentSecond { data: first.data, table: first.table.cast(), lent: first.lent };
        assert_eq!(newer.add(1).unwrap(), 2);
        assert!(newer.later(1).unwrap_err().message.contains("`later`"));
        let second = RawLentSecond::new(&*object);
        let older =
            RawLentFirst { data: second.data, table: second.table.cast(), lent: second.lent };
        assert_eq!(older.add(1).unwrap(), 2);
        assert_eq!(second.later(1).unwrap(), 3);
    }

    #[test]
    fn a_panic_at_once_when_polled_or_in_drop_is_an_error_and_no_more() {
        let (object, _) = object(99);
        let raw = RawSecond::new(object);
        let at_once = raw.add(PANIC_AT_ONCE).unwrap_err();
        assert_eq!((at_once.kind, at_once.code.as_str()), (KIND_INTERNAL, "PANIC"));
        for (number, words) in [
            (PANIC_AT_ONCE, "before there was a future"),
            (PANIC_WHEN_POLLED, "when it was polled"),
        ] {
            let error = ready(raw.later(number)).unwrap_err();
            assert!(error.message.contains(words), "{}", error.message);
        }
        assert_eq!(raw.add(5).unwrap(), 6);
        // The last handle: the object's own drop panics.
        drop(raw);
    }

    #[test]
    fn a_future_that_panics_when_it_is_dropped_unfinished_harms_nobody() {
        struct Held;
        impl Drop for Held {
            fn drop(&mut self) {
                panic!("in drop");
            }
        }
        let mut future = guarded(async {
            let _held = Held;
            std::future::pending::<Answer>().await
        });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::pin::Pin::new(&mut future).poll(&mut context).is_pending());
        drop(future);
    }
}
