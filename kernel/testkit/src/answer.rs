//! What a node answered, read whole.

use bytes::Bytes;
use fazt_kernel::AdminResponse;
use fazt_sdk::{Error, ErrorKind, Result};
use serde_json::Value;

/// The largest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 1 << 30;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header fields; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    pub(crate) async fn read(response: AdminResponse) -> Self {
        let mut body = response.body;
        let (status, body) = match body.collect(BODY_BYTES_MAX).await {
            Ok(body) => (response.status, body),
            // A body that breaks off would reset a client's connection: no status at all.
            Err(error) => (0, Bytes::from(error.to_string())),
        };
        Self { status, headers: response.headers, body }
    }

    /// The first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The `data` of a successful answer of the admin API.
    ///
    /// # Errors
    /// The error that it answered, with its code.
    pub fn data(&self) -> Result<Value> {
        let json = self.json();
        if (200..300).contains(&self.status) {
            return Ok(json["data"].clone());
        }
        let kind = match self.status {
            400 => ErrorKind::Invalid,
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::Denied,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            405 => ErrorKind::MethodNotAllowed,
            413 => ErrorKind::TooLarge,
            503 => ErrorKind::Unavailable,
            504 => ErrorKind::Timeout,
            507 => ErrorKind::Full,
            _ => ErrorKind::Internal,
        };
        let text = |field: &str| json["error"][field].as_str().unwrap_or_default().to_owned();
        Err(Error::new(kind, text("message")).with_code(text("code")))
    }
}
