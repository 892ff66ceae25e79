//! From a name to addresses.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// Addresses that are being looked for.
pub type Resolving<'r> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'r>>;

/// Looks names up. A parameter of the node, so that a test decides what a name leads to.
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// The addresses of `host`, with `port`. May take as long as it likes: callers give up on time.
    fn resolve<'r>(&'r self, host: &'r str, port: u16) -> Resolving<'r>;
}

/// The machine's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'r>(&'r self, host: &'r str, port: u16) -> Resolving<'r> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
