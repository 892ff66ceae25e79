//! Everybody reaches their own tables and nobody else's.

use std::ops::ControlFlow;

use fazt_kernel::cartridge::{
    Cartridge, CartridgeError, Migration, Owner, SqlError, SqlErrorKind, TxError,
};

use crate::support::{Place, add, note};

fn other(cartridge: &Cartridge) -> Owner {
    let owner = Owner::plugin("email").unwrap();
    let sql = "CREATE TABLE email_message (id INTEGER PRIMARY KEY, secret TEXT) STRICT;
               INSERT INTO email_message (secret) VALUES ('s3cret');
               CREATE VIRTUAL TABLE email_search USING fts5 (body);";
    let migration = Migration { name: "0001_create_message", sql };
    cartridge.migrate(&owner, &[migration]).wait().unwrap();
    owner
}

fn denied(result: Result<(), CartridgeError>) -> String {
    match result {
        Err(CartridgeError::Tx(TxError::Sql(SqlError {
            kind: SqlErrorKind::Denied,
            message,
            ..
        }))) => message,
        other => panic!("not refused: {other:?}"),
    }
}

fn read(cartridge: &Cartridge, owner: &Owner, sql: &str) -> Result<(), CartridgeError> {
    cartridge.read(owner, &mut |reader| {
        reader.query(sql, &[], &mut |_| ControlFlow::Continue(()))?;
        Ok(())
    })
}

fn write(cartridge: &Cartridge, owner: &Owner, sql: &'static str) -> Result<(), CartridgeError> {
    let closure = move |tx: &fazt_kernel::cartridge::WriteTx<'_>| {
        tx.query(sql, &[], &mut |_| ControlFlow::Continue(()))?;
        Ok(())
    };
    cartridge.write(owner, None, Box::new(closure)).wait()
}

#[test]
fn the_refusal_names_the_table_and_its_owner() {
    let place = Place::new();
    let cartridge = place.open();
    other(&cartridge);
    assert_eq!(
        denied(read(&cartridge, &note(), "SELECT secret FROM email_message")),
        "`note` may not read `email_message`: the table belongs to `email`"
    );
    assert_eq!(
        denied(write(&cartridge, &note(), "DELETE FROM email_message")),
        "`note` may not write `email_message`: the table belongs to `email`"
    );
    assert_eq!(
        denied(read(&cartridge, &note(), "SELECT hash FROM blob")),
        "`note` may not read `blob`: the table belongs to `kernel`"
    );
}

#[test]
fn no_way_around_reaches_somebody_elses_table() {
    let place = Place::new();
    let cartridge = place.open();
    other(&cartridge);
    for sql in [
        "SELECT count(*) FROM email_message",
        "SELECT count(*) FROM EMAIL_MESSAGE",
        "SELECT 1 FROM \"email_message\"",
        "SELECT 1 FROM main.email_message AS note_entry",
        "SELECT (SELECT secret FROM email_message)",
        "WITH x AS (SELECT secret FROM email_message) SELECT * FROM x",
        "SELECT * FROM email_search",
        "SELECT * FROM email_search_content",
        "SELECT sql FROM sqlite_schema",
        "SELECT 1 FROM sqlite_master",
        "SELECT * FROM pragma_table_info('email_message')",
        "SELECT count(*) FROM pragma_table_list",
        "SELECT count(*) FROM dbstat",
        "SELECT * FROM sqlite_sequence",
        "PRAGMA table_info(email_message)",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('x')",
    ] {
        denied(read(&cartridge, &note(), sql));
    }
    for sql in [
        "INSERT INTO note_entry (text) SELECT secret FROM email_message",
        "UPDATE note_entry SET text = (SELECT secret FROM email_message)",
        "INSERT INTO email_message (secret) VALUES ('x')",
        "DROP TABLE email_message",
        "ALTER TABLE note_entry RENAME TO email_x",
        "CREATE TABLE note_more (x)",
        "CREATE TEMP TABLE t (x)",
        "CREATE INDEX note_i ON note_entry (text)",
        "DELETE FROM sqlite_sequence",
        "ATTACH ':memory:' AS a",
        "PRAGMA synchronous = OFF",
        "PRAGMA writable_schema = ON",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT x",
        "RELEASE closure",
        "ANALYZE",
        "REINDEX",
    ] {
        denied(write(&cartridge, &note(), sql));
    }
    let stolen = place.directory.path().join("stolen.db");
    for sql in ["VACUUM".to_owned(), format!("VACUUM INTO '{}'", stolen.display())] {
        assert!(read(&cartridge, &note(), &sql).is_err());
    }
    assert!(!stolen.exists());
    add(&cartridge, "its own").unwrap();
}

