//! One writer for many callers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use fazt_kernel::cartridge::{
    Cartridge, CartridgeError, Options, Pending, SqlErrorKind, TxError, Value,
};

use crate::support::{Place, abort, add, block_on, commits_in_log, files, note, texts};

/// Keeps the writer busy until the sender is dropped, so that later writes wait together.
fn hold(cartridge: &Cartridge) -> (mpsc::Sender<()>, Pending) {
    let (release, held) = mpsc::channel::<()>();
    let (entered, inside) = mpsc::channel();
    let held = Mutex::new(held);
    let pending = cartridge.write(
        &note(),
        Some(*b"the-holder--"),
        Box::new(move |_| {
            entered.send(()).ok();
            held.lock().unwrap().recv().ok();
            Ok(())
        }),
    );
    inside.recv().unwrap();
    (release, pending)
}

fn insert(cartridge: &Cartridge, text: &str) -> Pending {
    let text = text.to_owned();
    cartridge.write(
        &note(),
        None,
        Box::new(move |tx| {
            tx.execute("INSERT INTO note_entry (text) VALUES (?1)", &[text.as_str().into()])?;
            Ok(())
        }),
    )
}

#[test]
fn what_was_acknowledged_is_read_at_once_and_after_reopening() {
    let place = Place::new();
    let cartridge = place.open();
    add(&cartridge, "one").unwrap();
    add(&cartridge, "two").unwrap();
    assert_eq!(texts(&cartridge), ["one", "two"]);
    block_on(cartridge.close()).unwrap();
    assert_eq!(files(&place.path), ["data.db"]);
    assert_eq!(texts(&place.open()), ["one", "two"]);
}

#[test]
fn a_write_is_visible_on_another_connection_right_after_its_answer() {
    let place = Place::new();
    let cartridge = place.open();
    let other = rusqlite::Connection::open(&place.path).unwrap();
    for i in 0..500 {
        add(&cartridge, &format!("entry {i}")).unwrap();
        let seen: i64 =
            other.query_row("SELECT count(*) FROM note_entry", [], |row| row.get(0)).unwrap();
        assert_eq!(seen, i + 1);
    }
}

#[test]
fn writes_that_wait_together_share_one_commit() {
    let place = Place::new();
    let cartridge = place.open_with(Options { external_checkpoint: true, ..Options::default() });
    let before = commits_in_log(&place.path);
    let (release, holder) = hold(&cartridge);
    let waiting: Vec<_> = (0..100).map(|i| insert(&cartridge, &format!("{i}"))).collect();
    drop(release);
    holder.wait().unwrap();
    waiting.into_iter().for_each(|pending| pending.wait().unwrap());
    assert_eq!(texts(&cartridge).len(), 100);
    assert_eq!(commits_in_log(&place.path) - before, 1);
}

#[test]
fn an_error_undoes_its_closure_and_nothing_else() {
    let place = Place::new();
    let cartridge = place.open();
    let (release, holder) = hold(&cartridge);
    let first = insert(&cartridge, "first");
    let failing = cartridge.write(
        &note(),
        None,
        Box::new(|tx| {
            tx.execute("INSERT INTO note_entry (text) VALUES ('half')", &[])?;
            Err(abort("changed my mind"))
        }),
    );
    let duplicate = insert(&cartridge, "first");
    let last = insert(&cartridge, "last");
    drop(release);
    holder.wait().unwrap();
    first.wait().unwrap();
    assert_eq!(failing.wait(), Err(CartridgeError::Tx(abort("changed my mind"))));
    match duplicate.wait() {
        Err(CartridgeError::Tx(TxError::Sql(error))) => {
            assert_eq!(error.kind, SqlErrorKind::Unique);
        }
        other => panic!("{other:?}"),
    }
    last.wait().unwrap();
    assert_eq!(texts(&cartridge), ["first", "last"]);
}

#[test]
fn a_panic_becomes_the_error_of_its_caller_alone() {
    let place = Place::new();
    let cartridge = place.open();
    let (release, holder) = hold(&cartridge);
    let first = insert(&cartridge, "first");
    let panicking = cartridge.write(
        &note(),
        None,
        Box::new(|tx| {
            tx.execute("INSERT INTO note_entry (text) VALUES ('half')", &[])?;
            panic!("on purpose");
        }),
    );
    let last = insert(&cartridge, "last");
    drop(release);
    holder.wait().unwrap();
    first.wait().unwrap();
    assert_eq!(panicking.wait(), Err(CartridgeError::Panicked));
    last.wait().unwrap();
    assert_eq!(texts(&cartridge), ["first", "last"]);
}

