//! What a reader of rules has to say about a line.

use std::fmt;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The line is left out, or has no effect; the rest of the file works.
    Warning,
    /// The file must not go online: nobody could say what it would do.
    Error,
}

/// Something about one line, with what to do.
///
/// Prints as `_redirects:12: what is wrong; what to write instead`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `_redirects` or `_headers`.
    pub file: &'static str,
    /// Counts from 1.
    pub line: u32,
    /// Whether the deploy must be refused.
    pub severity: Severity,
    /// For programs: one of the constants of this type.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty when there is nothing to do.
    pub fix: String,
}

impl Finding {
    /// An error: the rules send a visitor round in circles.
    pub const LOOP: &'static str = "REDIRECT_LOOP";
    /// An error: the file is past one of its bounds.
    pub const LIMIT: &'static str = "RULE_LIMIT";
    /// An error: the file is not text.
    pub const UNREADABLE: &'static str = "RULES_UNREADABLE";
    /// A warning: the line is left out.
    pub const SKIPPED: &'static str = "RULE_SKIPPED";
    /// A warning: the line, or a part of it, changes nothing.
    pub const WITHOUT_EFFECT: &'static str = "RULE_WITHOUT_EFFECT";

    /// Whether the deploy must be refused.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)?;
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}

/// The most findings of one file that are kept, but for the first error. One more says how many were
/// not.
pub const FINDINGS_MAX: usize = 100;

/// The findings of one file, while it is read.
#[derive(Debug)]
pub(super) struct Findings {
    file: &'static str,
    kept: Vec<Finding>,
    dropped: usize,
}

impl Findings {
    pub(super) fn of(file: &'static str) -> Self {
        Self { file, kept: Vec::new(), dropped: 0 }
    }

    /// The line is left out.
    pub(super) fn skipped(&mut self, line: u32, message: impl Into<String>, fix: &str) {
        self.add(line, Severity::Warning, Finding::SKIPPED, message.into(), fix);
    }

    /// The line changes nothing.
    pub(super) fn without_effect(&mut self, line: u32, message: impl Into<String>, fix: &str) {
        self.add(line, Severity::Warning, Finding::WITHOUT_EFFECT, message.into(), fix);
    }

    /// The deploy must be refused.
    pub(super) fn error(
        &mut self,
        line: u32,
        code: &'static str,
        message: impl Into<String>,
        fix: &str,
    ) {
        self.add(line, Severity::Error, code, message.into(), fix);
    }

    /// Everything that was found, in the order in which it was.
    pub(super) fn done(mut self) -> Vec<Finding> {
        if self.dropped > 0 {
            let line = self.kept.last().map_or(1, |last| last.line);
            let message = format!("and {} more like these", self.dropped);
            let (file, fix) = (self.file, String::new());
            let (severity, code) = (Severity::Warning, Finding::SKIPPED);
            self.kept.push(Finding { file, line, severity, code, message, fix });
        }
        self.kept
    }

    fn add(
        &mut self,
        line: u32,
        severity: Severity,
        code: &'static str,
        message: String,
        fix: &str,
    ) {
        // The first error is never dropped: it decides.
        let is_needed = severity == Severity::Error && !self.kept.iter().any(Finding::is_error);
        if self.kept.len() >= FINDINGS_MAX && !is_needed {
            self.dropped += 1;
            return;
        }
        let (file, fix) = (self.file, fix.to_owned());
        self.kept.push(Finding { file, line, severity, code, message, fix });
    }
}
