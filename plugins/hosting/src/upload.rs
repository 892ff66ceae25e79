//! `POST /api/deploy`: an archive as a form or as it is.

use std::io::Write as _;
use std::sync::Arc;

use fazt_sdk::host::Host;
use fazt_sdk::http::{Body, BodySource, Handler, Request, Response};
use fazt_sdk::prelude::{Bytes, Call};
use fazt_sdk::spool::Spool;
use fazt_sdk::{Error, Result};
use serde_json::json;

use crate::admission::Admission;
use crate::deploy::{Deploys, Upload};
use crate::multipart::{self, Multipart};

/// The largest upload that any setting allows, in bytes: what the route itself takes.
pub(crate) const UPLOAD_BYTES_CEILING: u64 = 2 * 1024 * 1024 * 1024;
/// The longest text field of the form, in bytes.
const FIELD_BYTES_MAX: usize = 64 * 1024;
/// All that is said about where the files came from, in bytes.
pub(crate) const SOURCE_BYTES_MAX: usize = 64 * 1024;

/// Takes in archives.
#[derive(Debug)]
pub(crate) struct TakeUpload {
    pub(crate) host: Host,
    pub(crate) deploys: Arc<Deploys>,
    /// The most bytes of one upload.
    pub(crate) bytes_max: u64,
    /// Each upload has a scratch file.
    pub(crate) admission: Admission,
}

impl Handler for TakeUpload {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        crate::deploy::check_scope(call)?;
        let announced = request.header_str("content-length").and_then(|text| text.parse().ok());
        if announced.is_some_and(|bytes: u64| bytes > self.bytes_max) {
            return Err(multipart::too_large(self.bytes_max));
        }
        let _permit = self.admission.admit()?;
        let content_type = request.header_str("content-type").unwrap_or_default().to_owned();
        let (upload, archive) = match multipart::boundary(&content_type)? {
            Some(boundary) if request.query().is_empty() => {
                self.read_form(call, &boundary, request.into_body()).await?
            }
            Some(_) => return Err(Error::invalid("a form takes its fields in the form")),
            None if is_zip(&content_type) => {
                let upload = from_query(request.query())?;
                self.deploys.permit(call, &upload.site).await?;
                (upload, spooled(&self.host, request.into_body(), self.bytes_max).await?)
            }
            None => {
                return Err(Error::invalid(
                    "send multipart/form-data with `site_name` and `file`, or application/zip with \
                     ?site_name=NAME",
                )
                .with_code("UNSUPPORTED_MEDIA_TYPE"));
            }
        };
        let deployed = self.deploys.deploy(call, &upload, archive).await?;
        Response::json(&json!({ "data": deployed }))
    }
}

impl TakeUpload {
    async fn read_form(&self, call: &Call, boundary: &str, body: Body) -> Result<(Upload, Spool)> {
        let mut form = Multipart::new(Incoming(body), boundary, self.bytes_max);
        let mut fields = Fields::default();
        let mut archive = None;
        while let Some(part) = form.next_part().await? {
            if part.name != "file" {
                if part.is_file {
                    return Err(Error::invalid(format!("the field `{}` is not a file", part.name)));
                }
                let text = form.text(&part.name, FIELD_BYTES_MAX).await?;
                fields.set(&part.name, text)?;
                continue;
            }
            if archive.is_some() {
                return Err(twice("file"));
            }
            // Known early, a wrong name costs nobody the upload.
            if let Some(site) = fields.site.as_ref().filter(|site| !site.is_empty()) {
                self.deploys.permit(call, site).await?;
            }
            let mut spool = self.host.spool()?;
            while let Some(chunk) = form.next_chunk().await? {
                spool.write_all(chunk).map_err(unspooled)?;
            }
            archive = Some(spool);
        }
        let upload = fields.into_upload()?;
        let archive = archive.ok_or_else(|| missing("file"))?;
        Ok((upload, archive))
    }
}

/// The body in a scratch file.
///
/// # Errors
/// `TooLarge` past `bytes_max`; `Full` when the disk is; what the transport says.
pub(crate) async fn spooled(host: &Host, mut body: Body, bytes_max: u64) -> Result<Spool> {
    let mut spool = host.spool()?;
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if spool.size() + chunk.len() as u64 > bytes_max {
            return Err(multipart::too_large(bytes_max));
        }
        spool.write_all(&chunk).map_err(unspooled)?;
    }
    Ok(spool)
}

struct Incoming(Body);

impl BodySource for Incoming {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        self.0.next().await
    }
}

/// The fields besides the file, each at most once.
#[derive(Debug, Default)]
struct Fields {
    site: Option<String>,
    preview: Option<bool>,
    include_private: Option<bool>,
    upload: Upload,
    source_bytes: usize,
}

