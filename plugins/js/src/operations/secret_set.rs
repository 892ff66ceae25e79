//! `PUT /api/apps/{app}/secrets/{name}`, which `fazt secret set` calls.

use fazt_sdk::prelude::*;
use fazt_sdk::services::AppsApi;
use fazt_sdk::services::app_secrets::SecretPlace;

use super::app;
use crate::store::{Store, Terms};

pub(crate) struct SetSecret {
    pub(crate) apps: Service<AppsApi>,
    pub(crate) store: Store,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Id or alias.
    app: String,
    /// Its name.
    name: String,
    /// Its value, at most 64 KiB.
    value: String,
    /// Whether the app's code sees it, as a variable. Without it, it never enters a cell.
    env: Option<bool>,
    /// The hosts that it may be sent to, `api.example.com` or `*.example.com`; every host without it.
    hosts: Option<Vec<String>>,
    /// Where it goes in a request that names it: `bearer` (usual), `basic`, `header` or `query`.
    place: Option<String>,
    /// The header field or the query parameter.
    field: Option<String>,
}

/// What was changed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The name.
    name: String,
}

impl SetSecret {
    pub(crate) const KEY: &str = "PUT /api/apps/{app}/secrets/{name}";

    pub(crate) fn operation() -> Operation {
        Operation::put::<Self>("/api/apps/{app}/secrets/{name}")
            .summary("Sets a secret of an app: it is kept sealed")
            .example(fazt_sdk::json!({
                "app": "blog", "name": "MAIL_KEY", "value": "…", "env": false,
                "hosts": ["api.example.com"], "place": "header", "field": "X-Api-Key",
            }))
    }
}

impl Operate for SetSecret {
    type Input = Input;
    type Output = Output;

    async fn operate(&self, call: &Call, input: Input) -> Result<Output> {
        let app = app(&self.apps, call, &input.app).await?;
        let place = place(input.place.as_deref().unwrap_or("bearer"), input.field)?;
        let hosts = input.hosts.unwrap_or_default();
        let terms = Terms::new(input.env.unwrap_or(false), place, hosts)?;
        self.store.set_secret(app, &input.name, &input.value, terms).await?;
        Ok(Output { name: input.name })
    }
}

fn place(kind: &str, field: Option<String>) -> Result<SecretPlace> {
    match (kind, field) {
        ("bearer", None) => Ok(SecretPlace::Bearer),
        ("basic", None) => Ok(SecretPlace::Basic),
        ("header", Some(name)) => Ok(SecretPlace::Header { name }),
        ("query", Some(name)) => Ok(SecretPlace::Query { name }),
        ("header" | "query", None) => {
            Err(Error::invalid(format!("{kind} needs the name of its field")))
        }
        ("bearer" | "basic", Some(_)) => Err(Error::invalid(format!("{kind} has no field"))),
        _ => Err(Error::invalid(format!("`{kind}` is not bearer, basic, header or query"))),
    }
}
