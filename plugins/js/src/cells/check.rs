//! Checks an app's code in a cell that runs nothing of it.
//!
//! The driver of a cell is a task, and a command on a closed cartridge has none: this asks and listens by
//! itself.

use std::collections::HashMap;
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
use crate::stripped::is_typescript;

/// How long all files of one deployment may take.
const CHECK_WITHIN: Duration = Duration::from_secs(10);

/// The most problems that are told.
const PROBLEMS_MAX: usize = 20;

/// What came of a check.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// What is wrong, one sentence each: file, line, column, what.
    pub(crate) problems: Vec<String>,
    /// What was made of the files in TypeScript that are right, by path.
    pub(crate) stripped: HashMap<String, String>,
}

/// Looks at the code of a deployment.
///
/// # Errors
/// `Timeout`, and whatever keeps a cell from starting.
pub(crate) async fn check(pool: &Arc<Pool>, call: &Call, code: &Code) -> Result<Checked> {
    let around = &pool.around;
    let link = Link::start(call, around.limits.isolation, &pool.workers, &around.limits).await?;
    let asking = Box::pin(ask(&link, code));
    let clock = around.host.clock();
    let patience = Box::pin(clock.sleep(CHECK_WITHIN));
    let checked = match select(asking, patience).await {
        Either::Left((checked, _)) => checked,
        Either::Right(_) => {
            Err(Error::timeout(format!("it took longer than {} s", CHECK_WITHIN.as_secs())))
        }
    };
    link.kill().await;
    checked
}

async fn ask(link: &Link, code: &Code) -> Result<Checked> {
    // Data, and declarations of types, which nobody runs.
    let is_code = |path: &str| !path.ends_with(".json") && !path.ends_with(".d.ts");
    let sources: Vec<_> = code.files.iter().filter(|(path, _)| is_code(path)).collect();
    let frames = (0_u64..).zip(&sources).map(|(id, (path, source))| {
        let entry = code.entries.iter().find(|(entry, _)| entry == path);
        let role = entry.map_or_else(|| role_by_path(path), |(_, role)| *role);
        ToCell::Check { id, path, source, role }.to_bytes()
    });
    link.send(frames.collect()).await?;
    let mut checked = Checked::default();
    let mut left = sources.len();
    while left > 0 {
        let Some(frames) = link.receive().await else {
            return Err(Error::unavailable("the cell that checked it ended"));
        };
        for frame in frames {
            let Ok(FromCell::Checked { id, result }) = FromCell::decode(&frame) else { continue };
            left = left.saturating_sub(1);
            let source = usize::try_from(id).ok().and_then(|id| sources.get(id));
            match (result, source) {
                (Ok((_, code)), Some((path, _))) if is_typescript(path) => {
                    checked.stripped.insert(path.clone(), code.to_owned());
                }
                (Err(problem), _) if checked.problems.len() < PROBLEMS_MAX => {
                    checked.problems.push(describe(&problem));
                }
                _ => {}
            }
        }
    }
    Ok(checked)
}

fn role_by_path(path: &str) -> Role {
    if path.starts_with("jobs/") { Role::Background } else { Role::Library }
}
