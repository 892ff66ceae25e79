//! Events are kept until everybody dealt with them.

use std::ops::ControlFlow;

use fazt_kernel::cartridge::{Cartridge, CartridgeError, SqlErrorKind, SubscribeFrom, TxError};

use crate::support::{Place, abort, block_on, note};

fn emit(cartridge: &Cartridge, kind: &'static str, payload: &'static [u8]) -> i64 {
    let app = Some(*b"abcdefghijkl");
    block_on(cartridge.write_value(&note(), app, move |tx| Ok(tx.emit(kind, payload)?))).unwrap()
}

fn after(cartridge: &Cartridge, seq: i64, kinds: &[&str], limit: usize) -> (Vec<String>, i64) {
    cartridge
        .read_value(&note(), |reader| {
            let mut seen = Vec::new();
            let to = reader.events_after(seq, kinds, limit, &mut |event| {
                assert_eq!((event.owner, event.app), ("note", Some(*b"abcdefghijkl")));
                let payload = std::str::from_utf8(event.payload).unwrap();
                seen.push(format!("{} {payload}", event.kind));
                ControlFlow::Continue(())
            })?;
            Ok((seen, to))
        })
        .unwrap()
}

#[test]
fn an_event_is_there_exactly_when_its_write_is() {
    let place = Place::new();
    let cartridge = place.open();
    let newest = cartridge.newest_event();
    let first = emit(&cartridge, "note.added", b"1");
    let failed = block_on(cartridge.write_value(&note(), None, |tx| {
        tx.emit("note.added", b"never")?;
        Err::<(), _>(abort("no"))
    }));
    assert!(failed.is_err());
    assert_eq!(*newest.borrow(), first);
    emit(&cartridge, "note.removed", b"2");
    assert!(newest.has_changed().unwrap());
    assert_eq!(after(&cartridge, 0, &[], 10).0, ["note.added 1", "note.removed 2"]);
}

#[test]
fn a_reader_takes_the_kinds_and_the_number_that_it_asks_for() {
    let place = Place::new();
    let cartridge = place.open();
    for _ in 0..3 {
        emit(&cartridge, "a", b"x");
        emit(&cartridge, "b", b"y");
    }
    let (seen, to) = after(&cartridge, 0, &["b"], 2);
    assert_eq!((seen.len(), to), (2, 4));
    let (seen, to) = after(&cartridge, to, &["b"], 2);
    assert_eq!((seen.len(), to), (1, 6));
    assert_eq!(after(&cartridge, to, &["b"], 2), (vec![], 6));
    assert_eq!(
        after(&cartridge, 0, &["none"], 2),
        (vec![], 6),
        "the cursor passes what is skipped"
    );
}

#[test]
fn a_cursor_survives_and_moves_with_its_own_write_only() {
    let place = Place::new();
    let cartridge = place.open();
    emit(&cartridge, "a", b"before");
    let subscribe = |name: &'static str, from| {
        block_on(cartridge.write_value(&note(), None, move |tx| Ok(tx.subscribe(name, from)?)))
            .unwrap();
    };
    subscribe("oldest", SubscribeFrom::Oldest);
    subscribe("next", SubscribeFrom::Next);
    let cursor = |cartridge: &Cartridge, name: &'static str| {
        cartridge.read_value(&note(), |reader| Ok(reader.cursor(name)?)).unwrap()
    };
    assert_eq!(cursor(&cartridge, "oldest"), Some(0));
    assert_eq!(cursor(&cartridge, "next"), Some(1));
    assert_eq!(cursor(&cartridge, "nobody"), None);
    let undone = block_on(cartridge.write_value(&note(), None, |tx| {
        tx.advance_cursor("oldest", 1)?;
        Err::<(), _>(abort("the work failed"))
    }));
    assert!(undone.is_err());
    assert_eq!(cursor(&cartridge, "oldest"), Some(0));
    for seq in [1, 0] {
        block_on(
            cartridge.write_value(&note(), None, move |tx| Ok(tx.advance_cursor("oldest", seq)?)),
        )
        .unwrap();
    }
    assert_eq!(cursor(&cartridge, "oldest"), Some(1), "never back");
    subscribe("oldest", SubscribeFrom::Oldest);
    drop(cartridge);
    let cartridge = place.open();
    assert_eq!(cursor(&cartridge, "oldest"), Some(1));
    let unknown =
        block_on(cartridge.write_value(&note(), None, |tx| Ok(tx.advance_cursor("nobody", 1)?)));
    match unknown {
        Err(CartridgeError::Tx(TxError::Sql(e))) => assert_eq!(e.kind, SqlErrorKind::Usage),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_what_everybody_passed_is_pruned() {
    let place = Place::new();
    let cartridge = place.open();
    for name in ["a", "b"] {
        block_on(
            cartridge.write_value(&note(), None, move |tx| {
                Ok(tx.subscribe(name, SubscribeFrom::Oldest)?)
            }),
        )
        .unwrap();
    }
    for _ in 0..5 {
        emit(&cartridge, "k", b"x");
    }
    let advance = |name: &'static str, seq| {
        block_on(cartridge.write_value(&note(), None, move |tx| Ok(tx.advance_cursor(name, seq)?)))
            .unwrap();
    };
    let prune = || {
        block_on(cartridge.write_value(&note(), None, |tx| Ok(tx.prune_events(i64::MAX, 100)?)))
            .unwrap()
    };
    advance("a", 5);
    assert_eq!(prune(), 0);
    advance("b", 3);
    assert_eq!(prune(), 3);
    assert_eq!(after(&cartridge, 0, &[], 10).0.len(), 2);
    block_on(cartridge.write_value(&note(), None, |tx| Ok(tx.unsubscribe("b")?))).unwrap();
    assert_eq!(prune(), 2);
    assert_eq!(emit(&cartridge, "k", b"x"), 6, "a position is never used twice");
}

#[test]
fn an_event_too_large_is_refused() {
    let place = Place::new();
    let cartridge = place.open();
    let refused =
        block_on(cartridge.write_value(&note(), None, |tx| Ok(tx.emit("k", &vec![0; 65_537])?)));
    match refused {
        Err(CartridgeError::Tx(TxError::Sql(e))) => assert_eq!(e.kind, SqlErrorKind::TooBig),
        other => panic!("{other:?}"),
    }
}
