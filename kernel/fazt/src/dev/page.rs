//! The line that makes a page load again when the site changes.

/// The page with the line at its end: before `</body>`, or after everything.
pub(crate) fn with_reload(mut page: Vec<u8>) -> Vec<u8> {
    let closing = b"</body";
    let at = page
        .windows(closing.len())
        .rposition(|part| part.eq_ignore_ascii_case(closing))
        .unwrap_or(page.len());
    page.splice(at..at, LINE.iter().copied());
    page
}

/// Nothing inline: a policy that allows scripts of the site itself allows this one.
const LINE: &[u8] = b"<script src=\"/_dev/reload.js\"></script>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_stands_at_the_end_of_the_page() {
        let line = std::str::from_utf8(LINE).unwrap();
        for (page, expected) in [
            ("<body>x</body></html>", format!("<body>x{line}</body></html>")),
            ("<BODY>x</BODY >", format!("<BODY>x{line}</BODY >")),
            ("<pre></body></pre>y</body>", format!("<pre></body></pre>y{line}</body>")),
            ("x", format!("x{line}")),
            ("", line.to_owned()),
        ] {
            assert_eq!(String::from_utf8(with_reload(page.into())).unwrap(), expected);
        }
        // What is no text is nobody's problem here.
        assert!(with_reload(vec![0xff, 0xfe]).ends_with(LINE));
    }
}
