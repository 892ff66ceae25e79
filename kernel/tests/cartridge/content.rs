//! Content goes in by its hash and comes back whole, in parts, or not at all.

use std::{sync::Arc, time::Duration};

use fazt_kernel::{
    cartridge::{BlobHash, Cartridge, HashedContent, Options},
    clock::{Clock as _, ManualClock},
};

use crate::support::{Place, block_on, note};

const KIB_256: usize = 256 * 1024;
const SIZES: [usize; 7] = [0, 1, KIB_256 - 1, KIB_256, KIB_256 + 1, 2 * KIB_256, 3 << 20];

/// Bytes without a pattern of 256 KiB, so that chunks in the wrong order are noticed.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ length as u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(length)
    .collect()
}

fn put(cartridge: &Cartridge, content: &[u8]) -> BlobHash {
    let content = HashedContent::new(content.to_vec());
    block_on(cartridge.write_value(&note(), None, move |tx| Ok(tx.put_blob(&content)?))).unwrap()
}

fn upload(cartridge: &Cartridge, content: &[u8], portion: usize) -> BlobHash {
    block_on(async {
        let mut upload = cartridge.upload_blob(&note(), None);
        for part in content.chunks(portion) {
            upload.push(part).await.unwrap();
        }
        assert_eq!(upload.size(), content.len() as u64);
        upload.finish(Some(BlobHash::of(content))).await.unwrap()
    })
}

fn whole(cartridge: &Cartridge, hash: BlobHash) -> Option<Vec<u8>> {
    block_on(cartridge.scan_value(&note(), move |reader| Ok(reader.read_blob(hash)?))).unwrap()
}

fn in_parts(cartridge: &Cartridge, hash: BlobHash, portion: usize) -> Vec<u8> {
    let reader = cartridge.open_blob(hash).unwrap().unwrap();
    let (mut all, mut part) = (Vec::new(), vec![0; portion]);
    loop {
        match reader.read_at(all.len() as u64, &mut part).unwrap() {
            0 => return all,
            n => all.extend_from_slice(&part[..n]),
        }
    }
}

#[test]
fn content_of_every_size_comes_back_as_it_was_put() {
    let place = Place::new();
    let cartridge = place.open();
    for size in SIZES {
        let content = bytes(size);
        let hash = put(&cartridge, &content);
        assert_eq!(hash, BlobHash::of(&content));
        assert_eq!(whole(&cartridge, hash).unwrap(), content, "{size}");
        assert_eq!(in_parts(&cartridge, hash, 100_000), content, "{size}");
        assert_eq!(in_parts(&cartridge, hash, 1 << 20), content, "{size}");
    }
    assert!(cartridge.verify().wait().unwrap().problems.is_empty());
}

#[test]
fn content_that_is_being_served_is_not_cut_by_the_limit_of_queries() {
    let place = Place::new();
    let options = Options { read_limit: Duration::ZERO, ..Options::default() };
    let cartridge = place.open_with(options);
    let content = bytes(3 << 20);
    let hash = upload(&cartridge, &content, KIB_256);
    assert!(in_parts(&cartridge, hash, 100_000) == content);
}

#[test]
fn content_that_arrives_in_portions_is_the_same_content() {
    let place = Place::new();
    let cartridge = place.open();
    for (size, portion) in SIZES.into_iter().flat_map(|size| [(size, 77_777), (size, 1 << 20)]) {
        let content = bytes(size + 1);
        let hash = upload(&cartridge, &content, portion);
        assert_eq!(whole(&cartridge, hash).unwrap(), content, "{size} {portion}");
    }
    let found = cartridge.verify().wait().unwrap();
    assert_eq!((found.problems.len(), found.blobs), (0, SIZES.len() as u64));
}

#[test]
fn the_same_content_is_stored_once_however_it_came() {
    let place = Place::new();
    let cartridge = place.open();
    let content = bytes(KIB_256 * 3);
    put(&cartridge, &content);
    put(&cartridge, &content);
    upload(&cartridge, &content, 50_000);
    let info = cartridge.info().wait().unwrap();
    assert_eq!((info.blobs, info.blob_bytes), (1, content.len() as u64));
    let chunks = info.owners["kernel"].iter().find(|t| t.name == "blob_chunk").unwrap();
    assert_eq!(chunks.rows, 3);
}

#[test]
fn content_that_is_not_what_was_announced_is_refused_and_removed() {
    let place = Place::new();
    let cartridge = place.open();
    let content = bytes(KIB_256 * 2);
    let refused = block_on(async {
        let mut upload = cartridge.upload_blob(&note(), None);
        upload.push(&content).await.unwrap();
        upload.finish(Some(BlobHash::of(b"something else"))).await
    });
    assert!(refused.unwrap_err().to_string().contains("announced"));
    assert_eq!(whole(&cartridge, BlobHash::of(&content)), None);
    let info = cartridge.info().wait().unwrap();
    assert!(info.owners["kernel"].iter().all(|t| !t.name.starts_with("blob") || t.rows == 0));
}

#[test]
fn an_upload_is_not_seen_before_its_end_and_its_leavings_are_removed() {
    let place = Place::new();
    let clock = Arc::new(ManualClock::new(1_000_000));
    let cartridge = place.open_with(Options { clock: clock.clone(), ..Options::default() });
    let content = bytes(KIB_256 * 3);
    block_on(async {
        let mut upload = cartridge.upload_blob(&note(), None);
        upload.push(&content).await.unwrap();
    });
    assert_eq!(cartridge.info().wait().unwrap().blobs, 0);
    let sweep = || {
        block_on(cartridge.write_value(&note(), None, |tx| Ok(tx.delete_abandoned_uploads(10)?)))
            .unwrap()
            .uploads
    };
    assert_eq!(sweep(), 0, "somebody may still be uploading");
    clock.advance(Duration::from_secs(3_601));
    assert_eq!(sweep(), 1);
    let info = cartridge.info().wait().unwrap();
    assert!(info.owners["kernel"].iter().all(|t| !t.name.starts_with("blob") || t.rows == 0));
    assert!(clock.unix_ms() > 0);
}

