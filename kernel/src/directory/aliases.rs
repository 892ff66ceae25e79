//! Changes of aliases. All of them move pointers: no app and no file is touched.

use std::sync::Arc;

use fazt_sdk::{AppId, Error, Result};

use super::{ALIASES_MAX, Alias, Directory, Share, Stop, Target, label, now_ms, put_alias, store};
use crate::cartridge::WriteTx;

/// The fewest and the most apps of one split.
const SHARES: std::ops::RangeInclusive<usize> = 2..=10;

impl Directory {
    /// Adds an alias. Durable.
    ///
    /// # Errors
    /// `Invalid` for a name that is no label, `Conflict` for one that is taken, `NotFound` for an
    /// app that is not there.
    pub(crate) async fn add_alias(&self, name: &str, target: Target) -> Result<Alias> {
        self.lead(name, move |existing| match existing {
            Some(alias) => Err(taken(&alias.name)),
            None => Ok(target.clone()),
        })
        .await
    }

    /// Makes an alias lead to an app, whatever it led to before; adds it when it is not there.
    /// Durable.
    ///
    /// # Errors
    /// `Invalid` for a name that is no label, `NotFound` for an app that is not there.
    pub(crate) async fn link(&self, name: &str, app: AppId) -> Result<Alias> {
        self.lead(name, move |_| Ok(Target::App(app))).await
    }

    /// Keeps a name free. Durable. Reserving a reserved name changes nothing.
    ///
    /// # Errors
    /// `Invalid` for a name that is no label, `Conflict` for one that leads somewhere.
    pub(crate) async fn reserve(&self, name: &str) -> Result<Alias> {
        self.lead(name, |existing| match existing {
            Some(alias) if alias.target != Target::Reserved => Err(Error::conflict(format!(
                "the alias {0} leads somewhere, and reserving it would take that away; remove it first with `fazt alias remove {0}`",
                alias.name
            ))
            .with_code("ALIAS_TAKEN")),
            _ => Ok(Target::Reserved),
        })
        .await
    }

    /// Makes an alias lead each visitor to one of several apps, whatever it led to before; adds it
    /// when it is not there. Durable.
    ///
    /// # Errors
    /// `Invalid` for shares that do not add up or a name that is no label, `NotFound` for an app that
    /// is not there.
    pub(crate) async fn split(&self, name: &str, shares: Vec<Share>) -> Result<Alias> {
        let shares = checked(shares)?;
        self.lead(name, move |_| Ok(Target::Split(Arc::clone(&shares)))).await
    }

    /// Exchanges what two aliases lead to, in one write: nobody sees one half of it. Durable.
    ///
    /// # Errors
    /// `NotFound` when one is not there, `Invalid` when both are the same.
    pub(crate) async fn swap(&self, one: &str, other: &str) -> Result<[Alias; 2]> {
        if one == other {
            return Err(Error::invalid(format!("{one} and {other} are the same alias")));
        }
        let (one, other) = (one.to_owned(), other.to_owned());
        self.write(None, move |tx| {
            let mut first = store::alias(tx, &one)?.ok_or_else(|| missing(&one))?;
            let mut second = store::alias(tx, &other)?.ok_or_else(|| missing(&other))?;
            std::mem::swap(&mut first.target, &mut second.target);
            store::put_alias(tx, &first)?;
            store::put_alias(tx, &second)?;
            let swapped = [first, second];
            let changed = swapped.clone();
            Ok((
                swapped,
                Box::new(move |snapshot| {
                    changed.into_iter().for_each(|alias| put_alias(snapshot, alias));
                }),
            ))
        })
        .await
    }

    /// Removes an alias; with `only`, one that leads to that app. Durable.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name; `Denied` when it leads elsewhere.
    pub(crate) async fn remove_alias(&self, name: &str, only: Option<AppId>) -> Result<()> {
        let name = name.to_owned();
        self.write(None, move |tx| {
            let existing = store::alias(tx, &name)?;
            if let Some(app) = only
                && existing.as_ref().is_none_or(|alias| !alias.leads_to(app))
            {
                return Err(
                    Error::denied("a key for one app removes aliases of that app only").into()
                );
            }
            if !store::delete_alias(tx, &name)? {
                return Err(missing(&name).into());
            }
            let name = name.clone();
            Ok((
                (),
                Box::new(move |snapshot| {
                    Arc::make_mut(&mut snapshot.aliases).remove(&name);
                }),
            ))
        })
        .await
    }

