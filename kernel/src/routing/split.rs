//! Visitors of a split: one app each, the same one when they come back.
//!
//! A cookie holds the app's id. It proves nothing and opens nothing: whoever writes another id of the
//! split into it sees that app, which the split shows to strangers anyway.

use abi_stable::std_types::RVec;
use fazt_abi::http::{RawRequestHead, RawResponse, RawResponseHead};
use fazt_sdk::AppId;
use fazt_sdk::http::Response;

use super::{cookie, head};
use crate::directory::Share;
use crate::edge::PreparedHead;

/// The name under TLS; the prefix keeps sibling hosts from setting it (RFC 6265bis §4.1.3.2).
const SECURE_NAME: &str = "__Host-fazt_split";
const PLAIN_NAME: &str = "fazt_split";

/// How long a visitor keeps an app: 30 days.
const MAX_AGE_S: u32 = 30 * 24 * 3_600;

/// Fields that caches between the node and a visitor go by. A split's answers are for one visitor.
const CACHE_FIELDS: [&str; 3] = ["cache-control", "cdn-cache-control", "surrogate-control"];

/// A visitor and the app that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) app: AppId,
    /// Whether the visitor has to be told which app it is.
    is_new: bool,
    secure: bool,
}

impl Visit {
    /// The app for this request: the one of its cookie while that is part of the split, otherwise
    /// one by the weights. `draw` gives a random number. Nothing when the split has no apps.
    pub(super) fn of(
        request: &RawRequestHead,
        shares: &[Share],
        draw: impl FnOnce() -> u64,
    ) -> Option<Self> {
        let secure = request.secure == 1;
        let name = if secure { SECURE_NAME } else { PLAIN_NAME };
        let known = cookie::values(head::values(request, "cookie"), name).find_map(|value| {
            let app = std::str::from_utf8(value).ok()?.parse().ok()?;
            shares.iter().any(|share| share.app == app).then_some(app)
        });
        match known {
            Some(app) => Some(Self { app, is_new: false, secure }),
            None => Some(Self { app: drawn(shares, draw())?, is_new: true, secure }),
        }
    }

    /// The answer of the app, as it goes to this visitor: not for shared caches, and with the cookie
    /// for somebody new.
    pub(super) fn mark(self, response: RawResponse) -> RawResponse {
        let RawResponse { status, head, body } = response;
        let encoded = match head {
            RawResponseHead::Fields(fields) => fields,
            RawResponseHead::Prepared(head) => RVec::from(PreparedHead::encoded(&head, status)),
        };
        let mut marked = Response::new(status);
        let mut never_stored = false;
        for (name, value) in fazt_sdk::http::fields(&encoded) {
            let name = String::from_utf8_lossy(name);
            if CACHE_FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field)) {
                never_stored |=
                    value.to_ascii_lowercase().windows(8).any(|word| word == b"no-store");
            } else {
                marked = marked.header(&name, value);
            }
        }
        let cache = if never_stored { "no-store" } else { "private, no-cache" };
        marked = marked.header("cache-control", cache).header("vary", "cookie");
        if self.is_new {
            marked = marked.header("set-cookie", self.cookie());
        }
        RawResponse { body, ..marked.into_raw() }
    }

    fn cookie(self) -> String {
        let (name, secure) = if self.secure { (SECURE_NAME, "; Secure") } else { (PLAIN_NAME, "") };
        let app = self.app;
        format!("{name}={app}; Path=/; HttpOnly; SameSite=Lax; Max-Age={MAX_AGE_S}{secure}")
    }
}

/// The app that a random number leads to, by the weights.
fn drawn(shares: &[Share], random: u64) -> Option<AppId> {
    let all: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
    let mut left = random.checked_rem(all)?;
    let share = shares.iter().find(|share| {
        let weight = u64::from(share.weight);
        let is_here = left < weight;
        left = left.saturating_sub(weight);
        is_here
    });
    share.map(|share| share.app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hundred_draws_fall_as_the_weights_say() {
        let app = |letter: u8| AppId::from_key([letter; 12]).unwrap();
        let shares = [(b'a', 70), (b'b', 29), (b'c', 1)]
            .map(|(letter, weight)| Share { app: app(letter), weight });
        let count = |letter: u8| {
            (0..100).filter(|random| drawn(&shares, *random) == Some(app(letter))).count()
        };
        assert_eq!([count(b'a'), count(b'b'), count(b'c')], [70, 29, 1]);
        assert_eq!(drawn(&shares, u64::MAX), Some(app(b'a')));
        assert_eq!(drawn(&[], 7), None);
    }
}
