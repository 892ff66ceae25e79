//! The way to a closed cartridge: the node is booted inside this process, for one command.

use std::path::Path;

use fazt_kernel::{AdminRequest, Kernel, Mode};

use super::{Reply, Request, Sending, Transport, body};
use crate::failure::Failure;
use crate::plugins;

/// A node inside this process.
pub(super) struct InProcess {
    kernel: Kernel,
    place: String,
}

impl InProcess {
    /// Opens the cartridge for one command: nothing is migrated, listens or runs in the background.
    pub(super) async fn open(cartridge: &Path) -> Result<Self, Failure> {
        if !cartridge.exists() {
            return Err(Failure::not_found(format!(
                "there is no cartridge at {}",
                cartridge.display()
            ))
            .hint(
                "start a node there with fazt server start, name another cartridge with --db PATH, \
                 or reach a node elsewhere with fazt peer add",
            ));
        }
        let options = plugins::options(cartridge, Mode::Command);
        let kernel = Kernel::boot(options).await?;
        Ok(Self { kernel, place: format!("the cartridge {}", cartridge.display()) })
    }
}

impl Transport for InProcess {
    fn place(&self) -> &str {
        &self.place
    }

    fn is_serving(&self) -> bool {
        false
    }

    fn send(&self, request: Request) -> Sending<'_, Reply> {
        Box::pin(send(&self.kernel, request))
    }

    fn close(self: Box<Self>) -> Sending<'static, ()> {
        Box::pin(async move { Ok(self.kernel.stop().await?) })
    }
}

/// The way to a node in this process that somebody else has started, and ends.
pub(crate) struct Inside<'k>(&'k Kernel);

impl<'k> Inside<'k> {
    /// To that node.
    pub(crate) fn of(kernel: &'k Kernel) -> Self {
        Self(kernel)
    }
}

impl Transport for Inside<'_> {
    fn place(&self) -> &str {
        "the node in this process"
    }

    fn send(&self, request: Request) -> Sending<'_, Reply> {
        Box::pin(send(self.0, request))
    }

    fn close(self: Box<Self>) -> Sending<'static, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

async fn send(kernel: &Kernel, request: Request) -> Result<Reply, Failure> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let headers = request
        .content_type
        .map(|content_type| ("content-type".to_owned(), content_type))
        .into_iter()
        .collect();
    let answer = kernel
        .admin(AdminRequest {
            method: request.method,
            path: decoded(path)?,
            query: query.to_owned(),
            headers,
            body: body::into_sdk(request.body),
        })
        .await;
    Ok(Reply { status: answer.status, location: None, body: body::from_sdk(answer.body) })
}

/// The path as the node sees it, decoded once. What the edge refuses is refused here too.
fn decoded(path: &str) -> Result<String, Failure> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => {
                let byte = u8::try_from(high * 16 + low).unwrap_or_default();
                if matches!(byte, b'/' | b'\\' | 0) {
                    return Err(Failure::usage("a name holds no slash, backslash or zero byte"));
                }
                bytes.push(byte);
            }
            _ => return Err(Failure::failed(format!("the path {path} is badly encoded"))),
        }
    }
    String::from_utf8(bytes).map_err(|_| Failure::usage("a name is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(decoded("/api/apps/a%20b%C3%A9").unwrap(), "/api/apps/a bé");
        for path in ["/a%2Fb", "/a%5cb", "/a%00", "/a%2", "/a%zz", "/%ff"] {
            assert!(decoded(path).is_err(), "{path}");
        }
    }
}
