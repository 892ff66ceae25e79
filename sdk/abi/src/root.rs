//! The root of a plugin: the one value that `abi_stable` checks, and that never changes.

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::prefix_type::PrefixTypeTrait as _;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RResult, RString};

use crate::error::{RawError, guard};
use crate::host::RawHost;
use crate::instance::RawInstance;

/// Where a plugin library says which ABI it speaks, before anything else of it is touched.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct AbiMark {
    /// [`AbiMark::MAGIC`].
    pub magic: [u8; 8],
    /// [`crate::ABI`] of the sdk that it was built against.
    pub abi: u32,
    /// 1 when the library unwinds on panic, 0 when it aborts.
    pub panic_unwind: u32,
    /// The sdk version, zero-padded.
    pub sdk: [u8; 32],
}

impl AbiMark {
    /// The first bytes of every mark.
    pub const MAGIC: [u8; 8] = *b"fazt-abi";

    /// The mark of a library that is being compiled now.
    #[must_use]
    pub const fn current() -> Self {
        let version = crate::SDK_VERSION.as_bytes();
        let mut sdk = [0; 32];
        let mut at = 0;
        while at < version.len() && at < sdk.len() {
            sdk[at] = version[at];
            at += 1;
        }
        Self {
            magic: Self::MAGIC,
            abi: crate::ABI,
            panic_unwind: cfg!(panic = "unwind") as u32,
            sdk,
        }
    }

    /// The sdk version as text.
    #[must_use]
    pub fn sdk_version(&self) -> &str {
        let end = self.sdk.iter().position(|byte| *byte == 0).unwrap_or(self.sdk.len());
        std::str::from_utf8(&self.sdk[..end]).unwrap_or("unreadable")
    }
}

/// Name of the exported [`AbiMark`].
pub const ABI_MARK_SYMBOL: &str = "FAZT_PLUGIN_ABI";

/// A pointer to an object and to its table, with the types left out: what the root passes.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct Opaque {
    data: *const (),
    table: *const (),
}

// SAFETY: an Opaque is only ever a RawHost or a RawInstance, both of which are Send and Sync.
unsafe impl Send for Opaque {}
// SAFETY: as above.
unsafe impl Sync for Opaque {}

impl From<RawHost> for Opaque {
    fn from(raw: RawHost) -> Self {
        // SAFETY: both are two pointers in this order, repr(C); the count moves along.
        unsafe { std::mem::transmute(raw) }
    }
}

impl From<RawInstance> for Opaque {
    fn from(raw: RawInstance) -> Self {
        // SAFETY: as above.
        unsafe { std::mem::transmute(raw) }
    }
}

impl Opaque {
    /// Takes it back as the host.
    ///
    /// # Safety
    /// It must have been made from a [`RawHost`].
    #[must_use]
    pub unsafe fn into_host(self) -> RawHost {
        // SAFETY: by the contract above.
        unsafe { std::mem::transmute(self) }
    }

    /// Takes it back as a started plugin.
    ///
    /// # Safety
    /// It must have been made from a [`RawInstance`].
    #[must_use]
    pub unsafe fn into_instance(self) -> RawInstance {
        // SAFETY: by the contract above.
        unsafe { std::mem::transmute(self) }
    }
}

/// The root of a plugin. Its fields never change; all growth is behind the opaque pointers.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRootRef)))]
#[sabi(missing_field(panic))]
pub struct PluginRoot {
    /// [`crate::ABI`] of the sdk that the plugin was built against.
    pub abi: u32,
    /// The oldest host ABI that the plugin can work with.
    pub min_host: u32,
    /// Whether panics unwind in the plugin; the host refuses those that abort.
    pub panic_unwind: bool,
    /// The manifest as JSON. Pure: no I/O, no state.
    pub describe: extern "C" fn() -> RResult<RString, RawError>,
    /// Starts the plugin on the host.
    pub start: extern "C" fn(Opaque) -> RResult<Opaque, RawError>,
    /// Entry point of a worker process that the plugin asked for; answers its exit code.
    #[sabi(last_prefix_field)]
    pub worker_main: extern "C" fn(i32) -> i32,
}

