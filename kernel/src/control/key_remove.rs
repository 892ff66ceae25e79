//! `DELETE /api/keys/{id}`, `fazt server remove-key`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct RemoveKey(Node);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeyId {
    /// The public part of the key, its 8 characters after `fzt_`.
    id: String,
}

impl Operate for RemoveKey {
    type Input = KeyId;
    type Output = KeyId;

    async fn operate(&self, call: &Call, input: KeyId) -> Result<KeyId> {
        if call.limited_to().is_some() {
            return Err(Error::denied("a key for one app cannot remove keys"));
        }
        self.0.core()?.access.remove_key(&input.id).await?;
        Ok(input)
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = RemoveKey(parts.node());
    parts
        .operation(
            Operation::delete::<RemoveKey>("/api/keys/{id}")
                .summary("Removes an API key; it is refused from then on"),
            run,
        )
        .command(
            Command::new("server remove-key")
                .about("Remove an API key; it is refused from then on")
                .example("server remove-key 8kQ2mZ81")
                .argument(Argument::required("id", "The key's id, from `fazt server keys`"))
                .calls("DELETE /api/keys/{id}")
                .says("removed the key {id}"),
        )
}
