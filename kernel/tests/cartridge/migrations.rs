//! Schemas move forward once, whole, and only when nobody tampered with them.

use fazt_kernel::cartridge::{Cartridge, CartridgeError, Migration, Mode, Options, Owner};

use crate::{
    child,
    support::{NOTES, Place, add, note, sha256, texts},
};

/// A migration that takes a while, so that it can be killed in the middle.
pub(crate) const SLOW: &[Migration<'static>] = &[
    NOTES[0],
    Migration {
        name: "0002_fill",
        sql: "CREATE TABLE note_filled (x INTEGER) STRICT;
              INSERT INTO note_filled WITH RECURSIVE n(i) AS
                (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT i FROM n;
              CREATE INDEX note_filled_x ON note_filled (x);",
    },
];

fn why(result: Result<usize, CartridgeError>) -> String {
    match result {
        Err(CartridgeError::Migration { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

fn step(name: &'static str, sql: &'static str) -> Migration<'static> {
    Migration { name, sql }
}

#[test]
fn a_migration_runs_once() {
    let place = Place::new();
    let cartridge = Cartridge::open(&place.path, Mode::Serve, Options::default()).unwrap();
    assert_eq!(cartridge.migrate(&note(), NOTES).wait(), Ok(1));
    add(&cartridge, "one").unwrap();
    assert_eq!(cartridge.migrate(&note(), NOTES).wait(), Ok(0));
    drop(cartridge);
    let cartridge = Cartridge::open(&place.path, Mode::Serve, Options::default()).unwrap();
    assert_eq!(cartridge.migrate(&note(), NOTES).wait(), Ok(0));
    assert_eq!(texts(&cartridge), ["one"]);
}

#[test]
fn a_migration_that_was_edited_after_it_ran_is_refused() {
    let place = Place::new();
    let cartridge = place.open();
    let edited = step("0001_create_note", "CREATE TABLE note_entry (id INTEGER PRIMARY KEY);");
    assert!(why(cartridge.migrate(&note(), &[edited]).wait()).contains("edited"));
    let renamed = step("0001_other_name", NOTES[0].sql);
    assert!(why(cartridge.migrate(&note(), &[renamed]).wait()).contains("edited"));
    add(&cartridge, "the rest works").unwrap();
}

#[test]
fn an_owner_whose_tables_are_newer_is_refused_alone() {
    let place = Place::new();
    let cartridge = place.open();
    let second = step("0002_more", "CREATE TABLE note_more (x) ;");
    cartridge.migrate(&note(), &[NOTES[0], second]).wait().unwrap();
    assert!(why(cartridge.migrate(&note(), NOTES).wait()).contains("newer"));
    let other = Owner::plugin("email").unwrap();
    let create = step("0001_create", "CREATE TABLE email_message (x);");
    assert_eq!(cartridge.migrate(&other, &[create]).wait(), Ok(1));
}

#[test]
fn a_migration_that_fails_leaves_nothing() {
    let place = Place::new();
    let cartridge = place.open();
    let broken = step("0002_broken", "CREATE TABLE note_half (x); INSERT INTO nowhere VALUES (1);");
    let after = step("0003_after", "CREATE TABLE note_after (x);");
    let refusal = why(cartridge.migrate(&note(), &[NOTES[0], broken, after]).wait());
    assert!(refusal.contains("nowhere"), "{refusal}");
    let fixed = step("0002_broken", "CREATE TABLE note_half (x);");
    assert_eq!(cartridge.migrate(&note(), &[NOTES[0], fixed, after]).wait(), Ok(2));
}

#[test]
fn a_migration_makes_tables_in_its_owners_name_only() {
    let place = Place::new();
    let cartridge = place.open();
    let email = Owner::plugin("email").unwrap();
    for (sql, says) in [
        ("CREATE TABLE message (x);", "`email_`"),
        ("CREATE TABLE note_mine (x);", "`email_`"),
        ("CREATE TABLE Email_message (x);", "`email_`"),
        ("CREATE TABLE email_t (x); CREATE INDEX t_x ON email_t (x);", "`email_`"),
        ("DROP TABLE note_entry;", "belongs to `note`"),
        ("ALTER TABLE note_entry RENAME TO email_entry;", "belongs to `note`"),
        ("CREATE TABLE email_copy AS SELECT * FROM note_entry;", "belongs to `note`"),
        (
            "CREATE VIEW email_v AS SELECT 1; INSERT INTO note_entry (text) VALUES ('x');",
            "belongs to `note`",
        ),
        (
            "CREATE TRIGGER email_t AFTER INSERT ON note_entry BEGIN SELECT 1; END;",
            "belongs to `note`",
        ),
        ("CREATE TABLE email_t (x REFERENCES note_entry (id));", "refers to `note_entry`"),
        ("CREATE VIRTUAL TABLE email_t USING dbstat;", "module"),
        ("PRAGMA user_version = 99;", "PRAGMA"),
        ("COMMIT; CREATE TABLE email_t (x);", "transactions"),
        ("DELETE FROM migration;", "belongs to `kernel`"),
    ] {
        let refusal = why(cartridge.migrate(&email, &[step("0001_x", sql)]).wait());
        assert!(refusal.contains(says), "{sql}: {refusal}");
    }
    let everything = "CREATE TABLE email_t (x TEXT UNIQUE, id INTEGER PRIMARY KEY AUTOINCREMENT);
        CREATE INDEX email_t_x ON email_t (x);
        CREATE VIEW email_v AS SELECT x FROM email_t;
        CREATE TRIGGER email_t_insert AFTER INSERT ON email_t BEGIN UPDATE email_t SET x = 'y'; END;
        ALTER TABLE email_t ADD COLUMN z INTEGER;
        ALTER TABLE email_t RENAME COLUMN z TO w;
        ALTER TABLE email_t DROP COLUMN w;
        ALTER TABLE email_t RENAME TO email_u;
        CREATE TABLE email_child (u INTEGER REFERENCES email_u (id));
        INSERT INTO email_u (x) VALUES ('1');
        DROP TABLE email_child; DROP VIEW email_v;
        CREATE VIRTUAL TABLE email_f USING fts5 (body);";
    assert_eq!(cartridge.migrate(&email, &[step("0001_x", everything)]).wait(), Ok(1));
}

#[test]
fn a_plugin_cannot_take_the_name_of_existing_tables() {
    let place = Place::new();
    let cartridge = place.open();
    let blob = Owner::plugin("blob").unwrap();
    let create = step("0001_x", "CREATE TABLE blob_mine (x);");
    assert!(why(cartridge.migrate(&blob, &[create]).wait()).contains("taken"));
}

#[test]
fn numbers_have_no_gaps() {
    let place = Place::new();
    let cartridge = place.open();
    let email = Owner::plugin("email").unwrap();
    let create = step("0002_x", "CREATE TABLE email_x (x);");
    assert!(why(cartridge.migrate(&email, &[create]).wait()).contains("0001_what"));
}

#[test]
fn a_command_reports_what_is_missing_and_runs_nothing() {
    let place = Place::new();
    let before = sha256(&place.path);
    let cartridge = Cartridge::open(&place.path, Mode::Command, Options::default()).unwrap();
    let pending = CartridgeError::Pending {
        owner: "note".to_owned(),
        migration: "0001_create_note".to_owned(),
    };
    assert_eq!(cartridge.migrate(&note(), NOTES).wait(), Err(pending));
    drop(cartridge);
    assert_eq!(sha256(&place.path), before);
}

#[test]
fn a_migration_that_is_killed_in_the_middle_did_not_happen() {
    let place = Place::new();
    drop(place.open());
    for delay_ms in [30, 150, 400] {
        let mut victim = child::command("migrate", &place.path).spawn().unwrap();
        let mut lines = child::lines(&mut victim);
        assert_eq!(child::next_line(&mut lines).unwrap(), "begin");
        std::thread::sleep(std::time::Duration::from_millis(delay_ms));
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert_eq!(child::next_line(&mut lines), None, "killed too late to prove anything");
        let auditor = rusqlite::Connection::open(&place.path).unwrap();
        let tables: i64 = auditor
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'note_filled%'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        let entries: i64 = auditor
            .query_row("SELECT count(*) FROM migration WHERE owner = 'note'", [], |row| row.get(0))
            .unwrap();
        assert_eq!((tables, entries), (0, 1));
    }
    let cartridge = Cartridge::open(&place.path, Mode::Serve, Options::default()).unwrap();
    assert_eq!(cartridge.migrate(&note(), SLOW).wait(), Ok(1));
    assert!(cartridge.verify().wait().unwrap().problems.is_empty());
}
