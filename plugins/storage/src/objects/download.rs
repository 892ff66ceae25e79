//! Objects over HTTP: `GET /api/storage/{app}/blobs/{path...}` for the owner, and
//! `/_fazt/blobs/{path...}` on the app's hosts for whoever has a signed address.

use fazt_sdk::call::Call;
use fazt_sdk::http::{Handler, Request, Response};
use fazt_sdk::services::Space;
use fazt_sdk::services::objects::Object;
use fazt_sdk::{Error, Result};

use super::{Store, checked_path};
use crate::hex;
use crate::operations::query_of;
use crate::place::Place;

/// Hands objects out to whoever has an address that was signed.
#[derive(Debug)]
pub(crate) struct SendSigned {
    pub(crate) store: Store,
}

/// Hands an object out to those who manage the app.
pub(super) async fn send(store: &Store, place: Place, request: &Request) -> Result<Response> {
    let found = store.find(place, request.capture(1)).await?;
    let object = found.ok_or_else(not_there)?;
    // Never as what it is: this is the host of the owner, and the content is an app's.
    let response = answer(request, &object, "application/octet-stream");
    Ok(response.header("content-disposition", "attachment"))
}

impl Handler for SendSigned {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let path = checked_path(request.capture(0)).map_err(|_| not_there())?;
        let space = query_of(&request, "u").map_or(Space::Shared, Space::User);
        let place = Place::of(call, &space).map_err(|_| not_there())?;
        let expires = query_of(&request, "e").and_then(|text| text.parse().ok()).unwrap_or(0);
        let signature = query_of(&request, "k").unwrap_or_default();
        // Whether there is something shows to those with a valid address only.
        if !self.store.is_signed(&place, path, expires, &signature).await? {
            return Err(Error::denied("this address was not signed, or is not valid any more")
                .with_code("SIGNATURE_INVALID"));
        }
        let found = self.store.find(place, path).await?;
        let object = found.ok_or_else(not_there)?;
        Ok(answer(&request, &object, &object.content_type))
    }
}

fn not_there() -> Error {
    Error::not_found("there is no such object")
}

/// The whole content, or the one range that was asked for (RFC 9110 §14).
fn answer(request: &Request, object: &Object, content_type: &str) -> Response {
    let tag = format!("\"{}\"", hex::encode(&object.hash));
    let known = request.header_str("if-none-match");
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag || one.trim() == "*"))
    {
        return Response::new(304).header("etag", tag).header("cache-control", "private, no-cache");
    }
    let wanted = request
        .header_str("range")
        .filter(|_| request.header_str("if-range").is_none_or(|condition| condition == tag));
    let head = |status| {
        Response::new(status)
            .header("content-type", content_type)
            .header("etag", &tag)
            .header("accept-ranges", "bytes")
            .header("cache-control", "private, no-cache")
            // Content that visitors sent runs no scripts on the app's host.
            .header("content-security-policy", "sandbox; default-src 'none'")
            .header("x-content-type-options", "nosniff")
    };
    match wanted.map(|wanted| range(wanted, object.size)) {
        None | Some(Wanted::Whole) => head(200).blob(object.hash, 0, object.size),
        Some(Wanted::Part { first, len }) => {
            let last = first + len - 1;
            let content_range = format!("bytes {first}-{last}/{}", object.size);
            head(206).header("content-range", content_range).blob(object.hash, first, len)
        }
        Some(Wanted::Nothing) => {
            head(416).header("content-range", format!("bytes */{}", object.size))
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part {
        first: u64,
        len: u64,
    },
    /// A range that lies behind the end.
    Nothing,
}

/// One range of bytes; several, and what cannot be read, mean the whole (§14.2).
fn range(header: &str, size: u64) -> Wanted {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Wanted::Whole;
    };
    let (first, last) = match (first.trim(), last.trim()) {
        ("", suffix) => match suffix.parse::<u64>() {
            Ok(0) => return Wanted::Nothing,
            Ok(suffix) => (size.saturating_sub(suffix), size.saturating_sub(1)),
            Err(_) => return Wanted::Whole,
        },
        (first, last) => {
            let Ok(first) = first.parse::<u64>() else { return Wanted::Whole };
            let last = if last.is_empty() { Ok(u64::MAX) } else { last.parse() };
            match last {
                Ok(last) if last >= first => (first, last.min(size.saturating_sub(1))),
                _ => return Wanted::Whole,
            }
        }
    };
    if first >= size { Wanted::Nothing } else { Wanted::Part { first, len: last - first + 1 } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_lies_within_the_content() {
        for (header, size, expected) in [
            ("bytes=0-0", 10, Wanted::Part { first: 0, len: 1 }),
            ("bytes=2-5", 10, Wanted::Part { first: 2, len: 4 }),
            ("bytes=5-", 10, Wanted::Part { first: 5, len: 5 }),
            ("bytes=5-99", 10, Wanted::Part { first: 5, len: 5 }),
            ("bytes=-3", 10, Wanted::Part { first: 7, len: 3 }),
            ("bytes=-99", 10, Wanted::Part { first: 0, len: 10 }),
            ("bytes=10-", 10, Wanted::Nothing),
            ("bytes=-0", 10, Wanted::Nothing),
            ("bytes=0-", 0, Wanted::Nothing),
            ("bytes=5-2", 10, Wanted::Whole),
            ("bytes=0-1,3-4", 10, Wanted::Whole),
            ("bytes=a-b", 10, Wanted::Whole),
            ("lines=0-1", 10, Wanted::Whole),
            ("bytes=99999999999999999999-", 10, Wanted::Whole),
        ] {
            assert_eq!(range(header, size), expected, "{header} of {size}");
        }
    }
}