#[test]
fn ordinary_sql_on_ones_own_tables_is_not_in_the_way() {
    let place = Place::new();
    let cartridge = place.open();
    let email = other(&cartridge);
    for sql in [
        "WITH x AS (SELECT 1 AS a) SELECT count(*) FROM x",
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
        "SELECT count(*) FROM (SELECT text FROM note_entry) AS y",
        "SELECT count(*) FROM json_each('[1,2]')",
        "SELECT value FROM json_each('[1,2]')",
        "SELECT n.text FROM note_entry AS n JOIN note_entry AS m USING (id)",
        "SELECT 1",
    ] {
        read(&cartridge, &note(), sql).unwrap();
    }
    write(&cartridge, &email, "INSERT INTO email_search (body) VALUES ('hello world')").unwrap();
    let mut found = 0;
    cartridge
        .read(&email, &mut |reader| {
            let sql = "SELECT body FROM email_search WHERE email_search MATCH 'hello'";
            reader.query(sql, &[], &mut |_| {
                found += 1;
                ControlFlow::Continue(())
            })?;
            Ok(())
        })
        .unwrap();
    assert_eq!(found, 1);
}

#[test]
fn the_same_sql_is_refused_for_one_owner_after_it_ran_for_another() {
    let place = Place::new();
    let cartridge = place.open();
    let email = other(&cartridge);
    let sql = "SELECT secret FROM email_message";
    for _ in 0..3 {
        read(&cartridge, &email, sql).unwrap();
        denied(read(&cartridge, &note(), sql));
    }
}

#[test]
fn a_schema_change_does_not_let_a_compiled_statement_slip() {
    let place = Place::new();
    let cartridge = place.open();
    let email = other(&cartridge);
    read(&cartridge, &note(), "SELECT text FROM note_entry").unwrap();
    read(&cartridge, &email, "SELECT secret FROM email_message").unwrap();
    let first = crate::support::NOTES[0];
    let second = Migration { name: "0002_more", sql: "ALTER TABLE note_entry ADD COLUMN x TEXT;" };
    cartridge.migrate(&note(), &[first, second]).wait().unwrap();
    read(&cartridge, &note(), "SELECT text FROM note_entry").unwrap();
    read(&cartridge, &email, "SELECT secret FROM email_message").unwrap();
    denied(read(&cartridge, &note(), "SELECT secret FROM email_message"));
}

#[test]
fn the_operator_reads_everything_and_changes_rows_but_no_schema() {
    let place = Place::new();
    let cartridge = place.open();
    other(&cartridge);
    let operator = Owner::operator();
    read(&cartridge, &operator, "SELECT secret FROM email_message").unwrap();
    read(&cartridge, &operator, "SELECT sql FROM sqlite_schema").unwrap();
    write(&cartridge, &operator, "UPDATE email_message SET secret = 'x'").unwrap();
    denied(write(&cartridge, &operator, "DROP TABLE email_message"));
    denied(write(&cartridge, &operator, "PRAGMA synchronous = OFF"));
}

#[test]
fn the_kernel_keeps_out_of_plugins_tables() {
    let place = Place::new();
    let cartridge = place.open();
    other(&cartridge);
    read(&cartridge, &Owner::kernel(), "SELECT key FROM meta").unwrap();
    denied(read(&cartridge, &Owner::kernel(), "SELECT secret FROM email_message"));
}

#[test]
fn a_reader_cannot_write() {
    let place = Place::new();
    let cartridge = place.open();
    for sql in ["INSERT INTO note_entry (text) VALUES ('x')", "DELETE FROM note_entry"] {
        denied(read(&cartridge, &note(), sql));
    }
}

#[test]
fn wrong_statements_say_what_is_wrong() {
    let place = Place::new();
    let cartridge = place.open();
    for (sql, says) in [
        ("SELEC 1", "syntax error"),
        ("SELECT missing FROM note_entry", "no such column"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT ?1", "takes 1 parameters and got 0"),
    ] {
        match read(&cartridge, &note(), sql) {
            Err(CartridgeError::Tx(TxError::Sql(error))) => {
                assert_eq!(error.kind, SqlErrorKind::Usage, "{sql}");
                assert!(error.message.contains(says), "{sql}: {}", error.message);
            }
            other => panic!("{other:?}"),
        }
    }
}
