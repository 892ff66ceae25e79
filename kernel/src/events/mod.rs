//! Events: published ones to those who listen now, emitted ones through the log.
//!
//! Each listener has a bounded queue of its own and is served in batches by one task, so a slow
//! listener delays nobody. A follower reads the cartridge's event log from its own cursor.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use abi_stable::std_types::{RResult, RVec};
use arc_swap::ArcSwap;
use bytes::Bytes;
use fazt_abi::bytes::RawBytes;
use fazt_abi::instance::RawInstance;
use fazt_sdk::event::RequestFinished;
use fazt_sdk::{Error, Event as _, Result};
use tokio::sync::mpsc;

use crate::cartridge::{Cartridge, Owner};
use crate::registry::gate::Gate;
use crate::tasks::Tasks;
use crate::telemetry::Telemetry;

/// Events that may wait for one listener.
const LISTENER_QUEUE_EVENTS: usize = 4_096;
/// Events in one batch.
const BATCH_EVENTS: usize = 256;
/// How far a follower's cursor may lie behind what it has looked at, in events.
const CURSOR_LAG_MAX: i64 = 1_000;
/// How long a listener's batch may fill after its first event.
const BATCH_WAIT: Duration = Duration::from_millis(50);

#[derive(Debug, Clone)]
struct Listener {
    plugin: Arc<str>,
    queue: mpsc::Sender<Bytes>,
}

/// Where events go.
#[derive(Debug)]
pub(crate) struct Events {
    cartridge: Cartridge,
    telemetry: Arc<Telemetry>,
    listeners: ArcSwap<HashMap<String, Vec<Listener>>>,
    changing: Mutex<()>,
    /// Listeners to the kernel's own request event, so that the edge can skip making it.
    request_listeners: AtomicUsize,
}

/// One subscription of a plugin that was just started.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    pub(crate) plugin: Arc<str>,
    pub(crate) instance: RawInstance,
    pub(crate) gate: Arc<Gate>,
    pub(crate) number: u32,
}

impl Events {
    pub(crate) fn new(cartridge: Cartridge, telemetry: Arc<Telemetry>) -> Self {
        Self {
            cartridge,
            telemetry,
            listeners: ArcSwap::default(),
            changing: Mutex::default(),
            request_listeners: AtomicUsize::new(0),
        }
    }

    /// Whether anybody listens to finished requests.
    pub(crate) fn wants_requests(&self) -> bool {
        self.request_listeners.load(Ordering::Relaxed) > 0
    }

