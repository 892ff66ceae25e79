//! The media type of a file, from its extension.
//!
//! Types are those registered with IANA where one is registered. Text is declared UTF-8, which
//! every current editor writes. Nothing is guessed from content: with
//! `x-content-type-options: nosniff`, a browser does not guess either.

/// What a file of an unknown kind is served as (RFC 9110 §8.3).
pub const UNKNOWN: &str = "application/octet-stream";

/// The value of `content-type` for the file at `path`. Allocates nothing.
///
/// The extension is what follows the last `.` of the last segment, in any case. A name that only
/// starts with a dot has none.
pub fn content_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension.as_bytes(),
        _ => return UNKNOWN,
    };
    let mut buffer = [0; EXTENSION_BYTES_MAX];
    let Some(lower) = buffer.get_mut(..extension.len()) else {
        return UNKNOWN;
    };
    lower.copy_from_slice(extension);
    lower.make_ascii_lowercase();
    match TYPES.binary_search_by(|(known, _)| known.as_bytes().cmp(lower)) {
        Ok(index) => TYPES[index].1,
        Err(_) => UNKNOWN,
    }
}

/// The type that [`content_type`] gave and somebody stored; [`UNKNOWN`] when it gives no such type.
pub fn known(stored: &str) -> &'static str {
    TYPES.iter().map(|(_, known)| *known).find(|known| *known == stored).unwrap_or(UNKNOWN)
}

/// Whether the type is that of a page for people.
pub fn is_html(content_type: &str) -> bool {
    content_type.starts_with("text/html")
}

/// Whether responses of this type shrink when compressed.
pub fn is_compressible(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || matches!(
            essence,
            "application/json"
                | "application/xml"
                | "application/wasm"
                | "application/x-ndjson"
                | "application/sql"
                | "application/rtf"
                | "application/yaml"
                | "application/toml"
                | "font/ttf"
                | "font/otf"
                | "image/bmp"
                | "image/vnd.microsoft.icon"
                | "model/gltf-binary"
                | "model/obj"
                | "model/stl"
                | "audio/wav"
        )
}

const EXTENSION_BYTES_MAX: usize = 16;

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const XML: &str = "application/xml; charset=utf-8";

