//! Answers that were kept, for whoever asked for that, and for the same app only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fazt_sdk::AppId;
use fazt_sdk::services::egress::{OutboundRequest, OutboundResponse};
use sha2::{Digest as _, Sha256};

use super::secret::Credential;

/// What an answer was asked with: app, method, address, every header field (so whatever the answer
/// may vary by is in it), and the secret itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// Nothing for a request whose answer cannot be kept.
    pub(super) fn of(
        app: Option<AppId>,
        request: &OutboundRequest,
        url: &str,
        credential: Option<&Credential>,
    ) -> Option<Self> {
        if request.cache.is_none_or(|time| time.is_zero())
            || !matches!(request.method.as_str(), "GET" | "HEAD")
            || !request.body.is_empty()
        {
            return None;
        }
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        };
        add(&app.map(|app| *app.key()).unwrap_or_default());
        add(request.method.as_bytes());
        add(url.as_bytes());
        add(format!("{:?}", request.redirects).as_bytes());
        add(request.auth.as_deref().unwrap_or_default().as_bytes());
        add(credential.map(Credential::fingerprint).unwrap_or_default().as_slice());
        let mut fields: Vec<_> = request.headers.iter().collect();
        fields.sort();
        for (name, value) in fields {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        Some(Self(hash.finalize().into()))
    }
}

struct Kept {
    answer: Arc<OutboundResponse>,
    bytes: usize,
    /// By the clock that never goes back.
    until: Duration,
    /// Grows with each answer that is kept: the smallest is the oldest.
    number: u64,
}

#[derive(Default)]
struct Answers {
    kept: HashMap<Key, Kept>,
    bytes: usize,
    next: u64,
}

/// The kept answers of a node.
#[derive(Default)]
pub(super) struct Cache(Mutex<Answers>);

impl std::fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let answers = self.answers();
        write!(formatter, "Cache({} answers, {} bytes)", answers.kept.len(), answers.bytes)
    }
}

impl Cache {
    /// The answer to a request of that key, if there is one that still counts.
    pub(super) fn get(&self, key: &Key, now: Duration) -> Option<Arc<OutboundResponse>> {
        let mut answers = self.answers();
        if answers.kept.get(key)?.until <= now {
            remove(&mut answers, key);
            return None;
        }
        answers.kept.get(key).map(|kept| Arc::clone(&kept.answer))
    }

