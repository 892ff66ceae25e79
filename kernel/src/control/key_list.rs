//! `GET /api/keys`, `fazt server keys`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct ListKeys(Node);

/// A key, without its secret.
#[derive(Serialize, JsonSchema)]
struct KeyRow {
    id: String,
    name: String,
    scopes: Vec<&'static str>,
    app: Option<AppId>,
    created_at_ms: u64,
    expires_at_ms: Option<u64>,
}

/// The names of the scopes in `bits`.
pub(super) fn scope_names(bits: u64) -> Vec<&'static str> {
    Scope::ALL.into_iter().filter(|scope| bits & scope.bit() != 0).map(Scope::name).collect()
}

impl Operate for ListKeys {
    type Input = NoInput;
    type Output = Vec<KeyRow>;

    async fn operate(&self, call: &Call, _: NoInput) -> Result<Vec<KeyRow>> {
        if call.limited_to().is_some() {
            return Err(Error::denied("a key for one app cannot see the keys"));
        }
        let keys = self.0.core()?.access.keys();
        Ok(keys
            .into_iter()
            .map(|key| KeyRow {
                id: key.id,
                name: key.name,
                scopes: scope_names(key.scopes),
                app: key.app,
                created_at_ms: key.created_at_ms,
                expires_at_ms: key.expires_at_ms,
            })
            .collect())
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ListKeys(parts.node());
    parts
        .operation(
            Operation::get::<ListKeys>("/api/keys")
                .summary("All API keys, without their secrets")
                .scope(Scope::Admin),
            run,
        )
        .command(
            Command::new("server keys")
                .about("List the API keys")
                .calls("GET /api/keys")
                .column("ID", "id")
                .column("NAME", "name")
                .column("SCOPES", "scopes")
                .column("APP", "app")
                .column_as("EXPIRES", "expires_at_ms", fazt_sdk::command::Format::Time),
        )
}
