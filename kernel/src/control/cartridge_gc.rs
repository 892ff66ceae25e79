//! `POST /api/system/cartridge/gc`, `fazt cartridge gc`.

use std::time::Duration;

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::garbage::{self, Outcome};

/// How long one call works: an answer has to come within the time of a request.
const TIME: Duration = Duration::from_secs(15);

struct CollectGarbage(Node);

/// What was done.
#[derive(Serialize, JsonSchema)]
struct Collected {
    /// Whether all content was looked at; if not, the next call goes on.
    finished: bool,
    /// How many contents this round looked at.
    seen: u64,
    /// How many it deleted: nobody referred to them, and they were older than an hour.
    deleted: u64,
    /// Bytes of those.
    deleted_bytes: u64,
}

impl Operate for CollectGarbage {
    type Input = NoInput;
    type Output = Collected;

    async fn operate(&self, _: &Call, _: NoInput) -> Result<Collected> {
        let core = self.0.core()?;
        let (progress, finished) = match garbage::collect(&core, Some(TIME)).await? {
            Outcome::Finished(progress) => (progress, true),
            Outcome::Interrupted(progress) => (progress, false),
            Outcome::Blocked(plugins) => {
                let plugins = plugins.join(", ");
                return Err(Error::conflict(format!(
                    "nothing is deleted while these plugins, which store content, do not run: \
                     {plugins}; enable them, and start the server without leaving them out"
                ))
                .with_code("PLUGIN_LEFT_OUT"));
            }
        };
        Ok(Collected {
            finished,
            seen: progress.seen,
            deleted: progress.deleted,
            deleted_bytes: progress.deleted_bytes,
        })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = CollectGarbage(parts.node());
    let operation = Operation::post::<CollectGarbage>("/api/system/cartridge/gc").unhurried();
    parts
        .operation(
            operation
                .summary("Deletes contents that nobody refers to, which happens every hour anyway")
                .error("PLUGIN_LEFT_OUT"),
            run,
        )
        .command(
            Command::new("cartridge gc")
                .about("Delete contents that nobody refers to, which happens every hour anyway")
                .calls("POST /api/system/cartridge/gc")
                .says("{deleted} of {seen} contents deleted, {deleted_bytes} bytes; finished: {finished}"),
        )
}
