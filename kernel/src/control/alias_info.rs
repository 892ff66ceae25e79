//! `GET /api/aliases/{name}`, `fazt alias info`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::directory::{Share, Target};

struct InfoOfAlias(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The label below the node's domain.
    name: String,
}

/// An alias with what it leads to.
#[derive(Serialize, JsonSchema)]
struct Info {
    name: String,
    /// `app`, `redirect`, `reserved` or `split`.
    kind: &'static str,
    /// Where it is reached.
    url: String,
    /// What it leads to, for people.
    target: String,
    /// The apps that visitors see, the one that most of them see first.
    apps: Vec<AppOfAlias>,
    /// The address that it redirects to.
    redirect: Option<String>,
    created_at_ms: u64,
}

/// An app behind an alias.
#[derive(Serialize, JsonSchema)]
struct AppOfAlias {
    id: AppId,
    name: String,
    /// Visitors of each hundred.
    weight: u8,
}

impl Operate for InfoOfAlias {
    type Input = Input;
    type Output = Info;

    async fn operate(&self, call: &Call, input: Input) -> Result<Info> {
        let core = self.0.core()?;
        let directory = core.directory.now();
        let found = directory.aliases.get(&core.label(&input.name));
        if let Some(only) = call.limited_to()
            && found.is_none_or(|alias| !alias.leads_to(only))
        {
            return Err(Error::denied("a key for one app sees aliases of that app only"));
        }
        let alias = found.ok_or_else(|| {
            Error::not_found(format!("there is no alias {}; see `fazt alias list`", input.name))
                .with_code("NO_SUCH_ALIAS")
        })?;
        let (kind, shares, redirect) = match &alias.target {
            Target::App(app) => ("app", vec![Share { app: *app, weight: 100 }], None),
            Target::Redirect(url) => ("redirect", Vec::new(), Some(url.to_string())),
            Target::Reserved => ("reserved", Vec::new(), None),
            Target::Split(shares) => ("split", shares.to_vec(), None),
        };
        let name_of = |id| directory.app(id).map(|app| app.name.clone()).unwrap_or_default();
        let apps: Vec<_> = shares
            .into_iter()
            .map(|share| AppOfAlias {
                id: share.app,
                name: name_of(share.app),
                weight: share.weight,
            })
            .collect();
        let target = match (&*apps, &redirect) {
            ([], None) => "nowhere".to_owned(),
            ([], Some(url)) => url.clone(),
            ([app], _) => format!("{} ({})", app.name, app.id),
            (apps, _) => {
                let share =
                    |app: &AppOfAlias| format!("{} ({}): {} %", app.name, app.id, app.weight);
                apps.iter().map(share).collect::<Vec<_>>().join(", ")
            }
        };
        Ok(Info {
            name: alias.name.clone(),
            kind,
            target,
            url: core.url(&alias.name),
            apps,
            redirect,
            created_at_ms: alias.created_at_ms,
        })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = InfoOfAlias(parts.node());
    parts
        .operation(
            Operation::get::<InfoOfAlias>("/api/aliases/{name}")
                .summary("One alias, with what it leads to")
                .for_app_keys()
                .error("NO_SUCH_ALIAS")
                .example(serde_json::json!({"name": "www"})),
            run,
        )
        .command(
            Command::new("alias info")
                .about("Show what an alias leads to")
                .example("alias info www")
                .argument(Argument::required("name", "The alias"))
                .calls("GET /api/aliases/{name}")
                .column("NAME", "name")
                .column("KIND", "kind")
                .column("URL", "url")
                .column("TARGET", "target")
                .column_as("CREATED", "created_at_ms", fazt_sdk::command::Format::Time),
        )
}
