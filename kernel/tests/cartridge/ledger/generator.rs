//! The process that writes and tells what was acknowledged: transfers between accounts, entries with
//! an event, entries with content, counters.

use std::{path::Path, sync::Arc};

use fazt_kernel::cartridge::{
    Cartridge, HashedContent, Migration, Mode, Options, Owner, Pending, TxError, WriteTx,
};
use sha2::{Digest as _, Sha256};

use super::Random;
use crate::child::tell;

const TABLES: &[Migration<'static>] = &[Migration {
    name: "0001_create",
    sql: "
CREATE TABLE ledger_entry (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, payload BLOB NOT NULL, blob BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger_leg (
  entry TEXT NOT NULL, account INTEGER NOT NULL, amount INTEGER NOT NULL
) STRICT;
CREATE INDEX ledger_leg_entry ON ledger_leg (entry);
CREATE TABLE ledger_account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL) STRICT;
CREATE TABLE ledger_counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;
",
}];

const THREADS: u64 = 16;

/// Writes until it is killed. `how` is "SEED MODE".
pub(crate) fn run(path: &Path, how: &str) {
    let (seed, mode) = how.split_once(' ').unwrap();
    let seed: u64 = seed.parse().unwrap();
    let cartridge = Cartridge::open(path, Mode::Serve, Options::default()).unwrap();
    let owner = Owner::plugin("ledger").unwrap();
    cartridge.migrate(&owner, TABLES).wait().unwrap();
    tell("begin");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (cartridge, owner) = (cartridge.clone(), owner.clone());
            scope.spawn(move || {
                let mut random = Random((seed * THREADS + thread + 1) * 0x9E37_79B9);
                for n in 0_u64.. {
                    let id = format!("{seed}-{thread}-{n}");
                    write(&cartridge, &owner, &mut random, mode, thread, id);
                }
            });
        }
    });
}

fn write(
    cartridge: &Cartridge,
    owner: &Owner,
    random: &mut Random,
    mode: &str,
    thread: u64,
    id: String,
) {
    let app = Some([u8::try_from(thread % 4).unwrap(); 12]);
    let length = usize::try_from(20 + random.below(400)).unwrap();
    let payload: Vec<u8> = (0..length).map(|_| random.next().to_le_bytes()[2]).collect();
    let digest: String = Sha256::digest(&payload).iter().map(|b| format!("{b:02x}")).collect();
    let kind = ["transfer", "event", "content", "counter"][random.below(4) as usize];
    let ack = format!("ack {kind} {id} {digest}");
    if mode == "two-step" && kind == "transfer" {
        let (first, second) = (id.clone(), id);
        send(cartridge, owner, app, move |tx| entry(tx, &first, "transfer", &payload, None))
            .wait()
            .unwrap();
        send(cartridge, owner, app, move |tx| legs(tx, &second, 7)).wait().unwrap();
        tell(&ack);
        return;
    }
    let amount = i64::try_from(1 + random.below(1_000)).unwrap();
    let large = random.below(64) == 0;
    let pending = match kind {
        "transfer" => send(cartridge, owner, app, move |tx| {
            legs(tx, &id, amount)?;
            entry(tx, &id, "transfer", &payload, None)
        }),
        "event" => send(cartridge, owner, app, move |tx| {
            entry(tx, &id, "event", &payload, None)?;
            tx.emit("ledger.entry", id.as_bytes())?;
            Ok(())
        }),
        "content" => {
            let mut bytes = payload.clone();
            if large {
                bytes = bytes.repeat(300_000 / length);
            }
            let content = Arc::new(HashedContent::new(bytes));
            send(cartridge, owner, app, move |tx| {
                let hash = tx.put_blob(&content)?;
                entry(tx, &id, "content", &payload, Some(&hash.0))
            })
        }
        _ => send(cartridge, owner, app, move |tx| {
            tx.execute(
                "INSERT INTO ledger_counter VALUES (1, 1) ON CONFLICT DO UPDATE SET n = n + 1",
                &[],
            )?;
            entry(tx, &id, "counter", &payload, None)
        }),
    };
    if mode == "early" {
        tell(&ack);
        pending.wait().unwrap();
    } else {
        pending.wait().unwrap();
        tell(&ack);
    }
}

fn send(
    cartridge: &Cartridge,
    owner: &Owner,
    app: Option<[u8; 12]>,
    closure: impl Fn(&WriteTx<'_>) -> Result<(), TxError> + Send + 'static,
) -> Pending {
    cartridge.write(owner, app, Box::new(closure))
}

fn entry(
    tx: &WriteTx<'_>,
    id: &str,
    kind: &str,
    payload: &[u8],
    blob: Option<&[u8]>,
) -> Result<(), TxError> {
    tx.execute(
        "INSERT INTO ledger_entry (id, kind, payload, blob) VALUES (?1, ?2, ?3, ?4)",
        &[id.into(), kind.into(), payload.into(), blob.into()],
    )?;
    Ok(())
}

fn legs(tx: &WriteTx<'_>, id: &str, amount: i64) -> Result<(), TxError> {
    for (account, amount) in [(1, -amount), (2, amount)] {
        tx.execute(
            "INSERT INTO ledger_account VALUES (?1, ?2) ON CONFLICT DO UPDATE SET balance = balance + excluded.balance",
            &[account.into(), amount.into()],
        )?;
        tx.execute(
            "INSERT INTO ledger_leg (entry, account, amount) VALUES (?1, ?2, ?3)",
            &[id.into(), account.into(), amount.into()],
        )?;
    }
    Ok(())
}
