//! `GET /api/workers`, `fazt server workers`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct ListWorkers(Node);

/// The worker processes at this moment.
#[derive(Serialize, JsonSchema)]
struct Workers {
    /// What the sandbox of workers lacks on this system; nothing is good. Absent until one started.
    lacking: Option<Vec<String>>,
    /// One sentence about that.
    isolation: String,
    workers: Vec<WorkerRow>,
}

/// A worker process.
#[derive(Serialize, JsonSchema)]
struct WorkerRow {
    worker: u64,
    plugin: String,
    pid: u32,
    /// Milliseconds.
    cpu_ms: u64,
    memory_bytes: u64,
}

fn isolation(lacking: Option<&[String]>) -> String {
    match lacking {
        None => "not known: no worker was started yet".to_owned(),
        Some([]) => "complete".to_owned(),
        Some(lacking) => format!("without {}", lacking.join("; without ")),
    }
}

impl Operate for ListWorkers {
    type Input = NoInput;
    type Output = Workers;

    async fn operate(&self, _: &Call, _: NoInput) -> Result<Workers> {
        let core = self.0.core()?;
        let lacking = core.workers.lacking();
        let rows = core.workers.running().into_iter().filter_map(|worker| {
            // One that has just ended has nothing to show.
            let usage = worker.usage().ok()?;
            Some(WorkerRow {
                worker: worker.number,
                plugin: worker.plugin.to_string(),
                pid: usage.pid,
                cpu_ms: u64::try_from(usage.cpu.as_millis()).unwrap_or(u64::MAX),
                memory_bytes: usage.memory_bytes,
            })
        });
        Ok(Workers { isolation: isolation(lacking.as_deref()), workers: rows.collect(), lacking })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ListWorkers(parts.node());
    parts
        .operation(
            Operation::get::<ListWorkers>("/api/workers")
                .summary("The worker processes, and what their sandbox lacks on this system"),
            run,
        )
        .command(
            Command::new("server workers")
                .about("Show the worker processes, and what their sandbox lacks on this system")
                .calls("GET /api/workers")
                .says("isolation: {isolation}"),
        )
}
