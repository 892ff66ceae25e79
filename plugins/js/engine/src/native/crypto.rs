//! Random bytes.

use super::functions;
use ring::rand::{SecureRandom as _, SystemRandom};
use rquickjs::{Ctx, Exception, Object, Result, TypedArray};

/// Random bytes of one call (W3C Web Cryptography, `getRandomValues`).
const RANDOM_BYTES_MAX: usize = 65_536;

pub(super) fn install<'js>(ctx: &Ctx<'js>, door: &Object<'js>) -> Result<()> {
    functions!(ctx, door, {
        "random" => |ctx: Ctx<'js>, count: usize| {
            let bytes = random(&ctx, count)?;
            TypedArray::<u8>::new_copy(ctx, bytes)
        },
        "hex" => |ctx: Ctx<'js>, count: usize| -> Result<String> {
            Ok(random(&ctx, count)?.iter().map(|byte| format!("{byte:02x}")).collect())
        },
    });
    Ok(())
}

fn random(ctx: &Ctx<'_>, count: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; count.min(RANDOM_BYTES_MAX)];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Exception::throw_internal(ctx, "the system gives no random bytes")),
    }
}
