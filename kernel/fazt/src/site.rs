//! A directory as a site: which files belong to it, and the archive that carries them.
//!
//! Names that start with a dot stay here, except `.well-known`. Links are followed only to what
//! belongs to the site itself, so that nothing from outside is published by accident. The same
//! directory gives the same archive, byte for byte.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::failure::Failure;

/// One file of a site.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SiteFile {
    /// The path on the site, with `/`.
    pub(crate) path: String,
    /// Where it is read.
    pub(crate) source: PathBuf,
    /// Its size when it was found.
    pub(crate) size_bytes: u64,
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
    private: bool,
}

impl Site {
    /// Walks `directory`.
    pub(crate) fn walk(directory: &Path, include_private: bool) -> Result<Self, Failure> {
        let root = fs::canonicalize(directory).map_err(|error| unreadable(directory, &error))?;
        let without_private = !include_private && ignores_private(&root);
        let mut site = Self::default();
        let mut walk = Walk { site: &mut site, root: &root, without_private };
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
        if self.private {
            warnings.push(
                "left out private/, as .gitignore does; send it with --include-private".to_owned(),
            );
        }
        if !self.files.is_empty() && !self.files.iter().any(|file| file.path == "index.html") {
            warnings.push("there is no index.html, so the address itself has no page".to_owned());
        }
        warnings
    }

    /// Packs the files into an archive in a temporary file, which ends with the handle.
    ///
    /// `done` is told how many bytes are packed.
    pub(crate) fn pack(&self, mut done: impl FnMut(u64)) -> Result<File, Failure> {
        let failed =
            |error: &dyn std::fmt::Display| Failure::failed(format!("packing failed: {error}"));
        let archive = tempfile::tempfile().map_err(|error| failed(&error))?;
        let mut writer = ZipWriter::new(io::BufWriter::new(archive));
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut packed = 0;
        for file in &self.files {
            let options = SimpleFileOptions::default()
                .compression_method(method(&file.path))
                .unix_permissions(0o644)
                .large_file(file.size_bytes >= u64::from(u32::MAX));
            writer.start_file(file.path.as_str(), options).map_err(|error| failed(&error))?;
            let mut source =
                File::open(&file.source).map_err(|error| unreadable(&file.source, &error))?;
            loop {
                let count =
                    source.read(&mut chunk).map_err(|error| unreadable(&file.source, &error))?;
                if count == 0 {
                    break;
                }
                writer.write_all(&chunk[..count]).map_err(|error| failed(&error))?;
                packed += count as u64;
                done(packed);
            }
        }
        let writer = writer.finish().map_err(|error| failed(&error))?;
        let mut archive = writer.into_inner().map_err(|error| failed(&error))?;
        archive.rewind().map_err(|error| failed(&error))?;
        Ok(archive)
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
    without_private: bool,
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
                self.site.hidden += 1;
                continue;
            }
            if self.without_private && prefix.is_empty() && name == "private" {
                self.site.private = true;
                continue;
            }
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(|error| unreadable(&source, &error))?;
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
            self.site.files.push(SiteFile { path, source, size_bytes: metadata.len() });
        } else {
            self.site.special += 1;
        }
        Ok(())
    }

    fn link(&mut self, link: &Path, path: &str, above: &mut Vec<PathBuf>) -> Result<(), Failure> {
        let target = fs::canonicalize(link).ok();
        let inside = target.as_deref().and_then(|target| target.strip_prefix(self.root).ok());
        let belongs = inside.is_some_and(|inside| {
            inside.iter().all(|name| name.to_str().is_some_and(|name| !is_hidden(name)))
                && !(self.without_private && inside.starts_with("private"))
        });
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

/// What is compressed already is only stored: trying again costs time and gains nothing.
fn method(path: &str) -> CompressionMethod {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    if COMPRESSED.iter().any(|known| ending.eq_ignore_ascii_case(known)) {
        CompressionMethod::Stored
    } else {
        CompressionMethod::Deflated
    }
}

/// Whether the site's own `.gitignore` names its `private` directory.
fn ignores_private(root: &Path) -> bool {
    fs::read_to_string(root.join(".gitignore"))
        .is_ok_and(|lines| lines.lines().any(|line| line.trim().trim_matches('/') == "private"))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be read: {error}", path.display()))
}

/// Files are read in pieces of this size.
const CHUNK_BYTES: usize = 64 * 1024;
/// Endings of files that are compressed already.
const COMPRESSED: [&str; 16] = [
    "avif", "br", "gif", "gz", "jpeg", "jpg", "m4a", "mp3", "mp4", "ogg", "png", "webm", "webp",
    "woff2", "zip", "zst",
];
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
    fn private_goes_along_unless_the_site_ignores_it() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "index.html", "x");
        put(root.path(), "private/a.html", "x");
        symlink("private/a.html", root.path().join("a.html")).unwrap();
        let all = ["a.html", "index.html", "private/a.html"];
        assert_eq!(paths(&Site::walk(root.path(), false).unwrap()), all);
        put(root.path(), ".gitignore", "node_modules\n/private/\n");
        let site = Site::walk(root.path(), false).unwrap();
        assert_eq!(paths(&site), ["index.html"]);
        assert!(site.warnings().iter().any(|line| line.contains("--include-private")));
        assert_eq!(paths(&Site::walk(root.path(), true).unwrap()), all);
    }

    #[test]
    fn the_same_directory_gives_the_same_archive() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "index.html", &"hello ".repeat(50_000));
        put(root.path(), "a/b.txt", "");
        let site = Site::walk(root.path(), false).unwrap();
        let bytes = |mut file: File| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let mut last = 0;
        let first = bytes(site.pack(|done| last = done).unwrap());
        assert_eq!(last, site.size_bytes);
        assert_eq!(first, bytes(site.pack(|_| ()).unwrap()));
        let archive = zip::ZipArchive::new(io::Cursor::new(first)).unwrap();
        let names: Vec<_> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["a/b.txt", "index.html"]);
    }
}
