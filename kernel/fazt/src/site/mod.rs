//! A directory as a site: which files belong to it, and what they hold.
//!
//! Names that start with a dot stay here, except `.well-known`; so does `node_modules`, and what a
//! `.faztignore` in any directory names, in the syntax and with the precedence of `.gitignore`. Links
//! are followed only to what belongs to the site itself, so that nothing from outside is published by
//! accident.

mod content;
mod ignored;

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
pub(crate) use content::{Content, Rewrite, digests, hex};
use ignored::Ignored;

/// One file of a site.
#[derive(Debug, Clone)]
pub(crate) struct SiteFile {
    /// The path on the site, with `/`.
    pub(crate) path: String,
    /// Where it is read.
    pub(crate) source: PathBuf,
    /// Its size when it was found.
    pub(crate) size_bytes: u64,
    /// What changes it on its way, for a file that is not sent as it is.
    pub(crate) rewrite: Option<Rewrite>,
}

/// The files of a directory that belong to the site, and what was left out.
#[derive(Debug, Default)]
pub(crate) struct Site {
    /// The files, sorted by path.
    pub(crate) files: Vec<SiteFile>,
    /// Their size together.
    pub(crate) size_bytes: u64,
    hidden: usize,
    links: usize,
    special: usize,
    ignored: usize,
    modules: usize,
    private: bool,
}

impl Site {
    /// Walks `directory`.
    pub(crate) fn walk(directory: &Path, include_private: bool) -> Result<Self, Failure> {
        let root = fs::canonicalize(directory).map_err(|error| unreadable(directory, &error))?;
        let ignored = Ignored::read(&root)?;
        let mut site = Self::default();
        let mut walk = Walk { site: &mut site, root: &root, ignored, include_private };
        walk.directory(&root, "", &mut vec![root.clone()])?;
        site.files.sort_by(|left, right| left.path.cmp(&right.path));
        site.size_bytes = site.files.iter().map(|file| file.size_bytes).sum();
        Ok(site)
    }

    /// What the person should know before the site is online.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let count = |count: usize, one: &str, many: &str| match count {
            1 => format!("left out 1 {one}"),
            count => format!("left out {count} {many}"),
        };
        if self.hidden > 0 {
            warnings.push(count(
                self.hidden,
                "name that starts with a dot",
                "names that start with a dot",
            ));
        }
        if self.links > 0 {
            warnings.push(count(
                self.links,
                "link that leads out of the directory or nowhere",
                "links that lead out of the directory or nowhere",
            ));
        }
        if self.special > 0 {
            warnings.push(count(self.special, "name that is no file", "names that are no files"));
        }
        if self.modules > 0 {
            warnings.push(
                "left out node_modules; a line !node_modules in .faztignore sends it".to_owned(),
            );
        }
        if self.ignored > 0 {
            warnings.push(count(
                self.ignored,
                "name, as .faztignore says",
                "names, as .faztignore says",
            ));
        }
        if self.private {
            warnings.push("left out private/; --include-private sends it".to_owned());
        }
        warnings
    }
}

/// A name as a label of a host name: `My Site_2` is `my-site-2`.
pub(crate) fn label(name: &str) -> String {
    let mut label = String::new();
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            label.push(letter.to_ascii_lowercase());
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    label.truncate(LABEL_LEN_MAX);
    label.truncate(label.trim_end_matches('-').len());
    label
}

struct Walk<'a> {
    site: &'a mut Site,
    root: &'a Path,
    ignored: Ignored,
    include_private: bool,
}

