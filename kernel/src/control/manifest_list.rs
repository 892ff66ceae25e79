//! `GET /api/manifests`: what every plugin of the node declares, for command lines and other clients.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::registry::KERNEL;

struct ListManifests(Node);

impl Operate for ListManifests {
    type Input = NoInput;
    type Output = Vec<fazt_sdk::Json>;

    async fn operate(&self, _: &Call, _: NoInput) -> Result<Vec<fazt_sdk::Json>> {
        let mut entries = self.0.core()?.registry.list();
        entries.sort_by_key(|entry| entry.manifest.name != KERNEL);
        let manifests = entries.iter().map(|entry| fazt_sdk::to_json(&*entry.manifest));
        manifests.collect()
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ListManifests(parts.node());
    let operation = Operation::get::<ListManifests>("/api/manifests");
    parts.operation(operation.summary("What every plugin declares, the kernel's own first"), run)
}