#[test]
fn when_one_closure_fills_the_disk_the_others_run_again_without_it() {
    let place = Place::new();
    let options = Options { size_max_bytes: Some(1 << 20), ..Options::default() };
    let cartridge = place.open_with(options);
    let (release, holder) = hold(&cartridge);
    let runs = Arc::new(AtomicUsize::new(0));
    let hooks = Arc::new(AtomicUsize::new(0));
    let (counted, hooked) = (Arc::clone(&runs), Arc::clone(&hooks));
    let first = cartridge.write(
        &note(),
        None,
        Box::new(move |tx| {
            counted.fetch_add(1, Ordering::SeqCst);
            tx.execute("INSERT INTO note_entry (text) VALUES ('first')", &[])?;
            let hooked = Arc::clone(&hooked);
            tx.on_commit(Box::new(move || {
                hooked.fetch_add(1, Ordering::SeqCst);
            }));
            Ok(())
        }),
    );
    let after_loss = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&after_loss);
    let greedy = cartridge.write(
        &note(),
        None,
        Box::new(move |tx| {
            let big = "x".repeat(4 << 20);
            let result =
                tx.execute("INSERT INTO note_entry (text) VALUES (?1)", &[big.as_str().into()]);
            assert!(result.is_err());
            // A closure that ignores the error must not commit on its own.
            let second = tx.execute("INSERT INTO note_entry (text) VALUES ('torn')", &[]);
            *seen.lock().unwrap() = Some(second);
            Ok(())
        }),
    );
    let last = insert(&cartridge, "last");
    drop(release);
    holder.wait().unwrap();
    first.wait().unwrap();
    assert_eq!(greedy.wait(), Err(CartridgeError::Full));
    last.wait().unwrap();
    let second = after_loss.lock().unwrap().take().unwrap();
    assert_eq!(second.unwrap_err().kind, SqlErrorKind::RolledBack);
    assert_eq!(texts(&cartridge), ["first", "last"]);
    assert_eq!(runs.load(Ordering::SeqCst), 2, "the first closure ran, was undone, and ran again");
    assert_eq!(hooks.load(Ordering::SeqCst), 1, "only the run that counted has its hook");
}

#[test]
fn a_commit_that_fails_is_answered_to_the_one_who_caused_it() {
    let place = Place::new();
    let cartridge = place.open();
    let other = fazt_kernel::cartridge::Owner::plugin("tree").unwrap();
    let sql = "CREATE TABLE tree_node (id INTEGER PRIMARY KEY, \
               parent INTEGER REFERENCES tree_node DEFERRABLE INITIALLY DEFERRED) STRICT;";
    let migration = fazt_kernel::cartridge::Migration { name: "0001_node", sql };
    cartridge.migrate(&other, &[migration]).wait().unwrap();
    let (release, holder) = hold(&cartridge);
    let first = insert(&cartridge, "first");
    let orphan = cartridge.write(
        &other,
        None,
        Box::new(|tx| {
            tx.execute("INSERT INTO tree_node (parent) VALUES (77)", &[])?;
            Ok(())
        }),
    );
    let last = insert(&cartridge, "last");
    drop(release);
    holder.wait().unwrap();
    first.wait().unwrap();
    match orphan.wait() {
        Err(CartridgeError::Tx(TxError::Sql(error))) => {
            assert_eq!(error.kind, SqlErrorKind::Constraint);
        }
        other => panic!("{other:?}"),
    }
    last.wait().unwrap();
    assert_eq!(texts(&cartridge), ["first", "last"]);
}

