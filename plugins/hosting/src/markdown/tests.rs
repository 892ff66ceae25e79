//! What pages say in Markdown.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(html: &str, expected: &str) {
    assert_eq!(from_html(html.as_bytes()).as_deref().unwrap_or(""), expected, "{html}");
}

#[test]
fn what_is_written_beside_a_page_answers_for_it() {
    let files = [
        ("index.html.md", Visibility::Public),
        ("a.md", Visibility::Public),
        ("b/index.md", Visibility::Public),
        ("c/index.html.md", Visibility::Public),
        ("c.md", Visibility::Server),
        ("d.html.md", Visibility::Public),
        ("private/x.md", Visibility::Private),
    ];
    let ask = |path, viewer| {
        find(path, viewer, |name| {
            files.iter().find(|(file, _)| *file == name).map(|(file, seen)| (*seen, *file))
        })
    };
    for (path, expected) in [
        ("/", Some("index.html.md")),
        ("/index.html", Some("index.html.md")),
        ("/a", Some("a.md")),
        ("/a/", Some("a.md")),
        ("/a.html", Some("a.md")),
        ("/b", Some("b/index.md")),
        ("/b/index.html", Some("b/index.md")),
        ("/c", Some("c/index.html.md")),
        ("/d", Some("d.html.md")),
        ("/d.html", Some("d.html.md")),
        ("/e", None),
        ("/private/x", None),
    ] {
        assert_eq!(ask(path, Viewer::Anonymous), expected, "{path}");
    }
    assert_eq!(ask("/private/x", Viewer::SignedIn), Some("private/x.md"));
}

#[test]
fn text_is_structured_as_it_was() {
    check(
        "<!doctype html><html><head><title>T</title><style>a{}</style></head><body>\n\
         <nav><a href=/>Home</a></nav>\n<h1>One <em>two</em></h1>\n<p>A <b>bold</b>\n  word and \
         <a href=\"/x y\">a link</a>.<br>Next line.</p>\n<p>Then <code>a`b</code> &amp; more&hellip;</p>\n\
         <hr><blockquote><p>Quoted</p><p>twice</p></blockquote><script>no()</script></body></html>",
        "# One *two*\n\nA **bold** word and [a link](</x y>).\nNext line.\n\nThen ``a`b`` & more…\n\n\
         ---\n\n> Quoted\n>\n> twice\n",
    );
}

#[test]
fn lists_lie_in_one_another() {
    check(
        "<ul><li>a<ul><li>b</li><li>c<p>d</p></ul><li><p>e</p></li></ul><ol start=9><li>f<li>g</ol>h",
        "- a\n  - b\n  - c\n\n    d\n- e\n\n9. f\n10. g\n\nh\n",
    );
}

#[test]
fn code_keeps_its_lines_and_its_language() {
    check(
        "<pre><code class=\"hljs language-rust\">fn a() {\n    <span>b</span>(&lt;c&gt;)\n}\n</code></pre>\
         <ul><li><pre>x\n```\ny</pre></ul>",
        "```rust\nfn a() {\n    b(<c>)\n}\n```\n\n- ````\n  x\n  ```\n  y\n  ````\n",
    );
}

#[test]
fn code_has_the_language_of_what_is_around_it() {
    check(
        "<div class=\"language-js vp\"><span>js</span><pre><code>a</code></pre></div><p>js</p>",
        "```js\na\n```\n\njs\n",
    );
}

#[test]
fn tables_are_tables() {
    check(
        "<p>See:</p><table><thead><tr><th>A</th><th>B</th></tr></thead><tbody><tr><td>1|2</td><td>\
         <p><b>x</b></p><ul><li>y</ul></td></tr></tbody></table>After",
        "See:\n\n| A | B |\n| --- | --- |\n| 1\\|2 | **x** y |\n\nAfter\n",
    );
}

#[test]
fn the_main_part_is_taken_and_what_is_hidden_is_not() {
    check(
        "<title>A &amp; B</title><header>Logo</header><main><h2>Part</h2><p hidden>no</p>\
         <div aria-hidden=true>no<div>no</div></div><p>yes</p><svg><text>no</text></svg></main>\
         <footer>no</footer>tail",
        "# A & B\n\n## Part\n\nyes\n",
    );
    check("<main></main><p>outside</p>", "");
    check("<title>only a title</title>", "");
}

