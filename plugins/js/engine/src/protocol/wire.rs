//! How the values of a frame are written and read; the order of fields is in the tables at the end.

use super::{
    Binding, CallFailure, DecodeError, Entry, File, FromCell, Headers, Init, Level, Limits,
    Problem, Request, Role, Style, ToCell,
};

/// One value of a frame.
pub(super) trait Field<'a>: Sized {
    fn put(&self, out: &mut Writer<'_>);
    fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

/// Where a frame is written.
pub(super) struct Writer<'o>(pub(super) &'o mut Vec<u8>);

/// What is left of a frame.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(DecodeError("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.bytes(N)?;
        taken.try_into().map_err(|_| DecodeError("it is cut off"))
    }

    /// The value, if nothing is left over.
    pub(super) fn end<T>(&self, value: T) -> Result<T, DecodeError> {
        if self.0.is_empty() { Ok(value) } else { Err(DecodeError("something is left over")) }
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl<'a> Field<'a> for $number {
            fn put(&self, out: &mut Writer<'_>) {
                out.0.extend_from_slice(&self.to_le_bytes());
            }
            fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(from.array()?))
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64);

impl<'a> Field<'a> for bool {
    fn put(&self, out: &mut Writer<'_>) {
        u8::from(*self).put(out);
    }
    fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match u8::take(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError("a flag is neither 0 nor 1")),
        }
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn put(&self, out: &mut Writer<'_>) {
        // What does not fit into u32 does not fit into a frame either; the transport refuses it.
        u32::try_from(self.len()).unwrap_or(u32::MAX).put(out);
        out.0.extend_from_slice(self);
    }
    fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = u32::take(from)?;
        from.bytes(usize::try_from(count).map_err(|_| DecodeError("a length is absurd"))?)
    }
}

impl<'a> Field<'a> for &'a str {
    fn put(&self, out: &mut Writer<'_>) {
        self.as_bytes().put(out);
    }
    fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        std::str::from_utf8(<&[u8]>::take(from)?).map_err(|_| DecodeError("text is not UTF-8"))
    }
}

impl<'a, T: Field<'a>> Field<'a> for Vec<T> {
    fn put(&self, out: &mut Writer<'_>) {
        u32::try_from(self.len()).unwrap_or(u32::MAX).put(out);
        for item in self {
            item.put(out);
        }
    }
    fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = u32::take(from)?;
        // Every item takes a byte at least: the count cannot make this allocate more than the frame
        // is worth.
        let mut items = Self::new();
        for _ in 0..count {
            items.push(T::take(from)?);
        }
        Ok(items)
    }
}

impl<'a, T: Field<'a>> Field<'a> for Option<T> {
    fn put(&self, out: &mut Writer<'_>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if bool::take(from)? { T::take(from).map(Some) } else { Ok(None) }
    }
}

impl<'a, T: Field<'a>, E: Field<'a>> Field<'a> for Result<T, E> {
    fn put(&self, out: &mut Writer<'_>) {
        self.is_ok().put(out);
        match self {
            Ok(value) => value.put(out),
            Err(error) => error.put(out),
        }
    }
    fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if bool::take(from)? { T::take(from).map(Ok) } else { E::take(from).map(Err) }
    }
}

impl<'a, A: Field<'a>, B: Field<'a>> Field<'a> for (A, B) {
    fn put(&self, out: &mut Writer<'_>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok((A::take(from)?, B::take(from)?))
    }
}

impl<'a, T: Field<'a>> Field<'a> for Box<T> {
    fn put(&self, out: &mut Writer<'_>) {
        (**self).put(out);
    }
    fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        T::take(from).map(Self::new)
    }
}

impl<'a> Field<'a> for Headers<'a> {
    fn put(&self, out: &mut Writer<'_>) {
        self.0.put(out);
    }
    fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        <&str>::take(from).map(Self)
    }
}

/// Records: all fields in order.
macro_rules! records {
    ($($name:ident $(<$life:lifetime>)? { $($field:ident),* })*) => {$(
        impl<'a> Field<'a> for $name$(<$life>)? {
            fn put(&self, out: &mut Writer<'_>) {
                $(self.$field.put(out);)*
            }
            fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
                $(let $field = Field::take(from)?;)*
                Ok(Self { $($field),* })
            }
        }
    )*};
}
records! {
    Init<'a> { app_id, app_name, app_url, version, limits, dev, env, bindings, scripts, files, entries, prelude }
    File<'a> { path, source, stripped }
    Entry<'a> { path, role }
    Limits { memory_bytes, stack_bytes, cpu_ms, root_cpu_ms, wall_ms, interleave, response_bytes, log_lines }
    Binding<'a> { name, arguments, promise }
    Request<'a> { id, entry, method, url, headers, body, more, ip, user, workspace }
    Problem<'a> { message, stack, file, line, column }
    CallFailure<'a> { code, message, kind }
}

/// Enums without fields: one byte.
macro_rules! marks {
    ($($name:ident { $($variant:ident = $number:literal),* })*) => {$(
        impl<'a> Field<'a> for $name {
            fn put(&self, out: &mut Writer<'_>) {
                let number: u8 = match self { $(Self::$variant => $number),* };
                number.put(out);
            }
            fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
                match u8::take(from)? {
                    $($number => Ok(Self::$variant),)*
                    _ => Err(DecodeError("a mark is unknown")),
                }
            }
        }
    )*};
}
marks! {
    Role { Api = 0, Root = 1, Background = 2, Library = 3 }
    Style { Module = 0, Classic = 1, Root = 2, Broken = 3 }
    Level { Debug = 0, Info = 1, Warn = 2, Error = 3 }
}

/// The kinds of frames of one direction: one byte, then the fields in order. Records are variants
/// with one value.
macro_rules! frames {
    ($name:ident {
        $($record_number:literal = $record:ident,)*
    } {
        $($number:literal = $variant:ident { $($field:ident),* },)*
    }) => {
        impl<'a> Field<'a> for $name<'a> {
            fn put(&self, out: &mut Writer<'_>) {
                let kind: u8 = match self {
                    $(Self::$record(..) => $record_number,)*
                    $(Self::$variant { .. } => $number,)*
                };
                kind.put(out);
                match self {
                    $(Self::$record(record) => record.put(out),)*
                    $(Self::$variant { $($field),* } => { $($field.put(out);)* })*
                }
            }
            fn take(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
                match u8::take(from)? {
                    $($record_number => Field::take(from).map(Self::$record),)*
                    $($number => {
                        $(let $field = Field::take(from)?;)*
                        Ok(Self::$variant { $($field),* })
                    })*
                    _ => Err(DecodeError("its kind is unknown")),
                }
            }
        }
    };
}
frames! { ToCell {
    1 = Init,
    2 = Request,
} {
    3 = RequestChunk { id, bytes, last },
    4 = Result { call, result },
    5 = Cancel { id },
    6 = Credit { id, bytes },
    7 = Job { id, path, job },
    8 = Event { id, path, name, event },
    9 = Check { id, path, source, role },
    10 = Collect {},
    11 = Compile {},
} }
frames! { FromCell {} {
    1 = Prelude { bytecode },
    2 = Ready { styles },
    3 = LoadError { entry, problem },
    4 = Response { id, status, headers, body, more, done_cpu_us },
    5 = Chunk { id, bytes, last },
    6 = Failed { id, code, problem, replace },
    7 = Outcome { id, result },
    8 = Call { call, request, binding, arguments, waits },
    9 = Log { request, level, text },
    10 = Done { id, cpu_us },
    11 = Credit { id, bytes },
    12 = Checked { id, result },
} }
