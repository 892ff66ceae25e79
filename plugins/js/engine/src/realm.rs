//! A realm: the globals that scripts see, and the functions through which the engine calls in.

use crate::native;
use crate::prelude::CORE_NAME;
use crate::shared::{RealmId, Shared};
use rquickjs::{Context, Ctx, Error, Function, Object, Persistent, Result, Runtime};
use std::rc::Rc;

/// A realm is set up as one of these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    /// For modules: calls answer promises.
    Module,
    /// For one run of a classic script: calls block.
    Classic,
}

/// A function of the platform's JavaScript.
pub(crate) type Entry = Persistent<Function<'static>>;

/// The ways in.
pub(crate) struct Doors {
    pub(crate) begin: Entry,
    pub(crate) settle: Entry,
    pub(crate) refuse: Entry,
    pub(crate) fire: Entry,
    pub(crate) credit: Entry,
    pub(crate) chunk: Entry,
    pub(crate) cancel: Entry,
    pub(crate) forget: Entry,
    pub(crate) begin_work: Entry,
}

pub(crate) struct Realm {
    // Before the context: what is saved must not outlive it.
    pub(crate) doors: Doors,
    pub(crate) context: Context,
    pub(crate) id: RealmId,
    pub(crate) manner: Manner,
    /// Requests in it.
    pub(crate) live: usize,
    /// Whose they are. Requests of different users never are in one realm at the same time.
    pub(crate) user: String,
    /// Something was cut off in the middle of it: it takes nothing new.
    pub(crate) spoiled: bool,
}

impl Realm {
    /// Sets a realm up.
    pub(crate) fn new(
        runtime: &Runtime,
        shared: &Rc<Shared>,
        id: RealmId,
        manner: Manner,
    ) -> Result<Self> {
        let context = Context::full(runtime)?;
        shared.turn.realm.set(id);
        let doors = context.with(|ctx| doors(&ctx, shared, manner))?;
        Ok(Self { doors, context, id, manner, live: 0, user: String::new(), spoiled: false })
    }
}

fn doors(ctx: &Ctx<'_>, shared: &Rc<Shared>, manner: Manner) -> Result<Doors> {
    let init = shared.setup.prelude.script(ctx, CORE_NAME).unwrap_or(Err(Error::Unknown))?;
    let settings: Object<'_> =
        ctx.json_parse(shared.setup.facts.as_str())?.into_object().ok_or(Error::Unknown)?;
    let classic = manner == Manner::Classic;
    settings.set("classic", classic)?;
    settings.set("blocking", classic)?;
    let made: Object<'_> = init.call((native::door(ctx, shared, manner)?, settings))?;
    for (name, source) in &shared.setup.scripts {
        run_script(ctx, shared, name, source);
    }
    if classic {
        let warm: Function<'_> = made.get("warm")?;
        for (kind, name) in shared.known.learnt() {
            if warm.call::<_, ()>((kind, name)).is_err() {
                // It fails again for the script that asks, which is told.
                drop(ctx.catch());
            }
        }
    }
    let entry = |name: &str| -> Result<Entry> {
        Ok(Persistent::save(ctx, made.get::<_, Function<'_>>(name)?))
    };
    Ok(Doors {
        begin: entry(if classic { "beginClassic" } else { "begin" })?,
        settle: entry("settle")?,
        refuse: entry("refuse")?,
        fire: entry("fire")?,
        credit: entry("credit")?,
        chunk: entry("chunk")?,
        cancel: entry("cancel")?,
        forget: entry("forget")?,
        begin_work: entry(if classic { "beginClassicWork" } else { "beginWork" })?,
    })
}

/// Runs a plugin's script; what it throws is logged, and the realm goes on without it.
fn run_script(ctx: &Ctx<'_>, shared: &Shared, name: &str, source: &str) {
    let code = shared.setup.compiled(&format!("script {name}"), || {
        let compiled = crate::raw::compile(
            ctx,
            &format!("fazt:platform/script/{name}"),
            source,
            crate::raw::Goal::Script,
        )?;
        crate::raw::write(ctx, &compiled, false)
    });
    let ran = code.and_then(|code| crate::raw::run(ctx, crate::raw::read(ctx, &code)?));
    if ran.is_err() {
        let text = crate::raw::text(&ctx.catch()).unwrap_or_default();
        shared.log(crate::protocol::Level::Error, &format!("the script of {name}: {text}"));
    }
}
