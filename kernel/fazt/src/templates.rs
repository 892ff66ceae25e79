//! Apps to start from: plain files, part of the program, in `templates/` beside this crate's source.
//!
//! What several templates have in common lies in `templates/shared` once. The only thing that a file does not
//! say itself is the name of the app, for which it has `{{name}}`.

/// One template.
#[derive(Debug)]
pub(crate) struct Template {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What it is, in one line.
    pub(crate) about: &'static str,
    /// What leads from its files to an app that runs.
    pub(crate) build: Build,
    files: &'static [(&'static str, &'static str)],
}

/// What has to happen before a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// Nothing: the directory is the site.
    Nothing,
    /// `npm run build`, which makes `dist`.
    Npm,
}

impl Template {
    /// The template of that name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|template| template.name == name)
    }

    /// The template that `name` probably means: the one with the least to change, if that is not much.
    pub(crate) fn like(name: &str) -> Option<&'static Self> {
        let changes = |template: &&Self| strsim::damerau_levenshtein(template.name, name);
        let nearest = ALL.iter().min_by_key(changes)?;
        (changes(&nearest) <= nearest.name.len().div_ceil(3)).then_some(nearest)
    }

    /// Its files for an app called `app`: path and text.
    pub(crate) fn files(&self, app: &str) -> impl Iterator<Item = (&'static str, String)> {
        self.files.iter().map(move |(path, text)| (*path, text.replace(NAME, app)))
    }
}

/// Stands for the name of the app.
const NAME: &str = "{{name}}";

/// A file: the path that it has in the app, and where it lies below `templates/`.
macro_rules! file {
    ($path:literal, $source:literal) => {
        ($path, include_str!(concat!("../templates/", $source)))
    };
}

