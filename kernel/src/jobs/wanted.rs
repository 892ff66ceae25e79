//! Jobs that somebody asked for in a transaction of his own: they come through the event log.

use std::ops::ControlFlow;
use std::sync::{Arc, Weak};

use fazt_sdk::Event as _;
use fazt_sdk::services::jobs::JobWanted;
use fazt_sdk::{Result, wire};

use super::{queue, store};
use crate::cartridge::{Owner, SubscribeFrom};
use crate::core::Core;
use crate::telemetry::Level;

/// Starts following the log.
///
/// # Errors
/// What the cartridge says; when the kernel has too many tasks.
pub(super) async fn start(core: &Arc<Core>) -> Result<()> {
    core.jobs.write(None, |tx| Ok(Ok(tx.subscribe(SUBSCRIBER, SubscribeFrom::Next)?))).await?;
    let node = Arc::downgrade(core);
    core.tasks.spawn("jobs.wanted", move || follow(node.clone()))
}

async fn follow(node: Weak<Core>) -> Result<()> {
    let Some(core) = node.upgrade() else { return Ok(()) };
    let mut newest = core.cartridge.newest_event();
    drop(core);
    let mut seen = 0;
    loop {
        newest.borrow_and_update();
        let Some(core) = node.upgrade() else { return Ok(()) };
        let (cursor, looked_at, wanted) = page(&core, seen).await?;
        let found_any = looked_at > seen.max(cursor);
        seen = looked_at;
        // Passing over events of others is worth a write only now and then.
        if !wanted.is_empty() || looked_at - cursor >= CURSOR_LAG_MAX {
            queue_all(&core, wanted, looked_at).await?;
        }
        drop(core);
        if !found_any && newest.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Where the cursor stands, up to where the log was looked at, and what was found.
async fn page(core: &Core, seen: i64) -> Result<(i64, i64, Vec<Vec<u8>>)> {
    let page = core.cartridge.scan_value(&Owner::kernel(), move |reader| {
        let cursor = reader.cursor(SUBSCRIBER)?.unwrap_or(0);
        let (mut wanted, mut last) = (Vec::new(), 0);
        let from = cursor.max(seen);
        let looked_at =
            reader.events_after(from, &[JobWanted::NAME], BATCH_EVENTS, &mut |event| {
                wanted.push(event.payload.to_vec());
                last = event.seq;
                ControlFlow::Continue(())
            })?;
        // A full page may have stopped before its end.
        let looked_at = if wanted.len() >= BATCH_EVENTS { last } else { looked_at };
        Ok((cursor, looked_at, wanted))
    });
    Ok(page.await?)
}

/// Queues them and moves the cursor, in one write: each takes effect exactly once.
async fn queue_all(core: &Core, wanted: Vec<Vec<u8>>, up_to: i64) -> Result<()> {
    let state = Arc::clone(&core.jobs.state);
    let dropped = core.jobs.write(None, move |tx| {
        let mut dropped = Vec::new();
        for payload in &wanted {
            let asked = match wire::from_slice::<JobWanted>(payload) {
                Ok(asked) => asked,
                Err(error) => {
                    dropped.push(fazt_sdk::Error::from(error).to_string());
                    continue;
                }
            };
            if let Err(error) = queue::check(&asked.job) {
                dropped.push(error.to_string());
                continue;
            }
            let key = store::key(asked.app);
            let same = match &asked.job.unique_key {
                Some(unique) => store::same(tx, &key, &asked.job.kind, unique)?,
                None => None,
            };
            // An app that is gone by now wants nothing any more.
            if same.is_none() && store::has_app(tx, &key)? {
                queue::insert(tx, &key, &asked.job, None)?;
            }
        }
        tx.advance_cursor(SUBSCRIBER, up_to)?;
        let state = Arc::clone(&state);
        tx.on_commit(Box::new(move || state.jobs_changed()));
        Ok(Ok(dropped))
    });
    for why in dropped.await? {
        let message = format!("a job that a plugin asked for in a transaction cannot be: {why}");
        core.telemetry.log(Level::Error, "kernel", &message, "");
    }
    Ok(())
}

/// The name of the cursor.
const SUBSCRIBER: &str = "jobs";

/// Events in one write.
const BATCH_EVENTS: usize = 100;

/// How far the cursor may lie behind what was looked at, in events.
const CURSOR_LAG_MAX: i64 = 1_000;
