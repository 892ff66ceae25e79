//! Good archives, damaged at random: never a panic, never content that was not verified.

use std::collections::HashMap;

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::good::{unpack, written_by_hand, written_by_the_crate};
use crate::zip_builder::crc32;

const MUTATIONS: usize = 20_000;

#[test]
fn a_damaged_archive_is_refused_or_means_the_same() {
    // A fixed seed, so that a failure can be repeated.
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut archives: Vec<_> =
        written_by_the_crate().into_iter().chain(written_by_hand()).collect();
    // The long ones cost time and hit the same records.
    archives.retain(|(_, bytes, _)| bytes.len() < 40_000);
    let mut accepted = 0;
    let mut codes: HashMap<&str, usize> = HashMap::new();
    for round in 0..MUTATIONS {
        let (name, original, files) = &archives[round % archives.len()];
        let mut bytes = original.clone();
        for _ in 0..=pick(&mut rng, 3) {
            mutate(&mut rng, &mut bytes);
        }
        match unpack(&bytes) {
            Ok(unpacked) => {
                accepted += 1;
                // A path may have been renamed in both headers at once; content may not change
                // unless its CRC-32 was changed along, in all of its copies.
                for (path, content) in &unpacked {
                    let is_known = files.iter().any(|(_, known)| known == content);
                    let has_new_crc = contains(&bytes, &crc32(content).to_le_bytes())
                        && !contains(original, &crc32(content).to_le_bytes());
                    assert!(is_known || has_new_crc, "{name}, round {round}: {path}");
                }
            }
            Err(error) => {
                assert!(matches!(error.status(), 400 | 413), "{name}, round {round}: {error}");
                *codes.entry(error.code()).or_default() += 1;
            }
        }
    }
    println!("{accepted} accepted, refused: {codes:?}");
    // A test that refuses everything, or everything alike, has lost its aim.
    assert!((MUTATIONS / 50..MUTATIONS * 3 / 4).contains(&accepted), "{accepted} accepted");
    assert!(codes.len() >= 15, "{codes:?}");
}

fn mutate(rng: &mut TestRng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = pick(rng, bytes.len());
    match pick(rng, 9) {
        0 => bytes[at] = pick(rng, 256) as u8,
        1 => bytes[at] ^= 1 << pick(rng, 8),
        2 => bytes.truncate(at),
        3 => {
            let end = (at + pick(rng, 64)).min(bytes.len());
            bytes.drain(at..end);
        }
        4 => {
            let end = (at + pick(rng, 64)).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            let to = pick(rng, bytes.len());
            bytes.splice(to..to, copy);
        }
        5 => {
            let end = (at + 1 + pick(rng, 8)).min(bytes.len());
            bytes[at..end].fill([0, 0xff][pick(rng, 2)]);
        }
        // The interesting bytes are in the records, not in the content.
        6 | 7 => {
            let records: Vec<usize> = bytes
                .windows(2)
                .enumerate()
                .filter_map(|(at, two)| (two == b"PK").then_some(at))
                .collect();
            if !records.is_empty() {
                let at = records[pick(rng, records.len())] + pick(rng, 50);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = [0, 1, 8, 0x7f, 0xff][pick(rng, 5)];
                }
            }
        }
        _ => {
            let to = pick(rng, bytes.len());
            bytes.swap(at, to);
        }
    }
}

fn pick(rng: &mut TestRng, below: usize) -> usize {
    (rng.next_u64() % below.max(1) as u64) as usize
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
