//! Reads end in time and see one moment.

use std::{
    ops::ControlFlow,
    sync::{Arc, mpsc},
    time::Duration,
};

use fazt_kernel::{
    cartridge::{CartridgeError, Options, Value},
    clock::{Clock as _, ManualClock},
};

use crate::support::{Place, abort, add, block_on, note};

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

#[test]
fn a_read_is_stopped_at_its_limit() {
    let place = Place::new();
    let cartridge = place.open();
    let start = cartridge.clock().monotonic();
    let result = cartridge.read(&note(), &mut |reader| {
        reader.query(ENDLESS, &[], &mut |_| ControlFlow::Continue(()))?;
        Ok(())
    });
    assert_eq!(result, Err(CartridgeError::TooLong { limit_ms: 5 }));
    let took = cartridge.clock().monotonic() - start;
    assert!(took < Duration::from_millis(500), "{took:?}");
    cartridge.read(&note(), &mut |_| Ok(())).unwrap();
}

#[test]
fn many_small_queries_are_stopped_too() {
    let place = Place::new();
    let clock = Arc::new(ManualClock::new(0));
    let cartridge = place.open_with(Options { clock: clock.clone(), ..Options::default() });
    let mut queries = 0;
    let result = cartridge.read(&note(), &mut |reader| {
        loop {
            reader.query("SELECT 1", &[], &mut |_| ControlFlow::Continue(()))?;
            queries += 1;
            clock.advance(Duration::from_millis(1));
        }
    });
    assert_eq!(result, Err(CartridgeError::TooLong { limit_ms: 5 }));
    assert_eq!(queries, 6);
    assert!(clock.unix_ms() >= 6);
}

#[test]
fn a_read_sees_one_moment_however_many_queries() {
    let place = Place::new();
    let options = Options { read_limit: Duration::from_secs(5), ..Options::default() };
    let cartridge = place.open_with(options);
    add(&cartridge, "one").unwrap();
    let mut counts = Vec::new();
    cartridge
        .read(&note(), &mut |reader| {
            for _ in 0..2 {
                reader.query("SELECT count(*) FROM note_entry", &[], &mut |row| {
                    counts.push(row.integer(0).unwrap());
                    ControlFlow::Continue(())
                })?;
                let other = rusqlite::Connection::open(&place.path).unwrap();
                other.execute("INSERT INTO note_entry (text) VALUES ('two')", []).ok();
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(counts, [1, 1]);
}

#[test]
fn reads_do_not_nest() {
    let place = Place::new();
    let cartridge = place.open();
    let mut inner = Ok(());
    cartridge
        .read(&note(), &mut |_| {
            inner = cartridge.read(&note(), &mut |_| Ok(()));
            Ok(())
        })
        .unwrap();
    assert_eq!(inner, Err(CartridgeError::Nested));
    cartridge.read(&note(), &mut |_| Ok(())).unwrap();
}

#[test]
fn a_panic_in_a_read_leaves_the_connection_usable() {
    let place = Place::new();
    let cartridge = place.open();
    for _ in 0..40 {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            cartridge.read(&note(), &mut |_| panic!("on purpose"))
        }));
        assert!(panicked.is_err());
        cartridge.read(&note(), &mut |_| Ok(())).unwrap();
    }
}

#[test]
fn more_threads_than_connections_all_read() {
    let place = Place::new();
    let options = Options { read_limit: Duration::from_secs(5), ..Options::default() };
    let cartridge = place.open_with(options);
    add(&cartridge, "one").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(crate::support::texts(&cartridge), ["one"]);
                }
            });
        }
    });
}

#[test]
fn values_of_every_kind_come_back_as_they_went_in() {
    let place = Place::new();
    let cartridge = place.open();
    let values = [
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Real(-0.5),
        Value::Text("a\0ü"),
        Value::Blob(&[0, 255, 7]),
    ];
    cartridge
        .read(&note(), &mut |reader| {
            reader.query("SELECT ?1 AS a, ?2, ?3, ?4, ?5 AS e", &values, &mut |row| {
                assert_eq!(row.len(), 5);
                for (i, value) in values.iter().enumerate() {
                    assert_eq!(row.value(i), Some(*value));
                }
                assert_eq!((row.value(5), row.name(0), row.index("E")), (None, Some("a"), Some(4)));
                assert_eq!(
                    row.text(4).unwrap_err().message,
                    "column 4 (`e`) holds a blob, not text"
                );
                ControlFlow::Continue(())
            })?;
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_scan_may_take_longer_and_is_stopped_at_its_own_limit() {
    let place = Place::new();
    let options = Options { scan_limit: Duration::from_millis(100), ..Options::default() };
    let cartridge = place.open_with(options);
    let start = cartridge.clock().monotonic();
    let endless = cartridge.scan(
        &note(),
        Box::new(|reader| {
            reader.query(ENDLESS, &[], &mut |_| ControlFlow::Continue(()))?;
            Ok(())
        }),
    );
    assert_eq!(endless.wait(), Err(CartridgeError::TooLong { limit_ms: 100 }));
    assert!(cartridge.clock().monotonic() - start >= Duration::from_millis(100));
    let sum = block_on(cartridge.scan_value(&note(), |reader| {
        let mut sum = 0;
        reader.query("SELECT 40 + 2", &[], &mut |row| {
            sum = row.integer(0).unwrap();
            ControlFlow::Continue(())
        })?;
        Ok(sum)
    }));
    assert_eq!(sum, Ok(42));
}

#[test]
fn scans_that_wait_are_bounded_and_survive_a_panic() {
    let place = Place::new();
    let cartridge = place.open_with(Options { scan_queue_scans: 2, ..Options::default() });
    let mut running = Vec::new();
    let mut releases = Vec::new();
    for _ in 0..2 {
        let (release, held) = mpsc::channel::<()>();
        let (entered, inside) = mpsc::channel();
        running.push(cartridge.scan(
            &note(),
            Box::new(move |_| {
                entered.send(()).ok();
                held.recv().ok();
                Err(abort("done"))
            }),
        ));
        inside.recv().unwrap();
        releases.push(release);
    }
    let panicking = cartridge.scan(&note(), Box::new(|_| panic!("on purpose")));
    let waiting = cartridge.scan(&note(), Box::new(|_| Ok(())));
    let refused = cartridge.scan(&note(), Box::new(|_| Ok(())));
    assert_eq!(
        refused.wait(),
        Err(CartridgeError::Busy { bound: "scan queue, in scans", limit: 2 })
    );
    drop(releases);
    for scan in running {
        assert_eq!(scan.wait(), Err(CartridgeError::Tx(abort("done"))));
    }
    assert_eq!(panicking.wait(), Err(CartridgeError::Panicked));
    waiting.wait().unwrap();
}
