//! `app dev`: a page that knows when it is old.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
#[cfg(feature = "js")]
use std::process::Stdio;

use serde_json::Value;

#[cfg(feature = "js")]
use crate::home::Node;
use crate::home::{Home, get};

/// What an open page hears.
struct Page(BufReader<TcpStream>);

impl Page {
    fn opened(port: u16, host: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        write!(stream, "GET /_dev/reload HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n").unwrap();
        Self(BufReader::new(stream))
    }

    /// The next state of the site.
    fn hears(&mut self) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

#[test]
fn a_page_hears_of_changes_and_of_what_is_wrong() {
    let home = Home::new();
    let site = home.path("site");
    fs::create_dir(&site).unwrap();
    fs::write(site.join("index.html"), "<body>one</body>").unwrap();
    fs::write(site.join("app.css"), "a{}").unwrap();
    let node = home.starts("app dev site --port 0", "\n");
    let url = node.said.trim();
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let host = "site.localhost";
    assert!(url.starts_with(&format!("http://{host}:")), "{url}");

    let page = get(port, host, "/");
    assert!(page.contains("one<script src=\"/_dev/reload.js\"></script></body>"), "{page}");
    assert!(get(port, host, "/app.css").ends_with("\r\n\r\na{}"), "only pages are changed");
    let mut open = Page::opened(port, host);
    let first = open.hears();
    let loaded = first["deployment"].as_str().unwrap().to_owned();
    assert!(get(port, host, "/_dev/reload.js").contains(&loaded));

    // An editor's save: another file takes the place of the old one.
    fs::write(site.join(".index.html.swp"), "<body>two</body>").unwrap();
    fs::rename(site.join(".index.html.swp"), site.join("index.html")).unwrap();
    let second = open.hears();
    assert_ne!(second["deployment"], first["deployment"]);
    assert!(get(port, host, "/").contains("two<script"));
    assert_eq!(fs::read_to_string(site.join("index.html")).unwrap(), "<body>two</body>");

    fs::write(site.join("back\\slash.html"), "x").unwrap();
    let third = open.hears();
    assert_eq!(third["deployment"], second["deployment"], "the site stays as it was");
    assert!(third["problem"].as_str().unwrap().contains("slash.html"), "{third}");
    assert!(get(port, host, "/").contains("two<script"));
    fs::remove_file(site.join("back\\slash.html")).unwrap();
    assert_eq!(open.hears()["problem"], Value::Null);

    for number in 0..200 {
        fs::write(site.join(format!("{number}.html")), "x").unwrap();
    }
    while !get(port, host, "/199").starts_with("HTTP/1.1 200") {
        open.hears();
    }
    fs::remove_dir_all(&site).unwrap();
    while open.hears()["problem"].is_null() {}
    assert!(get(port, host, "/").contains("two<script"));
    drop(open);
    assert!(node.stops().success());
    assert!(!home.path(".fazt").exists(), "the node leaves nothing behind");
}

#[cfg(feature = "js")]
/// What the program prints from now on, line by line.
struct Said(std::sync::mpsc::Receiver<String>);

#[cfg(feature = "js")]
impl Said {
    /// Reads on a thread of its own: neither output may fill up while nobody looks.
    fn by(outputs: Vec<Box<dyn std::io::Read + Send>>) -> Self {
        let (say, said) = std::sync::mpsc::channel();
        for output in outputs {
            let say = say.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    drop(say.send(line));
                }
            });
        }
        Self(said)
    }

    /// Waits for a line with these words.
    fn until(&self, words: &[&str]) -> String {
        let mut all = Vec::new();
        while let Ok(line) = self.0.recv_timeout(std::time::Duration::from_secs(30)) {
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
            all.push(line);
        }
        panic!("no line with {words:?} among {all:?}");
    }
}

#[cfg(feature = "js")]
#[test]
fn server_code_is_live_after_each_change_and_says_where_it_fails() {
    let home = Home::new();
    let site = home.path("site");
    fs::create_dir_all(site.join("api")).unwrap();
    fs::write(site.join("index.html"), "x").unwrap();
    let main = site.join("api/main.js");
    let version = |number: u32| {
        format!(
            "export default {{ fetch() {{ console.log('version', {number}); return new Response('v{number}') }} }}"
        )
    };
    fs::write(&main, version(1)).unwrap();
    let mut command = home.command("app dev site --port 0");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let node = Node { child, said: String::new() };
    let said = Said::by(vec![Box::new(out), Box::new(err)]);
    let url = said.until(&["http://site.localhost:"]);
    let port: u16 = url.trim().rsplit(':').next().unwrap().parse().unwrap();
    let host = "site.localhost";
    assert!(get(port, host, "/api").ends_with("v1"), "{}", get(port, host, "/api"));
    said.until(&["info", "version 1"]);

    let mut took = Vec::new();
    for number in 2..7 {
        let began = std::time::Instant::now();
        fs::write(&main, version(number)).unwrap();
        while !get(port, host, "/api").ends_with(&format!("v{number}")) {
            assert!(began.elapsed() < std::time::Duration::from_secs(30));
        }
        took.push(began.elapsed());
    }
    println!("from a change of server code to its answer: {took:?}");

    fs::write(&main, "export default {\n  fetch() {\n    return new Response(;\n  }\n}").unwrap();
    said.until(&["warning: api/main.js:3:"]);
    assert!(get(port, host, "/").contains('x'), "files are served all the same");

    fs::write(&main, "export default {\n  fetch() {\n    throw new RangeError('no luck');\n  }\n}")
        .unwrap();
    said.until(&["1 of 2 files new"]);
    let answer = get(port, host, "/api");
    assert!(answer.contains("RangeError: no luck"), "{answer}");
    assert!(answer.contains("api/main.js:3:"), "{answer}");
    said.until(&["error", "api/main.js:3:", "RangeError: no luck"]);
    assert!(node.stops().success());
}
