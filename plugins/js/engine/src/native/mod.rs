//! The functions that the platform's JavaScript calls: the door out of a realm.

mod answers;
mod calls;
mod code;
mod crypto;
mod multipart;
mod text;
mod url;

pub(crate) use calls::value;
pub(crate) use code::compile_classic;

use crate::realm::Manner;
use crate::shared::Shared;
use rquickjs::{Ctx, Object, Result};
use std::rc::Rc;

/// The object with all of them.
pub(crate) fn door<'js>(
    ctx: &Ctx<'js>,
    shared: &Rc<Shared>,
    manner: Manner,
) -> Result<Object<'js>> {
    let door = Object::new(ctx.clone())?;
    answers::install(ctx, &door, shared)?;
    calls::install(ctx, &door, shared)?;
    code::install(ctx, &door, shared, manner)?;
    text::install(ctx, &door)?;
    url::install(ctx, &door)?;
    crypto::install(ctx, &door)?;
    Ok(door)
}

/// Sets functions of an object: `name => closure`.
macro_rules! functions {
    ($ctx:expr, $door:expr, { $($name:literal => $function:expr,)* }) => {
        $($door.set($name, rquickjs::Function::new($ctx.clone(), $function)?)?;)*
    };
}
use functions;

/// A request's number as scripts hand it over.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers below 2^53")]
fn id(number: f64) -> u64 {
    number as u64
}

/// A request's number for a script.
#[expect(clippy::cast_precision_loss, reason = "numbers below 2^53")]
pub(crate) fn number(id: u64) -> f64 {
    id as f64
}