/// All of them, the simplest first.
pub(crate) const ALL: &[Template] = &[
    Template {
        name: "minimal",
        about: "one page",
        build: Build::Nothing,
        files: &[
            file!(".faztignore", "shared/.faztignore"),
            file!("README.md", "minimal/README.md"),
            file!("index.html", "minimal/index.html"),
            file!("manifest.json", "shared/manifest.json"),
        ],
    },
    Template {
        name: "static",
        about: "a site of a few pages, with style, script, headers and a page for what is not there",
        build: Build::Nothing,
        files: &[
            file!(".faztignore", "shared/.faztignore"),
            file!("404.html", "static/404.html"),
            file!("README.md", "static/README.md"),
            file!("_headers", "shared/_headers"),
            file!("about.html", "static/about.html"),
            file!("base.css", "shared/base.css"),
            file!("icon.svg", "shared/icon.svg"),
            file!("index.html", "static/index.html"),
            file!("manifest.json", "shared/manifest.json"),
            file!("script.js", "static/script.js"),
            file!("style.css", "static/style.css"),
        ],
    },
    Template {
        name: "api",
        about: "a JSON API over keys and values, without a frontend",
        build: Build::Nothing,
        files: &[
            file!(".faztignore", "shared/.faztignore"),
            file!("README.md", "api/README.md"),
            file!("_headers", "shared/_headers"),
            file!("api/http.js", "shared/http.js"),
            file!("api/main.js", "api/api/main.js"),
            file!("base.css", "shared/base.css"),
            file!("icon.svg", "shared/icon.svg"),
            file!("index.html", "api/index.html"),
            file!("manifest.json", "shared/manifest.json"),
            file!("style.css", "api/style.css"),
            file!("try.js", "api/try.js"),
        ],
    },
    Template {
        name: "todo",
        about: "a list of todos: a page, an API, and documents",
        build: Build::Nothing,
        files: &[
            file!(".faztignore", "shared/.faztignore"),
            file!("README.md", "todo/README.md"),
            file!("_headers", "shared/_headers"),
            file!("api/http.js", "shared/http.js"),
            file!("api/main.js", "todo/api/main.js"),
            file!("app.js", "todo/app.js"),
            file!("base.css", "shared/base.css"),
            file!("icon.svg", "shared/icon.svg"),
            file!("index.html", "todo/index.html"),
            file!("manifest.json", "shared/manifest.json"),
            file!("style.css", "todo/style.css"),
        ],
    },
    Template {
        name: "chat",
        about: "rooms to talk in: a page that asks for what is new, an API, and documents",
        build: Build::Nothing,
        files: &[
            file!(".faztignore", "shared/.faztignore"),
            file!("README.md", "chat/README.md"),
            file!("_headers", "shared/_headers"),
            file!("api/http.js", "shared/http.js"),
            file!("api/main.js", "chat/api/main.js"),
            file!("app.js", "chat/app.js"),
            file!("base.css", "shared/base.css"),
            file!("icon.svg", "shared/icon.svg"),
            file!("index.html", "chat/index.html"),
            file!("live.js", "chat/live.js"),
            file!("manifest.json", "shared/manifest.json"),
            file!("style.css", "chat/style.css"),
        ],
    },
    Template {
        name: "vite",
        about: "a page that Vite builds, and server code beside it",
        build: Build::Npm,
        files: &[
            file!(".gitignore", "shared/.gitignore"),
            file!("README.md", "vite/README.md"),
            file!("api/main.js", "vite/api/main.js"),
            file!("index.html", "vite/index.html"),
            file!("package.json", "vite/package.json"),
            file!("public/_headers", "shared/_headers"),
            file!("public/icon.svg", "shared/icon.svg"),
            file!("src/base.css", "shared/base.css"),
            file!("src/main.js", "vite/src/main.js"),
            file!("vite.config.js", "vite/vite.config.js"),
        ],
    },
    Template {
        name: "vue",
        about: "a page that Vue and Vite make",
        build: Build::Npm,
        files: &[
            file!(".gitignore", "shared/.gitignore"),
            file!("README.md", "vue/README.md"),
            file!("index.html", "vue/index.html"),
            file!("package.json", "vue/package.json"),
            file!("public/_headers", "shared/_headers"),
            file!("public/icon.svg", "shared/icon.svg"),
            file!("src/App.vue", "vue/src/App.vue"),
            file!("src/base.css", "shared/base.css"),
            file!("src/main.js", "vue/src/main.js"),
            file!("vite.config.js", "vue/vite.config.js"),
        ],
    },
    Template {
        name: "vue-api",
        about: "a list of todos that Vue and Vite make, with an API and documents",
        build: Build::Npm,
        files: &[
            file!(".gitignore", "shared/.gitignore"),
            file!("README.md", "vue-api/README.md"),
            file!("api/http.js", "shared/http.js"),
            file!("api/main.js", "todo/api/main.js"),
            file!("index.html", "vue/index.html"),
            file!("package.json", "vue/package.json"),
            file!("public/_headers", "shared/_headers"),
            file!("public/icon.svg", "shared/icon.svg"),
            file!("src/App.vue", "vue-api/src/App.vue"),
            file!("src/base.css", "shared/base.css"),
            file!("src/main.js", "vue/src/main.js"),
            file!("vite.config.js", "vue-api/vite.config.js"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_typed_wrong_is_understood_and_what_is_nothing_is_not() {
        for (typed, meant) in [
            ("tood", Some("todo")),
            ("todos", Some("todo")),
            ("mininal", Some("minimal")),
            ("vueapi", Some("vue-api")),
            ("viet", Some("vite")),
            ("wordpress", None),
            ("", None),
        ] {
            assert_eq!(Template::like(typed).map(|template| template.name), meant, "{typed}");
        }
    }

    #[test]
    fn the_name_is_the_only_thing_that_is_filled_in() {
        for template in ALL {
            for (path, text) in template.files("my-app") {
                assert!(!text.contains(NAME), "{}/{path}", template.name);
                assert!(!text.is_empty() && text.ends_with('\n'), "{}/{path}", template.name);
            }
            let named = template.files("my-app").any(|(_, text)| text.contains("my-app"));
            assert!(named, "{}", template.name);
        }
    }

    #[test]
    fn paths_are_in_order_and_none_is_there_twice() {
        for template in ALL {
            let paths: Vec<_> = template.files.iter().map(|(path, _)| *path).collect();
            let sorted: BTreeSet<_> = paths.iter().copied().collect();
            assert_eq!(paths, Vec::from_iter(sorted), "{}", template.name);
        }
    }

    /// A file that nothing refers to would be dead weight that looks alive.
    #[test]
    fn every_file_of_the_templates_folder_is_in_a_template() {
        fn walk(folder: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() {
                    walk(&entry.path(), found);
                } else {
                    found.push(std::fs::read_to_string(entry.path()).unwrap());
                }
            }
        }
        let mut found = Vec::new();
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), &mut found);
        for text in found {
            let is_used =
                |template: &Template| template.files.iter().any(|(_, used)| *used == text);
            assert!(ALL.iter().any(is_used), "no template has the file that begins: {text:.60}");
        }
    }
}
