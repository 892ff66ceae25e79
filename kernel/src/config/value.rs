//! Values of settings as people write them: `10 MiB`, `15 s`, `on`.

use fazt_sdk::setting::SettingKind;
use fazt_sdk::{Error, Result};
use serde_json::Value;

use crate::edge::canonical;

/// The value that `text` means for a setting of this kind.
///
/// # Errors
/// `Invalid`, saying what would be understood.
pub(crate) fn parse(name: &str, kind: &SettingKind, text: &str) -> Result<Value> {
    let text = text.trim();
    let wrong = |expected: &str| {
        Error::invalid(format!("`{text}` does not fit the setting {name}: write {expected}"))
    };
    let value = match kind {
        SettingKind::Text | SettingKind::HostName => Value::from(text),
        SettingKind::Switch => match text {
            "true" | "on" | "yes" => Value::from(true),
            "false" | "off" | "no" => Value::from(false),
            _ => return Err(wrong("on or off")),
        },
        SettingKind::Integer { .. } => {
            Value::from(text.parse::<i64>().map_err(|_| wrong("a whole number"))?)
        }
        SettingKind::Bytes { .. } => {
            let units = [
                ("", 1),
                ("b", 1),
                ("kb", 1_000),
                ("mb", 1_000_000),
                ("gb", 1_000_000_000),
                ("kib", 1 << 10),
                ("mib", 1 << 20),
                ("gib", 1 << 30),
            ];
            Value::from(
                amount(text, &units)
                    .ok_or_else(|| wrong("a number of bytes such as 500 KB or 10 MiB"))?,
            )
        }
        SettingKind::Duration { .. } => {
            let units =
                [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
            Value::from(
                amount(text, &units)
                    .ok_or_else(|| wrong("a time such as 500 ms, 15 s, 5 min, 12 h or 90 d"))?,
            )
        }
    };
    check(name, kind, &value)?;
    Ok(value)
}

/// `12 MiB` as a number of the smallest unit; nothing when it is not understood or overflows.
fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Checks a value that is there already.
///
/// # Errors
/// `Invalid` for another type or a value out of bounds.
pub(crate) fn check(name: &str, kind: &SettingKind, value: &Value) -> Result<()> {
    let fits = match kind {
        SettingKind::Text => value.is_string(),
        SettingKind::HostName => value.as_str().is_some_and(is_host_name),
        SettingKind::Switch => value.is_boolean(),
        SettingKind::Integer { min, max } => {
            value.as_i64().is_some_and(|number| (*min..=*max).contains(&number))
        }
        SettingKind::Bytes { max } => value.as_u64().is_some_and(|bytes| bytes <= *max),
        SettingKind::Duration { max_ms } => value.as_u64().is_some_and(|ms| ms <= *max_ms),
    };
    if fits {
        return Ok(());
    }
    let expected = match kind {
        SettingKind::Text => "text".to_owned(),
        SettingKind::HostName => {
            "a host name such as example.com, in lower case, without a scheme, a port or a path"
                .to_owned()
        }
        SettingKind::Switch => "on or off".to_owned(),
        SettingKind::Integer { min, max } => format!("a whole number from {min} to {max}"),
        SettingKind::Bytes { max } => format!("at most {max} bytes"),
        SettingKind::Duration { max_ms } => format!("at most {max_ms} ms"),
    };
    Err(Error::invalid(format!("the setting {name} cannot be {value}: it takes {expected}")))
}

/// A name in the only spelling that requests are compared with, and no address: an address has no
/// labels below it. Room is left for one label in front (RFC 1035 §2.3.4).
fn is_host_name(text: &str) -> bool {
    let spelled_so = canonical::authority(text.as_bytes())
        .is_ok_and(|authority| authority.host == text && authority.port.is_empty());
    let last = text.rsplit('.').next().unwrap_or_default();
    spelled_so
        && text.len() <= 253 - 64
        && last.bytes().any(|byte| byte.is_ascii_alphabetic())
        && text.split('.').all(|label| !label.starts_with('-') && !label.ends_with('-'))
        && !text.contains(['_', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_units() {
        let bytes = SettingKind::Bytes { max: u64::MAX };
        let time = SettingKind::Duration { max_ms: u64::MAX };
        for (kind, text, number) in [
            (&bytes, "512", 512),
            (&bytes, "10 MiB", 10 << 20),
            (&bytes, "500KB", 500_000),
            (&time, "15 s", 15_000),
            (&time, "90 d", 7_776_000_000_u64),
        ] {
            assert_eq!(parse("x", kind, text).unwrap(), Value::from(number), "{text}");
        }
    }

    #[test]
    fn a_host_name_has_one_spelling() {
        let kind = SettingKind::HostName;
        for good in ["localhost", "example.com", "a-b.example.co.uk", "xn--bcher-kva.example"] {
            assert!(parse("x", &kind, good).is_ok(), "{good}");
        }
        let long = format!("{}.com", "a.".repeat(100));
        for bad in [
            "",
            "Example.com",
            "example.com.",
            "example.com:80",
            "example.com:",
            "http://example.com",
            "example.com/",
            "exa mple.com",
            "a..b",
            ".example.com",
            "-a.com",
            "a-.com",
            "a_b.com",
            "192.0.2.7",
            "[::1]",
            "::1",
            "me@example.com",
            "b\u{fc}cher.example",
            "*.example.com",
            &long,
        ] {
            assert!(parse("x", &kind, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_understood_or_out_of_bounds_is_refused() {
        let bytes = SettingKind::Bytes { max: 1000 };
        let time = SettingKind::Duration { max_ms: 1000 };
        let integer = SettingKind::Integer { min: 1, max: 5 };
        for (kind, text) in [
            (&bytes, "1 KiB"),
            (&bytes, "-1"),
            (&bytes, "ten"),
            (&bytes, "99999999999 GiB"),
            (&time, "10"),
            (&time, "2 s"),
            (&integer, "6"),
            (&integer, "1.5"),
            (&SettingKind::Switch, "maybe"),
        ] {
            assert!(parse("x", kind, text).is_err(), "{text}");
        }
    }
}
