//! The interpreter of classic scripts. Each script runs in a realm as new: the interpreter's memory is
//! put back after it ([`Arena`]), with its globals, its libraries, its queue, and whatever it left
//! behind.
//!
//! What scripts asked for once (libraries, required files, parts of the platform) is there from the
//! beginning afterwards: the image is made anew with it.

use crate::arena::{Arena, Blocks};
use crate::native::compile_classic;
use crate::protocol::Style;
use crate::raw;
use crate::realm::{Manner, Realm};
use crate::shared::{RealmId, Shared};
use crate::world::configure;
use rquickjs::{Ctx, Persistent, Result, Runtime, Value};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// The number of a realm that belongs to no request.
pub(crate) const NO_REALM: RealmId = RealmId::MAX;

pub(crate) struct Pristine {
    runtime: Runtime,
    arena: Rc<Arena>,
    shared: Rc<Shared>,
    /// A script ran in it since the image was put back.
    is_used: bool,
    /// How much was learnt when the image was made.
    knows: usize,
}

/// What classic scripts have in common that is not in their realm.
#[derive(Default)]
pub(crate) struct Known {
    /// What they asked for: kind and name.
    learnt: RefCell<BTreeSet<(&'static str, String)>>,
    /// Compiled entries in the realm's image, by path: how they were compiled, and the code.
    entries: RefCell<HashMap<String, (u8, Persistent<Value<'static>>)>>,
}

impl Known {
    /// Something that is worth having from the beginning.
    pub(crate) fn learn(&self, kind: &'static str, name: &str) {
        let mut learnt = self.learnt.borrow_mut();
        if !learnt.iter().any(|(known, of)| *known == kind && of == name) {
            learnt.insert((kind, name.to_owned()));
        }
    }

    /// All of it.
    pub(crate) fn learnt(&self) -> Vec<(&'static str, String)> {
        self.learnt.borrow().iter().cloned().collect()
    }

    fn count(&self) -> usize {
        self.learnt.borrow().len()
    }

    /// An entry that is compiled already.
    pub(crate) fn entry<'js>(&self, ctx: &Ctx<'js>, path: &str) -> Option<(u8, Value<'js>)> {
        let (form, code) = self.entries.borrow().get(path).cloned()?;
        // Modules of the same app may run a script of the same name; their interpreter is another.
        Some((form, code.restore(ctx).ok()?))
    }
}

impl Pristine {
    /// Sets the interpreter up, with a realm, and remembers what it is like.
    pub(crate) fn new(shared: &Rc<Shared>, id: RealmId) -> Result<(Self, Realm)> {
        let limit = usize::try_from(shared.setup.limits.memory_bytes).unwrap_or(usize::MAX);
        let arena = Arena::new(limit.saturating_add(limit / 4));
        let runtime = Runtime::new_with_alloc(Blocks(Rc::clone(&arena)))?;
        configure(&runtime, shared);
        let realm = Realm::new(&runtime, shared, id, Manner::Classic)?;
        // From here on `pristine` goes after `realm`, and takes with it what it keeps of the runtime.
        let mut pristine =
            Self { runtime, arena, shared: Rc::clone(shared), is_used: true, knows: 0 };
        realm.context.with(|ctx| compile_entries(&ctx, shared));
        pristine.runtime.run_gc();
        pristine.arena.take_image();
        pristine.knows = shared.known.count();
        Ok((pristine, realm))
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Whether it has to be put back, or made anew, before the next script.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_used || self.is_outgrown()
    }

    /// Whether something was learnt since the image was made.
    pub(crate) fn is_outgrown(&self) -> bool {
        self.shared.known.count() > self.knows
    }

    /// A script runs in it from now on.
    pub(crate) fn spend(&mut self) {
        self.is_used = true;
    }

    /// Makes it as new. Nothing runs in it.
    pub(crate) fn put_back(&mut self) {
        if self.is_used {
            self.arena.put_back();
            self.is_used = false;
        }
    }
}

impl Drop for Pristine {
    fn drop(&mut self) {
        // Values must not outlive their runtime.
        self.shared.known.entries.borrow_mut().clear();
    }
}

/// Compiles the entries in the realm, so that a request finds them there. What cannot be compiled
/// says so when it is asked for.
fn compile_entries(ctx: &Ctx<'_>, shared: &Shared) {
    let setup = &shared.setup;
    for ((path, _), style) in setup.entries.iter().zip(&setup.styles) {
        if !matches!(style, Style::Classic | Style::Root) {
            continue;
        }
        let Some(file) = setup.files.get(path) else { continue };
        let compiled = compile_classic(ctx, path, &file.source)
            .and_then(|(form, code)| Ok((form, raw::read(ctx, &code)?)));
        match compiled {
            Ok((form, code)) => {
                let kept = (form, Persistent::save(ctx, code));
                shared.known.entries.borrow_mut().insert(path.clone(), kept);
            }
            Err(_) => drop(ctx.catch()),
        }
    }
}