impl Walk<'_> {
    /// `above` holds the real directories on the way here: a link to one of them is a circle.
    fn directory(
        &mut self,
        directory: &Path,
        prefix: &str,
        above: &mut Vec<PathBuf>,
    ) -> Result<(), Failure> {
        let entries = fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(directory, &error))?;
            let source = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(Failure::usage(format!(
                    "{} has a name that is not UTF-8, and addresses are",
                    source.display()
                ))
                .hint("rename it"));
            };
            if is_hidden(name) {
                // Nobody expects the lists themselves to be published.
                self.site.hidden += usize::from(!matches!(name, ignored::LIST | ".gitignore"));
                continue;
            }
            if !self.include_private && prefix.is_empty() && name == "private" {
                self.site.private = true;
                continue;
            }
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(|error| unreadable(&source, &error))?;
            let is_directory = kind.is_dir() || (kind.is_symlink() && source.is_dir());
            if self.ignored.names(&path, is_directory)? {
                if name == ignored::MODULES {
                    self.site.modules += 1;
                } else {
                    self.site.ignored += 1;
                }
                continue;
            }
            if kind.is_symlink() {
                self.link(&source, &path, above)?;
            } else {
                self.real(&source, path, above)?;
            }
        }
        Ok(())
    }

    /// What is no link: a directory, a file, or something that no site holds.
    fn real(
        &mut self,
        source: &Path,
        path: String,
        above: &mut Vec<PathBuf>,
    ) -> Result<(), Failure> {
        let metadata = fs::metadata(source).map_err(|error| unreadable(source, &error))?;
        if metadata.is_dir() {
            above.push(source.to_owned());
            let walked = self.directory(source, &format!("{path}/"), above);
            above.pop();
            return walked;
        }
        if metadata.is_file() {
            let source = source.to_owned();
            let size_bytes = metadata.len();
            self.site.files.push(SiteFile { path, source, size_bytes, rewrite: None });
        } else {
            self.site.special += 1;
        }
        Ok(())
    }

    fn link(&mut self, link: &Path, path: &str, above: &mut Vec<PathBuf>) -> Result<(), Failure> {
        let target = fs::canonicalize(link).ok();
        let inside = target.as_deref().and_then(|target| target.strip_prefix(self.root).ok());
        let belongs = match inside.and_then(Path::to_str) {
            Some(inside) => {
                !inside.split('/').any(is_hidden)
                    && (self.include_private || !Path::new(inside).starts_with("private"))
                    && !self.ignored.names_any_part(inside, link.is_dir())?
            }
            None => false,
        };
        match target {
            Some(target) if belongs && !above.contains(&target) => {
                self.real(&target, path.to_owned(), above)
            }
            _ => {
                self.site.links += 1;
                Ok(())
            }
        }
    }
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.') && name != ".well-known"
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("{} cannot be read: {error}", path.display()))
}

