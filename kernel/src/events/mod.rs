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
use fazt_sdk::{Error, Result};
use tokio::sync::mpsc;

use crate::cartridge::{Cartridge, Owner};
use crate::registry::gate::Gate;
use crate::tasks::Tasks;
use crate::telemetry::Telemetry;

/// Events that may wait for one listener.
const LISTENER_QUEUE_EVENTS: usize = 4_096;
/// Events in one batch.
const BATCH_EVENTS: usize = 256;
/// How long a listener's batch may fill after its first event.
const BATCH_WAIT: Duration = Duration::from_millis(50);

type Listeners = HashMap<&'static str, Vec<Listener>>;

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
        drop(Listeners::new());
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
        let requests = listeners.get("fazt.request-finished").map_or(0, Vec::len);
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
                    subscriber.deliver(0, std::mem::take(&mut batch)).await?;
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
                loop {
                    newest.borrow_and_update();
                    let (kind, cursor) = (event.clone(), name.clone());
                    let batch = cartridge
                        .scan_value(&owner, move |reader| {
                            let from = reader.cursor(&cursor)?.unwrap_or(0);
                            let mut batch = Vec::new();
                            let mut last = from;
                            reader.events_after(from, &[&kind], BATCH_EVENTS, &mut |event| {
                                last = event.seq;
                                batch.push(Bytes::copy_from_slice(event.payload));
                                std::ops::ControlFlow::Continue(())
                            })?;
                            Ok((last, batch))
                        })
                        .await
                        .map_err(Error::from)?;
                    let (last, events) = batch;
                    if events.is_empty() {
                        if newest.changed().await.is_err() {
                            return Ok(());
                        }
                        continue;
                    }
                    subscriber.deliver(u64::try_from(last).unwrap_or(0), events).await?;
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

impl Subscriber {
    async fn deliver(&self, sequence: u64, batch: Vec<Bytes>) -> Result<()> {
        let Some(_inside) = self.gate.enter() else {
            return Ok(());
        };
        let batch: RVec<RawBytes> = batch.into_iter().map(RawBytes::from).collect();
        match self.instance.deliver(self.number, sequence, batch).await {
            RResult::ROk(()) => Ok(()),
            RResult::RErr(error) => Err(error.into()),
        }
    }
}
