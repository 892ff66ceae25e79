//! A server that answers every request with the same prepared head and 10 KiB, for measuring.
//!
//! `edge_static [PORT [BYTES]]` listens on 127.0.0.1.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use fazt_abi::http::{RawPrepared, RawResponse, RawResponseBody, RawResponseHead};
use fazt_kernel::clock::SystemClock;
use fazt_kernel::edge::{BlobSource, Edge, EdgeRequest, Gateway, Listener, Options, PreparedHead};
use fazt_sdk::{Error, Result};

struct Static {
    head: RawPrepared,
    body: Bytes,
}

impl Gateway for Static {
    async fn handle(&self, _: EdgeRequest) -> RawResponse {
        RawResponse {
            status: 200,
            head: RawResponseHead::Prepared(self.head.clone()),
            body: RawResponseBody::Full(self.body.clone().into()),
        }
    }
}

struct NoBlobs;

impl BlobSource for NoBlobs {
    async fn chunk(&self, _: &[u8; 32], _: u64, _: u32) -> Result<Bytes> {
        Err(Error::not_found("there are no blobs here"))
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let port = u16::try_from(arguments.next().unwrap_or(8080)).unwrap_or(8080);
    let bytes = arguments.next().unwrap_or(10 << 10);

    let mut fields = Vec::new();
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("etag", "\"2cf24dba5fb0a30e26e83b2ac5b9e29e\""),
        ("cache-control", "public, max-age=60"),
        ("x-content-type-options", "nosniff"),
    ] {
        fields.extend_from_slice(&u16::try_from(name.len()).unwrap_or_default().to_le_bytes());
        fields.extend_from_slice(&u32::try_from(value.len()).unwrap_or_default().to_le_bytes());
        fields.extend_from_slice(name.as_bytes());
        fields.extend_from_slice(value.as_bytes());
    }
    let gateway =
        Static { head: PreparedHead::from_fields(&fields)?, body: Bytes::from(vec![b'x'; bytes]) };

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Error::internal(error.to_string()))?;
    runtime.block_on(async {
        let listener = Listener::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let edge = Edge::new(
            Arc::new(gateway),
            Arc::new(NoBlobs),
            Options::default(),
            Arc::new(SystemClock::new()),
        );
        let interrupted = async { drop(tokio::signal::ctrl_c().await) };
        edge.serve(vec![listener], interrupted).await;
        Ok(())
    })
}
