//! Archives that must be refused whole, each with its code.

use std::io::{Cursor, Write as _};
use std::time::Duration;

use fazt_hosting::archive::{ArchiveLimits, inspect};

use crate::zip_builder::{End, Entry, Zip64, archive, archive_with, crc32, deflate, extra};

pub(crate) type Case = (String, &'static str, Vec<u8>);

fn verdict(bytes: &[u8], limits: &ArchiveLimits) -> Result<(), (&'static str, u16, String)> {
    inspect(Cursor::new(bytes), limits)
        .and_then(|plan| plan.verify(Cursor::new(bytes)))
        .map_err(|error| (error.code(), error.status(), error.to_string()))
}

fn file() -> Entry {
    Entry::stored("index.html", b"<p>hello")
}

fn packed() -> Entry {
    Entry::deflated("index.html", &b"<p>hello".repeat(50))
}

fn one(name: &str, code: &'static str, entry: Entry) -> Case {
    (name.to_owned(), code, archive(&[entry]))
}

fn ending(name: &str, code: &'static str, end: End) -> Case {
    (name.to_owned(), code, archive_with(&[file(), packed_as("b")], &end))
}

fn packed_as(name: &str) -> Entry {
    Entry { name: name.as_bytes().to_vec(), ..packed() }
}

fn hostile_names() -> Vec<Case> {
    let names: &[&[u8]] = &[
        b"../x",
        b"a/../../x",
        b"..",
        b".",
        b"./x",
        b"a/./b",
        b"a/..",
        b"/abs",
        b"//host/share",
        b"..\\x",
        b"a\\b",
        b"\\\\host\\share",
        b"C:\\x",
        b"c:/x",
        b"Z:x",
        b"a//b",
        b"a\0.html",
        b"a\nb",
        b"a\x1b[2Jb",
        b"a\x7fb",
        b"a\xc2\x9fb",
        b"",
        b"/",
        b"../",
        b"a/../",
        b"a//",
    ];
    let mut cases: Vec<Case> = names
        .iter()
        .map(|name| {
            let code = "PATH_NOT_CANONICAL";
            (format!("name {}", name.escape_ascii()), code, archive(&[Entry::stored(name, b"")]))
        })
        .collect();
    for name in [&b"a\xff"[..], b"\xc0\xae\xc0\xae/x", b"\xed\xa0\x80", b"\x82\xa0.html"] {
        let entry = Entry::stored(name, b"x");
        cases.push(one(&format!("name {}", name.escape_ascii()), "PATH_NOT_UTF8", entry));
    }
    for name in ["a/".repeat(256) + "a", "b".repeat(256), "c".repeat(60_000)] {
        cases.push(one("a long name", "PATH_TOO_LONG", Entry::stored(name, b"x")));
    }
    let pairs = [
        ("DUPLICATE_PATH", ["a", "a"]),
        ("DUPLICATE_PATH", ["a/", "a/"]),
        ("FILE_IS_DIRECTORY", ["a", "a/b"]),
        ("FILE_IS_DIRECTORY", ["a/b/c", "a/b"]),
        ("FILE_IS_DIRECTORY", ["a", "a/"]),
    ];
    for (code, names) in pairs {
        let entry = |name: &str| Entry { attributes: 0, ..Entry::stored(name, b"") };
        cases.push((format!("{names:?}"), code, archive(&names.map(entry))));
    }
    cases
}

fn hostile_kinds() -> Vec<Case> {
    let mode = |mode: u32| Entry { attributes: mode << 16, ..file() };
    let flags = |flags: u16| Entry { flags, ..file() };
    let method = |method: u16| Entry { method, ..packed() };
    let aes = Entry { extra: extra(0x9901, &[2, 0, b'A', b'E', 3, 8, 0]), ..file() };
    let folder = Entry { attributes: 0, ..Entry::stored("folder/", b"content") };
    vec![
        one("symbolic link", "NOT_A_REGULAR_FILE", mode(0o120_777)),
        one("block device", "NOT_A_REGULAR_FILE", mode(0o060_644)),
        one("character device", "NOT_A_REGULAR_FILE", mode(0o020_644)),
        one("named pipe", "NOT_A_REGULAR_FILE", mode(0o010_644)),
        one("socket", "NOT_A_REGULAR_FILE", mode(0o140_644)),
        one("unknown type", "NOT_A_REGULAR_FILE", mode(0o150_644)),
        one("directory by mode", "NOT_A_REGULAR_FILE", mode(0o040_755)),
        one("directory by attribute", "NOT_A_REGULAR_FILE", Entry { attributes: 16, ..file() }),
        one("file by mode", "NOT_A_REGULAR_FILE", Entry { name: b"a/".into(), ..mode(0o100_644) }),
        one("directory with content", "NOT_A_REGULAR_FILE", folder),
        one("encrypted", "ENCRYPTED_ENTRY", flags(1)),
        one("strongly encrypted", "ENCRYPTED_ENTRY", flags(1 << 6)),
        one("masked headers", "ENCRYPTED_ENTRY", flags(1 << 13)),
        one("AES method", "ENCRYPTED_ENTRY", method(99)),
        one("AES field", "ENCRYPTED_ENTRY", aes),
        one("AES in the local header", "ENCRYPTED_ENTRY", {
            Entry { local_extra: extra(0x9901, &[0; 7]), ..file() }
        }),
        one("encrypted in the local header", "HEADER_MISMATCH", {
            Entry { local_flags: Some(1), ..file() }
        }),
        one("a patch", "UNSUPPORTED_METHOD", flags(1 << 5)),
        one("deflate64", "UNSUPPORTED_METHOD", method(9)),
        one("bzip2", "UNSUPPORTED_METHOD", method(12)),
        one("LZMA", "UNSUPPORTED_METHOD", method(14)),
        one("zstd", "UNSUPPORTED_METHOD", method(93)),
        one("xz", "UNSUPPORTED_METHOD", method(95)),
        one("an unknown method", "UNSUPPORTED_METHOD", method(777)),
    ]
}

fn disagreements() -> Vec<Case> {
    let local = |change: fn(&mut Entry)| {
        let mut entry = packed();
        change(&mut entry);
        entry
    };
    let mismatch = |name, change| one(name, "HEADER_MISMATCH", local(change));
    let mut cases = vec![
        mismatch("local name", |entry| entry.local_name = Some(b"index.htm1".to_vec())),
        mismatch("longer local name", |entry| entry.local_name = Some(b"index.html2".to_vec())),
        mismatch("local method", |entry| entry.local_method = Some(0)),
        mismatch("local CRC-32", |entry| entry.local_crc32 = Some(1)),
        mismatch("local packed size", |entry| entry.local_packed_bytes = Some(1)),
        mismatch("local unpacked size", |entry| entry.local_unpacked_bytes = Some(1)),
        mismatch("zero local sizes", |entry| {
            entry.local_packed_bytes = Some(0);
            entry.local_unpacked_bytes = Some(0);
        }),
        mismatch("descriptor flag", |entry| entry.local_flags = Some(8)),
        mismatch("no local record", |entry| {
            entry.is_listed_only = true;
            entry.gap = vec![b'x'; 100];
            entry.offset = Some(0);
        }),
        mismatch("offset one off", |entry| entry.offset = Some(1)),
        one("UTF-8 flag of a name that needs it", "HEADER_MISMATCH", {
            Entry { local_flags: Some(1 << 11), ..Entry::stored("é", b"x") }
        }),
        one("offset past the directory", "OFFSET_OUT_OF_BOUNDS", {
            Entry { offset: Some(0x7fff_ffff), ..file() }
        }),
        one("packed size past the directory", "OFFSET_OUT_OF_BOUNDS", {
            Entry { packed_bytes: 5_000, ..packed() }
        }),
        one("stored in two sizes", "SIZE_MISMATCH", Entry { unpacked_bytes: 7, ..file() }),
        one("descriptor missing", "DESCRIPTOR_MISMATCH", {
            Entry { descriptor: Vec::new(), ..packed().with_descriptor(true, false) }
        }),
        one("descriptor of something else", "DESCRIPTOR_MISMATCH", {
            Entry { descriptor: vec![7; 16], ..packed().with_descriptor(true, false) }
        }),
        one("second name", "EXTRA_FIELD_INVALID", {
            Entry { extra: extra(0x7075, b"\x01crc4other.html"), ..file() }
        }),
        one("second local name", "EXTRA_FIELD_INVALID", {
            Entry { local_extra: extra(0x7075, b"\x01crc4other.html"), ..file() }
        }),
        one("cut-off extra field", "EXTRA_FIELD_INVALID", {
            Entry { extra: vec![1, 2, 200, 0, 0], ..file() }
        }),
        one("ZIP64 size that is not there", "ZIP64_INCONSISTENT", {
            Entry { unpacked_bytes: u32::MAX, ..packed() }
        }),
        one("ZIP64 field too short", "ZIP64_INCONSISTENT", {
            Entry { unpacked_bytes: u32::MAX, extra: extra(1, &[0; 4]), ..packed() }
        }),
        one("two ZIP64 fields", "EXTRA_FIELD_INVALID", {
            Entry { extra: [extra(1, &[]), extra(1, &[])].concat(), ..packed() }
        }),
        one("ZIP64 local sizes that differ", "HEADER_MISMATCH", {
            Entry { local_extra: extra(1, &[9; 16]), ..packed().with_zip64_central_only() }
        }),
        one("another disk", "SPLIT_ARCHIVE", Entry { disk: 1, ..file() }),
    ];
    cases.extend(overlaps());
    cases
}

fn overlaps() -> Vec<Case> {
    // The second record lies inside the content of the first, which quotes it.
    let inner = Entry::stored("b", b"shared");
    let record = archive(std::slice::from_ref(&inner));
    let quote = &record[..30 + 1 + 6];
    let outer = Entry::stored("a", quote);
    let inside = Entry { is_listed_only: true, offset: Some(31), ..inner };
    // The descriptor of the first is the start of the second.
    let mut shared = packed().with_descriptor(false, false);
    shared.descriptor.truncate(0);
    vec![
        ("quoted record".to_owned(), "OVERLAPPING_ENTRIES", archive(&[outer, inside])),
        ("the same record twice".to_owned(), "DUPLICATE_PATH", {
            archive(&[file(), Entry { is_listed_only: true, offset: Some(0), ..file() }])
        }),
        ("shared descriptor".to_owned(), "DESCRIPTOR_MISMATCH", archive(&[shared, packed_as("b")])),
    ]
}

fn hostile_ends() -> Vec<Case> {
    let good = archive(&[file(), packed_as("b")]);
    let zip64 = |zip64: Zip64| End { zip64: Some(zip64), ..End::default() };
    let cut = |bytes: usize| good[..good.len() - bytes].to_vec();
    let planted = [&[0; 10][..], b"PK\x05\x06", &[0; 18]].concat();
    let mut reaching = b"PK\x05\x06".to_vec();
    reaching.extend([0; 16]);
    let rest = archive(&[Entry::stored("c", &[0; 22])]).len() - 31 - 22;
    reaching.extend((rest as u16).to_le_bytes());
    let unlisted = archive(&[file()]);
    let truncated = {
        let whole = archive(&[Entry::stored("get.zip", &good)]);
        whole[..30 + 7 + good.len()].to_vec()
    };
    vec![
        one("unlisted record", "UNLISTED_RECORD", {
            Entry { gap: unlisted[..47].to_vec(), ..packed() }
        }),
        ending("unlisted record behind", "UNLISTED_RECORD", {
            End { suffix: unlisted[..47].to_vec(), ..End::default() }
        }),
        ("truncated down to the archive in it".into(), "UNLISTED_RECORD", truncated),
        ("empty upload".into(), "EMPTY_ARCHIVE", Vec::new()),
        ("no entry".into(), "EMPTY_ARCHIVE", archive(&[])),
        ("only a directory".into(), "EMPTY_ARCHIVE", archive(&[Entry::directory("a/")])),
        ("text".into(), "NOT_A_ZIP", b"hello, this is no archive at all".to_vec()),
        ("a gzip header".into(), "NOT_A_ZIP", [&[0x1f, 0x8b, 8][..], &[0; 500]].concat()),
        ("one byte".into(), "NOT_A_ZIP", b"P".to_vec()),
        ("without its end".into(), "TRUNCATED_ARCHIVE", cut(22)),
        ("without its last byte".into(), "TRUNCATED_ARCHIVE", cut(1)),
        ("cut in the middle".into(), "TRUNCATED_ARCHIVE", good[..good.len() / 2].to_vec()),
        ("without its first byte".into(), "OFFSET_OUT_OF_BOUNDS", good[1..].to_vec()),
        ending("comment longer than the file", "TRUNCATED_ARCHIVE", {
            End { comment_bytes: Some(9), ..End::default() }
        }),
        ending("end record in the comment", "MULTIPLE_END_RECORDS", {
            End { comment: b"PK\x05\x06 and more text than a record has".into(), ..End::default() }
        }),
        ending("end record behind the end", "MULTIPLE_END_RECORDS", {
            End { suffix: [b"PK\x05\x06", &[0; 18][..]].concat(), ..End::default() }
        }),
        one("end record in a gap", "MULTIPLE_END_RECORDS", Entry { gap: planted, ..file() }),
        one("end record in content that reaches the end", "MULTIPLE_END_RECORDS", {
            Entry::stored("c", &reaching)
        }),
        one("end record in an extra field", "MULTIPLE_END_RECORDS", {
            Entry { extra: extra(0x4242, b"PK\x05\x06"), ..file() }
        }),
        ending("much before it", "JUNK_AROUND_ARCHIVE", {
            End { prefix: vec![b'#'; 65_537], ..End::default() }
        }),
        ending("much after it", "TRUNCATED_ARCHIVE", {
            End { suffix: vec![b'#'; 200_000], ..End::default() }
        }),
        ending("a little too much after it", "JUNK_AROUND_ARCHIVE", {
            End { suffix: vec![b'#'; 65_537], ..End::default() }
        }),
        one("much between", "JUNK_AROUND_ARCHIVE", Entry { gap: vec![0; 65_537], ..file() }),
        ("little by little".into(), "JUNK_AROUND_ARCHIVE", {
            let part = |name: &str| Entry { gap: vec![0; 30_000], ..Entry::stored(name, b"x") };
            archive(&[part("a"), part("b"), part("c")])
        }),
        ending("second disk", "SPLIT_ARCHIVE", End { disk: 1, ..End::default() }),
        ending("entries elsewhere", "SPLIT_ARCHIVE", {
            End { entries_on_disk: Some(1), ..End::default() }
        }),
        ending("one entry more", "DIRECTORY_INCONSISTENT", {
            End { entries: Some(3), ..End::default() }
        }),
        ending("one entry fewer", "DIRECTORY_INCONSISTENT", {
            End { entries: Some(1), ..End::default() }
        }),
        ending("directory size too large", "OFFSET_OUT_OF_BOUNDS", {
            End { directory_bytes: Some(100_000), ..End::default() }
        }),
        ending("directory size too small", "DIRECTORY_INCONSISTENT", {
            End { directory_bytes: Some(60), ..End::default() }
        }),
        ending("directory offset too large", "OFFSET_OUT_OF_BOUNDS", {
            End { directory_offset: Some(100_000), ..End::default() }
        }),
        ending("directory offset too small", "OFFSET_OUT_OF_BOUNDS", {
            End { directory_offset: Some(10), ..End::default() }
        }),
        ending("bytes after the directory", "DIRECTORY_INCONSISTENT", {
            End { after_directory: vec![0; 9], ..End::default() }
        }),
        ending("ZIP64 announced and missing", "ZIP64_INCONSISTENT", {
            End { directory_offset: Some(u32::MAX), ..End::default() }
        }),
        ending(
            "ZIP64 other count",
            "ZIP64_INCONSISTENT",
            zip64(Zip64 { entries: Some(1), ..Zip64::default() }),
        ),
        ending(
            "ZIP64 other size",
            "ZIP64_INCONSISTENT",
            zip64(Zip64 { directory_bytes: Some(1), ..Zip64::default() }),
        ),
        ending(
            "ZIP64 other offset",
            "ZIP64_INCONSISTENT",
            zip64(Zip64 { directory_offset: Some(1), ..Zip64::default() }),
        ),
        ending(
            "ZIP64 record too long",
            "ZIP64_INCONSISTENT",
            zip64(Zip64 { record_bytes: Some(45), ..Zip64::default() }),
        ),
        ending(
            "ZIP64 record endless",
            "ZIP64_INCONSISTENT",
            zip64(Zip64 { record_bytes: Some(u64::MAX), ..Zip64::default() }),
        ),
        ending(
            "ZIP64 locator astray",
            "ZIP64_INCONSISTENT",
            zip64(Zip64 { locator_offset: Some(u64::MAX), ..Zip64::default() }),
        ),
        ending(
            "ZIP64 locator without record",
            "ZIP64_INCONSISTENT",
            zip64(Zip64 { is_locator_only: true, ..Zip64::default() }),
        ),
        ending(
            "ZIP64 record without locator",
            "DIRECTORY_INCONSISTENT",
            zip64(Zip64 { is_record_only: true, ..Zip64::default() }),
        ),
        ending(
            "ZIP64 two disks",
            "SPLIT_ARCHIVE",
            zip64(Zip64 { disks: Some(2), ..Zip64::default() }),
        ),
    ]
}

fn bad_content() -> Vec<Case> {
    let text = b"<p>hello".repeat(50);
    let with_packed =
        |bytes: Vec<u8>| Entry { packed_bytes: bytes.len() as u32, packed: bytes, ..packed() };
    let stream = deflate(&text);
    let mut flipped = stream.clone();
    flipped[0] = 0x07; // block type 3 is reserved (RFC 1951 §3.2.3)
    let short = stream[..stream.len() - 1].to_vec();
    let padded = [&stream[..], b"hidden content"].concat();
    let size = |unpacked_bytes: u32| Entry { unpacked_bytes, ..packed() };
    vec![
        one("wrong CRC-32, stored", "CRC_MISMATCH", Entry { crc32: 1, ..file() }),
        one("wrong CRC-32, deflated", "CRC_MISMATCH", Entry { crc32: 1, ..packed() }),
        one("wrong CRC-32 of an empty file", "CRC_MISMATCH", {
            Entry { crc32: 1, ..Entry::stored("a", b"") }
        }),
        one("not a deflate stream", "DATA_CORRUPT", with_packed(flipped)),
        one("a deflate stream cut off", "DATA_CORRUPT", with_packed(short)),
        one("bytes behind the stream", "DATA_CORRUPT", with_packed(padded)),
        one("no stream at all", "DATA_CORRUPT", with_packed(Vec::new())),
        one("states less", "SIZE_MISMATCH", size(399)),
        one("states nothing", "SIZE_MISMATCH", size(0)),
        one("states more", "SIZE_MISMATCH", size(401)),
    ]
}

/// Archives that must be refused: what is wrong, the code, the bytes.
pub(crate) fn all() -> Vec<Case> {
    let groups = [hostile_names(), hostile_kinds(), disagreements(), hostile_ends(), bad_content()];
    groups.into_iter().flatten().collect()
}

#[test]
fn every_hostile_archive_is_refused_with_its_code() {
    let cases = all();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for (name, code, bytes) in &cases {
        match verdict(bytes, &ArchiveLimits::default()) {
            Err((actual, 400, message)) if actual == *code => {
                assert!(message.starts_with("archive refused: ") && message.contains("; "));
                assert!(message.len() < 1_000 && !message.contains(char::is_control));
            }
            other => wrong.push(format!("{name}: expected {code}, got {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn messages_name_the_entry_and_the_method() {
    let (_, _, message) =
        verdict(&archive(&[Entry { method: 93, ..packed() }]), &ArchiveLimits::default())
            .unwrap_err();
    assert_eq!(
        message,
        "archive refused: entry \"index.html\" is compressed with zstd (method 93); \
         pack with deflate or stored"
    );
    for (method, name) in
        [(9, "deflate64"), (12, "bzip2"), (14, "LZMA"), (93, "zstd"), (95, "xz"), (777, "777")]
    {
        let entry = Entry { method, ..packed() };
        let (_, status, message) =
            verdict(&archive(&[entry]), &ArchiveLimits::default()).unwrap_err();
        assert_eq!(status, 400, "{name}");
        assert!(message.contains(name) && message.contains("index.html"), "{name}: {message}");
    }
}

#[test]
fn each_cap_is_413_and_holds_at_its_edge() {
    let limits = ArchiveLimits {
        entries_max: 3,
        file_bytes_max: 1_000,
        total_bytes_max: 2_000,
        directory_bytes_max: 500,
        ..ArchiveLimits::default()
    };
    let sized = |name: &str, bytes: usize| Entry::stored(name, &vec![b'x'; bytes]);
    let check = |entries: &[Entry]| verdict(&archive(entries), &limits).map_err(|it| (it.0, it.1));
    assert_eq!(check(&[sized("a", 1_000), sized("b", 1_000), sized("c", 0)]), Ok(()));
    assert_eq!(check(&[sized("a", 1_001)]), Err(("FILE_TOO_LARGE", 413)));
    let over = [sized("a", 1_000), sized("b", 1_000), sized("c", 1)];
    assert_eq!(check(&over), Err(("TOTAL_TOO_LARGE", 413)));
    let four = ["a", "b", "c", "d"].map(|name| sized(name, 1));
    assert_eq!(check(&four), Err(("TOO_MANY_ENTRIES", 413)));
    let chatty = Entry { comment: vec![b'x'; 500], ..sized("a", 1) };
    assert_eq!(check(&[chatty]), Err(("DIRECTORY_TOO_LARGE", 413)));
}

#[test]
fn the_documented_caps_are_the_default() {
    let limits = ArchiveLimits::default();
    assert_eq!(limits.entries_max, 100_000);
    assert_eq!(limits.file_bytes_max, 64 << 20);
    assert_eq!(limits.total_bytes_max, 1 << 30);
    assert_eq!(limits.ratio_max, 200);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "measures a duration that the policy promises")]
fn bombs_are_refused_within_two_seconds() {
    let zeros = vec![0; 60 << 20];
    let bomb = Entry::deflated("bomb", &zeros);
    let honest = archive(std::slice::from_ref(&bomb));
    let five_gigabytes = {
        let sizes = [5_u64 << 30, u64::from(bomb.packed_bytes)];
        let zip64 = extra(1, &sizes.map(u64::to_le_bytes).concat());
        let entry = bomb.clone();
        archive(&[Entry {
            unpacked_bytes: u32::MAX,
            packed_bytes: u32::MAX,
            local_extra: zip64.clone(),
            extra: zip64,
            ..entry
        }])
    };
    let lying = archive(&[Entry { unpacked_bytes: 1_000, ..bomb.clone() }]);
    // Bytes behind the stream would make the stated ratio harmless.
    let mut packed = bomb.packed.clone();
    packed.resize(2 << 20, 0);
    let padded = archive(&[Entry { packed_bytes: packed.len() as u32, packed, ..bomb.clone() }]);
    let many = {
        let part = Entry::deflated("p", &zeros[..1 << 20]);
        let parts: Vec<_> = (0..2_000)
            .map(|n| Entry { name: format!("{n}").into_bytes(), ..part.clone() })
            .collect();
        archive(&parts)
    };
    let crowded = archive_with(
        &[file()],
        &End { entries: Some(u16::MAX), entries_on_disk: Some(u16::MAX), ..End::default() },
    );
    // Five real gigabytes: the same full block again and again, then the end of the stream.
    let unpacking_to_five_gigabytes = {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&zeros).unwrap();
        encoder.flush().unwrap();
        let block = encoder.get_ref().clone();
        let mut packed = block.repeat(5 * 1024 / 60 + 1);
        packed.extend_from_slice(&[3, 0]);
        assert!((4_000_000..6_000_000).contains(&packed.len()), "{} bytes", packed.len());
        let entry = bomb.clone();
        archive(&[Entry { packed_bytes: packed.len() as u32, packed, ..entry }])
    };
    drop(zeros);
    for (name, bytes, expected) in [
        ("five real gigabytes", unpacking_to_five_gigabytes, ("RATIO_TOO_HIGH", 413)),
        ("honest", honest, ("RATIO_TOO_HIGH", 413)),
        ("five gigabytes", five_gigabytes, ("FILE_TOO_LARGE", 413)),
        ("lying", lying, ("SIZE_MISMATCH", 400)),
        ("padded", padded, ("RATIO_TOO_HIGH", 413)),
        ("many", many, ("TOTAL_TOO_LARGE", 413)),
        ("crowded", crowded, ("TOO_MANY_ENTRIES", 413)),
    ] {
        let start = std::time::Instant::now();
        // A classic directory cannot claim more than 65,535 entries.
        let limits = ArchiveLimits { entries_max: 50_000, ..ArchiveLimits::default() };
        let (code, status, _) = verdict(&bytes, &limits).unwrap_err();
        assert_eq!((code, status), expected, "{name}");
        assert!(start.elapsed() < Duration::from_secs(2), "{name} took {:?}", start.elapsed());
    }
}

#[test]
fn a_crc_of_our_own_agrees_with_the_known_check_value() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}
