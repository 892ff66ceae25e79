//! `POST /api/keys`, `fazt server create-key`.

use std::time::Duration;

use fazt_sdk::prelude::*;
use fazt_sdk::setting::SettingKind;

use super::{Node, Parts};
use crate::access::NewKey;
use crate::config::value;

struct CreateKey(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// What the key is for.
    name: String,
    /// `read`, `deploy`, `admin`.
    scopes: Option<Vec<String>>,
    /// Id or alias of the only app that the key may touch.
    app: Option<String>,
    /// How long the key is good for, as in `90 d`; for ever without.
    expires: Option<String>,
}

/// A new key. Its text is shown this once.
#[derive(Serialize, JsonSchema)]
struct Created {
    id: String,
    name: String,
    key: String,
    scopes: Vec<&'static str>,
    app: Option<AppId>,
    expires_at_ms: Option<u64>,
}

/// No key lives longer than ten years when it lives for a time at all.
const LIFETIME_MS_MAX: u64 = 10 * 366 * 86_400_000;

impl Operate for CreateKey {
    type Input = Input;
    type Output = Created;

    async fn operate(&self, call: &Call, input: Input) -> Result<Created> {
        let core = self.0.core()?;
        let names = input.scopes.unwrap_or_else(|| vec!["deploy".to_owned(), "read".to_owned()]);
        let mut scopes = 0;
        for name in &names {
            let scope = Scope::from_name(name).ok_or_else(|| {
                Error::invalid(format!(
                    "there is no scope `{name}`; there are read, deploy and admin"
                ))
            })?;
            scopes |= scope.bit();
        }
        let app = input.app.map(|app| core.find_app(call, &app)).transpose()?.map(|app| app.id);
        let lifetime = input
            .expires
            .map(|text| {
                value::parse("expires", &SettingKind::Duration { max_ms: LIFETIME_MS_MAX }, &text)
            })
            .transpose()?;
        let lifetime = lifetime.and_then(|value| value.as_u64()).map(Duration::from_millis);
        let (key, text) =
            core.access.create_key(NewKey { name: input.name, scopes, app, lifetime }).await?;
        Ok(Created {
            id: key.id,
            name: key.name,
            key: text,
            scopes: super::key_list::scope_names(key.scopes),
            app: key.app,
            expires_at_ms: key.expires_at_ms,
        })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = CreateKey(parts.node());
    parts.operation(Operation::post::<CreateKey>("/api/keys").summary("Makes an API key; its text is shown this once").example(serde_json::json!({"name": "ci", "scopes": ["deploy"], "app": "blog", "expires": "90 d"})), run).command(
        Command::new("server create-key")
            .about("Make an API key; its text is shown this once")
            .example("server create-key --name ci --scopes deploy --app blog --expires '90 d'")
            .argument(Argument { required: true, ..Argument::option("name", "What the key is for") })
            .argument(Argument::list("scopes", "read, deploy, admin; without it: deploy and read"))
            .argument(Argument::option("app", "The only app that the key may touch"))
            .argument(Argument::option("expires", "How long it is good for, such as 90 d"))
            .calls("POST /api/keys")
            .column("KEY", "key")
            .column("NAME", "name")
            .column("SCOPES", "scopes")
            .column("APP", "app"),
    )
}
