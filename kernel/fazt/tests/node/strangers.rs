//! What somebody types who does not know the program yet.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::home::Home;

#[test]
fn guesses_are_answered_with_the_right_words() {
    let mut home = Home::new();
    for words in [
        "--version",
        "help app pull",
        "@",
        "@home",
        "aap list",
        "app deply site",
        "app deploy site --nmae blog",
        "app list",
        "completions tcsh",
        "app dev nothing",
        "app pull blog",
        "peer list",
        "peer remove home",
    ] {
        home.types(words);
    }
    home.golden.check("strangers");
}

#[test]
fn completion_is_a_script_that_its_shell_reads() {
    let mut home = Home::new();
    for (shell, word) in [("bash", "validate"), ("zsh", "#compdef fazt"), ("fish", "complete -c")] {
        let script = home.types(&format!("completions {shell}"));
        assert!(script.contains(word), "{shell}");
        // A machine without that shell cannot check its script.
        let reader = Command::new(shell).arg("-n").stdin(Stdio::piped()).spawn();
        let Ok(mut reader) = reader else { continue };
        reader.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(reader.wait().unwrap().success(), "{shell}");
    }
}

#[test]
fn every_command_has_a_page_in_the_manual() {
    let mut home = Home::new();
    home.types("man pages");
    for page in ["fazt.1", "fazt-app-deploy.1", "fazt-peer-add.1"] {
        let text = std::fs::read_to_string(home.path("pages").join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
}