/// The length of a label (RFC 1035 §2.3.4).
const LABEL_LEN_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn paths(site: &Site) -> Vec<&str> {
        site.files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn names_become_labels() {
        for (name, expected) in [
            ("My Site_2", "my-site-2"),
            ("--x--", "x"),
            ("写真", ""),
            ("Blog.old", "blog-old"),
            (&*"a".repeat(80), &*"a".repeat(63)),
        ] {
            assert_eq!(label(name), expected);
        }
    }

    #[test]
    fn files_are_sorted_and_dots_stay_here() {
        let root = tempfile::tempdir().unwrap();
        for path in ["index.html", "b/x.css", "b.txt", ".env", ".git/config", ".well-known/a"] {
            put(root.path(), path, "x");
        }
        let site = Site::walk(root.path(), false).unwrap();
        assert_eq!(paths(&site), [".well-known/a", "b.txt", "b/x.css", "index.html"]);
        assert_eq!(site.warnings(), ["left out 2 names that start with a dot"]);
        assert_eq!(site.size_bytes, 4);
    }

    #[test]
    fn links_are_followed_only_within_the_site() {
        let outside = tempfile::tempdir().unwrap();
        put(outside.path(), "secret", "s");
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "index.html", "x");
        put(root.path(), "sub/page.html", "x");
        put(root.path(), ".git/config", "x");
        symlink(outside.path().join("secret"), root.path().join("out-file")).unwrap();
        symlink(outside.path(), root.path().join("out-dir")).unwrap();
        symlink("/nowhere/at/all", root.path().join("dangling")).unwrap();
        symlink(".git/config", root.path().join("config")).unwrap();
        symlink("..", root.path().join("sub/up")).unwrap();
        symlink("sub", root.path().join("again")).unwrap();
        symlink("index.html", root.path().join("home.html")).unwrap();
        let site = Site::walk(root.path(), false).unwrap();
        assert_eq!(paths(&site), ["again/page.html", "home.html", "index.html", "sub/page.html"]);
        assert!(
            site.warnings().iter().any(|line| line.starts_with("left out 6 links")),
            "{:?}",
            site.warnings()
        );
    }

    #[test]
    fn private_stays_here_unless_it_is_asked_for() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "index.html", "x");
        put(root.path(), "private/a.html", "x");
        put(root.path(), "deep/private/b.html", "x");
        symlink("private/a.html", root.path().join("a.html")).unwrap();
        let site = Site::walk(root.path(), false).unwrap();
        assert_eq!(paths(&site), ["deep/private/b.html", "index.html"]);
        assert!(site.warnings().iter().any(|line| line.contains("--include-private")));
        let all = ["a.html", "deep/private/b.html", "index.html", "private/a.html"];
        assert_eq!(paths(&Site::walk(root.path(), true).unwrap()), all);
    }

    #[test]
    fn the_sites_own_list_leaves_names_out() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "index.html",
            "notes.txt",
            "drafts/a.html",
            "b/drafts/keep.html",
            "b/c.map",
            "node_modules/x/index.js",
            "b/node_modules/y.js",
        ] {
            put(root.path(), path, "x");
        }
        symlink("drafts/a.html", root.path().join("a.html")).unwrap();
        put(root.path(), ".faztignore", "# not yet\n/drafts/\n*.map\nnotes.*\n");
        let site = Site::walk(root.path(), false).unwrap();
        assert_eq!(paths(&site), ["b/drafts/keep.html", "index.html"]);
        assert!(site.warnings().iter().any(|line| line.starts_with("left out 3 names, as")));
        assert!(site.warnings().iter().any(|line| line.contains("node_modules")));
        put(root.path(), ".faztignore", "!node_modules\n");
        assert_eq!(Site::walk(root.path(), false).unwrap().files.len(), 8);
    }

    #[test]
    fn each_folder_may_have_a_list_and_the_nearest_one_wins() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "index.html",
            "a.map",
            "docs/a.map",
            "docs/draft.html",
            "docs/deep/draft.html",
            "docs/deep/keep/b.map",
            "docs/only/draft.html",
            "draft.html",
            "out/x.html",
        ] {
            put(root.path(), path, "x");
        }
        symlink("docs/draft.html", root.path().join("linked.html")).unwrap();
        symlink("docs/deep", root.path().join("again")).unwrap();
        put(root.path(), ".faztignore", "*.map\n/out/\n");
        put(root.path(), "docs/.faztignore", "draft.html\n/only\n");
        put(root.path(), "docs/deep/keep/.faztignore", "!*.map\n");
        // What is left out as a directory is not looked into.
        put(root.path(), "out/.faztignore", "!x.html\n");
        let site = Site::walk(root.path(), false).unwrap();
        let expected = ["again/draft.html", "again/keep/b.map", "docs/deep/keep/b.map"];
        assert_eq!(paths(&site), [&expected[..], &["draft.html", "index.html"]].concat());
        put(root.path(), "docs/.faztignore", "[z-a]\n");
        let failure = Site::walk(root.path(), false).unwrap_err();
        assert!(failure.message.contains("docs/.faztignore"), "{failure}");
    }

    #[test]
    fn a_list_that_cannot_be_read_is_said_and_not_guessed() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "index.html", "x");
        put(root.path(), ".faztignore", "ok\n[z-a]\n");
        let failure = Site::walk(root.path(), false).unwrap_err();
        assert!(failure.message.contains(".faztignore"), "{failure}");
    }
}