/// Lower-case extensions in byte order.
static TYPES: &[(&str, &str)] = &[
    ("3gp", "video/3gpp"),
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("apk", "application/vnd.android.package-archive"),
    ("apng", "image/apng"),
    ("atom", "application/atom+xml; charset=utf-8"),
    ("avi", "video/x-msvideo"),
    ("avif", "image/avif"),
    ("bin", UNKNOWN),
    ("bmp", "image/bmp"),
    ("br", UNKNOWN),
    ("bz2", "application/x-bzip2"),
    ("c", TEXT),
    ("cjs", JAVASCRIPT),
    ("conf", TEXT),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("dmg", "application/x-apple-diskimage"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("eot", "application/vnd.ms-fontobject"),
    ("epub", "application/epub+zip"),
    ("exe", "application/vnd.microsoft.portable-executable"),
    ("flac", "audio/flac"),
    ("geojson", "application/geo+json; charset=utf-8"),
    ("gif", "image/gif"),
    ("glb", "model/gltf-binary"),
    ("gltf", "model/gltf+json; charset=utf-8"),
    ("gpx", "application/gpx+xml; charset=utf-8"),
    ("gz", "application/gzip"),
    ("heic", "image/heic"),
    ("htm", HTML),
    ("html", HTML),
    ("ico", "image/vnd.microsoft.icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("ini", TEXT),
    ("jar", "application/java-archive"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", JAVASCRIPT),
    ("json", JSON),
    ("json5", TEXT),
    ("jsonl", "application/x-ndjson; charset=utf-8"),
    ("jsonld", "application/ld+json; charset=utf-8"),
    ("jsx", TEXT),
    ("jxl", "image/jxl"),
    ("kml", "application/vnd.google-earth.kml+xml; charset=utf-8"),
    ("log", TEXT),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4a", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("map", JSON),
    ("markdown", "text/markdown; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("mid", "audio/midi"),
    ("midi", "audio/midi"),
    ("mjs", JAVASCRIPT),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpd", "application/dash+xml; charset=utf-8"),
    ("mpeg", "video/mpeg"),
    ("ndjson", "application/x-ndjson; charset=utf-8"),
    ("obj", "model/obj"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("py", TEXT),
    ("rar", "application/vnd.rar"),
    ("rs", TEXT),
    ("rss", "application/rss+xml; charset=utf-8"),
    ("rtf", "application/rtf"),
    ("sh", TEXT),
    ("shtml", HTML),
    ("sql", "application/sql; charset=utf-8"),
    ("srt", TEXT),
    ("stl", "model/stl"),
    ("svg", "image/svg+xml; charset=utf-8"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml; charset=utf-8"),
    ("ts", TEXT),
    ("tsv", "text/tab-separated-values; charset=utf-8"),
    ("tsx", TEXT),
    ("ttf", "font/ttf"),
    ("txt", TEXT),
    ("usdz", "model/vnd.usdz+zip"),
    ("vcf", "text/vcard; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json; charset=utf-8"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml; charset=utf-8"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", XML),
    ("xsl", "application/xslt+xml; charset=utf-8"),
    ("xslt", "application/xslt+xml; charset=utf-8"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml; charset=utf-8"),
    ("yml", "application/yaml; charset=utf-8"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_is_sorted_lower_case_and_within_the_buffer() {
        assert!(TYPES.windows(2).all(|pair| pair[0].0.as_bytes() < pair[1].0.as_bytes()));
        for (extension, media_type) in TYPES {
            assert!(extension.len() <= EXTENSION_BYTES_MAX, "{extension}");
            assert_eq!(*extension, extension.to_ascii_lowercase());
            assert!(media_type.contains('/') && media_type.is_ascii());
            assert_eq!(content_type(&format!("a/b.{extension}")), *media_type);
        }
    }

    #[test]
    fn text_says_its_charset_and_binary_does_not() {
        for (extension, media_type) in TYPES {
            let is_text = media_type.starts_with("text/") || media_type.contains("+xml");
            assert!(!is_text || media_type.ends_with("; charset=utf-8"), "{extension}");
            let is_binary = ["image/p", "video/", "audio/", "font/", "application/wasm"];
            let is_binary = is_binary.iter().any(|start| media_type.starts_with(start));
            assert!(!is_binary || !media_type.contains("charset"), "{extension}");
        }
    }

    #[test]
    fn the_extension_is_the_last_one_in_any_case() {
        let cases = [
            ("index.html", HTML),
            ("INDEX.HTML", HTML),
            ("a.min.js", JAVASCRIPT),
            ("a.js.map", JSON),
            ("a.tar.gz", "application/gzip"),
            ("v1.2/LICENSE", UNKNOWN),
            (".html", UNKNOWN),
            ("a/.html", UNKNOWN),
            ("a.", UNKNOWN),
            ("", UNKNOWN),
            ("a.averyveryverylongextension", UNKNOWN),
            ("a.h\u{fc}ml", UNKNOWN),
        ];
        for (path, expected) in cases {
            assert_eq!(content_type(path), expected, "{path}");
        }
    }

    #[test]
    fn compression_is_worth_it_for_text_only() {
        for path in ["a.html", "a.js", "a.svg", "a.json", "a.wasm", "a.xml", "a.webmanifest"] {
            assert!(is_compressible(content_type(path)), "{path}");
        }
        for path in ["a.png", "a.mp4", "a.woff2", "a.zip", "a.gz", "a.jpg", "a", "a.pdf"] {
            assert!(!is_compressible(content_type(path)), "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_path_has_a_type(path in "\\PC{0,40}") {
            prop_assert!(!content_type(&path).is_empty());
        }
    }
}