    /// Makes the alias `name` lead where `decide` says, which sees what is there.
    async fn lead(
        &self,
        name: &str,
        decide: impl Fn(Option<&Alias>) -> Result<Target> + Send + 'static,
    ) -> Result<Alias> {
        label::check(name)?;
        let name = name.to_owned();
        self.write(None, move |tx| {
            let existing = store::alias(tx, &name)?;
            let target = decide(existing.as_ref())?;
            check_apps(tx, &target)?;
            let created_at_ms = match &existing {
                Some(alias) => alias.created_at_ms,
                None => {
                    super::refuse_past("aliases", store::aliases(tx)?, ALIASES_MAX)?;
                    now_ms(tx)
                }
            };
            let alias = Alias { name: name.clone(), target, created_at_ms };
            store::put_alias(tx, &alias)?;
            let changed = alias.clone();
            Ok((alias, Box::new(move |snapshot| put_alias(snapshot, changed))))
        })
        .await
    }
}

/// Refuses a target whose apps are not all there.
fn check_apps(tx: &WriteTx<'_>, target: &Target) -> Result<(), Stop> {
    let check = |id: AppId| match store::app(tx, id)? {
        Some(_) => Ok(()),
        None => Err(Stop::from(Error::not_found(format!("there is no app {id}")))),
    };
    match target {
        Target::App(id) => check(*id),
        Target::Split(shares) => shares.iter().try_for_each(|share| check(share.app)),
        Target::Redirect(_) | Target::Reserved => Ok(()),
    }
}

/// The shares, the heaviest first, if they make a split.
fn checked(mut shares: Vec<Share>) -> Result<Arc<[Share]>> {
    let wrong = |why: String| {
        Error::invalid(format!("{why}; write them as in --targets blog:90,blog-next:10"))
            .with_code("BAD_SPLIT")
    };
    if !SHARES.contains(&shares.len()) {
        let (least, most) = (SHARES.start(), SHARES.end());
        return Err(wrong(format!(
            "a split has {least} to {most} apps, and this one has {}",
            shares.len()
        )));
    }
    let sum: u32 = shares.iter().map(|share| u32::from(share.weight)).sum();
    if sum != 100 || shares.iter().any(|share| share.weight == 0) {
        return Err(wrong(format!(
            "the weights of a split are whole percent from 1 and add up to 100, and these make {sum}"
        )));
    }
    shares.sort_by_key(|share| (std::cmp::Reverse(share.weight), share.app));
    let mut apps: Vec<_> = shares.iter().map(|share| share.app).collect();
    apps.sort_unstable();
    if apps.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(wrong("an app stands in this split twice".to_owned()));
    }
    Ok(shares.into())
}

fn taken(name: &str) -> Error {
    Error::conflict(format!("the alias {name} is taken; see `fazt alias info {name}`"))
        .with_code("ALIAS_TAKEN")
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("there is no alias {name}; see `fazt alias list`"))
        .with_code("NO_SUCH_ALIAS")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn app(number: u8) -> AppId {
        AppId::from_key([b'a' + number; 12]).unwrap()
    }

    proptest! {
        #[test]
        fn shares_make_a_split_exactly_when_two_to_ten_apps_get_whole_percent_of_all(
            weights in prop::collection::vec(0_u8..=100, 0..13),
            twice: bool,
        ) {
            let mut shares: Vec<_> = (0..)
                .zip(&weights)
                .map(|(number, weight)| Share { app: app(number), weight: *weight })
                .collect();
            if twice && let [first, .., last] = shares.as_mut_slice() {
                last.app = first.app;
            }
            let sum: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
            let good = (2..=10).contains(&weights.len())
                && sum == 100
                && !weights.contains(&0)
                && !twice;
            match checked(shares) {
                Ok(split) => {
                    prop_assert!(good);
                    prop_assert!(split.is_sorted_by(|one, next| one.weight >= next.weight));
                }
                Err(error) => {
                    prop_assert!(!good);
                    prop_assert_eq!(error.code(), "BAD_SPLIT");
                }
            }
        }

        #[test]
        fn two_halves_are_always_a_split(weight in 1_u8..100) {
            let shares = vec![
                Share { app: app(0), weight },
                Share { app: app(1), weight: 100 - weight },
            ];
            prop_assert!(checked(shares).is_ok());
        }
    }
}