#[test]
fn content_that_is_young_or_held_is_not_deleted() {
    let place = Place::new();
    let clock = Arc::new(ManualClock::new(1_000_000));
    let cartridge = place.open_with(Options { clock: clock.clone(), ..Options::default() });
    let content = bytes(KIB_256 * 2);
    let hash = put(&cartridge, &content);
    let delete = || {
        block_on(cartridge.write_value(&note(), None, move |tx| Ok(tx.delete_blob(hash)?))).unwrap()
    };
    assert!(!delete(), "young");
    clock.advance(Duration::from_secs(3_601));
    let reader = cartridge.open_blob(hash).unwrap().unwrap();
    assert!(!delete(), "held");
    drop(reader);
    put(&cartridge, &content);
    assert!(!delete(), "wanted again");
    clock.advance(Duration::from_secs(3_601));
    let mut part = [0; 10];
    cartridge.open_blob(hash).unwrap().unwrap().read_at(0, &mut part).unwrap();
    assert!(!delete(), "a response may be about to ask for the next part");
    clock.advance(Duration::from_secs(121));
    assert!(delete());
    assert_eq!(whole(&cartridge, hash), None);
    assert!(cartridge.open_blob(hash).unwrap().is_none());
}

#[test]
fn a_changed_byte_or_a_lost_chunk_is_found_by_verification() {
    let place = Place::new();
    let cartridge = place.open();
    let small = put(&cartridge, &bytes(1_000));
    let large = put(&cartridge, &bytes(KIB_256 * 3));
    let short = put(&cartridge, &bytes(KIB_256 * 2));
    assert!(cartridge.verify().wait().unwrap().problems.is_empty());
    let other = rusqlite::Connection::open(&place.path).unwrap();
    other.execute("UPDATE blob SET data = zeroblob(1000) WHERE hash = ?1", [small.0]).unwrap();
    let chunk = "SELECT id FROM blob WHERE hash = ?1";
    let id: i64 = other.query_row(chunk, [large.0], |row| row.get(0)).unwrap();
    let flip = "UPDATE blob_chunk SET data = zeroblob(262144) WHERE id = ?1";
    assert_eq!(other.execute(flip, [id * 1_048_576 + 1]).unwrap(), 1);
    let id: i64 = other.query_row(chunk, [short.0], |row| row.get(0)).unwrap();
    let lose = "DELETE FROM blob_chunk WHERE id = ?1";
    assert_eq!(other.execute(lose, [id * 1_048_576 + 1]).unwrap(), 1);
    drop(other);
    let mut problems = cartridge.verify().wait().unwrap().problems;
    problems.sort();
    assert_eq!(problems.len(), 3, "{problems:?}");
    for hash in [small, large, short] {
        assert!(problems.iter().any(|p| p.contains(&hash.to_string())), "{problems:?}");
    }
}

#[test]
fn content_that_is_touched_is_spared_like_content_that_is_put() {
    let place = Place::new();
    let clock = Arc::new(ManualClock::new(1_000_000));
    let cartridge = place.open_with(Options { clock: clock.clone(), ..Options::default() });
    let hash = put(&cartridge, b"content");
    let touch = |hash| {
        block_on(cartridge.write_value(&note(), None, move |tx| Ok(tx.touch_blob(hash)?))).unwrap()
    };
    let delete = || {
        block_on(cartridge.write_value(&note(), None, move |tx| Ok(tx.delete_blob(hash)?))).unwrap()
    };
    assert_eq!(touch(BlobHash::of(b"nothing")), None);
    for _ in 0..3 {
        clock.advance(Duration::from_secs(3_000));
        assert_eq!(touch(hash), Some(7));
        clock.advance(Duration::from_secs(2_700));
        assert!(!delete(), "spared for three quarters of an hour at least");
    }
    clock.advance(Duration::from_secs(3_601));
    assert!(delete());
}

#[test]
fn an_upload_that_was_dropped_is_named_and_goes_in_portions() {
    let place = Place::new();
    let cartridge = place.open();
    let content = bytes(KIB_256 * 100);
    block_on(async {
        let mut upload = cartridge.upload_blob(&note(), None);
        upload.push(&content).await.unwrap();
    });
    let dropped = cartridge.dropped_uploads();
    assert_eq!(dropped.len(), 1);
    assert!(cartridge.dropped_uploads().is_empty());
    let sweep = || {
        block_on(cartridge.write_value(&note(), None, |tx| Ok(tx.delete_abandoned_uploads(10)?)))
            .unwrap()
    };
    assert_eq!(sweep().uploads, 0, "it could still go on");
    block_on(cartridge.write_value(&note(), None, move |tx| Ok(tx.abandon_upload(dropped[0])?)))
        .unwrap();
    let first = sweep();
    assert!(first.more && first.uploads == 0, "{first:?}");
    let second = sweep();
    assert!(!second.more && second.uploads == 1, "{second:?}");
    let info = cartridge.info().wait().unwrap();
    assert!(info.owners["kernel"].iter().all(|t| !t.name.starts_with("blob") || t.rows == 0));
    upload(&cartridge, &content, KIB_256);
    assert!(cartridge.dropped_uploads().is_empty(), "what was finished was not dropped");
}
