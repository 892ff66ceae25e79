//! Writes to a node and keeps a ledger of what was acknowledged: `PORT KEY SEED LEDGER WRITERS`.
//!
//! One line before each write, `try N RESOURCE VALUE`, and one after its acknowledgment, `ack N`,
//! or `no N STATUS` after a refusal. `-` is the value of what is not there. Ends when the node does.

#![expect(clippy::unwrap_used, reason = "a generator that cannot write is a failed test")]

use std::fs::{File, OpenOptions};
use std::io::Write as _;

use fazt_tests::{Answer, Broken, Client, Random, Request, archive, hex};
use serde_json::json;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let [_, port, key, seed, ledger, writers] = &words[..] else {
        panic!("PORT KEY SEED LEDGER WRITERS");
    };
    let (port, seed) = (port.parse().unwrap(), seed.parse::<u64>().unwrap());
    let writers: u64 = writers.parse().unwrap();
    std::thread::scope(|scope| {
        for number in 0..writers {
            let ledger = OpenOptions::new().append(true).create(true).open(ledger).unwrap();
            scope.spawn(move || {
                let Ok(client) = Client::connect(port) else { return };
                let random = Random::new(seed * 1_000 + number);
                let aliases = [false; 3];
                let mut writer =
                    Writer { number, seed, n: 0, key, ledger, client, random, aliases };
                while writer.write_one().is_ok() {}
            });
        }
    });
}

struct Writer<'a> {
    number: u64,
    seed: u64,
    n: u64,
    key: &'a str,
    ledger: File,
    client: Client,
    random: Random,
    /// Which of its aliases are there.
    aliases: [bool; 3],
}

impl Writer<'_> {
    fn write_one(&mut self) -> Result<(), Broken> {
        // The first writers mostly deploy, the others hardly ever: both kinds go on all the time.
        let deploys = if self.number < 4 { 6 } else { 1 };
        match self.random.below(20) {
            chance if chance < deploys => self.deploy(),
            6..10 => self.set(),
            10..13 => self.key_for_a_while(),
            _ => self.alias_for_a_while(),
        }
    }

    /// One acknowledged write.
    fn write(&mut self, resource: &str, value: &str, request: &Request) -> Result<Answer, Broken> {
        self.n += 1;
        let id = format!("{}-{}-{}", self.seed, self.number, self.n);
        self.note(&format!("try {id} {resource} {value}\n"));
        let answer = self.client.send(&request.clone().key(self.key))?;
        if answer.is_success() {
            self.note(&format!("ack {id}\n"));
        } else {
            self.note(&format!("no {id} {} {}\n", answer.status, answer.code()));
        }
        Ok(answer)
    }

    /// One line is one write, so that lines of several writers do not mix.
    fn note(&mut self, line: &str) {
        self.ledger.write_all(line.as_bytes()).unwrap();
    }

    fn deploy(&mut self) -> Result<(), Broken> {
        let app = format!("site-{}", self.number);
        let mark = format!("{}-{}-{}", self.seed, self.number, self.n);
        let index = format!("<!doctype html><p>generation {mark}<script src=asset.js></script>");
        // Now and then larger than one row holds.
        let filler = if self.random.below(6) == 0 { 300_000 } else { 500 };
        let mut asset = format!("// generation {mark}\n").into_bytes();
        asset.extend(self.random.bytes(filler));
        let shared = Random::new(self.random.below(5)).bytes(3_000);
        let value = format!("{mark},{},{}", hex(index.as_bytes()), hex(&asset));
        let mut files = vec![
            ("index.html".to_owned(), index.into_bytes()),
            ("asset.js".to_owned(), asset),
            ("shared.bin".to_owned(), shared),
        ];
        for page in 0..self.random.below(12) {
            files.push((format!("pages/{page}.html"), self.random.bytes(40)));
        }
        let request = Request::deploy(&app, archive(&files));
        self.write(&format!("site/{app}"), &value, &request).map(drop)
    }

    fn set(&mut self) -> Result<(), Broken> {
        const SETTINGS: [&str; 8] = [
            "hosting.index_entries",
            "hosting.cache_bytes",
            "edge.socket_buffer_bytes",
            "edge.socket_message_bytes",
            "edge.idle_ms",
            "edge.request_ms",
            "edge.write_ms",
            "edge.body_window_ms",
        ];
        // One writer for each setting, so that the order of its values is known.
        let Some(name) = usize::try_from(self.number).ok().and_then(|n| SETTINGS.get(n)) else {
            return self.alias_for_a_while();
        };
        let value = (100_000 + self.seed % 1_000 * 3_000 + self.n).to_string();
        // A time is written with its unit, and read back in milliseconds.
        let written = if name.ends_with("_ms") { format!("{value} ms") } else { value.clone() };
        let request = Request::admin("PUT", &format!("/api/settings/{name}"))
            .json(&json!({"value": written}));
        self.write(&format!("setting/{name}"), &value, &request).map(drop)
    }

    fn key_for_a_while(&mut self) -> Result<(), Broken> {
        let name = format!("key-{}-{}-{}", self.seed, self.number, self.n);
        let resource = format!("key/{name}");
        let request =
            Request::admin("POST", "/api/keys").json(&json!({"name": name, "scopes": ["read"]}));
        let made = self.write(&resource, "there", &request)?;
        if self.random.below(8) == 0 || !made.is_success() {
            return Ok(());
        }
        let made = made.json();
        let id = made["data"]["id"].as_str().unwrap();
        let request = Request::admin("DELETE", &format!("/api/keys/{id}"));
        self.write(&resource, "-", &request).map(drop)
    }

    fn alias_for_a_while(&mut self) -> Result<(), Broken> {
        let slot = usize::try_from(self.random.below(3)).unwrap();
        let name = format!("a{}-{}-{slot}", self.seed, self.number);
        let resource = format!("alias/{name}");
        let answer = if self.aliases[slot] {
            let remove = Request::admin("DELETE", &format!("/api/aliases/{name}"));
            self.write(&resource, "-", &remove)?
        } else {
            let target = format!("https://example.org/{}", self.n);
            let add = Request::admin("POST", "/api/aliases")
                .json(&json!({"name": name, "redirect": target}));
            self.write(&resource, &target, &add)?
        };
        self.aliases[slot] ^= answer.is_success();
        Ok(())
    }
}
