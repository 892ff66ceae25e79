//! Questions that the node asks itself over the network, to learn whether it is reached under a name.
//!
//! A question is a path that nobody can guess and an answer that does not follow from it: only this
//! node, asked under the very name, gives it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fazt_sdk::{Error, Result};

/// Where questions are asked, on every host.
pub(crate) const PREFIX: &str = "/_fazt/domain-check/";

/// How many questions may be open at a time.
const OPEN_MAX: usize = 32;

/// Random bytes that a question needs.
pub(crate) const RANDOM_BYTES: usize = 32;

/// The open questions.
#[derive(Debug, Default)]
pub(crate) struct Probes(Mutex<HashMap<String, Question>>);

#[derive(Debug)]
struct Question {
    host: String,
    answer: String,
}

/// An open question. It is closed when dropped.
#[derive(Debug)]
pub(crate) struct Open<'p> {
    probes: &'p Probes,
    nonce: String,
    /// What the node answers.
    pub(crate) answer: String,
}

impl Probes {
    /// Opens a question about `host`.
    ///
    /// # Errors
    /// `Busy` when too many are open.
    pub(crate) fn open(&self, host: &str, random: &[u8]) -> Result<Open<'_>> {
        let (nonce, answer) = random.split_at(random.len() / 2);
        let (nonce, answer) = (hex(nonce), hex(answer));
        let mut questions = self.questions();
        if questions.len() >= OPEN_MAX {
            return Err(Error::busy(format!(
                "{OPEN_MAX} domains are being checked, which is the most at a time; try again in a moment"
            )));
        }
        questions.insert(nonce.clone(), Question { host: host.to_owned(), answer: answer.clone() });
        drop(questions);
        Ok(Open { probes: self, nonce, answer })
    }

    /// The answer to a request for `path` on `host`, if that is an open question.
    pub(crate) fn answer(&self, host: &str, path: &str) -> Option<String> {
        let nonce = path.strip_prefix(PREFIX)?;
        let questions = self.questions();
        let question = questions.get(nonce).filter(|question| question.host == host)?;
        Some(question.answer.clone())
    }

    fn questions(&self) -> MutexGuard<'_, HashMap<String, Question>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open<'_> {
    /// The path that asks it.
    pub(crate) fn path(&self) -> String {
        format!("{PREFIX}{}", self.nonce)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.probes.questions().remove(&self.nonce);
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_on_its_own_host_while_it_is_open() {
        let probes = Probes::default();
        let random: Vec<u8> = (0..32).collect();
        let open = probes.open("www.example.com", &random).unwrap();
        let path = open.path();
        assert_eq!(path, "/_fazt/domain-check/000102030405060708090a0b0c0d0e0f");
        assert_eq!(probes.answer("www.example.com", &path), Some(open.answer.clone()));
        assert!(!path.contains(&open.answer));
        assert_eq!(probes.answer("example.com", &path), None);
        assert_eq!(probes.answer("www.example.com", PREFIX), None);
        assert_eq!(probes.answer("www.example.com", &format!("{path}/")), None);
        drop(open);
        assert_eq!(probes.answer("www.example.com", &path), None);
    }

    #[test]
    fn only_so_many_questions_are_open_at_a_time() {
        let probes = Probes::default();
        let open: Vec<_> =
            (0..32_u8).map(|at| probes.open("a.example", &[at; 32]).unwrap()).collect();
        assert!(probes.open("a.example", &[99; 32]).is_err());
        drop(open);
        assert!(probes.open("a.example", &[99; 32]).is_ok());
    }
}
