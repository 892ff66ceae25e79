//! A disk without space, for real: a small file system in memory.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use fazt_kernel::cartridge::{Cartridge, CartridgeError, Mode, Options};

use crate::support::{NOTES, add, clock, note, say, texts};

/// A mounted file system of some megabytes; unmounted when dropped.
struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(mebibytes: u32) -> Result<Self, String> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(directory.path())
            .output()
            .map_err(|e| e.to_string())?;
        if mounted.status.success() {
            Ok(Self { directory })
        } else {
            Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned())
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

/// Takes up all space but `spare` bytes.
fn fill(disk: &SmallDisk, spare: u64) -> PathBuf {
    let ballast = disk.path().join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while std::io::Write::write(&mut file, &[0; 4_096]).is_ok_and(|n| n > 0) {}
    let taken = file.metadata().unwrap().len();
    file.set_len(taken.saturating_sub(spare)).unwrap();
    ballast
}

fn add_until_refused(cartridge: &Cartridge, round: usize) -> (usize, CartridgeError) {
    for i in 0..20_000 {
        if let Err(error) = add(cartridge, &format!("{round} {i} {}", "x".repeat(2_000))) {
            return (i, error);
        }
    }
    panic!("the disk never filled");
}

#[test]
fn a_full_disk_refuses_writes_keeps_reads_and_recovers_by_itself() {
    let disk = match SmallDisk::mount(16) {
        Ok(disk) => disk,
        Err(why) => {
            say(&format!("SKIPPED: a small file system could not be mounted: {why}"));
            return;
        }
    };
    let path = disk.path().join("data.db");
    Cartridge::create(&path, &clock()).unwrap();
    let cartridge = Cartridge::open(&path, Mode::Serve, Options::default()).unwrap();
    cartridge.migrate(&note(), NOTES).wait().unwrap();
    let mut expected = 0;
    // With 6 MiB to spare the log gets its first checkpoint, for which the file finds no space.
    for (round, spare) in [0, 1 << 20, 6 << 20].into_iter().enumerate() {
        let ballast = fill(&disk, spare);
        let (written, refusal) = add_until_refused(&cartridge, round);
        assert_eq!(refusal, CartridgeError::Full);
        expected += written;
        for _ in 0..20 {
            match add(&cartridge, &format!("{round} more {}", "x".repeat(100_000))) {
                Err(CartridgeError::Full) => {}
                other => panic!("{other:?}"),
            }
        }
        let count = |cartridge: &Cartridge| {
            let read = |reader: &fazt_kernel::cartridge::Reader<'_>| {
                let mut n = 0;
                reader.query("SELECT count(*) FROM note_entry", &[], &mut |row| {
                    n = row.integer(0).unwrap();
                    std::ops::ControlFlow::Continue(())
                })?;
                Ok(n)
            };
            cartridge.read_value(&note(), read).unwrap()
        };
        assert_eq!(count(&cartridge), i64::try_from(expected).unwrap(), "reads go on");
        std::fs::remove_file(ballast).unwrap();
        add(&cartridge, &format!("{round} the first after space came back")).unwrap();
        expected += 1;
    }
    assert!(cartridge.verify().wait().unwrap().problems.is_empty());
    drop(cartridge);
    let cartridge = Cartridge::open(&path, Mode::Serve, Options::default()).unwrap();
    cartridge.migrate(&note(), NOTES).wait().unwrap();
    assert_eq!(texts(&cartridge).len(), expected);
}
