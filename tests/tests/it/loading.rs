//! Libraries that are not loaded: each is refused in one sentence and leaves nothing behind.

use std::collections::BTreeMap;
use std::path::Path;

use fazt_hosting::Hosting;
use fazt_sdk::export::root_of;
use fazt_sdk::http::Method;
use fazt_sdk::manifest::Manifest;
use fazt_sdk::prelude::Interface as _;
use fazt_sdk::services::AppDataApi;
use fazt_sdk::{Json, json};
use fazt_template::Template;
use fazt_testkit::{BuiltIn, Caller};
use fazt_tests::fixtures::{Library, program};

use crate::boundary::{get, info, node};

fn read(library: Library) -> Vec<u8> {
    std::fs::read(library.path()).unwrap()
}

/// `bytes` with those at `offset` replaced.
fn patched(mut bytes: Vec<u8>, offset: usize, with: &[u8]) -> Vec<u8> {
    bytes[offset..offset + with.len()].copy_from_slice(with);
    bytes
}

/// What is refused: what it is, its bytes, and words of the reason.
fn refused() -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    let whole = read(Library::Counts);
    vec![
        ("nothing", Vec::new(), &["empty"]),
        ("a text", b"#!/bin/sh\n".to_vec(), &["no shared library"]),
        ("too little for a header", whole[..40].to_vec(), &["no shared library"]),
        ("a header alone", whole[..64].to_vec(), &["cut short"]),
        ("the first half", whole[..whole.len() / 2].to_vec(), &["cut short"]),
        // Where the table of program headers lies.
        ("a library with a broken header", patched(whole.clone(), 32, &[0xff; 8]), &["cut short"]),
        ("one for another machine", patched(whole.clone(), 18, &[183, 0]), &["another machine"]),
        ("one of 32 bits", patched(whole.clone(), 4, &[1]), &["another machine"]),
        ("an object file", patched(whole, 16, &[1, 0]), &["not a shared library"]),
        ("a program", std::fs::read(program()).unwrap(), &["program", "cdylib"]),
        ("a library of something else", read(Library::Unmarked), &["FAZT_PLUGIN_ABI"]),
        ("one for another ABI", read(Library::OtherAbi), &["ABI 7", "speaks 0"]),
        ("one that aborts", read(Library::Aborting), &["abort", "unwind"]),
        ("one without words", read(Library::Speechless), &["does not describe itself", "no words"]),
        ("one whose service nobody provides", read(Library::Report), &["counts.tally/1"]),
    ]
}

/// How many rows each table has.
fn rows(cartridge: &Path) -> BTreeMap<String, i64> {
    let file = rusqlite::Connection::open(cartridge).unwrap();
    let mut tables = file
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap();
    let names: Vec<String> =
        tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count = |name: &String| {
        file.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0)).unwrap()
    };
    names.iter().map(|name| (name.clone(), count(name))).collect()
}

#[tokio::test]
async fn what_is_no_plugin_for_this_node_is_refused_in_one_sentence_and_nothing_is_stored() {
    let mut kernel = node(&[]).await;
    kernel.restart().await.unwrap();
    kernel.stop().await.unwrap();
    let before = rows(&kernel.cartridge());
    kernel.restart().await.unwrap();
    for (what, bytes, words) in refused() {
        for path in ["/api/plugins", "/api/plugins/check"] {
            if what.contains("nobody provides") && path.ends_with("check") {
                continue;
            }
            let answer = kernel.admin(Caller::OWNER, Method::Post, path, "", bytes.clone()).await;
            let message = answer.json()["error"]["message"].as_str().unwrap_or("").to_owned();
            assert_eq!(answer.status, 400, "{what}: {}", answer.text());
            for word in words {
                assert!(message.contains(word), "{what}: {message}");
            }
            assert!(!message.contains('\n') && message.len() < 400, "{what}: {message}");
        }
    }
    let known = kernel.operate(Method::Get, "/api/plugins", json!({})).await.unwrap();
    assert_eq!(known.as_array().map_or(0, Vec::len), 1, "only fazt itself: {known}");
    // The same process loads a good one.
    kernel.add_library(&Library::Counts.path()).await.unwrap();
    assert_eq!(get(&kernel, "/_counts/version").await.0, 200);
    kernel.operate(Method::Delete, "/api/plugins/counts", json!({})).await.unwrap();
    kernel.stop().await.unwrap();
    let mut after = rows(&kernel.cartridge());
    // What the good one left: its table, its migration, and content that is swept later.
    for (table, rows) in [("migration", 1), ("blob", 1)] {
        *after.get_mut(table).unwrap() -= rows;
    }
    after.remove("counts_tally").unwrap();
    after.insert("blob_chunk".to_owned(), before["blob_chunk"]);
    assert_eq!(after, before);
}