#[test]
fn a_hook_runs_after_the_commit_and_before_the_answer() {
    let place = Place::new();
    let cartridge = place.open();
    let path = place.path.clone();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    cartridge
        .write(
            &note(),
            None,
            Box::new(move |tx| {
                tx.execute("INSERT INTO note_entry (text) VALUES ('one')", &[])?;
                log.lock().unwrap().push("closure".to_owned());
                let (log, path) = (Arc::clone(&log), path.clone());
                tx.on_commit(Box::new(move || {
                    let other = rusqlite::Connection::open(path).unwrap();
                    let sql = "SELECT count(*) FROM note_entry";
                    let rows: i64 = other.query_row(sql, [], |row| row.get(0)).unwrap();
                    log.lock().unwrap().push(format!("hook sees {rows}"));
                }));
                Ok(())
            }),
        )
        .wait()
        .unwrap();
    seen.lock().unwrap().push("answer".to_owned());
    assert_eq!(*seen.lock().unwrap(), ["closure", "hook sees 1", "answer"]);
}

#[test]
fn a_hook_of_a_failed_closure_does_not_run_and_a_panicking_hook_is_reported() {
    let place = Place::new();
    let cartridge = place.open();
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    let failed = cartridge.write(
        &note(),
        None,
        Box::new(move |tx| {
            let counted = Arc::clone(&counted);
            tx.on_commit(Box::new(move || {
                counted.fetch_add(1, Ordering::SeqCst);
            }));
            Err(abort("no"))
        }),
    );
    assert!(failed.wait().is_err());
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    let panicking = cartridge.write(
        &note(),
        None,
        Box::new(|tx| {
            tx.execute("INSERT INTO note_entry (text) VALUES ('kept')", &[])?;
            tx.on_commit(Box::new(|| panic!("on purpose")));
            Ok(())
        }),
    );
    assert_eq!(panicking.wait(), Err(CartridgeError::HookPanicked));
    assert_eq!(texts(&cartridge), ["kept"]);
    add(&cartridge, "the writer lives").unwrap();
}

#[test]
fn one_app_that_floods_the_queue_does_not_delay_another() {
    let place = Place::new();
    let cartridge = place.open_with(Options { batch_max_closures: 8, ..Options::default() });
    let (release, holder) = hold(&cartridge);
    let order = Arc::new(Mutex::new(Vec::new()));
    let write = |app: u8| {
        let order = Arc::clone(&order);
        let closure = Box::new(move |_: &fazt_kernel::cartridge::WriteTx<'_>| {
            order.lock().unwrap().push(app);
            Ok(())
        });
        cartridge.write(&note(), Some([app; 12]), closure)
    };
    let mut waiting: Vec<_> = (0..500).map(|_| write(1)).collect();
    waiting.extend((0..5).map(|_| write(2)));
    drop(release);
    holder.wait().unwrap();
    waiting.into_iter().for_each(|pending| pending.wait().unwrap());
    let order = order.lock().unwrap();
    let last_of_two = order.iter().rposition(|&app| app == 2).unwrap();
    assert!(last_of_two < 12, "the small app was done after {last_of_two} writes");
}

#[test]
fn a_full_queue_answers_busy_at_once() {
    let place = Place::new();
    let options = Options { write_queue_closures: 10, ..Options::default() };
    let cartridge = place.open_with(options);
    let (release, holder) = hold(&cartridge);
    let waiting: Vec<_> = (0..10).map(|i| insert(&cartridge, &format!("{i}"))).collect();
    let refused = insert(&cartridge, "one too many").wait();
    assert_eq!(refused, Err(CartridgeError::Busy { bound: "write queue, in closures", limit: 10 }));
    drop(release);
    holder.wait().unwrap();
    waiting.into_iter().for_each(|pending| pending.wait().unwrap());
    assert_eq!(texts(&cartridge).len(), 10);
}

#[test]
fn a_future_that_is_dropped_while_it_waits_withdraws_its_write() {
    let place = Place::new();
    let cartridge = place.open();
    let (release, holder) = hold(&cartridge);
    drop(insert(&cartridge, "withdrawn"));
    let kept = insert(&cartridge, "kept");
    drop(release);
    holder.wait().unwrap();
    kept.wait().unwrap();
    assert_eq!(texts(&cartridge), ["kept"]);
}

