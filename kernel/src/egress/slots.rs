//! How many requests run at a time: of one app, and of the node.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fazt_sdk::{AppId, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure;

/// The places of a node. Whoever finds none waits for its turn, within its own time.
#[derive(Debug)]
pub(super) struct Slots {
    node: Arc<Semaphore>,
    apps: Arc<Mutex<HashMap<Option<AppId>, Arc<Line>>>>,
    per_app: usize,
    waiting_max: usize,
}

/// The places of one app.
#[derive(Debug)]
struct Line {
    places: Arc<Semaphore>,
    /// Those that wait or run.
    inside: AtomicUsize,
}

/// A place. It is free again when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _of_app: OwnedSemaphorePermit,
    _of_node: OwnedSemaphorePermit,
    _inside: Inside,
}

/// Counts somebody in, and out when dropped; the last one takes the app's entry along.
#[derive(Debug)]
struct Inside {
    app: Option<AppId>,
    line: Arc<Line>,
    apps: Arc<Mutex<HashMap<Option<AppId>, Arc<Line>>>>,
}

impl Slots {
    /// `per_app` and `of_node` requests at a time, and `waiting_max` of each app that wait.
    pub(super) fn new(per_app: usize, of_node: usize, waiting_max: usize) -> Self {
        Self { node: Arc::new(Semaphore::new(of_node)), apps: Arc::default(), per_app, waiting_max }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// `Busy` when too many of the app wait already.
    pub(super) async fn enter(&self, app: Option<AppId>) -> Result<Slot> {
        let inside = self.count_in(app)?;
        let closed = |_| failure::too_many("the node is stopping");
        let of_app = Arc::clone(&inside.line.places).acquire_owned().await.map_err(closed)?;
        let of_node = Arc::clone(&self.node).acquire_owned().await.map_err(closed)?;
        Ok(Slot { _of_app: of_app, _of_node: of_node, _inside: inside })
    }

    fn count_in(&self, app: Option<AppId>) -> Result<Inside> {
        let mut apps = lock(&self.apps);
        let line = apps.entry(app).or_insert_with(|| {
            let places = Arc::new(Semaphore::new(self.per_app));
            Arc::new(Line { places, inside: AtomicUsize::new(0) })
        });
        let inside = line.inside.load(Ordering::Relaxed);
        if inside >= self.per_app + self.waiting_max {
            return Err(failure::too_many(format!(
                "{} requests of this app run or wait, which is the most at a time; `egress.requests_per_app` and `egress.waiting_per_app` are the bounds",
                inside
            )));
        }
        line.inside.fetch_add(1, Ordering::Relaxed);
        let line = Arc::clone(line);
        drop(apps);
        Ok(Inside { app, line, apps: Arc::clone(&self.apps) })
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mut apps = lock(&self.apps);
        if self.line.inside.fetch_sub(1, Ordering::Relaxed) == 1 {
            apps.remove(&self.app);
        }
    }
}

fn lock(
    apps: &Mutex<HashMap<Option<AppId>, Arc<Line>>>,
) -> MutexGuard<'_, HashMap<Option<AppId>, Arc<Line>>> {
    apps.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn app(number: u8) -> Option<AppId> {
        AppId::from_random(&[number; 64])
    }

    #[test]
    fn an_app_has_its_places_and_no_more() {
        let slots = Slots::new(2, 10, 1);
        let one = slots.enter(app(1)).now_or_never().unwrap().unwrap();
        let _two = slots.enter(app(1)).now_or_never().unwrap().unwrap();
        let mut third = Box::pin(slots.enter(app(1)));
        assert!(third.as_mut().now_or_never().is_none(), "the third waits");
        let fourth = slots.enter(app(1)).now_or_never().unwrap();
        assert_eq!(fourth.unwrap_err().code(), "NET_LIMIT");
        assert!(slots.enter(app(2)).now_or_never().is_some(), "another app has its own");
        drop(one);
        assert!(third.now_or_never().unwrap().is_ok());
    }

    #[test]
    fn the_node_has_its_places_too_and_nothing_stays_behind() {
        let slots = Slots::new(5, 2, 5);
        let one = slots.enter(app(1)).now_or_never().unwrap().unwrap();
        let two = slots.enter(app(2)).now_or_never().unwrap().unwrap();
        assert!(slots.enter(app(3)).now_or_never().is_none());
        drop((one, two));
        assert!(lock(&slots.apps).is_empty());
    }
}
