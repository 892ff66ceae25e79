//! `POST /api/login-link`, `fazt server login-link`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::access::LOGIN_LINK_LIFETIME;

struct CreateLoginLink(Node);

/// A link that signs the owner in once.
#[derive(Serialize, JsonSchema)]
struct LoginLink {
    url: String,
    /// Minutes.
    good_for_min: u64,
}

impl Operate for CreateLoginLink {
    type Input = NoInput;
    type Output = LoginLink;

    async fn operate(&self, call: &Call, _: NoInput) -> Result<LoginLink> {
        if !matches!(call.principal(), Principal::Owner) {
            return Err(Error::denied("only the owner makes sign-in links, on the machine itself"));
        }
        let core = self.0.core()?;
        let url = core.login_link().await?;
        Ok(LoginLink { url, good_for_min: LOGIN_LINK_LIFETIME.as_secs() / 60 })
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = CreateLoginLink(parts.node());
    parts
        .operation(
            Operation::post::<CreateLoginLink>("/api/login-link")
                .summary("Makes a link that signs the owner in once, within 15 minutes"),
            run,
        )
        .command(
            Command::new("server login-link")
                .about("Make a link that signs you in to the dashboard once")
                .calls("POST /api/login-link")
                .says("{url}\n(good once, for {good_for_min} minutes)"),
        )
}
