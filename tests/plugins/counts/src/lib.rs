//! Keeps tallies and offers them to other plugins.

use std::time::Duration;

use counts_api::{Cost, CostApi, Tallied, Tally, TallyApi};
use fazt_sdk::cartridge::Query as _;
use fazt_sdk::host::Clock;
use fazt_sdk::prelude::*;

const VERSION: &str = if cfg!(feature = "newer") { "0.2.0" } else { "0.1.0" };

#[derive(Default)]
pub struct Counts;

impl Plugin for Counts {
    fn manifest(&self) -> Manifest {
        Manifest::new("counts", VERSION)
            .about("Keeps tallies")
            .provides::<TallyApi>()
            .provides::<CostApi>()
            .migrations(migrations!("../migrations": "0001_create_tally"))
            .route(Route::app(Method::Get, "/_counts/version").public())
    }

    fn start(&self, host: Host) -> Result<Started> {
        let store = Store { cartridge: host.cartridge(), clock: host.clock() };
        Ok(Started::new().handle("/_counts/version", Version).provide(TallyApi::of(store)).provide(CostApi::of(Cheap)))
    }
}

struct Version;

impl Handler for Version {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        Ok(Response::text(VERSION))
    }
}

struct Store {
    cartridge: Cartridge,
    clock: Clock,
}

impl Tally for Store {
    async fn add(&self, _: &Call, name: &str, by: i64) -> Result<u64> {
        let name = name.to_owned();
        let added = self.cartridge.write(None, move |transaction| {
            let count: Option<i64> = transaction.first(
                "INSERT INTO counts_tally (name, count) VALUES (?1, ?2) \
                 ON CONFLICT (name) DO UPDATE SET count = count + ?2 RETURNING count",
                params![name, by],
                |row| row.get(0),
            )?;
            let count = count.ok_or_else(|| Error::internal("no count"))?;
            u64::try_from(count).map_err(|_| Error::invalid("a tally is never below zero"))
        });
        added.await
    }

    async fn scale(&self, _: &Call, number: f64, by: u32, down: bool) -> Result<f64> {
        let scaled = number * f64::from(by);
        Ok(if down { -scaled } else { scaled })
    }

    async fn reverse(&self, _: &Call, content: &[u8], limit: Option<u32>) -> Result<Bytes> {
        let limit = limit.map_or(content.len(), |limit| limit as usize).min(content.len());
        Ok(content[..limit].iter().rev().copied().collect::<Vec<u8>>().into())
    }

    async fn stamp(&self, _: &Call, names: &[String], pattern: &Tallied) -> Result<Vec<Tallied>> {
        Ok(names.iter().map(|name| Tallied { name: name.clone(), ..pattern.clone() }).collect())
    }

    async fn app(&self, call: &Call) -> Result<Option<AppId>> {
        Ok(call.app())
    }

    async fn refuse(&self, _: &Call, why: &str) -> Result<()> {
        Err(Error::conflict(format!("never: {why}"))
            .with_code("NEVER")
            .with_details(fazt_sdk::json!({ "why": why })))
    }

    async fn wait(&self, _: &Call, ms: u32) -> Result<u32> {
        self.clock.sleep(Duration::from_millis(u64::from(ms))).await;
        Ok(ms)
    }
}

/// What is measured.
struct Cheap;

impl Cost for Cheap {
    async fn nothing(&self, _: &Call) -> Result<()> {
        Ok(())
    }

    async fn length(&self, _: &Call, text: &str) -> Result<u32> {
        Ok(text.len() as u32)
    }

    async fn next(&self, _: &Call, record: &Tallied) -> Result<Tallied> {
        Ok(Tallied { count: record.count + 1, ..record.clone() })
    }
}

export_plugin!(Counts);
