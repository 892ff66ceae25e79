//! How much sharing a commit is worth: 64 callers write 200 bytes each at `synchronous=FULL`, once
//! with many closures to a transaction and once with one.
//!
//! Run with `cargo run --release -p fazt-kernel --example group_commit [ROUNDS] [SECONDS]`. The two
//! ways take turns, because the speed of a disk changes from minute to minute.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use fazt_kernel::{
    cartridge::{Cartridge, CartridgeError, Migration, Mode, Options, Owner},
    clock::{Clock, SystemClock},
};

const CALLERS: u64 = 64;

#[expect(clippy::print_stdout, reason = "a program that prints a table")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(Ok(11), |text| text.parse())?;
    let seconds: f64 = arguments.next().map_or(Ok(0.7), |text| text.parse())?;
    let directory = tempfile::tempdir_in(std::env::current_dir()?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let (mut batched, mut unbatched, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // The order alternates, so that neither way always goes first.
        let mut rates = [0.0; 2];
        for way in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            let batch_max_closures = if way == 0 { 1 } else { 256 };
            let path = directory.path().join(format!("{round}-{way}.db"));
            rates[way] = runtime.block_on(measure(&path, batch_max_closures, seconds))?;
        }
        println!(
            "round {round:2}: one to a commit {:8.0}/s   shared {:8.0}/s   {:5.1}x",
            rates[0],
            rates[1],
            rates[1] / rates[0]
        );
        unbatched.push(rates[0]);
        batched.push(rates[1]);
        ratios.push(rates[1] / rates[0]);
    }
    println!(
        "median:   one to a commit {:8.0}/s   shared {:8.0}/s   {:5.1}x",
        median(&mut unbatched),
        median(&mut batched),
        median(&mut ratios)
    );
    Ok(())
}

async fn measure(
    path: &Path,
    batch_max_closures: usize,
    seconds: f64,
) -> Result<f64, CartridgeError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Cartridge::create(path, &clock)?;
    let options = Options { batch_max_closures, ..Options::default() };
    let cartridge = Cartridge::open(path, Mode::Serve, options)?;
    let owner = Owner::plugin("bench")?;
    let sql = "CREATE TABLE bench_value (key INTEGER PRIMARY KEY, value TEXT NOT NULL) STRICT;";
    cartridge.migrate(&owner, &[Migration { name: "0001_create", sql }]).await?;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let start = clock.monotonic();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (cartridge, owner) = (cartridge.clone(), owner.clone());
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            let work = async move {
                let mut n = caller.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
                while !stop.load(Ordering::Relaxed) {
                    n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    write(&cartridge, &owner, caller, n).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<(), CartridgeError>(())
            };
            tokio::runtime::Handle::current().spawn(work)
        })
        .collect();
    tokio::task::block_in_place(|| std::thread::sleep(Duration::from_secs_f64(seconds)));
    stop.store(true, Ordering::Relaxed);
    let took = (clock.monotonic() - start).as_secs_f64();
    let written = done.load(Ordering::Relaxed);
    for caller in callers {
        caller.await.map_err(|e| CartridgeError::Io(e.to_string()))??;
    }
    cartridge.close().await?;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    Ok(written as f64 / took)
}

/// Writes 200 bytes that differ from call to call to one of 1,000 places.
async fn write(
    cartridge: &Cartridge,
    owner: &Owner,
    caller: u64,
    n: u64,
) -> Result<(), CartridgeError> {
    let app = Some([u8::try_from(caller % 8).unwrap_or(0); 12]);
    let key = i64::try_from((n >> 20) % 1_000).unwrap_or(0);
    let value = format!("{n:020}").repeat(10);
    cartridge
        .write(
            owner,
            app,
            Box::new(move |tx| {
                tx.execute(
                    "INSERT INTO bench_value (key, value) VALUES (?1, ?2) \
                     ON CONFLICT DO UPDATE SET value = excluded.value",
                    &[key.into(), value.as_str().into()],
                )?;
                Ok(())
            }),
        )
        .await
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
