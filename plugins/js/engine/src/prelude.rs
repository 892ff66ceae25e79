//! The platform's own JavaScript: its sources, and its bytecode once a cell has compiled it.

use crate::raw;
use rquickjs::{Context, Ctx, Function, Module, Result, Runtime, module::Declared};
use std::collections::HashMap;

/// The bytecode of each part by its name. Empty: realms compile from source.
#[derive(Debug, Default)]
pub(crate) struct Prelude {
    parts: HashMap<String, Vec<u8>>,
}

/// The part that every realm starts with: one script out of these files, in this order.
const CORE: [&str; 4] = [
    include_str!("platform/base.js"),
    include_str!("platform/bindings.js"),
    include_str!("platform/work.js"),
    include_str!("platform/globals.js"),
];

/// The classes of the web platform: one script out of these files, in this order.
const WEB: [&str; 7] = [
    include_str!("platform/encoding.js"),
    include_str!("platform/events.js"),
    include_str!("platform/headers.js"),
    include_str!("platform/url.js"),
    include_str!("platform/fetch.js"),
    include_str!("platform/serve.js"),
    include_str!("platform/web.js"),
];

/// What they take from the first part.
const WEB_NEEDS: &str = "TOKEN, S, need, scalar, bytesOf, expose, tagged, joined, inspect, headerName, \
    headerValue, stringify, parse, PromiseResolve, indexOf, callSync, forgetTimers, fail, outcome, makeJob";

/// The name of that part.
const WEB_NAME: &str = "fazt:platform/web";

/// The name of the part that every realm starts with.
pub(crate) const CORE_NAME: &str = "fazt:platform";

/// Parts that import nothing. They are scripts, whose evaluation costs a fraction of a module's, and
/// a classic script has a realm for each request.
const SCRIPTS: [(&str, &str); 4] = [
    ("fazt:platform/parts", include_str!("platform/parts.js")),
    ("fazt:platform/crypto", include_str!("platform/crypto.js")),
    ("fazt:platform/classic", include_str!("platform/classic.js")),
    ("fazt:platform/libraries", include_str!("platform/libraries.js")),
];

/// Parts that are modules.
const MODULES: [(&str, &str); 4] = [
    ("fazt:platform/streams", include_str!("platform/streams.js")),
    ("fazt:platform/urlpattern", include_str!("platform/urlpattern.js")),
    ("fazt:vendor/streams", include_str!("platform/vendor/streams.js")),
    ("fazt:vendor/urlpattern", include_str!("platform/vendor/urlpattern.js")),
];

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
            for (name, source) in MODULES {
                let module = raw::compile(&ctx, name, source, raw::Goal::Module)?;
                parts.insert(name.to_owned(), raw::write(&ctx, &module, false)?);
            }
            for name in SCRIPTS.map(|(name, _)| name).into_iter().chain([CORE_NAME, WEB_NAME]) {
                let source = script_source(name).unwrap_or_default();
                let script = raw::compile(&ctx, name, &source, raw::Goal::Script)?;
                parts.insert(name.to_owned(), raw::write(&ctx, &script, false)?);
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
        let mut modules = MODULES.into_iter().chain([TYPESCRIPT]);
        let (_, source) = modules.find(|(known, _)| *known == name)?;
        Some(Module::declare(ctx.clone(), name, source))
    }

    /// The `init` of a part that is a script; `None` when there is no such part.
    pub(crate) fn script<'js>(&self, ctx: &Ctx<'js>, name: &str) -> Option<Result<Function<'js>>> {
        let known = SCRIPTS.iter().map(|(known, _)| *known).chain([CORE_NAME, WEB_NAME]);
        if !known.into_iter().any(|known| known == name) {
            return None;
        }
        let compiled = match self.parts.get(name) {
            Some(bytecode) => raw::read(ctx, bytecode),
            None => raw::compile(ctx, name, &script_source(name)?, raw::Goal::Script),
        };
        let init = compiled.and_then(|compiled| raw::run(ctx, compiled));
        Some(init.and_then(|init| init.into_function().ok_or(rquickjs::Error::Unknown)))
    }
}

/// The source of a part as a script whose value is its `init`.
fn script_source(name: &str) -> Option<String> {
    let source = if name == CORE_NAME {
        CORE.concat()
    } else if name == WEB_NAME {
        let files = WEB.concat();
        format!("function init($, native, config) {{ const {{ {WEB_NEEDS} }} = $.kit;\n{files}}}")
    } else {
        SCRIPTS.into_iter().find(|(known, _)| *known == name)?.1.to_owned()
    };
    let source = source.replace("export function init(", "function init(");
    Some(format!("(() => {{ \"use strict\";\n{source}\nreturn init;\n}})()"))
}

/// Says which engine wrote the bytecode: bytecode of another interpreter must not be read.
const MARK: &[u8] =
    concat!("fazt-js-engine ", env!("CARGO_PKG_VERSION"), " rquickjs-0.14 3\n").as_bytes();

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
