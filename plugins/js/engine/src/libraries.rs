//! The standard library: npm packages, bundled by `vendor/build.mjs`, unpacked and compiled when an
//! app first asks for one.

use std::io::Read as _;
use std::sync::OnceLock;

/// The bundles as they are in the program.
const BUNDLES: [(&str, &[u8]); 7] = [
    ("lodash", include_bytes!("platform/vendor/libraries/lodash.js.br")),
    ("cheerio", include_bytes!("platform/vendor/libraries/cheerio.js.br")),
    ("uuid", include_bytes!("platform/vendor/libraries/uuid.js.br")),
    ("zod", include_bytes!("platform/vendor/libraries/zod.js.br")),
    ("marked", include_bytes!("platform/vendor/libraries/marked.js.br")),
    ("dayjs", include_bytes!("platform/vendor/libraries/dayjs.js.br")),
    ("validator", include_bytes!("platform/vendor/libraries/validator.js.br")),
];

/// What each exports, as the generator found it.
const INDEX: &str = include_str!("platform/vendor/libraries.json");

/// A bundle is no larger than this when unpacked.
const BUNDLE_BYTES_MAX: u64 = 4 << 20;

/// The bundle of a package.
pub(crate) fn find(name: &str) -> Option<&'static [u8]> {
    BUNDLES.iter().find(|(known, _)| *known == name).map(|(_, bundle)| *bundle)
}

/// Its CommonJS source as a function of `module`, `exports` and `require`.
pub(crate) fn source(name: &str) -> Option<String> {
    let mut text = String::from("(function(module,exports,require){");
    let unpacked = brotli::Decompressor::new(find(name)?, 4096);
    unpacked.take(BUNDLE_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.push_str("\n})");
    Some(text)
}

/// A module that exports what the package exports.
pub(crate) fn module_source(name: &str) -> Option<String> {
    find(name)?;
    let index = index();
    let library = index["libraries"].as_array()?.iter().find(|entry| entry["name"] == name)?;
    let mut text = format!(
        "const m = globalThis[Symbol.for(\"fazt.library\")]({name:?});\n\
         export default m.default ?? m;\n"
    );
    for (at, export) in library["exports"].as_array()?.iter().enumerate() {
        if let Some(export) = export.as_str() {
            let line = format!("const x{at} = m.{export}; export {{ x{at} as {export} }};\n");
            text.push_str(&line);
        }
    }
    Some(text)
}

fn index() -> &'static serde_json::Value {
    static READ: OnceLock<serde_json::Value> = OnceLock::new();
    READ.get_or_init(|| serde_json::from_str(INDEX).unwrap_or_default())
}
