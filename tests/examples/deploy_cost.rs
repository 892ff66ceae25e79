//! What a deploy costs: a site of a thousand files through the program, again with three changed, and
//! what readers of another app notice. Beside it `unzip` and SQLite do the same work.
//!
//! `cargo build --release -p fazt && FAZT_BIN=target/release/fazt cargo run --release -p fazt-tests
//! --example deploy_cost`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that measures fails where something is missing, and prints its figures"
)]

use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fazt_tests::{Home, Node, Random, Request, Stopwatch, archive, setting};

fn main() {
    let (files, bytes) = (setting("DEPLOY_FILES", 1_000), setting("DEPLOY_BYTES", 20_000_000));
    let rounds = setting("DEPLOY_ROUNDS", 5);
    let home = Home::new();
    let node = home.start();
    assert_eq!(node.deploy("other", &[("index.html", vec![b'x'; 10_000])]).status, 200);

    let (mut whole, mut changed, mut same, mut reference) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // New content each time: nothing of it is on the node.
        let site = site(round, files, bytes);
        let folder = home.path(&format!("site-{round}"));
        write(&folder, &site);
        let app = format!("blog{round}");
        let words = format!("app deploy {} --name {app}", folder.display());
        reference.push(unzip_and_insert(&home, round, &site));
        whole.push(deploy(&home, &words));
        for at in [1, 10, 100] {
            let (name, content) = &site[at % site.len()];
            std::fs::write(folder.join(name), [content.as_slice(), b"!"].concat()).unwrap();
        }
        changed.push(deploy(&home, &words));
        same.push(deploy(&home, &words));
    }
    println!(
        "{files} files, {} MB, medians of {rounds}, one process for each deploy",
        bytes / 1_000_000
    );
    let (whole, reference) = (median(whole), median(reference));
    println!("unzip, and insert into SQLite: {:.0} ms", ms(reference));
    println!("deploy: {:.0} ms, {:.2} times that", ms(whole), ms(whole) / ms(reference));
    println!("deploy with 3 changed: {:.0} ms", ms(median(changed)));
    println!("deploy with none changed: {:.0} ms", ms(median(same)));

    let seconds = setting("DEPLOY_READ_SECONDS", 10);
    // Made before: packing is the client's work. At most as many as are deployed in the time.
    let mut archives: Vec<_> = (0..seconds * 4)
        .map(|number| Request::deploy("busy", archive(&site(1_000 + number, files, bytes))))
        .collect();
    let idle = readers(&node, seconds, || {});
    let mut deploys = 0;
    let busy = readers(&node, seconds, || {
        let Some(archive) = archives.pop() else { return };
        assert_eq!(node.ask(&archive).status, 200);
        deploys += 1;
    });
    println!(
        "readers of another app: p99 {:.2} ms idle, {:.2} ms during {deploys} deploys, {:.2} times",
        ms(idle),
        ms(busy),
        ms(busy) / ms(idle)
    );
}

/// Text and noise, so that it compresses as sites do.
fn site(seed: u64, files: u64, bytes: u64) -> Vec<(String, Vec<u8>)> {
    let mut random = Random::new(seed + 1);
    let size = usize::try_from(bytes / files).unwrap();
    (0..files)
        .map(|number| {
            let noise = random.bytes(size / 4);
            let mut content = format!("<p>file {number} of {seed}</p>").into_bytes();
            while content.len() + noise.len() < size {
                content.extend_from_slice(b"<p>the quick brown fox jumps over the lazy dog</p>\n");
            }
            content.extend_from_slice(&noise);
            content.truncate(size);
            let name = match number {
                0 => "index.html".to_owned(),
                _ => format!("{}/{number}.html", number % 20),
            };
            (name, content)
        })
        .collect()
}

fn write(folder: &Path, site: &[(String, Vec<u8>)]) {
    for (name, content) in site {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

fn deploy(home: &Home, words: &str) -> Duration {
    let watch = Stopwatch::start();
    let said = home.fazt(words);
    let took = watch.elapsed();
    assert_eq!(said.code, Some(0), "{}", said.err);
    took
}

/// The files into a folder, and then into a table, which is synced once.
fn unzip_and_insert(home: &Home, round: u64, site: &[(String, Vec<u8>)]) -> Duration {
    let zipped = archive(site);
    let folder = home.path(&format!("unzipped-{round}"));
    let watch = Stopwatch::start();
    zip::ZipArchive::new(Cursor::new(zipped)).unwrap().extract(&folder).unwrap();
    let mut database = rusqlite::Connection::open(home.path(&format!("{round}.db"))).unwrap();
    database.pragma_update(None, "journal_mode", "wal").unwrap();
    database.pragma_update(None, "synchronous", "full").unwrap();
    database.execute_batch("CREATE TABLE file (path TEXT PRIMARY KEY, content BLOB)").unwrap();
    let transaction = database.transaction().unwrap();
    for (name, _) in site {
        let content = std::fs::read(folder.join(name)).unwrap();
        transaction.execute("INSERT INTO file VALUES (?1, ?2)", (name, content)).unwrap();
    }
    transaction.commit().unwrap();
    watch.elapsed()
}

/// The 99th percentile of what two readers wait for a page, while `work` is done again and again.
fn readers(node: &Node, seconds: u64, mut work: impl FnMut()) -> Duration {
    let is_over = AtomicBool::new(false);
    let read = || {
        let mut client = node.client();
        let mut waits = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let watch = Stopwatch::start();
            let answer = client.send(&Request::get("other.localhost", "/")).unwrap();
            waits.push(watch.elapsed());
            assert_eq!(answer.status, 200);
            std::thread::sleep(Duration::from_millis(1));
        }
        waits
    };
    let mut waits = std::thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        let watch = Stopwatch::start();
        while watch.elapsed() < Duration::from_secs(seconds) {
            work();
            std::thread::sleep(Duration::from_millis(1));
        }
        is_over.store(true, Ordering::Relaxed);
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect::<Vec<_>>()
    });
    waits.sort_unstable();
    waits[waits.len() * 99 / 100]
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
