//! A node in this process: booted, listening, and running until somebody ends it.
//!
//! What `server start` and bare `fazt` share.

use fazt_kernel::{BootOptions, Kernel, Serving as Listening};

use crate::failure::Failure;
use crate::run::Run;
use crate::signals::Signals;

/// A node that listens.
pub(super) struct Serving {
    /// The node.
    pub(super) kernel: Kernel,
    listening: Listening,
    signals: Signals,
}

impl Serving {
    /// Boots a node and listens where its settings say.
    ///
    /// When that port is taken, the next `ports_more` ones are tried.
    pub(super) async fn start(
        options: impl Fn() -> BootOptions,
        ports_more: u16,
    ) -> Result<Self, Failure> {
        // Signals count from here on, so that one during the boot still ends in order.
        let signals = Signals::new()?;
        let mut port = None;
        for tries_left in (0..=ports_more).rev() {
            let mut options = options();
            if let Some(port) = port {
                options.settings.insert(PORT.to_owned(), u16::to_string(&port));
            }
            let kernel = Kernel::boot(options).await?;
            let refusal = match kernel.serve() {
                Ok(listening) => return Ok(Self { kernel, listening, signals }),
                Err(refusal) => refusal,
            };
            let taken = kernel.setting(PORT).ok().and_then(|port| port.as_u64());
            kernel.stop().await?;
            // A port that is taken is the only thing that the next port makes better.
            port = taken.and_then(|port| u16::try_from(port).ok()?.checked_add(1));
            if refusal.code() != "PORT_IN_USE" || port.is_none() || tries_left == 0 {
                return Err(refusal.into());
            }
        }
        Err(Failure::failed("no port is free"))
    }

    /// The port that it listens on.
    pub(super) fn port(&self) -> u16 {
        self.listening.port()
    }

    /// The node, and what waits for the first signal.
    pub(super) fn parts(&mut self) -> (&Kernel, &mut Signals) {
        (&self.kernel, &mut self.signals)
    }

    /// Ends at once: whoever is connected is cut off.
    pub(super) async fn abandon(self) -> Result<(), Failure> {
        drop(self.listening);
        Ok(self.kernel.stop().await?)
    }

    /// Runs until the first signal, then drains; a second signal leaves at once.
    pub(super) async fn until_stopped(mut self, run: &mut Run<'_, '_>) -> Result<(), Failure> {
        tokio::select! {
            () = self.signals.next() => {}
            why = self.kernel.storage_failed() => {
                return Err(Failure::failed(format!("the node stops, to lose nothing: {why}"))
                    .hint("check the disk, then start the node again"));
            }
        }
        run.output.note("stopping: running requests may finish; a second signal stops at once");
        let stopping = async {
            let cut = self.listening.drain().await;
            self.kernel.stop().await.map(|()| cut)
        };
        tokio::select! {
            cut = stopping => {
                let cut = cut?;
                if cut > 0 {
                    run.output.note(&format!("{cut} connections were still busy and were cut off"));
                }
                Ok(())
            }
            () = self.signals.next() => {
                Err(Failure::failed("stopped at once: running requests were cut off"))
            }
        }
    }
}

/// The setting that holds the port.
const PORT: &str = "server.port";
