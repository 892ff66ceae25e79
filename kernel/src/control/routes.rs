//! `GET /api/system/routes`, `fazt server routes`.

use fazt_sdk::prelude::*;

use super::{Node, Parts};
use crate::routing::table::Target;

struct ListRoutes(Node);

/// Where a request goes.
#[derive(Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
struct RouteRow {
    /// `node`, `app` or `admin`.
    surface: String,
    path: String,
    method: &'static str,
    plugin: String,
    /// The scope that it needs, `signed in`, or `public`.
    needs: String,
}

impl Operate for ListRoutes {
    type Input = NoInput;
    type Output = Vec<RouteRow>;

    async fn operate(&self, _: &Call, _: NoInput) -> Result<Vec<RouteRow>> {
        let core = self.0.core()?;
        let table = core.registry.table();
        let mut rows: Vec<_> = table
            .lines()
            .map(|(surface, entry)| {
                let (path, needs) = match &entry.target {
                    Target::Route(route)
                        if route.visibility == fazt_sdk::route::Visibility::Public =>
                    {
                        (route.pattern.clone(), "public".to_owned())
                    }
                    Target::Route(route) if surface == fazt_sdk::route::Surface::Admin => {
                        (route.pattern.clone(), route.needed_scope().to_owned())
                    }
                    Target::Route(route) => (route.pattern.clone(), "signed in".to_owned()),
                    Target::Operation(operation) => {
                        (operation.path.clone(), operation.scope.clone())
                    }
                };
                RouteRow {
                    surface: format!("{surface:?}").to_lowercase(),
                    path,
                    method: entry.method.map_or("any", Method::as_str),
                    plugin: entry.plugin.name.to_string(),
                    needs,
                }
            })
            .collect();
        rows.sort();
        Ok(rows)
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let run = ListRoutes(parts.node());
    parts
        .operation(
            Operation::get::<ListRoutes>("/api/system/routes")
                .summary("Where requests go, by surface and path"),
            run,
        )
        .command(
            Command::new("server routes")
                .about("Show where requests go")
                .calls("GET /api/system/routes")
                .column("SURFACE", "surface")
                .column("METHOD", "method")
                .column("PATH", "path")
                .column("PLUGIN", "plugin")
                .column("NEEDS", "needs"),
        )
}
