//! A site that a generator wrote, deployed with the program and followed link by link, as a browser does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use fazt_tests::{Home, Node, Request, skipped};

const HOST: &str = "journal.localhost";

/// The sources: layouts of its own, bundles with and without files, a list, terms, feeds.
const SOURCES: [(&str, &str); 16] = [
    (
        "config.toml",
        "baseURL = 'http://journal.localhost/'\ntitle = 'Journal'\nenableRobotsTXT = true\n\
         [taxonomies]\ntag = 'tags'\n",
    ),
    (
        "layouts/_default/baseof.html",
        "<!doctype html><html><head><title>{{ .Title }}</title>\
         <link rel=\"stylesheet\" href=\"/css/site.css\">\
         {{ range .AlternativeOutputFormats }}<link href=\"{{ .RelPermalink }}\">{{ end }}</head>\
         <body><a href=\"/\">Home</a> <a href=\"/posts/\">Posts</a> <a href=\"/tags/\">Tags</a>\
         <main>{{ block \"main\" . }}{{ end }}</main></body></html>",
    ),
    (
        "layouts/_default/single.html",
        "{{ define \"main\" }}<h1>{{ .Title }}</h1>{{ .Content }}\
         {{ range .GetTerms \"tags\" }}<a href=\"{{ .RelPermalink }}\">{{ .Title }}</a>{{ end }}\
         {{ end }}",
    ),
    (
        "layouts/_default/list.html",
        "{{ define \"main\" }}<h1>{{ .Title }}</h1>\
         {{ range .Pages }}<a href=\"{{ .RelPermalink }}\">{{ .Title }}</a>{{ end }}{{ end }}",
    ),
    ("layouts/404.html", "{{ define \"main\" }}<h1>Nothing here</h1>{{ end }}"),
    ("content/posts/_index.md", "---\ntitle: Posts\n---\n"),
    (
        "content/posts/trip/index.md",
        "---\ntitle: A trip\ndate: 2024-05-01\ntags: [travel, Photo Album]\n---\n\
         ![map](map.svg) and [the route](notes/route.txt), [before](../plain/)\n",
    ),
    ("content/posts/trip/map.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ("content/posts/trip/notes/route.txt", "north"),
    (
        "content/posts/plain/index.md",
        "---\ntitle: Plain\ndate: 2024-05-02\ntags: [travel]\n---\n[the trip](/posts/trip/)\n",
    ),
    (
        "content/posts/leaf.md",
        "---\ntitle: Leaf\ndate: 2024-05-03\naliases: [/old/leaf/]\n---\nx\n",
    ),
    ("content/about/index.md", "---\ntitle: About\n---\nMe.\n"),
    ("static/css/site.css", "body { background: url(paper.svg) }\n"),
    ("static/css/paper.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
    (
        "static/_redirects",
        "/feed /index.xml 301\n/latest /posts/trip/ 302\n/p/:slug /posts/:slug/\n",
    ),
    (
        "static/_headers",
        "/*\n  x-frame-options: DENY\n/css/*\n  cache-control: public, max-age=60\n",
    ),
];

/// What `attribute="…"` and `attribute=…` say in a page.
fn links(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for attribute in ["href=\"", "src=\""] {
        for rest in page.split(attribute).skip(1) {
            found.insert(rest.split('"').next().unwrap_or_default().to_owned());
        }
    }
    found
}

/// Where a link of the page at `base` leads, as a browser works it out (RFC 3986 §5.2); nothing when
/// it leaves the site.
fn resolved(base: &str, link: &str) -> Option<String> {
    let link = link.strip_prefix("http://journal.localhost").unwrap_or(link);
    if link.contains("://") || link.starts_with('#') {
        return None;
    }
    if link.starts_with('/') {
        return Some(link.to_owned());
    }
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut segments: Vec<&str> = folder.split('/').skip(1).collect();
    for segment in link.split('/') {
        match segment {
            ".." => drop(segments.pop()),
            "." => {}
            name => segments.push(name),
        }
    }
    Some(format!("/{}", segments.join("/")))
}

/// Follows every link from the start page, over redirects; where each page was found at last.
fn crawl(node: &Node) -> BTreeSet<String> {
    let mut client = node.client();
    let (mut todo, mut seen) = (vec!["/".to_owned()], BTreeSet::new());
    let mut pages = BTreeSet::new();
    while let Some(path) = todo.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = client.send(&Request::get(HOST, &*path)).unwrap();
        if answer.status == 301 {
            todo.push(answer.field("location").unwrap().to_owned());
            continue;
        }
        assert_eq!(answer.status, 200, "{path}");
        if answer.field("content-type").unwrap().starts_with("text/html") {
            pages.insert(path.clone());
            todo.extend(links(&answer.text()).iter().filter_map(|link| resolved(&path, link)));
        } else {
            pages.insert(path);
        }
    }
    pages
}

fn build(sources: &Path) -> bool {
    for (path, text) in SOURCES {
        let file = sources.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    fs::copy(sources.join("layouts/_default/list.html"), sources.join("layouts/index.html"))
        .unwrap();
    match Command::new("hugo").current_dir(sources).output() {
        Ok(built) => {
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stdout));
            true
        }
        Err(_) => false,
    }
}

