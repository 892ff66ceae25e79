//! `app dev`: a page that knows when it is old.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

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

/// What the program prints, all of it in one file.
#[cfg(feature = "js")]
struct Said(std::path::PathBuf);

#[cfg(feature = "js")]
impl Said {
    /// Waits for a line with these words.
    fn until(&self, words: &[&str]) -> String {
        for _ in 0..3_000 {
            let text = fs::read_to_string(&self.0).unwrap();
            let mut lines = text.lines();
            if let Some(line) = lines.find(|line| words.iter().all(|word| line.contains(word))) {
                return line.to_owned();
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("no line with {words:?} in {}", fs::read_to_string(&self.0).unwrap());
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
        format!("console.log('version', {number}); export default () => new Response('v{number}')")
    };
    fs::write(&main, version(1)).unwrap();
    let mut command = home.command("app dev site --port 0");
    let file = fs::File::create(home.path("said")).unwrap();
    command.stdout(file.try_clone().unwrap()).stderr(file);
    let node = Node { child: command.spawn().unwrap(), said: String::new() };
    let said = Said(home.path("said"));
    let url = said.until(&["http://site.localhost:"]);
    let port: u16 = url.trim().rsplit(':').next().unwrap().parse().unwrap();
    let host = "site.localhost";
    for number in 1..6 {
        fs::write(&main, version(number)).unwrap();
        while !get(port, host, "/api").ends_with(&format!("v{number}")) {}
    }
    said.until(&["info", "version 5"]);

    fs::write(&main, "export default () => {\n  return new Response(;\n}").unwrap();
    said.until(&["warning: api/main.js:2:"]);
    assert!(get(port, host, "/").contains('x'), "files are served all the same");

    fs::write(&main, "export default () => {\n\n  throw new RangeError('no luck');\n}").unwrap();
    let mut answer = String::new();
    while !answer.contains("RangeError: no luck") {
        answer = get(port, host, "/api");
    }
    assert!(answer.contains("api/main.js:3:"), "{answer}");
    said.until(&["error", "api/main.js:3:", "RangeError: no luck"]);
    assert!(node.stops().success());
}
