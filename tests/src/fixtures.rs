//! Plugin libraries for the tests, built apart from this workspace and at most once per run.
//!
//! The projects below `tests/plugins` stand alone as a stranger's do. They share one target
//! directory, so what they have in common is compiled once; only the first run ever takes long.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// One build of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Library {
    /// Provides `counts.tally/1`.
    Counts,
    /// The next version of `counts`.
    CountsNewer,
    /// Requires `counts.tally/1`.
    Report,
    /// `counts`, optimized.
    CountsOptimized,
    /// `report`, optimized.
    ReportOptimized,
    /// Misbehaves on demand.
    Unruly,
    /// Panics when it is asked what it is.
    Speechless,
    /// Exports nothing.
    Unmarked,
    /// Speaks another ABI.
    OtherAbi,
    /// Built with `panic = "abort"`.
    Aborting,
    /// The plugin to copy.
    Template,
    /// Static sites.
    Hosting,
    /// Server code.
    Js,
}

impl Library {
    /// The project, what cargo is told beyond its defaults, and the folder of the profile.
    fn build(self) -> (&'static str, &'static [&'static str], &'static str) {
        match self {
            Self::Counts => ("counts", &[], "debug"),
            Self::CountsNewer => ("counts", &["--features", "newer"], "debug"),
            Self::Report => ("report", &[], "debug"),
            Self::CountsOptimized => ("counts", &["--release"], "release"),
            Self::ReportOptimized => ("report", &["--release"], "release"),
            Self::Unruly => ("unruly", &[], "debug"),
            Self::Speechless => ("unruly", &["--features", "speechless"], "debug"),
            Self::Unmarked => ("marked", &[], "debug"),
            Self::OtherAbi => ("marked", &["--features", "other-abi"], "debug"),
            Self::Aborting => {
                ("marked", &["--profile", "abort", "--features", "aborting"], "abort")
            }
            Self::Template => ("fazt_template", &["--package", "fazt-template", "--lib"], "debug"),
            Self::Hosting => (
                "fazt_hosting",
                &["--package", "fazt-hosting", "--example", "fazt_hosting"],
                "debug/examples",
            ),
            Self::Js => {
                ("fazt_js", &["--package", "fazt-js", "--example", "fazt_js"], "debug/examples")
            }
        }
    }

    /// The path of the built library.
    ///
    /// # Panics
    /// When it does not build; cargo has said why.
    #[must_use]
    pub fn path(self) -> PathBuf {
        static BUILT: Mutex<Option<HashMap<Library, PathBuf>>> = Mutex::new(None);
        // One build at a time, also when another test waits for the same library.
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        built.get_or_insert_default().entry(self).or_insert_with(|| self.produce()).clone()
    }

    fn produce(self) -> PathBuf {
        let (name, arguments, folder) = self.build();
        let target = target();
        let own = matches!(self, Self::Template | Self::Hosting | Self::Js);
        let apart = target.join("tmp").join("plugins");
        let project = if own { workspace() } else { workspace().join("tests/plugins").join(name) };
        let built_in = if own { &target } else { &apart };
        must(std::fs::create_dir_all(&apart), "make the target directory");
        // Other processes that run tests copy from the same place.
        let lock = must(File::create(apart.join("building")), "make the lock");
        must(lock.lock(), "take the lock");
        if !own {
            take_lock_file(&project);
        }
        run(&project, built_in, arguments);
        let from = built_in.join(folder).join(format!("lib{name}.so"));
        let to = apart.join(format!("{self:?}-{}.so", std::process::id()));
        must(std::fs::copy(&from, &to), &format!("copy {}", from.display()));
        let kept = apart.join(format!("{self:?}.so"));
        must(std::fs::rename(&to, &kept), "name the copy");
        kept
    }
}

/// A program for this machine, which is no library.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn program() -> PathBuf {
    // Built beside the library of the same project.
    drop(Library::Unmarked.path());
    target().join("tmp/plugins/debug/program")
}

/// The versions of dependencies are the workspace's, which are on this machine already.
fn take_lock_file(project: &Path) {
    let (theirs, ours) = (project.join("Cargo.lock"), workspace().join("Cargo.lock"));
    let age = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if age(&theirs) < age(&ours) {
        must(std::fs::copy(&ours, &theirs), "copy Cargo.lock");
    }
}

fn run(project: &Path, target: &Path, arguments: &[&str]) {
    println!("cargo build {} in {}", arguments.join(" "), project.display());
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline"])
        .args(arguments)
        .current_dir(project)
        .env("CARGO_TARGET_DIR", target)
        .env("FAZT_SDK_VERSION", fazt_abi::SDK_VERSION)
        .status();
    let status = must(status, "run cargo");
    assert!(status.success(), "{} does not build: {status}", project.display());
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// The target directory of the running test: `target/PROFILE/deps/it-HASH` lies in it.
fn target() -> PathBuf {
    let program = must(std::env::current_exe(), "find this program");
    program.ancestors().nth(3).unwrap_or(Path::new(".")).to_owned()
}

fn must<T>(result: std::io::Result<T>, doing: &str) -> T {
    result.unwrap_or_else(|error| panic!("{doing}: {error}"))
}
