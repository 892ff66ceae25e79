//! What a deploy takes in memory. A binary of its own: it measures the whole process.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot build its archive has failed")]

#[path = "it/probe.rs"]
mod probe;
#[expect(dead_code, reason = "shared with the other binary, which uses all of it")]
#[path = "it/world.rs"]
mod world;

use std::io::{Cursor, Write as _};

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::world::{Site, World, noise};

/// The most memory that this process had at once since the last [`forget_peak`], in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

fn forget_peak() -> usize {
    // proc_pid_clear_refs(5): 5 resets the peak to what is in use now.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    peak()
}

const FILES: usize = 3;
const FILE_BYTES: usize = 16 << 20;

/// An archive of noise. Nothing else of its size is allocated, now or before: what an allocator keeps
/// of that would be used by the deploy without being seen.
fn archive() -> Vec<u8> {
    let buffer = Vec::with_capacity(FILES * FILE_BYTES + (1 << 20));
    let mut writer = zip::ZipWriter::new(Cursor::new(buffer));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for file in 0..FILES {
        writer.start_file(format!("{file}.bin"), stored).unwrap();
        for piece in 0..FILE_BYTES / 4096 {
            let mut content = noise(4096);
            content[..8].copy_from_slice(&((file << 32) + piece).to_le_bytes());
            writer.write_all(&content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

/// Memory does not follow the size of what is deployed.
#[tokio::test]
async fn a_large_deploy_is_held_in_little_memory() {
    let world = World::with(&[("hosting.cache_bytes", "1 MiB")]).await;
    let archive = bytes::Bytes::from(archive());
    // What the first deploy sets up is not counted.
    world.deploy("warm", &Site::new().file("index.html", noise(1 << 20))).await;
    let before = forget_peak();
    // A clone: the archive of the test must not make room when the upload was read.
    let reply = world.upload_plain("big", archive.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let grown = peak().saturating_sub(before);
    println!("{} KiB of files took {} KiB", FILES * FILE_BYTES / 1024, grown / 1024);
    assert!(grown < 16 << 20, "{} bytes of files took {grown} bytes", FILES * FILE_BYTES);
}
