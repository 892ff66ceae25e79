//! Which surface a host belongs to. One decision, by exact look-up; no name has special powers.

use std::net::IpAddr;
use std::sync::Arc;

use fazt_sdk::AppId;

use crate::directory::{LeadsTo, Share, Snapshot, Target};

/// What a request's host leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The node's own name.
    Node,
    /// The owner's surface.
    Admin,
    /// An app; of its deployments the active one, unless the host begins with a preview label.
    App {
        /// Which.
        app: AppId,
        /// Bytes of the preview label at the start of the host; 0 when there is none.
        preview_bytes: u32,
    },
    /// One of several apps for each visitor.
    Split(Arc<[Share]>),
    /// Somewhere else: an absolute address.
    Redirect(Arc<str>),
    /// The same path on another host.
    OtherHost(Arc<str>),
    /// Nowhere: the constant page.
    Unknown,
}

/// The place of a canonical host. The node's own names come before all domains.
pub(crate) fn place(host: &str, domain: &str, directory: &Snapshot) -> Place {
    let below = match host.strip_suffix(domain) {
        Some("") => return Place::Node,
        Some(below) => below.strip_suffix('.'),
        None => None,
    };
    let Some(label) = below else { return elsewhere(host, directory) };
    match label {
        "admin" => Place::Admin,
        "root" => Place::Node,
        _ => match directory.aliases.get(label).map(|alias| &alias.target) {
            Some(Target::App(id)) => Place::App { app: *id, preview_bytes: 0 },
            Some(Target::Split(shares)) => Place::Split(Arc::clone(shares)),
            Some(Target::Redirect(url)) => Place::Redirect(Arc::clone(url)),
            Some(Target::Reserved) => Place::Unknown,
            None => preview(label, directory),
        },
    }
}

/// The place of a host that is not below the node's own name. A domain that was never verified leads
/// nowhere: whoever adds a name of somebody else answers for nothing under it.
fn elsewhere(host: &str, directory: &Snapshot) -> Place {
    match directory.domains.get(host).filter(|domain| domain.is_verified()) {
        Some(domain) => match &domain.leads_to {
            LeadsTo::App(app) => Place::App { app: *app, preview_bytes: 0 },
            LeadsTo::Host(host) => Place::OtherHost(Arc::clone(host)),
        },
        // The bare address of the machine leads to the landing page, which gives nothing away.
        None if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() => Place::Node,
        None => Place::Unknown,
    }
}