#[tokio::test]
async fn only_the_owner_may_hand_over_native_code() {
    let kernel = node(&[]).await;
    let library = read(Library::Counts);
    let path = "/api/plugins";
    let answer = kernel.admin(Caller::ANONYMOUS, Method::Post, path, "", library.clone()).await;
    assert_eq!(answer.status, 401);
    let deploys = Caller {
        principal: fazt_sdk::call::Principal::Key(fazt_sdk::call::PrincipalId::new("key").unwrap()),
        scopes: fazt_sdk::call::Scope::Deploy.bit(),
        limited_to: None,
    };
    let answer = kernel.admin(deploys, Method::Post, path, "", library).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
}

/// Changes the stopped cartridge behind the node's back.
fn change(cartridge: &Path, sql: &str) {
    let file = rusqlite::Connection::open(cartridge).unwrap();
    assert!(file.execute(sql, []).unwrap() > 0, "{sql}");
}

#[tokio::test]
async fn a_library_that_is_damaged_missing_or_for_another_machine_fails_alone_and_says_why() {
    const HASH: &str = "SELECT library FROM plugin WHERE name = 'unruly'";
    for (damage, words) in [
        (
            format!(
                "UPDATE blob_chunk SET data = zeroblob(length(data)) WHERE id / 1048576 = (SELECT id FROM blob WHERE hash = ({HASH}))"
            ),
            "damaged",
        ),
        (format!("DELETE FROM blob WHERE hash = ({HASH})"), "missing"),
        (
            "UPDATE plugin SET target = 'riscv64-linux' WHERE name = 'unruly'".to_owned(),
            "riscv64-linux",
        ),
        (
            "UPDATE plugin SET name = 'another' WHERE name = 'unruly'".to_owned(),
            "calls itself unruly",
        ),
    ] {
        let mut kernel = node(&[Library::Counts, Library::Report, Library::Unruly]).await;
        kernel.stop().await.unwrap();
        change(&kernel.cartridge(), &damage);
        kernel.restart().await.unwrap();
        assert_eq!(kernel.kernel().started(), ["counts", "report"], "{words}");
        assert_eq!(get(&kernel, "/_report/add/a").await.0, 200, "{words}");
        let name = if words.starts_with("calls") { "another" } else { "unruly" };
        let failed: Json = info(&kernel, name).await;
        assert_eq!(failed["state"], "failed", "{words}");
        let failure = failed["failure"].as_str().unwrap();
        assert!(failure.contains(words) && !failure.contains('\n'), "{failure}");
        if name == "unruly" {
            // Adding it again mends it.
            kernel.add_library(&Library::Unruly.path()).await.unwrap();
            assert_eq!(get(&kernel, "/_unruly/do/well").await.0, 200, "{words}");
        }
    }
}

/// A plugin that keeps data owes apps its part in export, import, fork and removal.
fn keeps_its_promise(manifest: &Manifest) -> bool {
    manifest.migrations.is_empty()
        || manifest.contributes.iter().any(|id| id.name == AppDataApi::NAME)
}

#[test]
fn every_plugin_with_tables_takes_part_in_the_life_of_apps() {
    let plugins = [
        BuiltIn { name: "hosting", root: root_of::<Hosting> },
        BuiltIn { name: "template", root: root_of::<Template> },
    ];
    let manifests = fazt_kernel::manifests(&plugins).unwrap();
    assert_eq!(manifests.len(), 3);
    for manifest in &manifests {
        assert!(keeps_its_promise(manifest), "{} has tables and no AppData", manifest.name);
        let mut without = manifest.clone();
        without.contributes.clear();
        assert_eq!(keeps_its_promise(&without), manifest.migrations.is_empty());
    }
}
