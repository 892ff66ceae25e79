//! How long a response may be kept, and the headers that every site gets.

use crate::visibility::Visibility;

/// HTML: kept, but asked about every time (RFC 9111 §5.2.2.4).
pub const REVALIDATE: &str = "no-cache";
/// A name that changes with its content: one year, never asked about (RFC 8246).
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// Everything else: five minutes.
pub const SHORT: &str = "public, max-age=300";
/// What needs a session: in the visitor's own browser only, and asked about every time.
pub const PRIVATE: &str = "private, no-cache";

/// Headers of every response with a file of an app, unless the app sets its own.
///
/// `nosniff` makes a browser believe `content-type`; the referrer policy keeps paths and queries
/// from other sites.
pub const SECURITY_HEADERS: [(&str, &str); 2] =
    [("x-content-type-options", "nosniff"), ("referrer-policy", "strict-origin-when-cross-origin")];

/// The value of `cache-control` for the file at `path`.
///
/// `content_type` is what it is served as.
pub fn cache_control(path: &str, content_type: &str, visibility: Visibility) -> &'static str {
    let essence = content_type.split(';').next().unwrap_or_default().trim_end();
    match visibility {
        Visibility::Private | Visibility::Server => PRIVATE,
        Visibility::Public if matches!(essence, "text/html" | "application/xhtml+xml") => {
            REVALIDATE
        }
        Visibility::Public if has_hashed_name(path) => IMMUTABLE,
        Visibility::Public => SHORT,
    }
}

/// Whether the last segment of `path` carries a hash of the content, as bundlers write it:
/// `name-HASH.ext`, `name.HASH.ext` or `HASH.ext`, also before a second extension (`.js.map`).
///
/// A false "yes" pins a stale file in browsers for a year, a false "no" costs a request in five
/// minutes; so a hash must look like one:
///
/// * hexadecimal: 8 to 64 lower-case digits, with both letters and numbers among them;
/// * base64url: 8 to 32 characters, with a digit, a lower-case and an upper-case letter, changing
///   kind at least every other character on average, which `Summer2024` does not.
///
/// Scripts and styles below `assets/`, where bundlers write, may have a shorter one of 6 or 7
/// hexadecimal digits: the older console kept all of these for a year, by their place alone.
///
/// Dates, versions and words are not hashes. About one base64url hash in three is missed.
pub fn has_hashed_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    // The extension is not a hash, and without one there is nothing to tell a hash from a name.
    let Some((stem, _)) = name.rsplit_once('.') else {
        return false;
    };
    is_short_hash_of_assets(path)
        || stem.split('.').next_back().is_some_and(ends_in_hash)
        || stem.rsplit_once('.').is_some_and(|(before, second)| {
            matches!(second, "js" | "mjs" | "css" | "min") && {
                before.split('.').next_back().is_some_and(ends_in_hash)
            }
        })
}

/// `HASH`, or `name-HASH`. A base64url hash may itself contain `-`, so each one may be where it
/// starts.
fn ends_in_hash(part: &str) -> bool {
    let starts = part.match_indices('-').map(|(at, _)| at + 1);
    std::iter::once(0).chain(starts).any(|at| {
        let candidate = &part[at..];
        is_hex_hash(candidate) || (at > 0 || !candidate.contains('-')) && is_base64_hash(candidate)
    })
}

/// `assets/…/name-HASH.js`, also `.mjs` and `.css`.
fn is_short_hash_of_assets(path: &str) -> bool {
    let Some((stem, "js" | "mjs" | "css")) = path.rsplit_once('.') else {
        return false;
    };
    let hash = stem.rsplit(['-', '/']).next().unwrap_or_default();
    path.starts_with("assets/")
        && stem.strip_suffix(hash).is_some_and(|before| before.ends_with('-'))
        && (6..=7).contains(&hash.len())
        && is_hex(hash)
}

fn is_hex_hash(candidate: &str) -> bool {
    (8..=64).contains(&candidate.len()) && is_hex(candidate)
}

