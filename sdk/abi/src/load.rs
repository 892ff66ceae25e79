//! Opening a plugin library: the mark first, then the root.
//!
//! A library is never unloaded: its code may be on a stack, its statics in a queue. Compiled out
//! where the process is linked statically, because such a process would crash instead of refusing.
#![cfg(not(target_feature = "crt-static"))]

use std::path::Path;

use abi_stable::library::{RawLibrary, RootModule as _, lib_header_from_raw_library};

use crate::root::{ABI_MARK_SYMBOL, AbiMark, PluginRootRef};

/// Opens the library at `path` and returns its root.
///
/// Runs the library's constructors, if it has any: native plugins are trusted code.
///
/// # Errors
/// One sentence that says why it is refused.
pub fn open(path: &Path) -> Result<PluginRootRef, String> {
    let library = RawLibrary::load_at(path).map_err(|error| {
        format!("the system cannot load it: {}", linker_reason(&error.to_string()))
    })?;
    // From here on the library stays mapped, also when it is refused.
    let library: &'static RawLibrary = Box::leak(Box::new(library));
    let mark = {
        // SAFETY: the symbol is a static of type AbiMark in every library that exports it; its
        // magic is checked before the rest is believed, and it has had this layout since ABI 0.
        let symbol = unsafe { library.get::<*const AbiMark>(ABI_MARK_SYMBOL.as_bytes()) };
        let symbol = symbol.map_err(|_| "it is no fazt plugin: it does not export FAZT_PLUGIN_ABI (is `export_plugin!` missing?)".to_owned())?;
        // SAFETY: as above; the address is that of a static in a library that stays mapped.
        unsafe { **symbol }
    };
    check(&mark)?;
    // SAFETY: the header lives in the library, which is leaked above.
    let header = unsafe { lib_header_from_raw_library(library) }
        .map_err(|error| format!("its root cannot be read: {}", first_line(&error.to_string())))?;
    let root = header.init_root_module::<PluginRootRef>().map_err(|error| {
        format!("its root has another layout: {}", first_line(&error.to_string()))
    })?;
    root.initialization()
        .map_err(|error| format!("its root does not start: {}", first_line(&error.to_string())))
}

/// Whether this process can work with a library of that mark.
///
/// # Errors
/// One sentence that says why not.
pub fn check(mark: &AbiMark) -> Result<(), String> {
    if mark.magic != AbiMark::MAGIC {
        return Err("its FAZT_PLUGIN_ABI is not the mark of a fazt plugin".to_owned());
    }
    if mark.abi != crate::ABI {
        return Err(format!(
            "it speaks plugin ABI {}, this fazt speaks {}; build it against fazt-sdk {}",
            mark.abi,
            crate::ABI,
            crate::SDK_VERSION
        ));
    }
    if crate::ABI == 0 && mark.sdk_version() != crate::SDK_VERSION {
        return Err(format!(
            "it was built against fazt-sdk {}, this fazt needs {}; build it again",
            mark.sdk_version(),
            crate::SDK_VERSION
        ));
    }
    if mark.panic_unwind != 1 {
        return Err("it was built with panic = \"abort\", so one panic would end the node; build it with panic = \"unwind\"".to_owned());
    }
    Ok(())
}

/// What the dynamic linker said, without the name of the memory file that it was given.
fn linker_reason(text: &str) -> String {
    let last =
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given");
    match last.split_once(": ") {
        Some((file, reason)) if file.starts_with('/') => reason.to_owned(),
        _ => last.to_owned(),
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("no reason given")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_names_no_memory_file() {
        let text = "\nCould not open library at:\n\t/proc/self/fd/9\nBecause:\n\t/proc/self/fd/9: file too short\n";
        assert_eq!(linker_reason(text), "file too short");
        assert_eq!(linker_reason(""), "no reason given");
    }

    #[test]
    fn only_the_same_abi_and_an_unwinding_build_pass() {
        let good = AbiMark::current();
        assert_eq!(check(&good), Ok(()));
        assert!(check(&AbiMark { abi: 7, ..good }).unwrap_err().contains("ABI 7"));
        assert!(check(&AbiMark { panic_unwind: 0, ..good }).unwrap_err().contains("abort"));
        assert!(check(&AbiMark { magic: *b"no-magic", ..good }).is_err());
        assert!(check(&AbiMark { sdk: [b'9'; 32], ..good }).unwrap_err().contains("built against"));
    }
}
