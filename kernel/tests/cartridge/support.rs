//! A temporary cartridge with one plugin's table.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use fazt_kernel::{
    cartridge::{Cartridge, CartridgeError, Migration, Mode, Options, Owner, TxError},
    clock::{Clock, SystemClock},
};

pub(crate) const NOTES: &[Migration<'static>] = &[Migration {
    name: "0001_create_note",
    sql: "CREATE TABLE note_entry (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;",
}];

/// A cartridge in a directory that goes away with it.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.db");
        Cartridge::create(&path, &clock()).unwrap();
        Self { directory, path }
    }

    pub(crate) fn open(&self) -> Cartridge {
        self.open_with(Options::default())
    }

    pub(crate) fn open_with(&self, options: Options) -> Cartridge {
        let cartridge = Cartridge::open(&self.path, Mode::Serve, options).unwrap();
        cartridge.migrate(&note(), NOTES).wait().unwrap();
        cartridge
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

pub(crate) fn note() -> Owner {
    Owner::plugin("note").unwrap()
}

/// Runs a future to its end on this thread, without any runtime.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

pub(crate) fn add(cartridge: &Cartridge, text: &str) -> Result<(), CartridgeError> {
    let text = text.to_owned();
    cartridge
        .write(
            &note(),
            None,
            Box::new(move |tx| {
                tx.execute("INSERT INTO note_entry (text) VALUES (?1)", &[text.as_str().into()])?;
                Ok(())
            }),
        )
        .wait()
}

pub(crate) fn texts(cartridge: &Cartridge) -> Vec<String> {
    cartridge
        .read_value(&note(), |reader| {
            let mut all = Vec::new();
            reader.query("SELECT text FROM note_entry ORDER BY id", &[], &mut |row| {
                all.push(row.text(0).unwrap().to_owned());
                ControlFlow::Continue(())
            })?;
            Ok(all)
        })
        .unwrap()
}

pub(crate) fn abort(why: &str) -> TxError {
    TxError::Aborted(why.to_owned())
}

/// Every file in the directory of `path` whose name begins like it, sorted.
pub(crate) fn files(path: &Path) -> Vec<String> {
    let stem = path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut names: Vec<String> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(&stem))
        .collect();
    names.sort();
    names
}

/// How many commits the log of the cartridge at `path` holds, by its frames.
pub(crate) fn commits_in_log(path: &Path) -> usize {
    let log = std::fs::read(path.with_file_name("data.db-wal")).unwrap_or_default();
    let Some(header) = log.get(..32) else { return 0 };
    // A log that started again still holds frames of the previous round, with another salt.
    let salts = &header[16..24];
    log[32..]
        .chunks_exact(24 + 4_096)
        .take_while(|frame| &frame[8..16] == salts)
        .filter(|frame| frame[4..8] != [0; 4])
        .count()
}

pub(crate) fn sha256(path: &Path) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(std::fs::read(path).unwrap()).to_vec()
}

/// Tells the person who runs the tests something, also when the test passes.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}