impl RootModule for PluginRootRef {
    abi_stable::declare_root_module_statics! {PluginRootRef}
    const BASE_NAME: &'static str = "fazt_plugin";
    const NAME: &'static str = "fazt_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

impl PluginRootRef {
    /// Starts the plugin on `host`.
    ///
    /// # Errors
    /// Whatever the plugin says stopped it.
    pub fn launch(self, host: RawHost) -> Result<RawInstance, RawError> {
        match self.start()(Opaque::from(host)) {
            // SAFETY: the sdk's `start` returns an Opaque made from a RawInstance.
            RResult::ROk(instance) => Ok(unsafe { instance.into_instance() }),
            RResult::RErr(error) => Err(error),
        }
    }
}

/// A plugin in terms of this crate; `fazt-sdk` implements it for every `Plugin`.
pub trait RawPlugin: 'static {
    /// The manifest as JSON.
    fn describe() -> RResult<RString, RawError>;
    /// Starts the plugin.
    fn start(host: RawHost) -> RResult<RawInstance, RawError>;
    /// Serves as a worker process on descriptor `channel`; answers the exit code.
    fn worker_main(channel: i32) -> i32;
}

/// The root of plugin `P`; the same whether it is compiled in or loaded.
#[must_use]
pub fn root_of<P: RawPlugin>() -> PluginRootRef {
    extern "C" fn describe<P: RawPlugin>() -> RResult<RString, RawError> {
        guard(P::describe)
    }
    extern "C" fn start<P: RawPlugin>(host: Opaque) -> RResult<Opaque, RawError> {
        // SAFETY: the host passes an Opaque made from a RawHost; see `PluginRootRef::launch`.
        let host = unsafe { host.into_host() };
        guard(move || P::start(host).map(Opaque::from))
    }
    extern "C" fn worker_main<P: RawPlugin>(channel: i32) -> i32 {
        // EX_SOFTWARE of sysexits.h: an internal software error.
        std::panic::catch_unwind(|| P::worker_main(channel)).unwrap_or(70)
    }
    PluginRoot {
        abi: crate::ABI,
        min_host: crate::ABI_MIN,
        panic_unwind: cfg!(panic = "unwind"),
        describe: describe::<P>,
        start: start::<P>,
        worker_main: worker_main::<P>,
    }
    .leak_into_prefix()
}

/// Exports the root of a plugin from a library: the mark, then the root that `abi_stable` finds.
#[macro_export]
macro_rules! export_root {
    ($plugin:ty) => {
        #[doc(hidden)]
        #[unsafe(export_name = "FAZT_PLUGIN_ABI")]
        pub static FAZT_PLUGIN_ABI: $crate::root::AbiMark = $crate::root::AbiMark::current();

        #[doc(hidden)]
        #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
        pub static FAZT_PLUGIN_ROOT: $crate::abi_stable::library::LibHeader = {
            extern "C" fn root() -> $crate::abi_stable::library::RootModuleResult {
                $crate::abi_stable::library::__call_root_module_loader(
                    $crate::root::root_of::<$plugin>,
                )
            }
            // SAFETY: `root` returns the root module of the type that is named here.
            unsafe {
                $crate::abi_stable::library::LibHeader::from_constructor::<
                    $crate::root::PluginRootRef,
                >(root, $crate::abi_stable::library::CheckTypeLayout::Yes)
            }
        };
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_exported_name_is_the_one_that_abi_stable_looks_for() {
        assert_eq!(
            abi_stable::library::ROOT_MODULE_LOADER_NAME,
            "_1as_0lib_1header_0root_bmodule_bloader"
        );
    }
}
