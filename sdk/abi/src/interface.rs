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