/// Whether it is lower-case hexadecimal, with letters and digits.
fn is_hex(candidate: &str) -> bool {
    let bytes = candidate.as_bytes();
    bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && bytes.iter().any(u8::is_ascii_digit)
        && bytes.iter().any(u8::is_ascii_lowercase)
}

fn is_base64_hash(candidate: &str) -> bool {
    let bytes = candidate.as_bytes();
    let kind =
        |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase(), byte.is_ascii_lowercase());
    let changes = bytes.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    (8..=32).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && bytes.iter().any(u8::is_ascii_digit)
        && bytes.iter().any(u8::is_ascii_uppercase)
        && bytes.iter().any(u8::is_ascii_lowercase)
        && changes * 2 >= bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::content_type::content_type;

    fn policy(path: &str) -> &'static str {
        cache_control(path, content_type(path), Visibility::Public)
    }

    #[test]
    fn names_that_bundlers_write_are_immutable() {
        for path in [
            "assets/index-BwQ3x9_a.js",
            "assets/index-D4f-9aKz.css",
            "assets/index-Di7rgTda.css",
            "assets/vendor.3f2a9c1b.js",
            "static/css/main.f855e6bc.css",
            "static/css/main.f855e6bc.css.map",
            "3f2a9c1b4d5e6f708192a3b4c5d6e7f8.woff2",
            "img/logo-0a1b2c3d4e5f.png",
            "assets/main-abc123.js",
            "assets/pages/main-abc1234.css",
        ] {
            assert_eq!(policy(path), IMMUTABLE, "{path}");
        }
    }

    #[test]
    fn names_that_people_write_are_not() {
        for path in [
            "my-photo.png",
            "photo-20240131.jpg",
            "photo-20240131123456.jpg",
            "jquery-3.7.1.min.js",
            "report-v2.pdf",
            "deadbeef.png",
            "cafebabe-feedface.png",
            "background.jpg",
            "mountain-landscape.jpg",
            "MyHolidayPhoto.jpg",
            "my-holiday-photo-2024.jpg",
            "iphone15.png",
            "photo-Summer2024.jpg",
            "hero-Photo2Large.webp",
            "IMG-20240131-WA0001.jpg",
            "Screenshot-2024-01-31.png",
            "a-1a2b3c.js",
            "assets/theme-ff00aa.png",
            "assets/a-12345.js",
            "assets/a-123456.css",
            "assets/1a2b3c.js",
            "3f2a9c1b",
            "3f2a9c1b/photo.png",
            ".3f2a9c1b",
            "",
        ] {
            assert_eq!(policy(path), SHORT, "{path}");
        }
    }

    #[test]
    fn html_is_asked_about_and_private_files_stay_private() {
        assert_eq!(policy("index.html"), REVALIDATE);
        assert_eq!(policy("page-3f2a9c1b.html"), REVALIDATE);
        assert_eq!(policy("a.xhtml"), REVALIDATE);
        let hashed = "private/a-3f2a9c1b.js";
        assert_eq!(cache_control(hashed, content_type(hashed), Visibility::Private), PRIVATE);
    }

    proptest! {
        #[test]
        fn any_name_is_judged(path in "\\PC{0,60}") {
            let _: bool = has_hashed_name(&path);
        }

        #[test]
        fn a_hex_hash_is_seen_wherever_bundlers_put_it(
            name in "[a-z]{1,8}", hash in "[0-9][0-9a-f]{6,30}[a-f]", ext in "js|css|png|js\\.map",
        ) {
            for path in [
                format!("{name}-{hash}.{ext}"), format!("a/{name}.{hash}.{ext}"),
            ] {
                prop_assert!(has_hashed_name(&path), "{}", path);
            }
        }

        #[test]
        fn words_are_never_hashes(words in "[a-z]{1,9}(-[a-z]{1,9}){0,4}", ext in "[a-z]{2,4}") {
            let path = format!("{words}.{ext}");
            prop_assert!(!has_hashed_name(&path), "{}", path);
        }
    }
}