#[test]
fn a_future_that_is_dropped_while_its_closure_runs_changes_nothing() {
    let place = Place::new();
    let cartridge = place.open();
    let (entered, inside) = mpsc::channel();
    let pending = cartridge.write(
        &note(),
        None,
        Box::new(move |tx| {
            entered.send(()).ok();
            std::thread::sleep(Duration::from_millis(20));
            tx.execute("INSERT INTO note_entry (text) VALUES ('kept')", &[])?;
            Ok(())
        }),
    );
    inside.recv().unwrap();
    drop(pending);
    add(&cartridge, "later").unwrap();
    assert_eq!(texts(&cartridge), ["kept", "later"]);
}

#[test]
fn a_closure_cannot_call_the_cartridge() {
    let place = Place::new();
    let cartridge = place.open();
    let inner = cartridge.clone();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    cartridge
        .write(
            &note(),
            None,
            Box::new(move |_| {
                let mut log = log.lock().unwrap();
                log.push(inner.read(&note(), &mut |_| Ok(())));
                log.push(inner.write(&note(), None, Box::new(|_| Ok(()))).wait());
                log.push(inner.scan(&note(), Box::new(|_| Ok(()))).wait());
                Ok(())
            }),
        )
        .wait()
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), vec![Err(CartridgeError::Nested); 3]);
}

#[test]
fn closing_finishes_what_waits_and_refuses_what_comes_later() {
    let place = Place::new();
    let cartridge = place.open();
    let (release, holder) = hold(&cartridge);
    let waiting: Vec<_> = (0..20).map(|i| insert(&cartridge, &format!("{i}"))).collect();
    let closing = std::thread::Builder::new().spawn({
        let cartridge = cartridge.clone();
        move || block_on(cartridge.close())
    });
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(insert(&cartridge, "late").wait(), Err(CartridgeError::Closed));
    drop(release);
    holder.wait().unwrap();
    closing.unwrap().join().unwrap().unwrap();
    waiting.into_iter().for_each(|pending| pending.wait().unwrap());
    assert_eq!(insert(&cartridge, "late").wait(), Err(CartridgeError::Closed));
    assert_eq!(cartridge.read(&note(), &mut |_| Ok(())), Err(CartridgeError::Closed));
    assert_eq!(files(&place.path), ["data.db"]);
}

#[test]
fn a_reader_that_stays_makes_the_log_reach_its_budget_and_leaving_frees_it() {
    let place = Place::new();
    let options = Options { wal_budget_bytes: 1 << 20, ..Options::default() };
    let cartridge = place.open_with(options);
    add(&cartridge, "before").unwrap();
    let other = rusqlite::Connection::open(&place.path).unwrap();
    other.execute_batch("BEGIN; SELECT * FROM note_entry;").unwrap();
    let mut refused = None;
    for i in 0..2_000 {
        match add(&cartridge, &format!("{i} {}", "x".repeat(4_000))) {
            Ok(()) => {}
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    match refused {
        Some(CartridgeError::WalPressure { wal_bytes, budget_bytes }) => {
            assert_eq!(budget_bytes, 1 << 20);
            assert!((1 << 20..2 << 20).contains(&wal_bytes), "{wal_bytes}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!texts(&cartridge).is_empty(), "reads go on");
    other.execute_batch("COMMIT;").unwrap();
    std::thread::sleep(Duration::from_millis(150));
    add(&cartridge, "after").unwrap();
}

#[test]
fn an_idle_cartridge_empties_its_log_unless_that_is_left_to_others() {
    for (external, emptied) in [(false, true), (true, false)] {
        let place = Place::new();
        let options = Options { external_checkpoint: external, ..Options::default() };
        let cartridge = place.open_with(options);
        add(&cartridge, "one").unwrap();
        let log = place.path.with_file_name("data.db-wal");
        let deadline = 40;
        let gone = (0..deadline).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            log.metadata().unwrap().len() == 0
        });
        assert_eq!(gone, emptied, "external: {external}");
        block_on(cartridge.close()).unwrap();
        assert_eq!(log.exists(), external, "external: {external}");
        assert_eq!(texts(&place.open()), ["one"]);
    }
}

#[test]
fn a_value_comes_back_from_the_run_that_counted() {
    let place = Place::new();
    let cartridge = place.open();
    let id = block_on(cartridge.write_value(&note(), None, |tx| {
        tx.execute("INSERT INTO note_entry (text) VALUES (?1)", &[Value::Text("x")])?;
        Ok(tx.last_insert_rowid())
    }))
    .unwrap();
    assert_eq!(id, 1);
}