/// The place of `PREVIEW--ALIAS`, which no alias is called: the app behind ALIAS, if it is one.
///
/// A preview label has letters and digits only, so the first `--` ends it, also before an alias that
/// has one itself.
fn preview(label: &str, directory: &Snapshot) -> Place {
    let Some((preview, alias)) = label.split_once("--") else { return Place::Unknown };
    let is_label = !preview.is_empty()
        && preview.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    match directory.aliases.get(alias).map(|alias| &alias.target) {
        Some(Target::App(id)) if is_label => {
            Place::App { app: *id, preview_bytes: u32::try_from(preview.len()).unwrap_or(0) }
        }
        _ => Place::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::directory::{Alias, Domain};
    use crate::edge::canonical;

    #[test]
    fn hosts_lead_where_the_directory_says() {
        let id = AppId::from_key(*b"000000000000").unwrap();
        let other = AppId::from_key(*b"111111111111").unwrap();
        let app = |app, preview_bytes| Place::App { app, preview_bytes };
        let shares: Arc<[Share]> =
            [(id, 90), (other, 10)].map(|(app, weight)| Share { app, weight }).into();
        let mut directory = Snapshot::default();
        for (name, target) in [
            ("blog", Target::App(id)),
            ("old", Target::Redirect("https://new.example".into())),
            ("kept", Target::Reserved),
            ("x--y", Target::App(other)),
            ("both", Target::Split(Arc::clone(&shares))),
        ] {
            let alias = Alias { name: name.to_owned(), target, created_at_ms: 0 };
            Arc::make_mut(&mut directory.aliases).insert(alias.name.clone(), Arc::new(alias));
        }
        for (name, leads_to, verified_at_ms) in [
            ("www.shop.test", LeadsTo::App(id), Some(1)),
            ("shop.test", LeadsTo::Host("www.shop.test".into()), Some(1)),
            ("new.test", LeadsTo::App(id), None),
            ("blogexample.com", LeadsTo::App(other), Some(1)),
            ("taken.example.com", LeadsTo::App(other), Some(1)),
        ] {
            let domain = Domain {
                name: name.to_owned(),
                leads_to,
                created_at_ms: 0,
                verified_at_ms,
                checked_at_ms: None,
                problem: None,
            };
            Arc::make_mut(&mut directory.domains).insert(domain.name.clone(), Arc::new(domain));
        }
        for (host, expected) in [
            ("example.com", Place::Node),
            ("root.example.com", Place::Node),
            ("admin.example.com", Place::Admin),
            ("blog.example.com", app(id, 0)),
            ("k3xab9--blog.example.com", app(id, 6)),
            ("x--y.example.com", app(other, 0)),
            ("k3x--x--y.example.com", app(other, 3)),
            ("--blog.example.com", Place::Unknown),
            ("a-b--blog.example.com", Place::Unknown),
            ("a_b--blog.example.com", Place::Unknown),
            ("k3x--old.example.com", Place::Unknown),
            ("k3x--kept.example.com", Place::Unknown),
            ("k3x--none.example.com", Place::Unknown),
            ("k3x--admin.example.com", Place::Unknown),
            ("k3x--.example.com", Place::Unknown),
            ("k3x--blog.a.example.com", Place::Unknown),
            ("old.example.com", Place::Redirect("https://new.example".into())),
            ("kept.example.com", Place::Unknown),
            ("none.example.com", Place::Unknown),
            ("a.blog.example.com", Place::Unknown),
            ("both.example.com", Place::Split(Arc::clone(&shares))),
            ("k3x--both.example.com", Place::Unknown),
            ("www.shop.test", app(id, 0)),
            ("shop.test", Place::OtherHost("www.shop.test".into())),
            ("a.shop.test", Place::Unknown),
            ("new.test", Place::Unknown),
            ("k3x--www.shop.test", Place::Unknown),
            ("blogexample.com", app(other, 0)),
            ("taken.example.com", Place::Unknown),
            ("keptexample.com", Place::Unknown),
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

    /// Where a request leads that spells its host like this; nothing when it is refused.
    fn led(spelled: &str, directory: &Snapshot) -> Option<Place> {
        let authority = canonical::authority(spelled.as_bytes()).ok()?;
        Some(place(&authority.host, "example.com", directory))
    }

    fn directory() -> Snapshot {
        let app = AppId::from_key(*b"000000000000").unwrap();
        let mut directory = Snapshot::default();
        for name in ["blog", "a--b", "0"] {
            let alias = Alias { name: name.to_owned(), target: Target::App(app), created_at_ms: 0 };
            Arc::make_mut(&mut directory.aliases).insert(name.to_owned(), Arc::new(alias));
        }
        directory
    }

    proptest! {
        #[test]
        fn however_a_host_is_spelled_it_leads_to_one_place(
            host in "(blog|a--b|admin|root|none|k3x--blog|0)?\\.?example\\.com",
            upper in prop::collection::vec(any::<bool>(), 40),
            dot: bool,
            port in prop::option::of(1_u16..),
        ) {
            let letters = host.chars().zip(upper.into_iter().chain(std::iter::repeat(false)));
            let name: String = letters
                .map(|(letter, upper)| if upper { letter.to_ascii_uppercase() } else { letter })
                .collect();
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            let spelled = format!("{name}{}{port}", if dot { "." } else { "" });
            let directory = directory();
            prop_assert_eq!(led(&spelled, &directory), led(&host, &directory));
        }

        #[test]
        fn one_name_alone_leads_to_the_owners_surface(
            host in prop_oneof![
                "[a-zA-Z0-9.:@%_\\[\\]-]{0,20}",
                "[a-z0-9.:@%_-]{0,6}(admin|ADMIN)[a-z0-9.:@%_-]{0,6}(example.com)?[.:0-9a-z]{0,4}",
            ],
        ) {
            if led(&host, &directory()) == Some(Place::Admin) {
                let authority = canonical::authority(host.as_bytes()).unwrap();
                prop_assert_eq!(&*authority.host, "admin.example.com");
            }
        }

        #[test]
        fn a_label_leads_to_its_own_app_or_to_a_preview_of_it_and_nowhere_else(
            label in "[a-z0-9-]{1,12}",
        ) {
            let directory = directory();
            match place(&format!("{label}.example.com"), "example.com", &directory) {
                Place::App { preview_bytes: 0, .. } => {
                    prop_assert!(directory.aliases.contains_key(&label));
                }
                Place::App { preview_bytes, .. } => {
                    let bytes = usize::try_from(preview_bytes).unwrap();
                    let (preview, rest) = label.split_at(bytes);
                    prop_assert!(preview.bytes().all(|byte| byte.is_ascii_alphanumeric()));
                    let alias = rest.strip_prefix("--").unwrap();
                    prop_assert!(directory.aliases.contains_key(alias));
                    prop_assert!(!directory.aliases.contains_key(&label));
                }
                place => prop_assert!(
                    matches!(place, Place::Unknown | Place::Admin | Place::Node),
                    "{:?}", place
                ),
            }
        }
    }
}
