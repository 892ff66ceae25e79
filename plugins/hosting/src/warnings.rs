//! What the person who deploys should know: all of it was deployed.

use crate::archive::case_collisions;
use crate::model::{PendingDeployment, StoredFile};
use crate::visibility::Visibility;

/// The most warnings of one kind.
const COLLISIONS_MAX: usize = 100;

/// What is for the server is below these.
const SERVER_FOLDERS: [&str; 2] = ["api", "jobs"];

/// The warnings about these files; `runs_code` says whether some plugin runs what is for the server.
pub(crate) fn warnings(
    pending: &PendingDeployment,
    files: &[StoredFile],
    runs_code: bool,
) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    let has_code = files.iter().any(|file| SERVER_FOLDERS.iter().any(|folder| is_in(file, folder)));
    // An app may be an API and nothing else.
    if !(has_code && runs_code) {
        warnings.extend(no_index(files));
    }
    let collisions = case_collisions(files.iter().map(|file| &*file.path), COLLISIONS_MAX);
    warnings.extend(collisions.into_iter().map(|(first, second)| {
        format!("`{first}` and `{second}` differ only by case and are two files")
    }));
    let private = count(files, |file| file.entry.visibility == Visibility::Private);
    if private > 0 && !pending.includes_private {
        warnings.push(format!(
            "{} below `private/` deployed: whoever is signed in to the app can fetch them; leave \
             them out, or deploy with --include-private when they are meant to be there",
            files_are(private)
        ));
    }
    for folder in SERVER_FOLDERS.iter().filter(|_| !runs_code) {
        let inside = count(files, |file| is_in(file, folder));
        if inside > 0 {
            warnings.push(format!(
                "{} below `{folder}/` server code, which no plugin of this node runs: stored, and \
                 never sent to anybody",
                files_are(inside)
            ));
        }
    }
    warnings
}

fn is_in(file: &StoredFile, folder: &str) -> bool {
    file.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn no_index(files: &[StoredFile]) -> Option<String> {
    let paths = || files.iter().map(|file| &*file.path);
    if paths().any(|path| path == "index.html") {
        return None;
    }
    let folder = paths().next().and_then(|path| path.split_once('/')).map(|(folder, _)| folder);
    let is_in = |path: &str| path.split_once('/').map(|(first, _)| first) == folder;
    Some(match folder {
        Some(folder) if paths().all(is_in) => format!(
            "there is no index.html at the root: everything is in `{folder}/`; deploy what is in \
             that folder instead"
        ),
        _ => "there is no index.html at the root: / answers 404".to_owned(),
    })
}

fn count(files: &[StoredFile], is_counted: impl Fn(&StoredFile) -> bool) -> usize {
    files.iter().filter(|file| is_counted(file)).count()
}

fn files_are(count: usize) -> String {
    if count == 1 { "1 file is".to_owned() } else { format!("{count} files are") }
}
