//! Golden files: what a command prints is compared with `tests/snapshots/NAME.txt`.
//!
//! `UPDATE_SNAPSHOTS=1` writes the files instead. What differs from run to run is masked.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A conversation: what was typed, and what came back.
#[derive(Debug, Default)]
pub(crate) struct Golden {
    text: String,
    masks: Vec<(String, String)>,
}

impl Golden {
    /// With `mask` instead of `text` wherever it appears.
    pub(crate) fn mask(&mut self, text: impl Into<String>, mask: &str) {
        self.masks.push((text.into(), mask.to_owned()));
    }

    /// Adds one command and its outcome.
    pub(crate) fn add(&mut self, typed: &str, out: &str, err: &str, exit: i32) {
        let _ = writeln!(self.text, "$ {typed}");
        for (name, text) in [("", out), ("! ", err)] {
            for line in text.lines() {
                let _ = writeln!(self.text, "{}", format!("{name}{line}").trim_end());
            }
        }
        if exit != 0 {
            let _ = writeln!(self.text, "(exit {exit})");
        }
        self.text.push('\n');
    }

    /// Compares everything with the file of that name.
    #[track_caller]
    pub(crate) fn check(&self, name: &str) {
        let mut text = self.text.clone();
        for (from, to) in &self.masks {
            text = text.replace(from, to);
        }
        compare(&directory().join(format!("{name}.txt")), &mask_numbers(&text));
    }
}

/// Compares `text` with the file at `path`, or writes it.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the switch of this harness")]
pub(crate) fn compare(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, text).unwrap();
        return;
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        stored == text,
        "{} is stale; UPDATE_SNAPSHOTS=1 rewrites it. It should be:\n{text}",
        path.display()
    );
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots")
}

/// Durations, dates, ids and ports differ from run to run.
fn mask_numbers(text: &str) -> String {
    text.lines().map(|line| mask_line(line) + "\n").collect()
}

fn mask_line(line: &str) -> String {
    if line.starts_with("port ") {
        return "port PORT".to_owned();
    }
    let mut masked = String::new();
    let mut rest = line;
    while let Some(letter) = rest.chars().next() {
        if let Some((mask, length)) = ephemeral(rest, masked.chars().next_back()) {
            masked.push_str(mask);
            rest = &rest[length..];
        } else {
            masked.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    masked
}

/// What stands at the start of `rest` and differs from run to run: its mask and its length.
fn ephemeral(rest: &str, before: Option<char>) -> Option<(&'static str, usize)> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let after = &rest[digits..];
    if digits > 0 && after.starts_with(" ms") {
        return Some(("N", digits));
    }
    if digits > 0 && before != Some('.') {
        let fraction = after
            .strip_prefix('.')
            .map_or(0, |rest| 1 + rest.bytes().take_while(u8::is_ascii_digit).count());
        if after[fraction..].starts_with(" KiB") {
            return Some(("N", digits + fraction));
        }
    }
    if digits >= 13 {
        return Some(("MILLISECONDS", digits));
    }
    if let Some(took) = rest.strip_prefix("\"took_ms\": ") {
        let length = took.bytes().take_while(u8::is_ascii_digit).count();
        return Some(("\"took_ms\": N", "\"took_ms\": ".len() + length));
    }
    if let Some(pid) = rest.strip_prefix("process ") {
        let length = pid.bytes().take_while(u8::is_ascii_digit).count();
        if length > 0 {
            return Some(("process PID", "process ".len() + length));
        }
    }
    if digits == 4 && rest.get(10..).is_some_and(|tail| tail.get(9..13) == Some(" UTC")) {
        return Some(("DATE", 23));
    }
    if digits >= 4 && before == Some(':') {
        return Some(("PORT", digits));
    }
    let id = rest.strip_prefix("fazt_app_")?;
    let length = id.bytes().take_while(u8::is_ascii_alphanumeric).count();
    Some(("APP_ID", "fazt_app_".len() + length))
}