#[test]
fn links_and_images_are_worth_their_address() {
    check("<a href='javascript:x()'>a</a> <a href=#>#</a><a>b</a> <a href=/c></a>", "a b\n");
    check("<h2>Part<a href=\"#part\">#</a></h2>", "## Part\n");
    check("<a href=/card><h3>Card</h3><p>Text</p></a>", "### Card\n\nText\n\n</card>\n");
    check("<img src=a.png><img src=b.png alt=\"A b\"><img src=data:x alt=C>", "![A b](b.png)C\n");
    check("<a href=/a><img src=b alt=B></a>", "[![B](b)](/a)\n");
}

#[test]
fn signs_of_markdown_in_texts_are_escaped() {
    check(
        "<p>- `a` *b* snake_case _c_ [d] &lt;e&gt; 1 &#35; \\</p><p># f</p>",
        "\\- \\`a\\` \\*b\\* snake_case \\_c\\_ \\[d\\] \\<e> 1 # \\\\\n\n\\# f\n",
    );
}

#[test]
fn broken_pages_are_read_to_where_they_break() {
    check("<p>a<p>b</b></i><b>c", "a\n\nb**c**\n");
    check("a<!-- b", "a\n");
    check("a<b title=\"x>y\">z</b><c d='", "a**z**\n");
    check("a < b &nope; &#0; &", "a \\< b &nope; &#0; &\n");
    assert_eq!(from_html(b"\xff"), None);
    assert_eq!(from_html(&b"a".repeat(HTML_BYTES_MAX + 1)), None);
}

#[test]
fn emphasis_stays_in_its_paragraph_and_has_a_depth() {
    check("<b><p>a</p><p>b</p></b>", "a\n\nb\n");
    let deep = from_html(format!("{}a", "<b>".repeat(100)).as_bytes()).unwrap();
    assert_eq!(deep.matches("**").count(), 64);
}

#[test]
fn what_is_empty_leaves_no_lines() {
    check("<p>a</p><div><b></b><p><a href=/x></a></p></div><h2></h2><div>b</div>", "a\n\nb\n");
    check("<h2>a<div>b</div></h2>c", "## a b\n\nc\n");
    check("<ul><li>a<p><b></b></p></ul><p>b</p>", "- a\n\nb\n");
}

#[test]
fn hostile_pages_cost_no_more_than_their_size() {
    for piece in [
        "<div>",
        "<blockquote>",
        "<ul><li>",
        "<b>",
        "<a href=x>",
        "<a href=x>y",
        "<table><tr><td>",
        "<code>",
        "<pre>\n",
        "<",
        "<!",
        "&",
        "</",
        "<a b",
        "<a \"",
        "<h1>",
        "<p>x",
        "`",
        "<code>`</code>",
        "<td>x",
        "<svg>",
        "<script>",
        "</b>",
        "<!--",
        "<main>",
        "<table><tr><td>x</table>",
        "<br>x",
        "<blockquote>x\n",
        "a ",
        "a\n",
        "<b>a</b> ",
    ] {
        let page = piece.repeat(200 * 1024 / piece.len());
        let made = from_html(page.as_bytes()).unwrap_or_default();
        assert!(made.len() <= MARKDOWN_BYTES_MAX + page.len(), "{piece}: {}", made.len());
    }
}

proptest! {
    #[test]
    fn any_page_is_read(
        html in "(<(p|b|i|a href=x|ul|ol|li|pre|code|table|tr|td|th|h1|blockquote|main|div|br|img alt=a src=b)>\
                 |</(p|b|i|a|ul|ol|li|pre|code|table|tr|td|h1|blockquote|main|div)>|[a é\n`*|<&;#-]{1,4}){0,30}",
    ) {
        let made = from_html(html.as_bytes()).unwrap_or_default();
        prop_assert!(made.is_empty() || made.ends_with('\n'));
    }

    #[test]
    fn any_bytes_are_read(html in proptest::collection::vec(any::<u8>(), 0..300)) {
        from_html(&html);
    }
}
