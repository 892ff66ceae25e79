//! What a deploy takes in memory. A binary of its own: it measures the whole process.
#![expect(clippy::unwrap_used, reason = "a test that cannot build its archive has failed")]

#[path = "it/probe.rs"]
mod probe;
#[expect(dead_code, reason = "shared with the other binary, which uses all of it")]
#[path = "it/world.rs"]
mod world;

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

/// Memory does not follow the size of what is deployed.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_large_deploy_is_held_in_little_memory() {
    let world = World::with(&[("hosting.cache_bytes", "1 MiB")]).await;
    let large = noise(24 << 20);
    let mut site = Site::new();
    for file in 0..5 {
        // Different content each, which deflate cannot shrink.
        let mut content = large.clone();
        content.rotate_left(file * 1000 + 1);
        site = site.file(&format!("{file}.bin"), content);
    }
    let archive = bytes::Bytes::from(site.zip());
    drop((site, large));
    // What the first deploy sets up is not counted.
    world.deploy("warm", &Site::new().file("index.html", noise(1 << 20))).await;
    let before = forget_peak();
    let reply = world.upload_plain("big", archive).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let grown = peak().saturating_sub(before);
    println!("120 MiB of files took {} KiB", grown / 1024);
    assert!(grown < 32 << 20, "120 MiB of files took {grown} bytes");
}
