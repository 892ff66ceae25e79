//! Which surface a host belongs to. One decision, by exact look-up; no name has special powers.

use std::net::IpAddr;
use std::sync::Arc;

use fazt_sdk::AppId;

use crate::directory::{Snapshot, Target};

/// What a request's host leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The node's own name.
    Node,
    /// The owner's surface.
    Admin,
    /// An app.
    App(AppId),
    /// Somewhere else.
    Redirect(Arc<str>),
    /// Nowhere: the constant page.
    Unknown,
}

/// The place of a canonical host.
pub(crate) fn place(host: &str, domain: &str, directory: &Snapshot) -> Place {
    let Some(below) = host.strip_suffix(domain) else {
        // The bare address of the machine leads to the landing page, which gives nothing away.
        return if host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok() {
            Place::Node
        } else {
            Place::Unknown
        };
    };
    if below.is_empty() {
        return Place::Node;
    }
    let Some(label) = below.strip_suffix('.') else { return Place::Unknown };
    match label {
        "admin" => Place::Admin,
        "root" => Place::Node,
        _ => match directory.aliases.get(label).map(|alias| &alias.target) {
            Some(Target::App(id)) => Place::App(*id),
            Some(Target::Redirect(url)) => Place::Redirect(Arc::clone(url)),
            Some(Target::Reserved) | None => Place::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Alias;

    #[test]
    fn hosts_lead_where_the_directory_says() {
        let id = AppId::from_key(*b"000000000000").unwrap();
        let mut directory = Snapshot::default();
        for (name, target) in [
            ("blog", Target::App(id)),
            ("old", Target::Redirect("https://new.example".into())),
            ("kept", Target::Reserved),
        ] {
            directory
                .aliases
                .insert(name.to_owned(), Alias { name: name.to_owned(), target, created_at_ms: 0 });
        }
        for (host, expected) in [
            ("example.com", Place::Node),
            ("root.example.com", Place::Node),
            ("admin.example.com", Place::Admin),
            ("blog.example.com", Place::App(id)),
            ("old.example.com", Place::Redirect("https://new.example".into())),
            ("kept.example.com", Place::Unknown),
            ("none.example.com", Place::Unknown),
            ("a.blog.example.com", Place::Unknown),
            ("blogexample.com", Place::Unknown),
            ("adminexample.com", Place::Unknown),
            ("example.com.evil.net", Place::Unknown),
            ("localhost", Place::Unknown),
            ("admin.localhost", Place::Unknown),
            ("192.0.2.7", Place::Node),
            ("[::1]", Place::Node),
            ("", Place::Unknown),
        ] {
            assert_eq!(place(host, "example.com", &directory), expected, "{host}");
        }
    }
}
