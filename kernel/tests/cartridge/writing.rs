//! One writer for many callers.

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use fazt_kernel::cartridge::{CartridgeError, Options, SqlErrorKind, TxError};

use crate::support::{Place, abort, add, block_on, files, note, text, texts};

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
