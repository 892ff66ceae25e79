//! A plugin that asks other machines on behalf of apps, and keeps a few secrets for them.

use fazt_sdk::prelude::*;
use fazt_sdk::services::app_secrets::{AppSecret, SecretPlace};
use fazt_sdk::services::{AppSecrets, AppSecretsApi, Egress as _, EgressApi};
use fazt_testkit::{BuiltIn, TestKernel};
use serde_json::{Value, json};

/// Asks on behalf of apps.
pub(crate) const ASKER: BuiltIn =
    BuiltIn { name: "asker", root: fazt_sdk::export::root_of::<Asker> };

/// The value of every secret.
pub(crate) const SECRET: &str = "s3cr3t-value";

#[derive(Default)]
struct Asker;

impl Plugin for Asker {
    fn manifest(&self) -> Manifest {
        Manifest::new("asker", "1.0.0")
            .about("Asks other machines")
            .uses::<EgressApi>()
            .provides::<AppSecretsApi>()
            .operation(Operation::post::<Ask>("/api/asker/{app}").summary("Asks"))
    }

    fn start(&self, host: Host) -> Result<Started> {
        let egress = host.service::<EgressApi>()?;
        Ok(Started::new()
            .operation("POST /api/asker/{app}", Ask(egress))
            .provide(AppSecretsApi::of(Secrets)))
    }
}

struct Ask(Service<EgressApi>);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The app's id.
    app: AppId,
    /// What `fazt.net.fetch` is given.
    arguments: Value,
}

impl Operate for Ask {
    type Input = Input;
    type Output = Value;

    async fn operate(&self, call: &Call, input: Input) -> Result<Value> {
        let call = call.for_app(input.app);
        let answer = self.0.fetch_json(&call, &input.arguments.to_string()).await?;
        serde_json::from_str(&answer).map_err(|error| Error::internal(error.to_string()))
    }
}

struct Secrets;

impl AppSecrets for Secrets {
    async fn open(&self, _: &Call, _: AppId, name: &str) -> Result<Option<AppSecret>> {
        let place = match name {
            "BEARER" | "ELSEWHERE" => SecretPlace::Bearer,
            "BASIC" => SecretPlace::Basic,
            "HEADER" => SecretPlace::Header { name: "x-custom".into() },
            "QUERY" => SecretPlace::Query { name: "k".into() },
            _ => return Ok(None),
        };
        let hosts = match name {
            "ELSEWHERE" => vec!["*.elsewhere.test".to_owned()],
            _ => Vec::new(),
        };
        Ok(Some(AppSecret { value: SECRET.to_owned(), place, hosts }))
    }
}

/// What the app asks, and what it is told: the answer, or the code of an error.
pub(crate) async fn ask(node: &TestKernel, app: AppId, url: &str, options: Value) -> Reply {
    let input = json!({ "arguments": [url, options] });
    let path = format!("/api/asker/{app}");
    Reply(node.operate(Method::Post, &path, input).await)
}

/// What came of asking.
#[derive(Debug)]
pub(crate) struct Reply(pub(crate) Result<Value>);

impl Reply {
    /// The code of the error; the status of an answer.
    pub(crate) fn code(&self) -> String {
        match &self.0 {
            Ok(answer) => answer["status"].to_string(),
            Err(error) => error.code().to_owned(),
        }
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    /// The body.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        use base64::Engine as _;
        let answer = self.0.as_ref().unwrap();
        let bytes = answer["body"]["$bytes"].as_str().unwrap();
        base64::engine::general_purpose::STANDARD.decode(bytes).unwrap()
    }

    /// The sentence of the error.
    pub(crate) fn message(&self) -> String {
        self.0.as_ref().unwrap_err().message().to_owned()
    }
}
