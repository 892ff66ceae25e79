//! Checks an app's code in a cell that runs nothing of it.
//!
//! The driver of a cell is a task, and a command on a closed cartridge has none: this asks and listens by
//! itself.

use std::sync::Arc;
use std::time::Duration;

use fazt_js_engine::protocol::{FromCell, Role, ToCell};
use fazt_sdk::call::Call;
use fazt_sdk::{Error, Result};
use futures_util::future::{Either, select};

use super::cell::describe;
use super::link::Link;
use super::pool::Pool;
use crate::code::Code;

/// How long all files of one deployment may take.
const CHECK_WITHIN: Duration = Duration::from_secs(10);

/// The most problems that are told.
const PROBLEMS_MAX: usize = 20;

/// What is wrong with the code of a deployment, one sentence each: file, line, column, what.
///
/// # Errors
/// `Timeout`, and whatever keeps a cell from starting.
pub(crate) async fn check(pool: &Arc<Pool>, call: &Call, code: &Code) -> Result<Vec<String>> {
    let around = &pool.around;
    let link = Link::start(call, around.limits.isolation, &pool.workers, &around.limits).await?;
    let asking = Box::pin(ask(&link, code));
    let clock = around.host.clock();
    let patience = Box::pin(clock.sleep(CHECK_WITHIN));
    let problems = match select(asking, patience).await {
        Either::Left((problems, _)) => problems,
        Either::Right(_) => {
            Err(Error::timeout(format!("it took longer than {} s", CHECK_WITHIN.as_secs())))
        }
    };
    link.kill().await;
    problems
}

async fn ask(link: &Link, code: &Code) -> Result<Vec<String>> {
    let sources: Vec<_> = code.files.iter().filter(|(path, _)| !path.ends_with(".json")).collect();
    let frames = (0_u64..).zip(&sources).map(|(id, (path, source))| {
        let entry = code.entries.iter().find(|(entry, _)| entry == path);
        let role = entry.map_or_else(|| role_by_path(path), |(_, role)| *role);
        ToCell::Check { id, path, source, role }.to_bytes()
    });
    link.send(frames.collect()).await?;
    let mut problems = Vec::new();
    let mut left = sources.len();
    while left > 0 {
        let Some(frames) = link.receive().await else {
            return Err(Error::unavailable("the cell that checked it ended"));
        };
        for frame in frames {
            let Ok(FromCell::Checked { result, .. }) = FromCell::decode(&frame) else { continue };
            left = left.saturating_sub(1);
            if let Err(problem) = result
                && problems.len() < PROBLEMS_MAX
            {
                problems.push(describe(&problem));
            }
        }
    }
    Ok(problems)
}

fn role_by_path(path: &str) -> Role {
    if path.starts_with("jobs/") { Role::Background } else { Role::Library }
}
