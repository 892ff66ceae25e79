//! A path is decoded once, and what comes out has no second meaning.
#![no_main]

use fazt_hosting::resolve::{Resolution, Routing, Viewer, redirect_location, resolve};
use fazt_hosting::visibility::{Layout, Visibility};
use fazt_kernel::edge::canonical::path;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    let Ok(decoded) = path(raw) else { return };
    assert!(decoded.starts_with('/'));
    assert!(!decoded.split('/').any(|segment| matches!(segment, "." | "..")));
    assert!(!decoded.contains(|c: char| c == '\\' || c.is_control()));
    // Every path names a file here, so whatever is answered follows from its visibility.
    let lookup = |name: &str| Some((Visibility::of(name, Layout::default()), name.to_owned()));
    if let Resolution::File(name) = resolve(&decoded, Routing::Files, Viewer::Anonymous, lookup) {
        assert_eq!(Visibility::of(&name, Layout::default()), Visibility::Public);
    }
    let location = redirect_location(&decoded, None, true);
    assert!(location.starts_with('/') && !location.starts_with("//"));
    assert!(location.bytes().all(|byte| byte.is_ascii_graphic()));
});
