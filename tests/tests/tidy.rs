//! The house rules: what reviews would otherwise have to say again and again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Files below `folder` with that ending, without build output; paths relative to the root.
fn files(folder: &str, ending: &str) -> Vec<String> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() {
                if name != "target" && name != ".git" && name != "node_modules" {
                    walk(&path, ending, found);
                }
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    let (root, mut found) = (root(), Vec::new());
    walk(&root.join(folder), ending, &mut found);
    let mut names: Vec<_> = found
        .iter()
        .filter_map(|path| path.strip_prefix(&root).ok())
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no {ending} below {folder}");
    names
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn is_test(path: &str) -> bool {
    is_test_module(path)
        || path.contains("/tests/")
        || path.starts_with("tests/")
        || path.contains("/examples/")
        || path.contains("/benches/")
        || path.ends_with("tests.rs")
        || path.contains("/testkit/")
}

/// Whether the module that declares this file does so for tests only.
fn is_test_module(path: &str) -> bool {
    let path = root().join(path);
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let declared = format!("#[cfg(test)]\nmod {name};");
    ["main.rs", "lib.rs", "mod.rs"].iter().any(|sibling| {
        fs::read_to_string(path.with_file_name(sibling)).is_ok_and(|text| text.contains(&declared))
    })
}

/// The part of a file before its tests, without comments and documentation.
fn code(path: &str) -> String {
    let text = read(path);
    let before_tests = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    before_tests
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Fails with every line of `wrong`.
fn none(rule: &str, wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

#[test]
fn the_top_level_is_what_it_is() {
    let expected: BTreeSet<&str> = [
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "admin-ui",
        "kernel",
        "migrations",
        "packaging",
        "plugins",
        "sdk",
        "tests",
    ]
    .into();
    let found: BTreeSet<String> = fs::read_dir(root())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    let unexpected: Vec<_> =
        found.iter().filter(|name| !expected.contains(name.as_str())).cloned().collect();
    none("the top level holds nothing else", unexpected);
}

#[test]
fn every_source_file_says_what_it_is() {
    let wrong =
        files("", ".rs").into_iter().filter(|path| !read(path).starts_with("//!")).collect();
    none("a file opens with //!", wrong);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let manifests = files("", "Cargo.toml");
    let wrong = manifests
        .into_iter()
        .filter(|path| path != "Cargo.toml")
        .map(|path| (read(&path), path))
        // What is built apart has a workspace of its own: the plugins of strangers, the fuzz targets.
        .filter(|(text, _)| !text.contains("\n[workspace]\n") && !text.starts_with("[workspace]"))
        .filter(|(text, _)| !text.contains("[lints]\nworkspace = true"))
        .map(|(_, path)| path)
        .collect();
    none("a crate says [lints] workspace = true", wrong);
}

#[test]
fn no_file_is_named_after_nothing() {
    let vague = ["util", "helper", "common", "misc", "manager"];
    let wrong = files("", ".rs")
        .into_iter()
        .filter(|path| {
            let name = Path::new(path)
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            vague.iter().any(|word| name.starts_with(word)) || name.ends_with("_v2")
        })
        .collect();
    none("a file is named after its concept", wrong);
}

#[test]
fn sql_stands_in_stores_and_in_the_cartridge() {
    let words = ["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM ", "\"CREATE TABLE "];
    let wrong = files("", ".rs")
        .into_iter()
        .filter(|path| !is_test(path) && !path.starts_with("kernel/src/cartridge/"))
        .filter(|path| !path.ends_with("/store.rs") && !path.contains("/store/"))
        .filter(|path| words.iter().any(|word| code(path).contains(word)))
        .collect();
    none("SQL stands in store.rs", wrong);
}

/// The names of the crates that a manifest depends on, tests aside.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = read(manifest);
    let section = text.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn plugin_folders() -> Vec<String> {
    let mut folders: Vec<_> = fs::read_dir(root().join("plugins"))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    folders
}

#[test]
fn arrows_between_crates_point_one_way() {
    let mut wrong = Vec::new();
    for plugin in plugin_folders() {
        for name in dependencies(&format!("plugins/{plugin}/Cargo.toml")) {
            // A crate inside the plugin's own folder is part of it.
            let own = format!("fazt-{plugin}-");
            if name.starts_with("fazt-") && name != "fazt-sdk" && !name.starts_with(&own) {
                wrong.push(format!("plugins/{plugin} depends on {name}"));
            }
            if matches!(
                name.as_str(),
                "rusqlite" | "libsqlite3-sys" | "tokio" | "hyper" | "reqwest"
            ) {
                wrong.push(format!("plugins/{plugin} depends on {name}: the host offers that"));
            }
        }
    }
    for name in dependencies("kernel/Cargo.toml") {
        if name.starts_with("fazt-") && name != "fazt-sdk" && name != "fazt-abi" {
            wrong.push(format!("the kernel depends on {name}"));
        }
    }
    for manifest in [
        "sdk/Cargo.toml",
        "sdk/abi/Cargo.toml",
        "sdk/macros/Cargo.toml",
        "kernel/fazt/Cargo.toml",
        "packaging/xtask/Cargo.toml",
    ] {
        for name in dependencies(manifest) {
            if name == "rusqlite" || name == "libsqlite3-sys" {
                wrong.push(format!("{manifest} depends on {name}"));
            }
        }
    }
    none("arrows point from plugins to the sdk, from the binary to all", wrong);
}

#[test]
fn the_binary_lists_every_plugin_and_the_kernel_names_none() {
    let list = read("kernel/fazt/src/plugins.rs");
    let mut wrong: Vec<_> = plugin_folders()
        .into_iter()
        .filter(|plugin| {
            plugin != "template" && !list.contains(&format!("fazt_{}::", plugin.replace('-', "_")))
        })
        .map(|plugin| format!("kernel/fazt/src/plugins.rs does not list {plugin}"))
        .collect();
    for path in files("kernel/src", ".rs") {
        for plugin in plugin_folders() {
            if code(&path).contains(&format!("fazt_{plugin}")) {
                wrong.push(format!("{path} names the plugin {plugin}"));
            }
        }
    }
    none("plugins are listed in one place", wrong);
}

#[test]
fn the_sdk_does_no_io() {
    let doors = ["std::fs", "TcpStream", "UdpSocket", "std::process", "std::thread", "tokio"];
    let mut wrong = Vec::new();
    for path in files("sdk/src", ".rs") {
        let code = code(&path);
        wrong.extend(
            doors
                .iter()
                .filter(|door| code.contains(*door))
                .map(|door| format!("{path} uses {door}")),
        );
    }
    none("the sdk does no I/O", wrong);
}

#[test]
fn each_door_to_the_world_is_in_one_place() {
    let doors: [(&str, &[&str]); 4] = [
        ("TcpListener", &["kernel/src/edge/"]),
        ("UnixListener", &["kernel/src/edge/"]),
        ("TcpStream::connect", &["kernel/fazt/src/transport/", "kernel/src/egress/"]),
        ("Connection::open", &["kernel/src/cartridge/"]),
    ];
    let mut wrong = Vec::new();
    for path in files("", ".rs").into_iter().filter(|path| !is_test(path)) {
        let code = code(&path);
        for (door, places) in doors {
            if code.contains(door) && !places.iter().any(|place| path.starts_with(place)) {
                wrong.push(format!("{path} uses {door}"));
            }
        }
    }
    none("sockets and the database are opened in one place each", wrong);
}

#[test]
fn unsafe_code_stays_at_the_boundary() {
    let wrong = files("", ".rs")
        .into_iter()
        .filter(|path| {
            !path.starts_with("sdk/abi/")
                && path != "kernel/src/edge/prepared.rs"
                && path != "kernel/src/workers/descriptors.rs"
                && path != "plugins/js/engine/src/raw.rs"
                && path != "plugins/js/engine/src/arena.rs"
                && !path.starts_with("tests/")
        })
        .filter(|path| {
            code(path).contains("unsafe {")
                || code(path).contains("unsafe fn")
                || code(path).contains("unsafe impl")
        })
        .collect();
    none("unsafe code stands in sdk/abi, and in four files that say why", wrong);
}

#[test]
fn no_test_is_switched_off() {
    let wrong = files("", ".rs")
        .into_iter()
        .filter(|path| path != "tests/tests/tidy.rs")
        .filter(|path| read(path).contains("#[ignore"))
        .collect();
    none("a test runs or is not there", wrong);
}

#[test]
fn every_migration_is_listed_by_its_owner() {
    let sources: String = files("", ".rs")
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| read(&path))
        .collect();
    let wrong = files("migrations", ".sql")
        .into_iter()
        .filter(|path| {
            let name = Path::new(path)
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            !sources.contains(&format!("\"{name}\""))
        })
        .collect();
    none("a migration is listed where it is embedded", wrong);
}

#[test]
fn the_map_shows_what_is_there() {
    let map = read("kernel/ARCHITECTURE.md");
    let mut wrong = Vec::new();
    for heading in map.lines().filter(|line| line.starts_with("### `")) {
        let names: Vec<_> = heading.split('`').skip(1).step_by(2).collect();
        let first = Path::new(names[0]);
        for name in &names {
            // Later names of a heading lie beside the first.
            let beside = first.parent().map(|folder| folder.join(name)).unwrap_or_default();
            let there = |path: &Path| {
                root().join(path).exists() || root().join(path.with_extension("rs")).exists()
            };
            if !there(Path::new(name)) && !there(&beside) {
                wrong.push(format!("{name} is on the map only"));
            }
        }
    }
    for module in read("kernel/src/lib.rs")
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "))
    {
        let module = module.trim_end_matches(';');
        let on_map =
            map.contains(&format!("`{module}`")) || map.contains(&format!("kernel/src/{module}"));
        if !on_map && !matches!(module, "boot" | "core" | "clock" | "failure") {
            wrong.push(format!("kernel/src/{module} is not on the map"));
        }
    }
    none("the code map is true", wrong);
}

#[test]
fn nothing_speaks_of_a_machine_of_ours() {
    let wrong = [".rs", ".md", ".toml", ".sql"]
        .into_iter()
        .flat_map(|ending| files("", ending))
        .filter(|path| path != "tests/tests/tidy.rs")
        .filter(|path| {
            ["/root/", "/Users/", "/workspace/"].iter().any(|place| read(path).contains(place))
        })
        .collect();
    none("no path of somebody's machine", wrong);
}