impl Fields {
    fn set(&mut self, name: &str, value: String) -> Result<()> {
        match name {
            "site_name" if self.site.is_some() => return Err(twice(name)),
            "site_name" => self.site = Some(value),
            "spa" if self.upload.spa.is_some() => return Err(twice(name)),
            "spa" => self.upload.spa = Some(switch(name, &value)?),
            "preview" => set_once(&mut self.preview, name, switch(name, &value)?)?,
            "include_private" => set_once(&mut self.include_private, name, switch(name, &value)?)?,
            _ if is_source(name) => {
                self.source_bytes += name.len() + value.len();
                if self.source_bytes > SOURCE_BYTES_MAX {
                    return Err(Error::too_large(format!(
                        "the source_ fields are longer than {SOURCE_BYTES_MAX} bytes together"
                    )));
                }
                let key = name["source_".len()..].to_owned();
                if self.upload.source.insert(key, value).is_some() {
                    return Err(twice(name));
                }
            }
            _ => {
                return Err(Error::invalid(format!(
                    "there is no field `{name}`; there are file, site_name, spa, preview, \
                     include_private and source_…"
                ))
                .with_code("UNKNOWN_FIELD"));
            }
        }
        Ok(())
    }

    fn into_upload(self) -> Result<Upload> {
        let site = self.site.filter(|site| !site.is_empty()).ok_or_else(|| missing("site_name"))?;
        let preview = self.preview.unwrap_or_default();
        let include_private = self.include_private.unwrap_or_default();
        Ok(Upload { site, preview, include_private, ..self.upload })
    }
}

fn set_once(field: &mut Option<bool>, name: &str, value: bool) -> Result<()> {
    if field.replace(value).is_some() { Err(twice(name)) } else { Ok(()) }
}

fn is_source(name: &str) -> bool {
    name.strip_prefix("source_").is_some_and(|rest| {
        (1..=32).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })
}

fn switch(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" | "1" | "on" | "yes" => Ok(true),
        "false" | "0" | "off" | "no" => Ok(false),
        _ => Err(Error::invalid(format!("the field `{name}` is true or false"))),
    }
}

fn is_zip(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    ["application/zip", "application/x-zip-compressed"]
        .iter()
        .any(|zip| essence.eq_ignore_ascii_case(zip))
}

fn from_query(query: &str) -> Result<Upload> {
    let mut fields = Fields::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = decode(name).zip(decode(value));
        let (name, value) =
            decoded.ok_or_else(|| Error::invalid("the query is not well encoded"))?;
        fields.set(&name, value)?;
    }
    fields.into_upload()
}

/// Decodes one half of a pair of a query (WHATWG URL, application/x-www-form-urlencoded).
fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn twice(name: &str) -> Error {
    Error::invalid(format!("the field `{name}` is given twice")).with_code("FIELD_TWICE")
}

fn missing(name: &str) -> Error {
    Error::invalid(format!("the field `{name}` is missing")).with_code("FIELD_MISSING")
}

fn unspooled(error: std::io::Error) -> Error {
    Error::full(format!("the upload could not be kept: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_the_fields() {
        let upload = from_query("site_name=my%2Dblog&spa=true&source_ref=a+b%20c").unwrap();
        assert_eq!((upload.site.as_str(), upload.spa), ("my-blog", Some(true)));
        assert_eq!((upload.preview, upload.include_private), (false, false));
        let upload = from_query("site_name=a&preview=1&include_private=true").unwrap();
        assert_eq!((upload.preview, upload.include_private), (true, true));
        let upload = from_query("site_name=a&source_ref=a+b%20c").unwrap();
        assert_eq!(upload.source.get("ref").map(String::as_str), Some("a b c"));
    }

    #[test]
    fn a_query_that_says_too_little_or_too_much_is_refused() {
        for (query, code) in [
            ("", "FIELD_MISSING"),
            ("site_name=", "FIELD_MISSING"),
            ("spa=1", "FIELD_MISSING"),
            ("site_name=a&site_name=a", "FIELD_TWICE"),
            ("site_name=a&spa=1&spa=1", "FIELD_TWICE"),
            ("site_name=a&source_x=1&source_x=1", "FIELD_TWICE"),
            ("site_name=a&spa=maybe", "INVALID"),
            ("site_name=%zz", "INVALID"),
            ("site_name=%2", "INVALID"),
            ("site_name=%ff", "INVALID"),
            ("site_name=a&include_private=1&include_private=1", "FIELD_TWICE"),
            ("site_name=a&includes=1", "UNKNOWN_FIELD"),
            ("site_name=a&source_=1", "UNKNOWN_FIELD"),
            ("site_name=a&source_A=1", "UNKNOWN_FIELD"),
        ] {
            assert_eq!(from_query(query).unwrap_err().code(), code, "{query}");
        }
    }
}
