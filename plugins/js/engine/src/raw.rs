//! The places where the safe interface of the interpreter's crate is not enough: text without a copy
//! and with lone surrogates, the bytes of buffers, code that is compiled but not run, and bytecode.
//! Each function is safe to call; what it relies on stands beside it.

#![expect(
    unsafe_code,
    reason = "the interpreter is C, and its crate's safe interface ends before these"
)]

use rquickjs::{ArrayBuffer, Ctx, Error, Module, Result, TypedArray, Value, module::Declared, qjs};
use std::ffi::CString;

/// Adds the text of a value to `out`, as UTF-8; lone surrogates become U+FFFD.
pub(crate) fn text_into(value: &Value<'_>, out: &mut Vec<u8>) -> Result<()> {
    let ctx = value.ctx();
    let mut length = 0;
    // SAFETY: context and value belong together and are alive; the answer is checked for null and
    // freed below.
    let text =
        unsafe { qjs::JS_ToCStringLen(ctx.as_raw().as_ptr(), &raw mut length, value.as_raw()) };
    if text.is_null() {
        return Err(Error::Exception);
    }
    // SAFETY: the interpreter says that so many bytes are there, and they live until they are freed.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) };
    match std::str::from_utf8(bytes) {
        Ok(_) => out.extend_from_slice(bytes),
        Err(_) => well_formed(bytes, out),
    }
    // SAFETY: `text` came from JS_ToCStringLen and is not used afterwards.
    unsafe { qjs::JS_FreeCString(ctx.as_raw().as_ptr(), text) };
    Ok(())
}

/// The text of a value.
pub(crate) fn text(value: &Value<'_>) -> Result<String> {
    let mut out = Vec::new();
    text_into(value, &mut out)?;
    Ok(String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The interpreter's `size_t`, which is `u64` or `usize` by platform.
fn width(size: qjs::size_t) -> usize {
    usize::try_from(size).unwrap_or_default()
}

/// The interpreter writes lone surrogates as three bytes (ED A0..BF xx), which UTF-8 has not.
fn well_formed(bytes: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let surrogate = *byte == 0xED && bytes.get(at + 1).is_some_and(|next| *next >= 0xA0);
        if surrogate {
            out.extend_from_slice("\u{FFFD}".as_bytes());
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
}

/// What `read` makes of the bytes of a `Uint8Array` or `ArrayBuffer`; `None` for anything else and
/// for what is detached.
pub(crate) fn bytes_of<T>(value: &Value<'_>, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
    let raw = if let Ok(array) = TypedArray::<u8>::from_value(value.clone()) {
        array.as_raw()?
    } else {
        ArrayBuffer::from_value(value.clone())?.as_raw()?
    };
    // SAFETY: the buffer is alive as long as `value`, and nothing runs JavaScript or touches the
    // buffer while `read` looks at it: no caller passes a closure that knows a context.
    Some(read(unsafe { raw.as_ref() }))
}

/// What source is compiled as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Goal {
    /// A sloppy script; it has a completion value.
    Script,
    /// A module.
    Module,
}

/// Compiles without running. A module's imports are resolved.
pub(crate) fn compile<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    source: &str,
    goal: Goal,
) -> Result<Value<'js>> {
    let (name, text) = (CString::new(name)?, CString::new(source)?);
    let flags = qjs::JS_EVAL_FLAG_COMPILE_ONLY
        | match goal {
            Goal::Script => qjs::JS_EVAL_TYPE_GLOBAL,
            Goal::Module => qjs::JS_EVAL_TYPE_MODULE,
        };
    // SAFETY: both texts end in a zero byte and outlive the call; the length is the source's.
    let compiled = unsafe {
        qjs::JS_Eval(
            ctx.as_raw().as_ptr(),
            text.as_ptr(),
            source.len() as qjs::size_t,
            name.as_ptr(),
            i32::try_from(flags).unwrap_or_default(),
        )
    };
    owned(ctx, compiled)
}

/// Runs what [`compile`] or [`read`] answered; for a script, its completion value.
pub(crate) fn run<'js>(ctx: &Ctx<'js>, compiled: Value<'js>) -> Result<Value<'js>> {
    let raw = compiled.as_raw();
    // SAFETY: JS_EvalFunction takes a reference of its own away, which is added here.
    let value = unsafe {
        let raw = qjs::JS_DupValue(ctx.as_raw().as_ptr(), raw);
        qjs::JS_EvalFunction(ctx.as_raw().as_ptr(), raw)
    };
    owned(ctx, value)
}

/// Bytecode of what [`compile`] answered.
pub(crate) fn write(ctx: &Ctx<'_>, compiled: &Value<'_>, sources: bool) -> Result<Vec<u8>> {
    let mut length = 0;
    // Places stay: without its file's name a function cannot import.
    let strip = if sources { 0 } else { qjs::JS_WRITE_OBJ_STRIP_SOURCE };
    let flags = qjs::JS_WRITE_OBJ_BYTECODE | strip;
    // SAFETY: context and value belong together and are alive.
    let buffer = unsafe {
        qjs::JS_WriteObject(
            ctx.as_raw().as_ptr(),
            &raw mut length,
            compiled.as_raw(),
            i32::try_from(flags).unwrap_or_default(),
        )
    };
    if buffer.is_null() {
        return Err(Error::Exception);
    }
    let length = width(length);
    // SAFETY: the interpreter wrote so many bytes there, and they are freed only afterwards.
    let bytes = unsafe { std::slice::from_raw_parts(buffer, length) }.to_vec();
    // SAFETY: `buffer` was allocated by the interpreter of this context and is not used afterwards.
    unsafe { qjs::js_free(ctx.as_raw().as_ptr(), buffer.cast()) };
    Ok(bytes)
}

/// Bytecode that [`write`] made in this process, or in a cell that never held an app's code: the
/// interpreter trusts it. A script, to [`run`].
pub(crate) fn read<'js>(ctx: &Ctx<'js>, bytecode: &[u8]) -> Result<Value<'js>> {
    // SAFETY: the bytes outlive the call, and they come from `write` (see above).
    let value = unsafe {
        qjs::JS_ReadObject(
            ctx.as_raw().as_ptr(),
            bytecode.as_ptr(),
            bytecode.len() as qjs::size_t,
            i32::try_from(qjs::JS_READ_OBJ_BYTECODE).unwrap_or_default(),
        )
    };
    owned(ctx, value)
}

/// The same for a module.
pub(crate) fn read_module<'js>(ctx: &Ctx<'js>, bytecode: &[u8]) -> Result<Module<'js, Declared>> {
    // SAFETY: as for `read`.
    unsafe { Module::load(ctx.clone(), bytecode) }
}

fn owned<'js>(ctx: &Ctx<'js>, value: qjs::JSValue) -> Result<Value<'js>> {
    // SAFETY: the value is a reference that the interpreter gave away.
    let value = unsafe { Value::from_raw(ctx.clone(), value) };
    if value.is_exception() { Err(Error::Exception) } else { Ok(value) }
}

/// Where an object lies: tells objects apart as long as both are alive.
pub(crate) fn address(value: &Value<'_>) -> usize {
    // SAFETY: only the number is used; values that are no objects give one that means nothing.
    unsafe { qjs::JS_VALUE_GET_PTR(value.as_raw()) as usize }
}
