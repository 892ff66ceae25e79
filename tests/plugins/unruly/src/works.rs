//! The service, and each way in which it goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fazt_sdk::cartridge::{Query as _, Visit};
use fazt_sdk::prelude::*;

use crate::drops::{Alive, PanicsInDrop};

/// Work that goes wrong as it is told.
#[service("unruly.works", 1)]
pub trait Works {
    /// Does it.
    ///
    /// # Errors
    /// As told.
    async fn run(&self, call: &Call, how: &str) -> Result<String>;
}

/// Does what it is told, badly. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Unruliness {
    host: Host,
    /// How many of its values are alive.
    pub(crate) alive: Arc<AtomicI64>,
}

impl Unruliness {
    pub(crate) fn new(host: Host) -> Self {
        Self { host, alive: Arc::default() }
    }

    pub(crate) async fn run(&self, call: &Call, how: &str) -> Result<String> {
        let _alive = Alive::new(&self.alive);
        let cartridge = self.host.cartridge();
        match how {
            "well" => {}
            "first" => panic!("at the first poll"),
            "later" => {
                self.host.clock().sleep(Duration::from_millis(1)).await;
                panic!("after an await");
            }
            "local" => {
                let _held = PanicsInDrop("a local");
                self.host.clock().sleep(Duration::from_millis(1)).await;
            }
            "held" => {
                let _held = PanicsInDrop("a value of a future that was dropped");
                std::future::pending().await
            }
            "hang" => std::future::pending().await,
            "read" => cartridge.read(|_| panic!("in a read"))?,
            "scan" => cartridge.scan(|_| -> Result<()> { panic!("in a scan") }).await?,
            "row" => cartridge.read(|reader| {
                reader.visit("SELECT 1", params![], &mut |_| -> Result<Visit> { panic!("in a row") })
            })?,
            "write" => {
                let written = cartridge.write(None, |transaction| -> Result<()> {
                    note(transaction, "write")?;
                    panic!("in a write")
                });
                written.await?;
            }
            "commit" => {
                let written = cartridge.write(None, |transaction| {
                    note(transaction, "commit")?;
                    transaction.on_commit(|| panic!("after a commit"))
                });
                written.await?;
            }
            "spawn" => self.host.tasks().spawn("unruly.late", || async { Ok(()) })?,
            "payload" => std::panic::panic_any(PanicsInDrop("a payload")),
            other => return Err(Error::invalid(format!("{other} is no way to misbehave"))),
        }
        Ok(format!("{how} for {:?}", call.principal()))
    }
}

fn note(transaction: &Transaction<'_>, note: &str) -> Result<()> {
    transaction.execute("INSERT INTO unruly_note (note) VALUES (?1)", params![note]).map(drop)
}

impl Works for Unruliness {
    /// Panics before there is a future when told `early`.
    fn run(&self, call: &Call, how: &str) -> impl Future<Output = Result<String>> + Send {
        assert!(how != "early", "before there was a future");
        Self::run(self, call, how)
    }
}

/// How many notes were kept.
pub(crate) struct Notes(pub(crate) Cartridge);

impl Handler for Notes {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        let notes: Vec<String> = self.0.read(|reader| {
            reader.all("SELECT note FROM unruly_note ORDER BY id", params![], |row| row.get(0))
        })?;
        Ok(Response::text(notes.join(" ")))
    }
}

/// How many values of calls and connections are alive.
pub(crate) struct Live(pub(crate) Unruliness);

impl Handler for Live {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        Ok(Response::text(self.0.alive.load(Ordering::Relaxed).to_string()))
    }
}
