//! Copies that can be trusted.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use fazt_kernel::cartridge::{
    Cartridge, CartridgeError, Existing, HashedContent, Migration, Mode, Options, Owner,
};

use crate::support::{NOTES, Place, add, block_on, clock, files, note, sha256, texts};

fn pairs() -> Owner {
    Owner::plugin("pair").unwrap()
}

const PAIRS: &[Migration<'static>] = &[Migration {
    name: "0001_create",
    sql: "CREATE TABLE pair_left (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, filler TEXT) STRICT;
          CREATE TABLE pair_right (id INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;",
}];

fn write_pair(cartridge: &Cartridge, n: i64) -> Result<(), CartridgeError> {
    let closure = move |tx: &fazt_kernel::cartridge::WriteTx<'_>| {
        let filler = format!("{n} ").repeat(200);
        tx.execute(
            "INSERT INTO pair_left (n, filler) VALUES (?1, ?2)",
            &[n.into(), filler.as_str().into()],
        )?;
        tx.execute("INSERT INTO pair_right (n) VALUES (?1)", &[n.into()])?;
        Ok(())
    };
    cartridge.write(&pairs(), None, Box::new(closure)).wait()
}

#[test]
fn a_backup_under_writes_is_one_moment() {
    let place = Place::new();
    let cartridge = place.open();
    cartridge.migrate(&pairs(), PAIRS).wait().unwrap();
    for n in 0..3_000 {
        write_pair(&cartridge, n).unwrap();
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 3_000;
            while !stop.load(Ordering::Relaxed) {
                write_pair(&cartridge, n).unwrap();
                n += 1;
            }
        });
        for i in 0..5 {
            let copy = place.directory.path().join(format!("copy-{i}.db"));
            cartridge.backup(&copy).wait().unwrap();
            assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            let auditor = rusqlite::Connection::open(&copy).unwrap();
            let differences: i64 = auditor
                .query_row(
                    "SELECT count(*) FROM pair_left AS l FULL JOIN pair_right AS r USING (id) WHERE l.n IS NOT r.n",
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            let (rows, sound): (i64, String) = auditor
                .query_row(
                    "SELECT (SELECT count(*) FROM pair_left), integrity_check FROM pragma_integrity_check",
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .unwrap();
            assert_eq!((differences, sound.as_str()), (0, "ok"));
            assert!(rows >= 3_000);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_backup_does_not_write_over_anything() {
    let place = Place::new();
    let cartridge = place.open();
    let taken = place.directory.path().join("taken");
    std::fs::write(&taken, "precious").unwrap();
    let link = place.directory.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let pointing = place.directory.path().join("pointing");
    std::os::unix::fs::symlink(&taken, &pointing).unwrap();
    for to in [&taken, &link, &pointing, &place.path] {
        let refusal = cartridge.backup(to).wait();
        assert_eq!(refusal, Err(CartridgeError::Exists { path: to.clone() }));
    }
    assert_eq!(std::fs::read(&taken).unwrap(), b"precious");
    assert!(!place.directory.path().join("nowhere").exists());
    let missing = place.directory.path().join("no/such/place");
    assert!(matches!(cartridge.backup(&missing).wait(), Err(CartridgeError::Io(_))));
    let left: Vec<_> = files(&taken);
    assert_eq!(left, ["taken"]);
}

fn backup_of_one(place: &Place) -> std::path::PathBuf {
    let cartridge = place.open();
    add(&cartridge, "one").unwrap();
    let content = HashedContent::new(vec![7; 300_000]);
    block_on(cartridge.write_value(&note(), None, move |tx| Ok(tx.put_blob(&content)?))).unwrap();
    let backup = place.directory.path().join("backup");
    cartridge.backup(&backup).wait().unwrap();
    add(&cartridge, "after the backup").unwrap();
    backup
}

fn open(path: &Path) -> Cartridge {
    let cartridge = Cartridge::open(path, Mode::Serve, Options::default()).unwrap();
    cartridge.migrate(&note(), NOTES).wait().unwrap();
    cartridge
}

#[test]
fn a_restored_backup_holds_what_it_held() {
    let place = Place::new();
    let backup = backup_of_one(&place);
    let to = place.directory.path().join("new/restored.db");
    Cartridge::restore(&backup, &to, Existing::Refuse, &clock()).unwrap();
    let restored = open(&to);
    assert_eq!(texts(&restored), ["one"]);
    let found = restored.verify().wait().unwrap();
    assert_eq!((found.problems.len(), found.blobs), (0, 1));
    drop(restored);
    assert_eq!(files(&to), ["restored.db"]);
}

#[test]
fn restoring_sets_the_old_cartridge_aside_when_told_and_refuses_otherwise() {
    let place = Place::new();
    let backup = backup_of_one(&place);
    let before = sha256(&place.path);
    let refused = Cartridge::restore(&backup, &place.path, Existing::Refuse, &clock());
    assert_eq!(refused, Err(CartridgeError::Exists { path: place.path.clone() }));
    assert_eq!(sha256(&place.path), before);
    let running = place.open();
    let refused = Cartridge::restore(&backup, &place.path, Existing::SetAside, &clock());
    assert!(matches!(refused, Err(CartridgeError::Locked { .. })), "{refused:?}");
    drop(running);
    Cartridge::restore(&backup, &place.path, Existing::SetAside, &clock()).unwrap();
    assert_eq!(texts(&open(&place.path)), ["one"]);
    let aside = place.directory.path().join("data.db.before-restore");
    assert_eq!(texts(&open(&aside)), ["one", "after the backup"]);
}

#[test]
fn what_cannot_be_used_is_not_restored() {
    let place = Place::new();
    let backup = backup_of_one(&place);
    let to = place.directory.path().join("restored.db");
    let bad = place.directory.path().join("bad");
    let whole = std::fs::read(&backup).unwrap();
    let mut damaged = whole.clone();
    for page in 2..20 {
        damaged[page * 4_096..page * 4_096 + 200].fill(0xAA);
    }
    let mut foreign = whole.clone();
    foreign[68..72].copy_from_slice(&[0; 4]);
    let mut newer = whole.clone();
    newer[60..64].copy_from_slice(&900_u32.to_be_bytes());
    let cases: [&[u8]; 6] = [b"", b"hello", &whole[..whole.len() / 2], &damaged, &foreign, &newer];
    for content in cases {
        std::fs::write(&bad, content).unwrap();
        let before = sha256(&bad);
        let refusal = Cartridge::restore(&bad, &to, Existing::Refuse, &clock()).unwrap_err();
        assert!(!to.exists(), "{refusal}");
        assert_eq!(sha256(&bad), before);
        assert_eq!(files(&to), Vec::<String>::new(), "{refusal}");
    }
    let missing = place.directory.path().join("missing");
    let refusal = Cartridge::restore(&missing, &to, Existing::Refuse, &clock());
    assert!(matches!(refusal, Err(CartridgeError::Missing { .. })));
}

#[test]
fn a_cartridge_that_runs_is_not_copied_by_restoring_it() {
    let place = Place::new();
    let running = place.open();
    let to = place.directory.path().join("restored.db");
    let refusal = Cartridge::restore(&place.path, &to, Existing::Refuse, &clock());
    assert!(matches!(refusal, Err(CartridgeError::Locked { .. })), "{refusal:?}");
    add(&running, "still here").unwrap();
}

#[test]
fn long_tasks_are_bounded_and_end_when_the_cartridge_closes() {
    let place = Place::new();
    let cartridge = place.open();
    let big = HashedContent::new(vec![1; 40 << 20]);
    block_on(cartridge.write_value(&note(), None, move |tx| Ok(tx.put_blob(&big)?))).unwrap();
    // Once this is answered, the writer is done with the log of the large write.
    add(&cartridge, "one").unwrap();
    let tasks: Vec<_> = (0..3).map(|_| cartridge.verify()).collect();
    block_on(cartridge.close()).unwrap();
    let answers: Vec<_> = tasks.into_iter().map(|task| task.wait().map(|_| ())).collect();
    let busy = CartridgeError::Busy { bound: "backups and verifications at a time", limit: 2 };
    assert_eq!(answers[2], Err(busy));
    assert!(answers[..2].contains(&Err(CartridgeError::Closed)), "{answers:?}");
    assert_eq!(files(&place.path), ["data.db"]);
}

#[test]
fn vacuum_gives_the_space_of_deleted_content_back() {
    let place = Place::new();
    let cartridge = place.open();
    for i in 0..200 {
        add(&cartridge, &format!("{i} {}", "x".repeat(20_000))).unwrap();
    }
    let delete = |tx: &fazt_kernel::cartridge::WriteTx<'_>| {
        Ok(tx.execute("DELETE FROM note_entry WHERE id > 1", &[])?)
    };
    assert_eq!(block_on(cartridge.write_value(&note(), None, delete)), Ok(199));
    cartridge.vacuum().wait().unwrap();
    let info = cartridge.info().wait().unwrap();
    assert!(info.file_bytes < 1 << 20 && info.wal_bytes == 0, "{info:?}");
    assert_eq!(texts(&cartridge).len(), 1);
    assert!(cartridge.verify().wait().unwrap().problems.is_empty());
}

#[test]
fn info_sums_up_what_every_owner_has() {
    let place = Place::new();
    let cartridge = place.open();
    for i in 0..10 {
        add(&cartridge, &format!("{i}")).unwrap();
    }
    let content = HashedContent::new(vec![7; 1_000]);
    block_on(cartridge.write_value(&note(), None, move |tx| {
        tx.emit("k", b"x")?;
        Ok(tx.put_blob(&content)?)
    }))
    .unwrap();
    let info = cartridge.info().wait().unwrap();
    assert_eq!((info.blobs, info.blob_bytes, info.events), (1, 1_000, 1));
    assert!(info.schema >= 1);
    assert!(info.wal_bytes > 0 && info.file_bytes >= 4_096);
    let owners: Vec<_> = info.owners.keys().map(String::as_str).collect();
    assert_eq!(owners, ["kernel", "note"]);
    let table = &info.owners["note"][0];
    assert_eq!((table.name.as_str(), table.rows), ("note_entry", 10));
    assert!(table.bytes >= 8_192, "the table and its index: {}", table.bytes);
}
