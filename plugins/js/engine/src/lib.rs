//! The JavaScript engine of a cell. It owns the realms of one app and deployment and turns frames
//! into frames ([`protocol`]); it refuses to know where they come from and go to ([`Port`]): the same
//! code runs in a child process behind a socket and on a thread behind a channel. It opens nothing,
//! writes nothing and asks the machine only for time and random bytes.

mod arena;
mod clock;
mod engine;
mod libraries;
mod loading;
mod modules;
mod native;
mod prelude;
mod pristine;
mod problem;
pub mod protocol;
mod raw;
mod realm;
mod setup;
mod shared;
mod sources;
mod typescript;
mod world;

use bytes::Bytes;
use engine::Engine;
use prelude::Prelude;
use protocol::{FromCell, ToCell};
use std::rc::Rc;
use std::time::Duration;

/// What takes the types out of TypeScript, with its version: what another one made is made again.
pub const TYPESCRIPT_MAKER: &str = "sucrase 3.35.1 columns 1";

/// Where frames come from and go to.
pub trait Port {
    /// Frames that have arrived, in order; waits for at least one as long as `wait` says. Empty when
    /// the time is up, or at once with [`Wait::No`].
    ///
    /// # Errors
    ///
    /// [`Closed`] when the other side is gone and nothing is left to read.
    fn receive(&mut self, wait: Wait) -> Result<Vec<Bytes>, Closed>;

    /// Queues a frame, without its length; it leaves at the next flush at the latest.
    fn send(&mut self, frame: Bytes);

    /// Sends what is queued; blocks until the other side has room.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the other side is gone.
    fn flush(&mut self) -> Result<(), Closed>;
}

/// How long [`Port::receive`] may wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// Not at all.
    No,
    /// At most this long.
    Until(Duration),
    /// Until a frame comes or the port closes.
    Forever,
}

/// The other side is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Closed;

/// Runs until the port closes. The first frame is [`protocol::ToCell::Init`],
/// [`protocol::ToCell::Check`] or [`protocol::ToCell::Compile`]; whatever cannot be read is dropped.
/// The thread needs [`protocol::Limits::stack_bytes`] and 256 KiB more.
pub fn run(mut port: Box<dyn Port>) {
    while let Ok(frames) = port.receive(Wait::Forever) {
        let mut frames = frames.into_iter();
        while let Some(frame) = frames.next() {
            match ToCell::decode(&frame) {
                Ok(ToCell::Init(init)) => {
                    let own = Rc::new(Prelude::default());
                    if let Some(engine) = Engine::new(port, &init, own) {
                        drop(init);
                        drop(frame);
                        engine.run(frames.collect());
                    }
                    return;
                }
                Ok(ToCell::Check { id, path, source, role }) => {
                    loading::answer_check(id, path, source, role, |answer| {
                        port.send(answer.to_bytes());
                    });
                }
                Ok(ToCell::Compile) => {
                    let bytecode = Prelude::compile().unwrap_or_default().to_bytes();
                    port.send(FromCell::Prelude { bytecode: &bytecode }.to_bytes());
                }
                _ => {}
            }
        }
        if port.flush().is_err() {
            return;
        }
    }
}
