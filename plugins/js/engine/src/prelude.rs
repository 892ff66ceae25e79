//! The platform's own JavaScript: its sources, and its bytecode once a cell has compiled it.

use crate::raw;
use rquickjs::{Context, Ctx, Module, Result, Runtime, module::Declared};
use std::collections::HashMap;

/// The bytecode of each part by its name. Empty: realms compile from source.
#[derive(Debug, Default)]
pub(crate) struct Prelude {
    parts: HashMap<String, Vec<u8>>,
}

/// The part that every realm starts with: one module out of these files, in this order.
const CORE: [&str; 8] = [
    include_str!("platform/base.js"),
    include_str!("platform/events.js"),
    include_str!("platform/headers.js"),
    include_str!("platform/url.js"),
    include_str!("platform/fetch.js"),
    include_str!("platform/bindings.js"),
    include_str!("platform/serve.js"),
    include_str!("platform/globals.js"),
];

/// The parts that are loaded when an app first asks for what is in them.
const PARTS: [(&str, &str); 8] = [
    ("fazt:platform/parts", include_str!("platform/parts.js")),
    ("fazt:platform/streams", include_str!("platform/streams.js")),
    ("fazt:platform/crypto", include_str!("platform/crypto.js")),
    ("fazt:platform/classic", include_str!("platform/classic.js")),
    ("fazt:platform/libraries", include_str!("platform/libraries.js")),
    ("fazt:platform/urlpattern", include_str!("platform/urlpattern.js")),
    ("fazt:vendor/streams", include_str!("platform/vendor/streams.js")),
    ("fazt:vendor/urlpattern", include_str!("platform/vendor/urlpattern.js")),
];

/// The name of the first part.
pub(crate) const CORE_NAME: &str = "fazt:platform";

/// TypeScript's types are taken out by this part, in a runtime of its own.
pub(crate) const TYPESCRIPT: (&str, &str) =
    ("fazt:vendor/typescript", include_str!("platform/vendor/typescript.js"));

impl Prelude {
    /// Compiles all parts.
    pub(crate) fn compile() -> Result<Self> {
        let runtime = Runtime::new()?;
        runtime.set_loader(Anything, Anything);
        let context = Context::full(&runtime)?;
        context.with(|ctx| {
            let mut parts = HashMap::new();
            let core = CORE.concat();
            for (name, source) in PARTS.into_iter().chain([(CORE_NAME, core.as_str())]) {
                let module = raw::compile(&ctx, name, source, raw::Goal::Module)?;
                parts.insert(name.to_owned(), raw::write(&ctx, &module, false)?);
            }
            Ok(Self { parts })
        })
    }

    /// One text of bytes, for a frame.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut names: Vec<_> = self.parts.iter().collect();
        names.sort();
        let mut out = MARK.to_vec();
        for (name, bytecode) in names {
            for field in [name.as_bytes(), bytecode] {
                out.extend_from_slice(
                    &u32::try_from(field.len()).unwrap_or_default().to_le_bytes(),
                );
                out.extend_from_slice(field);
            }
        }
        out
    }

    /// Reads what [`Self::to_bytes`] wrote; empty when another version of the engine wrote it.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
            let (length, after) = rest.split_first_chunk()?;
            let (taken, after) =
                after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            *rest = after;
            Some(taken)
        }
        let mut rest = bytes.strip_prefix(MARK)?;
        let mut parts = HashMap::new();
        while !rest.is_empty() {
            let name = std::str::from_utf8(field(&mut rest)?).ok()?.to_owned();
            parts.insert(name, field(&mut rest)?.to_vec());
        }
        Some(Self { parts })
    }

    /// A part as a module, from bytecode if it is there; `None` when there is no such part.
    pub(crate) fn module<'js>(
        &self,
        ctx: &Ctx<'js>,
        name: &str,
    ) -> Option<Result<Module<'js, Declared>>> {
        if let Some(bytecode) = self.parts.get(name) {
            return Some(raw::read_module(ctx, bytecode));
        }
        if name == CORE_NAME {
            return Some(Module::declare(ctx.clone(), name, CORE.concat()));
        }
        let (_, source) =
            PARTS.into_iter().chain([TYPESCRIPT]).find(|(known, _)| *known == name)?;
        Some(Module::declare(ctx.clone(), name, source))
    }
}

/// Says which engine wrote the bytecode: bytecode of another interpreter must not be read.
const MARK: &[u8] =
    concat!("fazt-js-engine ", env!("CARGO_PKG_VERSION"), " rquickjs-0.14 1\n").as_bytes();

/// Answers every import with an empty module: compiling needs no more.
pub(crate) struct Anything;

impl rquickjs::loader::Resolver for Anything {
    fn resolve<'js>(
        &mut self,
        _: &Ctx<'js>,
        _: &str,
        name: &str,
        _: Option<rquickjs::loader::ImportAttributes<'js>>,
    ) -> Result<String> {
        Ok(name.to_owned())
    }
}

impl rquickjs::loader::Loader for Anything {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _: Option<rquickjs::loader::ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        Module::declare(ctx.clone(), name, "")
    }
}
