//! Which node or cartridge of this machine a command is about: one rule for all commands.
//!
//! `--db PATH`, else `FAZT_DB`, else the socket of a node that runs as a service
//! under `/run/fazt/`, else `~/.fazt/data.db`. A choice that was not made on the command line is
//! printed.

use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::failure::Failure;

/// What a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A running node, by its socket.
    Socket(PathBuf),
    /// A cartridge, whether a node runs on it or not.
    Cartridge(PathBuf),
}

/// The place, and what to say about the choice when it was not made on the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// The place.
    pub(crate) place: Place,
    /// The sentence about the choice.
    pub(crate) note: Option<String>,
}

/// The place for a command that asks a node or a closed cartridge.
pub(crate) fn place(db: Option<&Path>, environment: &Environment) -> Result<Located, Failure> {
    if db.is_none() && environment.db.is_none() {
        let mut sockets = sockets_under(&environment.run_directory);
        if sockets.len() > 1 {
            let names: Vec<String> =
                sockets.iter().map(|socket| socket.display().to_string()).collect();
            return Err(Failure::usage(format!("several nodes run here: {}", names.join(", ")))
                .hint("choose one with --db, without the ending .sock"));
        }
        if let Some(socket) = sockets.pop() {
            let note = format!("using the node at {}", socket.display());
            return Ok(Located { place: Place::Socket(socket), note: Some(note) });
        }
    }
    let (path, note) = cartridge(db, environment)?;
    Ok(Located { place: Place::Cartridge(path), note })
}

/// The cartridge file for a command that opens or creates one itself.
pub(crate) fn cartridge(
    db: Option<&Path>,
    environment: &Environment,
) -> Result<(PathBuf, Option<String>), Failure> {
    if let Some(path) = db {
        return Ok((path.to_owned(), None));
    }
    if let Some(path) = &environment.db {
        return Ok((path.clone(), Some(format!("using {} (FAZT_DB)", path.display()))));
    }
    let Some(home) = &environment.home else {
        return Err(Failure::usage("there is no home directory, so there is no default cartridge")
            .hint("name the cartridge with --db PATH or FAZT_DB"));
    };
    let path = home.join(".fazt").join("data.db");
    let note = format!("using {} (the default)", path.display());
    Ok((path, Some(note)))
}

fn sockets_under(directory: &Path) -> Vec<PathBuf> {
    // No directory, or one that may not be read, means that no node is offered there.
    let mut sockets: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "sock"))
        .collect();
    sockets.sort();
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(run: &Path) -> Environment {
        Environment {
            home: Some(PathBuf::from("/home/ada")),
            run_directory: run.to_owned(),
            ..Environment::default()
        }
    }

    #[test]
    fn the_command_line_comes_first_and_is_not_repeated() {
        let run = tempfile::tempdir().unwrap();
        std::fs::write(run.path().join("data.db.sock"), "").unwrap();
        let mut environment = surroundings(run.path());
        environment.db = Some(PathBuf::from("/other.db"));
        let located = place(Some(Path::new("/mine.db")), &environment).unwrap();
        assert_eq!(
            located,
            Located { place: Place::Cartridge(PathBuf::from("/mine.db")), note: None }
        );
    }

    #[test]
    fn then_the_variable_then_a_running_node_then_the_default() {
        let run = tempfile::tempdir().unwrap();
        let mut environment = surroundings(run.path());
        let located = place(None, &environment).unwrap();
        assert_eq!(located.place, Place::Cartridge(PathBuf::from("/home/ada/.fazt/data.db")));
        assert_eq!(located.note.unwrap(), "using /home/ada/.fazt/data.db (the default)");

        let socket = run.path().join("data.db.sock");
        std::fs::write(&socket, "").unwrap();
        assert_eq!(place(None, &environment).unwrap().place, Place::Socket(socket));

        environment.db = Some(PathBuf::from("/other.db"));
        let located = place(None, &environment).unwrap();
        assert_eq!(located.place, Place::Cartridge(PathBuf::from("/other.db")));
        assert_eq!(located.note.unwrap(), "using /other.db (FAZT_DB)");
    }

    #[test]
    fn two_running_nodes_are_a_question_and_not_a_guess() {
        let run = tempfile::tempdir().unwrap();
        for name in ["a.db.sock", "b.db.sock"] {
            std::fs::write(run.path().join(name), "").unwrap();
        }
        let failure = place(None, &surroundings(run.path())).unwrap_err();
        assert_eq!(failure.exit, crate::failure::Exit::Usage);
        assert!(failure.message.contains("a.db.sock") && failure.message.contains("b.db.sock"));
    }

    #[test]
    fn without_a_home_there_is_no_default() {
        let environment = Environment::default();
        assert!(cartridge(None, &environment).unwrap_err().hint.unwrap().contains("--db"));
    }
}
