//! Bare `fazt`: a node on the default cartridge, and the few lines that a newcomer needs.
//!
//! It works the same without a terminal; nothing is asked.

use std::fmt::Write as _;
use std::path::Path;

use fazt_kernel::Mode;
use serde_json::Value;

use super::serving::Serving;
use crate::failure::Failure;
use crate::output::Format;
use crate::plugins;
use crate::run::Run;

/// Runs a node until it is stopped.
pub(crate) async fn first_run(run: &mut Run<'_, '_>) -> Result<(), Failure> {
    if run.to.as_deref().is_some_and(str::is_empty) {
        return Err(Failure::usage("the name of a peer is missing, as in fazt @home app list"));
    }
    if let Some(to) = &run.to {
        return Err(Failure::usage(format!("no command says what to ask the node {to}"))
            .hint("fazt --help lists the commands"));
    }
    let is_default = run.db.is_none() && run.environment.db.is_none();
    let (cartridge, _) = crate::locate::cartridge(run.db.as_deref(), run.environment)?;
    let is_new = !cartridge.exists();
    let serving = Serving::start(
        || {
            let mut options = plugins::options(&cartridge, Mode::Serve);
            options.create = true;
            options
        },
        PORTS_MORE,
    )
    .await?;
    let kernel = &serving.kernel;
    let welcome = Welcome {
        cartridge: &cartridge,
        is_new,
        is_default,
        url: &kernel.url(""),
        dashboard: &kernel.url("admin"),
        link: &kernel.login_link().await?,
    };
    if run.output.format == Format::Json {
        run.output.result(&welcome.data(), &[], None)?;
    } else {
        run.output.text(&welcome.text())?;
    }
    serving.until_stopped(run).await
}

struct Welcome<'a> {
    cartridge: &'a Path,
    is_new: bool,
    is_default: bool,
    url: &'a str,
    dashboard: &'a str,
    link: &'a str,
}

impl Welcome<'_> {
    fn data(&self) -> Value {
        serde_json::json!({
            "cartridge": self.cartridge,
            "created": self.is_new,
            "url": self.url,
            "dashboard_url": self.dashboard,
            "login_url": self.link,
        })
    }

    /// Fits 80 columns but for paths and links, which stand at the end of their lines.
    fn text(&self) -> String {
        let (made, db) = (if self.is_new { " (new)" } else { "" }, self.cartridge.display());
        let db_flag = if self.is_default { String::new() } else { format!(" --db {db}") };
        let mut text = String::new();
        let mut line = |line: &str| {
            let _ = writeln!(text, "{line}");
        };
        line(&format!("fazt {} plays {db}{made}", env!("CARGO_PKG_VERSION")));
        line("");
        line(&format!("  node       {}", self.url));
        line(&format!("  dashboard  {}", self.dashboard));
        line("");
        line("sign in with this link, once, within 15 minutes:");
        line(&format!("  {}", self.link));
        line("");
        line("put a directory online from another terminal:");
        line(&format!("  fazt app deploy ./site{db_flag}"));
        line("");
        line("Ctrl-C stops the node; everything is in that one file");
        text
    }
}

/// How many further ports are tried when the usual one is taken.
const PORTS_MORE: u16 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_fits_80_columns() {
        let link = format!("http://admin.localhost:8080/login#{}", "x".repeat(32));
        let welcome = Welcome {
            cartridge: Path::new("/home/ada/.fazt/data.db"),
            is_new: true,
            is_default: true,
            url: "http://localhost:8080",
            dashboard: "http://admin.localhost:8080",
            link: &link,
        };
        let text = welcome.text();
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert!(text.contains("  fazt app deploy ./site\n"), "{text}");
        let elsewhere = Welcome { is_default: false, ..welcome }.text();
        assert!(elsewhere.contains("./site --db /home/ada/.fazt/data.db\n"), "{elsewhere}");
    }
}
