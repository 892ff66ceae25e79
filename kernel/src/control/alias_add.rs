//! `POST /api/aliases`, `fazt alias add`.

use fazt_sdk::prelude::*;

use super::alias_list::AliasRow;
use super::{Node, Parts};
use crate::directory::Target;

struct AddAlias(Node);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The label below the node's domain.
    name: String,
    /// Id or alias of the app that it leads to.
    app: Option<String>,
    /// The absolute address that it redirects to.
    redirect: Option<String>,
}

impl Operate for AddAlias {
    type Input = Input;
    type Output = AliasRow;

    async fn operate(&self, call: &Call, input: Input) -> Result<AliasRow> {
        let core = self.0.core()?;
        let target = match (input.app, input.redirect) {
            (Some(app), None) => Target::App(core.find_app(call, &app)?.id),
            (None, Some(url)) => Target::Redirect(check_url(call, &url)?.into()),
            (Some(_), Some(_)) => {
                return Err(Error::invalid("an alias leads to an app or redirects, not both"));
            }
            (None, None) => {
                return Err(Error::invalid(
                    "say where the alias leads: an app, or --redirect with an address",
                ));
            }
        };
        let alias = core.directory.add_alias(&core.label(&input.name), target).await?;
        Ok(AliasRow::from(&alias))
    }
}

/// A redirect goes to an absolute http or https address, with nothing that could end a header.
fn check_url<'u>(call: &Call, url: &'u str) -> Result<&'u str> {
    if call.limited_to().is_some() {
        return Err(Error::denied("a key for one app cannot add redirects"));
    }
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let good = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && url.len() <= 2048
        && url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if good {
        Ok(url)
    } else {
        Err(Error::invalid(format!(
            "`{}` is no address to redirect to; write https://… in ASCII",
            url.escape_debug()
        )))
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = AddAlias(parts.node());
    parts
        .operation(
            Operation::post::<AddAlias>("/api/aliases")
                .summary("Adds an alias to an app, or a redirect")
                .for_app_keys()
                .error("ALIAS_TAKEN")
                .error("BAD_NAME")
                .example(serde_json::json!({"name": "www", "app": "blog"})),
            run,
        )
        .command(
            Command::new("alias add")
                .about("Add a name that leads to an app or redirects")
                .example("alias add www blog")
                .argument(Argument::required("name", "The label below the node's domain"))
                .argument(Argument::optional("app", "Id or alias of the app"))
                .argument(Argument::option("redirect", "Redirect to this address instead"))
                .calls("POST /api/aliases")
                .says("{name} now leads to {target}"),
        )
}