    /// Keeps an answer for `time`, or as long as it says itself, if that is shorter.
    pub(super) fn put(
        &self,
        key: Key,
        answer: &OutboundResponse,
        time: Duration,
        now: Duration,
        bytes_max: usize,
    ) {
        let time = time.min(TIME_MAX).min(lifetime(answer));
        let bytes = size(answer);
        if time.is_zero() || bytes > bytes_max / ANSWER_PART_MAX || !is_keepable(answer.status) {
            return;
        }
        let mut answers = self.answers();
        remove(&mut answers, &key);
        while answers.bytes + bytes > bytes_max || answers.kept.len() >= ANSWERS_MAX {
            let oldest = answers.kept.iter().min_by_key(|(_, kept)| kept.number);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
            remove(&mut answers, &oldest);
        }
        answers.next += 1;
        let number = answers.next;
        answers.bytes += bytes;
        let answer = Arc::new(answer.clone());
        answers.kept.insert(key, Kept { answer, bytes, until: now + time, number });
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(answers: &mut Answers, key: &Key) {
    if let Some(kept) = answers.kept.remove(key) {
        answers.bytes -= kept.bytes;
    }
}

fn size(answer: &OutboundResponse) -> usize {
    let fields: usize =
        answer.headers.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
    answer.body.len() + answer.url.len() + fields + 256
}

/// Those that can be kept without being told so (RFC 9110 §15.1), without partial ones.
fn is_keepable(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// How long an answer says that it counts (RFC 9111 §5.2.2); for ever when it says nothing. One that
/// is for a person, sets a cookie or varies by everything is not kept.
fn lifetime(answer: &OutboundResponse) -> Duration {
    let mut time = Duration::MAX;
    for (name, value) in &answer.headers {
        match name.as_str() {
            "set-cookie" => return Duration::ZERO,
            "vary" if value.contains('*') => return Duration::ZERO,
            "cache-control" => {
                for directive in value.split(',') {
                    let directive = directive.trim().to_ascii_lowercase();
                    if matches!(
                        directive.split('=').next(),
                        Some("no-store" | "no-cache" | "private")
                    ) {
                        return Duration::ZERO;
                    }
                    if let Some(seconds) = directive.strip_prefix("max-age=") {
                        let seconds = seconds.trim_matches('"').parse().unwrap_or(0);
                        time = time.min(Duration::from_secs(seconds));
                    }
                }
            }
            _ => {}
        }
    }
    time
}

/// The most answers that are kept.
const ANSWERS_MAX: usize = 4_096;

/// One answer takes at most one part in so many of the whole.
const ANSWER_PART_MAX: usize = 8;

/// The longest time that an answer is kept.
const TIME_MAX: Duration = Duration::from_secs(24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn request(url: &str) -> OutboundRequest {
        OutboundRequest { cache: Some(Duration::from_secs(60)), ..OutboundRequest::new("GET", url) }
    }

    fn answer(headers: &[(&str, &str)], body_bytes: usize) -> OutboundResponse {
        OutboundResponse {
            status: 200,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: vec![0; body_bytes],
            url: String::new(),
            redirected: false,
            from_cache: false,
        }
    }

    fn app(number: u8) -> Option<AppId> {
        AppId::from_random(&[number; 64])
    }

    #[test]
    fn another_app_another_header_and_another_secret_ask_anew() {
        let url = "https://example.com/";
        let plain = request(url);
        let key = |app, request: &OutboundRequest, secret: Option<&str>| {
            let credential = secret.map(Credential::for_test);
            Key::of(app, request, url, credential.as_ref()).unwrap()
        };
        let with_header =
            OutboundRequest { headers: vec![("accept".into(), "x".into())], ..plain.clone() };
        let with_auth = OutboundRequest { auth: Some("KEY".into()), ..plain.clone() };
        let head = OutboundRequest { method: "HEAD".into(), ..plain.clone() };
        let keys = [
            key(app(1), &plain, None),
            key(app(2), &plain, None),
            key(None, &plain, None),
            key(app(1), &with_header, None),
            key(app(1), &with_auth, Some("one")),
            key(app(1), &with_auth, Some("two")),
            key(app(1), &head, None),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert_eq!(keys.iter().filter(|other| *other == one).count(), 1, "{at}");
        }
        assert_eq!(keys[0], key(app(1), &request(url), None));
    }

    #[test]
    fn nothing_is_kept_unless_it_is_asked_for() {
        let url = "https://example.com/";
        let silent = OutboundRequest { cache: None, ..request(url) };
        let post = OutboundRequest { method: "POST".into(), ..request(url) };
        assert!(Key::of(None, &silent, url, None).is_none());
        assert!(Key::of(None, &post, url, None).is_none());
    }

    #[test]
    fn an_answer_counts_as_long_as_both_sides_say() {
        let (minute, key) = (Duration::from_secs(60), Key([1; 32]));
        for (headers, seconds) in [
            (&[][..], 60),
            (&[("cache-control", "public, max-age=5")], 5),
            (&[("cache-control", "max-age=5000")], 60),
            (&[("cache-control", "no-store")], 0),
            (&[("cache-control", "private, max-age=60")], 0),
            (&[("set-cookie", "a=b")], 0),
            (&[("vary", "*")], 0),
        ] {
            let cache = Cache::default();
            cache.put(key, &answer(headers, 10), minute, Duration::ZERO, MIB);
            let at = |seconds| cache.get(&key, Duration::from_millis(seconds)).is_some();
            assert_eq!(at(0), seconds > 0, "{headers:?}");
            assert!(!at(seconds * 1_000), "{headers:?}");
            if seconds > 0 {
                cache.put(key, &answer(headers, 10), minute, Duration::ZERO, MIB);
                assert!(at(seconds * 1_000 - 1), "{headers:?}");
            }
        }
    }

    #[test]
    fn the_oldest_make_room() {
        let (cache, minute) = (Cache::default(), Duration::from_secs(60));
        let key = |number| Key([number; 32]);
        for number in 0..20 {
            cache.put(key(number), &answer(&[], MIB / 10), minute, Duration::ZERO, MIB);
        }
        assert!(cache.get(&key(0), Duration::ZERO).is_none());
        assert!(cache.get(&key(19), Duration::ZERO).is_some());
        assert!(cache.answers().bytes <= MIB);
        cache.put(key(99), &answer(&[], MIB / 2), minute, Duration::ZERO, MIB);
        assert!(cache.get(&key(99), Duration::ZERO).is_none(), "too large a part of the whole");
    }
}
