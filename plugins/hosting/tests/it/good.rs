//! Archives that must be accepted, and come out byte for byte.

use std::io::{Cursor, Write as _};

use fazt_hosting::archive::{ArchiveError, ArchiveLimits, CHUNK_BYTES, Warning, inspect};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::zip_builder::{End, Entry, Zip64, archive, archive_with, extra};

/// Path and content of every file.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

pub(crate) fn unpack(bytes: &[u8]) -> Result<Files, ArchiveError> {
    let plan = inspect(Cursor::new(bytes), &ArchiveLimits::default())?;
    let mut files = Files::new();
    for (index, entry) in plan.entries().iter().enumerate() {
        let mut content = Vec::new();
        plan.read_entry(Cursor::new(bytes), index, |chunk| {
            assert!(chunk.len() <= CHUNK_BYTES);
            content.extend_from_slice(chunk);
            Ok(())
        })?;
        assert_eq!(content.len() as u64, entry.size_bytes());
        files.push((entry.path().to_owned(), content));
    }
    Ok(files)
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// What the `zip` crate writes, with one option changed at a time.
pub(crate) fn written_by_the_crate() -> Vec<(&'static str, Vec<u8>, Files)> {
    let base = SimpleFileOptions::default();
    let options = [
        ("stored", base.compression_method(CompressionMethod::Stored)),
        ("deflated", base.compression_method(CompressionMethod::Deflated)),
        ("zip64", base.large_file(true)),
        ("executable", base.unix_permissions(0o755)),
        ("aligned", base.with_alignment(64)),
    ];
    let files: Files = vec![
        ("index.html".to_owned(), b"<p>hello".repeat(40)),
        ("assets/app.js".to_owned(), noise(3_000)),
        ("empty".to_owned(), Vec::new()),
        ("日本/ünï côdé.txt".to_owned(), "été".into()),
    ];
    let mut archives = Vec::new();
    for (name, options) in options {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.set_comment("packed by hand").unwrap();
        writer.add_directory("assets", options).unwrap();
        for (path, content) in &files {
            writer.start_file(path.as_str(), options).unwrap();
            writer.write_all(content).unwrap();
        }
        archives.push((name, writer.finish().unwrap().into_inner(), files.clone()));
    }
    let mut writer = zip::ZipWriter::new_stream(Vec::new());
    for (path, content) in &files {
        writer.start_file(path.as_str(), base).unwrap();
        writer.write_all(content).unwrap();
    }
    archives.push(("streamed", writer.finish().unwrap().into_inner(), files));
    archives
}

/// Legal forms that the crate does not write.
pub(crate) fn written_by_hand() -> Vec<(&'static str, Vec<u8>, Files)> {
    let text = b"some text, some text, some text";
    let one = |entry: Entry| (archive(&[entry]), vec![("a.txt".to_owned(), text.to_vec())]);
    let deflated = || Entry::deflated("a.txt", text);
    let stored = || Entry::stored("a.txt", text);
    let with =
        |end: End| (archive_with(&[deflated()], &end), vec![("a.txt".to_owned(), text.to_vec())]);
    let inner = archive(&[stored()]);
    let nested = archive(&[Entry::stored("get.zip", &inner)]);
    let mut cases = vec![
        ("signed descriptor", one(deflated().with_descriptor(true, false))),
        ("bare descriptor", one(deflated().with_descriptor(false, false))),
        ("wide descriptor", one(deflated().with_descriptor(true, true))),
        ("bare wide descriptor", one(deflated().with_descriptor(false, true))),
        ("stored with descriptor", one(stored().with_descriptor(true, false))),
        ("zip64 sizes", one(stored().with_zip64())),
        ("no mode", one(Entry { attributes: 0, ..stored() })),
        ("entry comment", one(Entry { comment: b"hi".to_vec(), ..stored() })),
        ("utf-8 flag", one(Entry { flags: 1 << 11, ..stored() })),
        (
            "compression level flags differ",
            one(Entry { flags: 2, local_flags: Some(4), ..stored() }),
        ),
        ("same unicode path", {
            one(Entry { extra: extra(0x7075, b"\x01crc4a.txt"), ..stored() })
        }),
        ("timestamps", one(Entry { extra: extra(0x5455, &[0; 5]), ..stored() })),
        ("a stub before it", with(End { prefix: b"#!/bin/sh\n".repeat(100), ..End::default() })),
        ("a newline after it", with(End { suffix: b"\r\n".to_vec(), ..End::default() })),
        ("the longest comment", with(End { comment: vec![b'-'; 65_535], ..End::default() })),
        ("zip64 end records", with(End { zip64: Some(Zip64::default()), ..End::default() })),
        ("zip64 end records that are needed", {
            with(End {
                zip64: Some(Zip64::default()),
                entries: Some(u16::MAX),
                directory_bytes: Some(u32::MAX),
                directory_offset: Some(u32::MAX),
                ..End::default()
            })
        }),
        ("zip64 behind a stub", {
            let prefix = b"stub".to_vec();
            with(End { prefix, zip64: Some(Zip64::default()), ..End::default() })
        }),
        ("a gap between entries", one(Entry { gap: vec![0; 512], ..stored() })),
    ];
    cases.push(("a zip in a zip", (nested, vec![("get.zip".to_owned(), inner)])));
    let listed = vec![("z/a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())];
    let entries = [Entry::directory("z/"), Entry::stored("z/a", b"1"), Entry::stored("b", b"2")];
    cases.push(("directories", (archive(&entries), listed)));
    cases.into_iter().map(|(name, (bytes, files))| (name, bytes, files)).collect()
}

#[test]
fn every_good_archive_comes_out_byte_for_byte() {
    for (name, bytes, files) in written_by_the_crate().into_iter().chain(written_by_hand()) {
        let unpacked = unpack(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(unpacked, files, "{name}");
    }
}

#[test]
fn nothing_is_stripped_from_a_single_top_level_folder() {
    let bytes = archive(&[Entry::stored("site/index.html", b"x")]);
    assert_eq!(unpack(&bytes).unwrap()[0].0, "site/index.html");
}

#[test]
fn the_order_of_the_directory_is_kept_and_need_not_be_that_of_the_data() {
    let (a, b) = (Entry::stored("a", b"1"), Entry::stored("b", b"2"));
    let second_at = 30 + 1 + 1;
    let bytes = archive(&[a, b]);
    let swapped = archive_with(
        &[
            Entry { offset: Some(second_at), ..Entry::stored("b", b"2") },
            Entry { offset: Some(0), ..Entry::stored("a", b"1") },
        ],
        &End::default(),
    );
    let mut joined = bytes[..2 * second_at as usize].to_vec();
    joined.extend(&swapped[2 * second_at as usize..]);
    let paths: Vec<_> = unpack(&joined).unwrap().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["b", "a"]);
}

#[test]
fn names_that_differ_only_by_case_warn() {
    let entries = [Entry::stored("struct.foo.html", b"1"), Entry::stored("struct.Foo.html", b"2")];
    let bytes = archive(&entries);
    let plan = inspect(Cursor::new(&bytes), &ArchiveLimits::default()).unwrap();
    assert!(matches!(plan.warnings(), [Warning::CaseCollision { .. }]));
    assert_eq!(unpack(&bytes).unwrap().len(), 2);
}

#[test]
fn a_large_file_arrives_in_chunks_and_is_verified() {
    let content = noise(3 * CHUNK_BYTES + 17);
    let bytes = archive(&[Entry::deflated("a", &content), Entry::stored("b", &content)]);
    assert!(unpack(&bytes).unwrap().iter().all(|(_, unpacked)| *unpacked == content));
    let plan = inspect(Cursor::new(&bytes), &ArchiveLimits::default()).unwrap();
    plan.verify(Cursor::new(&bytes)).unwrap();
    assert_eq!(plan.total_bytes(), 2 * content.len() as u64);
}

#[test]
fn a_small_file_of_blanks_is_no_bomb() {
    let bytes = archive(&[Entry::deflated("blank.bmp", &vec![0; 1 << 20])]);
    unpack(&bytes).unwrap();
}

#[test]
fn as_many_entries_as_the_cap_allows_are_accepted() {
    let entries: Vec<_> =
        (0..50_000).map(|n| Entry::stored(format!("d{}/{n}.txt", n % 100), b"x")).collect();
    assert_eq!(unpack(&archive(&entries)).unwrap().len(), 50_000);
}

#[test]
fn failures_of_storage_are_not_blamed_on_the_archive() {
    let bytes = archive(&[Entry::deflated("a", &noise(10_000))]);
    let plan = inspect(Cursor::new(&bytes), &ArchiveLimits::default()).unwrap();
    let full = plan.read_entry(Cursor::new(&bytes), 0, |_| Err(std::io::Error::other("full")));
    assert!(matches!(full, Err(ArchiveError::Sink(_))));
    let shrunk = plan.read_entry(Cursor::new(&bytes[..500]), 0, |_| Ok(()));
    let shrunk = shrunk.unwrap_err();
    assert!(matches!(shrunk, ArchiveError::Source(_)));
    assert_eq!((shrunk.status(), shrunk.code()), (500, "STORAGE_FAILED"));
    assert!(matches!(
        plan.read_entry(Cursor::new(&bytes), 1, |_| Ok(())),
        Err(ArchiveError::Source(_))
    ));
}
