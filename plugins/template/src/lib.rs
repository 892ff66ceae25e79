//! The blessed third-party plugin.
use fazt_sdk::prelude::*;

/// Visit counts of pages.
#[service("template.counts", 1)]
pub trait Counts {
    /// Visits of `path`.
    async fn count(&self, call: &Call, path: &str, tags: &[String]) -> Result<u64>;
    /// Nothing in particular.
    async fn nothing(&self, call: &Call) -> Result<()>;
}

#[derive(Debug)]
struct Store;
impl Counts for Store {
    async fn count(&self, _call: &Call, path: &str, tags: &[String]) -> Result<u64> {
        Ok(path.len() as u64 + tags.len() as u64)
    }
    async fn nothing(&self, _call: &Call) -> Result<()> {
        Ok(())
    }
}

/// The plugin.
#[derive(Debug, Default)]
pub struct Template;
struct Hello;
impl Handler for Hello {
    async fn call(&self, _call: &Call, request: Request) -> Result<Response> {
        Ok(Response::text(format!("hello {}", request.path())))
    }
}
impl Plugin for Template {
    fn manifest(&self) -> Manifest {
        Manifest::new("template", env!("CARGO_PKG_VERSION"))
            .provides::<CountsApi>()
            .route(Route::app(Method::Get, "/_template").public())
    }
    fn start(&self, host: Host) -> Result<Started> {
        let _counts = host.service::<CountsApi>()?;
        Ok(Started::new().handle("/_template", Hello).provide(CountsApi::of(Store)))
    }
}
fazt_sdk::export_plugin!(Template);