#[test]
fn every_link_of_a_hugo_site_leads_somewhere() {
    let home = Home::new();
    let sources = home.path("sources");
    if !build(&sources) {
        skipped("a site of Hugo", "there is no `hugo` (Debian package `hugo`)");
        return;
    }
    let node = home.start();
    let said = home.fazt("app deploy sources/public --name journal --format json");
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(!said.err.contains("_redirects") && !said.err.contains("_headers"), "{}", said.err);

    let found = crawl(&node);
    for path in [
        "/",
        "/posts/",
        "/posts/trip/",
        "/posts/trip/map.svg",
        "/posts/trip/notes/route.txt",
        "/posts/plain",
        "/posts/leaf",
        "/about",
        "/tags/",
        "/tags/travel/",
        "/tags/photo-album/",
        "/index.xml",
        "/posts/index.xml",
        "/css/site.css",
    ] {
        assert!(found.contains(path), "{path} is not linked or not there: {found:?}");
    }
    // All that a feed and the map of the site name is there too.
    for list in ["/index.xml", "/sitemap.xml", "/tags/travel/index.xml"] {
        let text = node.get(HOST, list).text();
        let mut addresses = 0;
        for tag in ["<loc>", "<link>"] {
            for rest in text.split(tag).skip(1) {
                let address = rest.split('<').next().unwrap();
                let path = address.strip_prefix("http://journal.localhost").unwrap();
                let answer = node.get(HOST, path);
                let path = answer.field("location").unwrap_or(path);
                assert_eq!(node.get(HOST, path).status, 200, "{list}: {address}");
                addresses += 1;
            }
        }
        assert!(addresses > 1, "{list}: {text}");
    }

    let to = |path: &str| {
        let answer = node.get(HOST, path);
        (answer.status, answer.field("location").unwrap_or_default().to_owned())
    };
    assert_eq!(to("/feed"), (301, "/index.xml".to_owned()));
    assert_eq!(to("/latest"), (302, "/posts/trip/".to_owned()));
    assert_eq!(to("/p/trip"), (301, "/posts/trip/".to_owned()));
    assert_eq!(to("/posts/trip"), (301, "/posts/trip/".to_owned()), "its files are below it");
    assert_eq!(to("/about/"), (301, "/about".to_owned()), "there is nothing but the page");
    let old = node.get(HOST, "/old/leaf");
    assert!(old.text().contains("/posts/leaf/"), "a page that moved says where to");
    let lost = node.get(HOST, "/nothing/here");
    assert!(lost.status == 404 && lost.text().contains("Nothing here"), "{}", lost.text());
    assert_eq!(node.get(HOST, "/").field("x-frame-options"), Some("DENY"));
    let style = node.get(HOST, "/css/site.css");
    assert_eq!(style.field("cache-control"), Some("public, max-age=60"));
    for path in ["/_redirects", "/_headers"] {
        assert_eq!(node.get(HOST, path).status, 404, "{path}");
    }
    assert!(node.get(HOST, "/robots.txt").text().contains("User-agent"));
    println!("a site of Hugo: {} addresses followed, all there", found.len());
    assert!(node.stop().success());
}
