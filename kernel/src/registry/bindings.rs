//! `fazt.bindings/1`: what running plugins offer to apps' code, and calls into it.

use std::sync::{Arc, Weak};

use abi_stable::std_types::{RResult, RVec};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use fazt_sdk::call::Call;
use fazt_sdk::services::Bindings;
use fazt_sdk::services::bindings::{BindingInfo, BindingList, BindingScript};
use fazt_sdk::{Error, Result};

use super::contained::stopped;
use super::{Running, State};
use crate::Core;

/// The provider. Holds the kernel weakly: the kernel holds its services.
pub(crate) struct BindingsService {
    core: Weak<Core>,
    /// The list of the current generation, made when somebody asks.
    made: ArcSwapOption<Made>,
}

struct Made {
    list: BindingList,
    /// By position: who answers, and under which number.
    targets: Vec<(Arc<Running>, u32)>,
}

impl BindingsService {
    pub(crate) fn new(core: Weak<Core>) -> Self {
        Self { core, made: ArcSwapOption::empty() }
    }

    fn now(&self) -> Result<Arc<Made>> {
        let core = self.core.upgrade().ok_or_else(|| Error::unavailable("the node is stopping"))?;
        let generation = core.registry.generation();
        if let Some(made) = &*self.made.load()
            && made.list.generation == generation
        {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(make(generation, &core));
        self.made.store(Some(Arc::clone(&made)));
        Ok(made)
    }
}

fn make(generation: u64, core: &Core) -> Made {
    let mut all = Vec::new();
    let mut scripts = Vec::new();
    for entry in core.registry.list() {
        let State::Running(running) = entry.state else { continue };
        let manifest = &running.manifest;
        for (number, binding) in (0_u32..).zip(&manifest.bindings) {
            let info = BindingInfo {
                name: binding.name.clone(),
                plugin: manifest.name.clone(),
                arguments: binding.arguments.clone(),
                promise: binding.promise,
            };
            all.push((info, (Arc::clone(&running), number)));
        }
        if !manifest.script.is_empty() {
            let (plugin, source) = (manifest.name.clone(), manifest.script.clone());
            scripts.push(BindingScript { plugin, source });
        }
    }
    all.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let (bindings, targets) = all.into_iter().unzip();
    Made { list: BindingList { generation, bindings, scripts }, targets }
}

impl Bindings for BindingsService {
    async fn list(&self, _: &Call) -> Result<BindingList> {
        Ok(self.now()?.list.clone())
    }

    async fn call(&self, call: &Call, generation: u64, index: u32, list: Bytes) -> Result<Bytes> {
        let made = self.now()?;
        if made.list.generation != generation {
            return Err(Error::conflict("the plugins of this node changed in the meantime")
                .with_code("BINDINGS_CHANGED"));
        }
        let (running, number) = made
            .targets
            .get(index as usize)
            .ok_or_else(|| Error::invalid(format!("there is no binding number {index}")))?;
        let inside = running.enter()?;
        let arguments = RVec::from(list.to_vec());
        let answer = running.instance.bind(*number, call.as_raw(), arguments);
        match inside.run(answer).await {
            Some(RResult::ROk(json)) => Ok(Bytes::from(json.into_vec())),
            Some(RResult::RErr(error)) => Err(error.into()),
            None => Err(stopped()),
        }
    }
}
