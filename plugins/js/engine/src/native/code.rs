//! The app's files as code: classic scripts, required files, parts of the platform, libraries.

use super::functions;
use crate::libraries;
use crate::problem::{ASYNC_PREFIX, BODY_PREFIX, REQUIRED_PREFIX, prefixed_name};
use crate::raw::{self, Goal};
use crate::realm::Manner;
use crate::setup::Setup;
use crate::shared::Shared;
use rquickjs::{Array, Ctx, Exception, Function, Object, Result, Value};
use std::rc::Rc;

pub(super) fn install<'js>(
    ctx: &Ctx<'js>,
    door: &Object<'js>,
    shared: &Rc<Shared>,
    manner: Manner,
) -> Result<()> {
    let with = || Rc::clone(&shared.setup);
    // What a classic script asks for, the next one has from the beginning.
    let learner = || {
        let shared = Rc::clone(shared);
        move |kind: &'static str, name: &str| {
            if manner == Manner::Classic {
                shared.known.learn(kind, name);
            }
        }
    };
    functions!(ctx, door, {
        "part" => {
            let (setup, learn) = (with(), learner());
            move |ctx: Ctx<'js>, name: String| {
                let init = part(&ctx, &setup, &name)?;
                learn("part", &name);
                Ok::<_, rquickjs::Error>(init)
            }
        },
        "hasFile" => {
            let setup = with();
            move |path: String| setup.files.contains_key(&path)
        },
        "readFile" => {
            let setup = with();
            move |path: String| setup.files.get(&path).map(|file| file.source.clone())
        },
        "wrapped" => {
            let (setup, learn) = (with(), learner());
            move |ctx: Ctx<'js>, path: String| {
                let source = file(&ctx, &setup, &path)?;
                let name = prefixed_name(&path, REQUIRED_PREFIX);
                let code = setup.compiled(&format!("require {path}"), || {
                    let whole = format!("{REQUIRED_PREFIX}{source}\n}})");
                    let compiled = raw::compile(&ctx, &name, &whole, Goal::Script)?;
                    raw::write(&ctx, &compiled, true)
                })?;
                learn("file", &path);
                raw::run(&ctx, raw::read(&ctx, &code)?)
            }
        },
        "runClassic" => {
            let shared = Rc::clone(shared);
            move |ctx: Ctx<'js>, path: String, end: Function<'js>| {
                run_classic(&ctx, &shared, &path, end)
            }
        },
        "hasLibrary" => |name: String| libraries::find(&name).is_some(),
        "library" => {
            let (setup, learn) = (with(), learner());
            move |ctx: Ctx<'js>, name: String| {
                let code = setup.compiled(&format!("library {name}"), || {
                    let source = libraries::source(&name).unwrap_or_default();
                    let file = format!("fazt:vendor/{name}");
                    let compiled = raw::compile(&ctx, &file, &source, Goal::Script)?;
                    raw::write(&ctx, &compiled, false)
                })?;
                learn("library", &name);
                raw::run(&ctx, raw::read(&ctx, &code)?)
            }
        },
    });
    Ok(())
}

fn file<'s>(ctx: &Ctx<'_>, setup: &'s Setup, path: &str) -> Result<&'s str> {
    match setup.files.get(path) {
        Some(file) => Ok(&file.source),
        None => Err(Exception::throw_reference(ctx, &format!("there is no file {path}"))),
    }
}

/// Evaluates a part of the platform in this realm and answers its `init`.
fn part<'js>(ctx: &Ctx<'js>, setup: &Setup, name: &str) -> Result<Function<'js>> {
    let name = format!("fazt:platform/{name}");
    if let Some(init) = setup.prelude.script(ctx, &name) {
        return init;
    }
    let Some(module) = setup.prelude.module(ctx, &name) else {
        return Err(Exception::throw_reference(ctx, &name));
    };
    // No part awaits at its top level: it has run when this returns.
    let (module, promise) = module?.eval()?;
    if let Some(Err(error)) = promise.result::<Value<'js>>() {
        return Err(error);
    }
    module.namespace()?.get("init")
}

/// How a classic script was compiled.
#[derive(Clone, Copy)]
enum Form {
    /// As a script: its completion value counts.
    Script,
    /// As the body of a function: it has a `return` outside of functions.
    Body,
    /// The same with an `await`.
    AsyncBody,
}

impl Form {
    fn key(self, path: &str) -> String {
        format!("classic {} {path}", self as u8)
    }

    fn name(self, path: &str) -> String {
        match self {
            Self::Script => path.to_owned(),
            Self::Body => prefixed_name(path, BODY_PREFIX),
            Self::AsyncBody => prefixed_name(path, ASYNC_PREFIX),
        }
    }

    fn source(self, source: &str) -> String {
        let prefix = match self {
            Self::Script => return source.to_owned(),
            Self::Body => BODY_PREFIX,
            Self::AsyncBody => ASYNC_PREFIX,
        };
        let end = "return __fazt_end(typeof handler===\"function\"?handler:undefined)";
        format!("{prefix}{source}\n;{end}\n}})")
    }
}

/// Compiles a classic script in the first form that fits it. The error of the first form is the
/// one to show: it is about the source as it stands.
pub(crate) fn compile_classic(ctx: &Ctx<'_>, path: &str, source: &str) -> Result<(u8, Vec<u8>)> {
    let mut shown = None;
    for form in [Form::Script, Form::Body, Form::AsyncBody] {
        match raw::compile(ctx, &form.name(path), &form.source(source), Goal::Script) {
            Ok(compiled) => return Ok((form as u8, raw::write(ctx, &compiled, true)?)),
            Err(_) => {
                let error = ctx.catch();
                shown.get_or_insert(error);
            }
        }
    }
    Err(match shown {
        Some(error) => ctx.throw(error),
        None => rquickjs::Error::Unknown,
    })
}

/// Runs a classic script: `[form, completion value or what it returned]`.
fn run_classic<'js>(
    ctx: &Ctx<'js>,
    shared: &Shared,
    path: &str,
    end: Function<'js>,
) -> Result<Array<'js>> {
    let (form, code) = match shared.known.entry(ctx, path) {
        Some(known) => known,
        None => compiled_classic(ctx, &shared.setup, path)?,
    };
    let ran = raw::run(ctx, code)?;
    let value = match ran.clone().into_function().filter(|_| form != Form::Script as u8) {
        Some(body) => body.call((end,))?,
        None => ran,
    };
    let made = Array::new(ctx.clone())?;
    made.set(0, form)?;
    made.set(1, value)?;
    Ok(made)
}

/// The code of a classic script, compiled once in a cell.
fn compiled_classic<'js>(ctx: &Ctx<'js>, setup: &Setup, path: &str) -> Result<(u8, Value<'js>)> {
    let known = [Form::Script, Form::Body, Form::AsyncBody].into_iter().find_map(|form| {
        let compiled = setup.compiled.borrow();
        compiled.get(&form.key(path)).map(|code| (form as u8, Rc::clone(code)))
    });
    let (form, code) = match known {
        Some(known) => known,
        None => {
            let (form, code) = compile_classic(ctx, path, file(ctx, setup, path)?)?;
            let key = format!("classic {form} {path}");
            (form, setup.compiled::<rquickjs::Error>(&key, || Ok(code))?)
        }
    };
    Ok((form, raw::read(ctx, &code)?))
}