    /// Tells those who listen now. Never waits: what does not fit into a queue is dropped, counted.
    pub(crate) fn publish(&self, name: &str, payload: &Bytes) {
        let listeners = self.listeners.load();
        let Some(listeners) = listeners.get(name) else { return };
        for listener in listeners {
            if listener.queue.try_send(payload.clone()).is_err() {
                self.telemetry.counters.events_dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<String, Vec<Listener>>)) {
        let guard = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut listeners = HashMap::clone(&self.listeners.load());
        change(&mut listeners);
        let requests = listeners.get(RequestFinished::NAME).map_or(0, Vec::len);
        self.request_listeners.store(requests, Ordering::Relaxed);
        self.listeners.store(Arc::new(listeners));
        drop(guard);
    }

    /// Delivers published events to `subscriber` from now on.
    ///
    /// # Errors
    /// As [`Tasks::spawn`].
    pub(crate) fn listen(&self, event: &str, subscriber: Subscriber, tasks: &Tasks) -> Result<()> {
        let (queue, receiver) = mpsc::channel(LISTENER_QUEUE_EVENTS);
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        let plugin = Arc::clone(&subscriber.plugin);
        tasks.spawn(&format!("events.{event}"), move || {
            let (receiver, subscriber) = (Arc::clone(&receiver), subscriber.clone());
            async move {
                let mut receiver = receiver.lock().await;
                let mut batch = Vec::with_capacity(BATCH_EVENTS);
                while receiver.recv_many(&mut batch, BATCH_EVENTS).await > 0 {
                    if batch.len() < BATCH_EVENTS {
                        tokio::time::sleep(BATCH_WAIT).await;
                        while batch.len() < BATCH_EVENTS
                            && let Ok(event) = receiver.try_recv()
                        {
                            batch.push(event);
                        }
                    }
                    match subscriber.deliver(0, std::mem::take(&mut batch)).await? {
                        Delivery::Done => {}
                        Delivery::Closed => break,
                    }
                }
                Ok(())
            }
        })?;
        self.change(|listeners| {
            listeners.entry(event.to_owned()).or_default().push(Listener { plugin, queue });
        });
        Ok(())
    }

    /// Delivers emitted events to `subscriber`, from where its cursor stands.
    ///
    /// # Errors
    /// As [`Tasks::spawn`]; what the cartridge says.
    pub(crate) async fn follow(
        &self,
        event: &str,
        owner: &Owner,
        subscriber: Subscriber,
        tasks: &Tasks,
    ) -> Result<()> {
        let name = format!("{}/{event}", subscriber.plugin);
        let subscribe = name.clone();
        self.cartridge
            .write_value(owner, None, move |tx| {
                Ok(tx.subscribe(&subscribe, crate::cartridge::SubscribeFrom::Next)?)
            })
            .await
            .map_err(Error::from)?;
        let (cartridge, owner, event) = (self.cartridge.clone(), owner.clone(), event.to_owned());
        tasks.spawn(&format!("events.{event}"), move || {
            let (cartridge, owner, subscriber, event, name) =
                (cartridge.clone(), owner.clone(), subscriber.clone(), event.clone(), name.clone());
            async move {
                let mut newest = cartridge.newest_event();
                // Up to where this run looked, and up to where it delivered.
                let (mut seen, mut delivered) = (0, 0);
                loop {
                    newest.borrow_and_update();
                    let page = Page::read(&cartridge, &owner, &name, &event, seen).await?;
                    // A handler that took events outside of a write leaves its cursor to us.
                    if page.cursor < delivered {
                        pass_over(&cartridge, &owner, &name, delivered).await?;
                    }
                    let found_any = page.looked_at > seen.max(page.cursor);
                    seen = page.looked_at;
                    if let Some(last) = page.last {
                        let sequence = u64::try_from(last).unwrap_or(0);
                        match subscriber.deliver(sequence, page.events).await? {
                            Delivery::Done => delivered = last,
                            Delivery::Closed => return Ok(()),
                        }
                        // The page may have been full: what follows `last` was not looked at.
                        seen = last;
                        continue;
                    }
                    // Only now and then: passing over an event of somebody else is worth no write.
                    if seen - page.cursor >= CURSOR_LAG_MAX {
                        pass_over(&cartridge, &owner, &name, seen).await?;
                    }
                    if !found_any && newest.changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        })
    }

    /// Delivers nothing more to `plugin`. Its tasks are ended by whoever stops it.
    pub(crate) fn forget(&self, plugin: &str) {
        self.change(|listeners| {
            for all in listeners.values_mut() {
                all.retain(|listener| &*listener.plugin != plugin);
            }
        });
    }
}

/// Part of the log as one follower sees it.
struct Page {
    /// Where the follower's cursor stands.
    cursor: i64,
    /// Up to where the log was looked at.
    looked_at: i64,
    /// Payloads of the events of its kind.
    events: Vec<Bytes>,
    /// The position of the last of them.
    last: Option<i64>,
}

impl Page {
    /// What follows the cursor, or `seen` when that is further.
    async fn read(
        cartridge: &Cartridge,
        owner: &Owner,
        subscriber: &str,
        kind: &str,
        seen: i64,
    ) -> Result<Self> {
        let (subscriber, kind) = (subscriber.to_owned(), kind.to_owned());
        let page = cartridge.scan_value(owner, move |reader| {
            let cursor = reader.cursor(&subscriber)?.unwrap_or(0);
            let mut page =
                Self { cursor, looked_at: cursor.max(seen), events: Vec::new(), last: None };
            let from = page.looked_at;
            let looked_at = reader.events_after(from, &[&kind], BATCH_EVENTS, &mut |event| {
                page.last = Some(event.seq);
                page.events.push(Bytes::copy_from_slice(event.payload));
                std::ops::ControlFlow::Continue(())
            })?;
            page.looked_at = looked_at;
            Ok(page)
        });
        Ok(page.await?)
    }
}

/// Moves a cursor past events that its follower is done with, so that they can be pruned.
async fn pass_over(cartridge: &Cartridge, owner: &Owner, subscriber: &str, to: i64) -> Result<()> {
    let subscriber = subscriber.to_owned();
    let advanced =
        cartridge.write_value(owner, None, move |tx| Ok(tx.advance_cursor(&subscriber, to)?));
    Ok(advanced.await?)
}

/// What became of a batch.
enum Delivery {
    Done,
    /// The plugin is being stopped and takes nothing more.
    Closed,
}

impl Subscriber {
    async fn deliver(&self, sequence: u64, batch: Vec<Bytes>) -> Result<Delivery> {
        let Some(_inside) = self.gate.enter() else {
            return Ok(Delivery::Closed);
        };
        let batch: RVec<RawBytes> = batch.into_iter().map(RawBytes::from).collect();
        match self.instance.deliver(self.number, sequence, batch).await {
            RResult::ROk(()) => Ok(Delivery::Done),
            RResult::RErr(error) => Err(error.into()),
        }
    }
}
