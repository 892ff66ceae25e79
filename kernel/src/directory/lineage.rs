//! Which app was copied from which: a tree, as lines in the order of reading.

use std::collections::{HashMap, HashSet};

use fazt_sdk::AppId;

use super::{App, Snapshot};

/// One app of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member<'s> {
    pub(crate) app: &'s App,
    /// Steps from the oldest ancestor that is still there.
    pub(crate) depth: u32,
    /// The strokes that stand before its name.
    pub(crate) strokes: String,
}

/// The family of `app`: its oldest ancestor that is still there, and everything that was copied from
/// that, each followed by its copies, the oldest first.
pub(crate) fn family(directory: &Snapshot, app: AppId) -> Vec<Member<'_>> {
    let Some(mut root) = directory.app(app) else { return Vec::new() };
    let mut passed = HashSet::from([root.id]);
    while let Some(parent) = root.forked_from.and_then(|id| directory.app(id)) {
        // No app is its own ancestor, unless somebody wrote so into the cartridge by hand.
        if !passed.insert(parent.id) {
            break;
        }
        root = parent;
    }
    let mut copies: HashMap<AppId, Vec<&App>> = HashMap::new();
    for app in directory.apps.values() {
        if let Some(parent) = app.forked_from {
            copies.entry(parent).or_default().push(app);
        }
    }
    for apps in copies.values_mut() {
        // The latest first: they are taken from the end.
        apps.sort_by_key(|app| std::cmp::Reverse((app.created_at_ms, app.id)));
    }
    let mut family = Vec::new();
    let mut seen = HashSet::new();
    // Depth, whether it is the last among its siblings, and what stands before its own stroke.
    let mut waiting = vec![(root, 0_u32, true, String::new())];
    while let Some((app, depth, is_last, indent)) = waiting.pop() {
        if !seen.insert(app.id) {
            continue;
        }
        let (stroke, below) = match (depth, is_last) {
            (0, _) => ("", ""),
            (_, true) => ("└─ ", "   "),
            (_, false) => ("├─ ", "│  "),
        };
        family.push(Member { app, depth, strokes: format!("{indent}{stroke}") });
        let indent = format!("{indent}{below}");
        for (at, copy) in copies.get(&app.id).into_iter().flatten().enumerate() {
            waiting.push((copy, depth + 1, at == 0, indent.clone()));
        }
    }
    family
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn id(letter: u8) -> AppId {
        AppId::from_key([letter; 12]).unwrap()
    }

    fn directory(apps: &[(u8, Option<u8>)]) -> Snapshot {
        let mut directory = Snapshot::default();
        let map = Arc::make_mut(&mut directory.apps);
        for (at, (letter, parent)) in (1..).zip(apps) {
            let name = char::from(*letter).to_string();
            let forked_from = parent.map(id);
            let app = App { id: id(*letter), name, created_at_ms: at, forked_from };
            map.insert(app.id, Arc::new(app));
        }
        directory
    }

    fn drawn(directory: &Snapshot, of: u8) -> Vec<String> {
        family(directory, id(of))
            .into_iter()
            .map(|member| format!("{}{}", member.strokes, member.app.name))
            .collect()
    }

    #[test]
    fn a_family_is_drawn_from_its_oldest_ancestor_whoever_asks() {
        let apps = [
            (b'a', None),
            (b'b', Some(b'a')),
            (b'c', Some(b'a')),
            (b'd', Some(b'b')),
            (b'e', None),
        ];
        let directory = directory(&apps);
        for of in *b"abcd" {
            assert_eq!(drawn(&directory, of), ["a", "├─ b", "│  └─ d", "└─ c"]);
        }
        assert_eq!(drawn(&directory, b'e'), ["e"]);
        assert!(family(&directory, id(b'z')).is_empty());
    }

    #[test]
    fn an_ancestor_that_is_gone_and_a_circle_end_the_climb() {
        assert_eq!(
            drawn(&directory(&[(b'b', Some(b'a')), (b'c', Some(b'b'))]), b'c'),
            ["b", "└─ c"]
        );
        let circle = directory(&[(b'a', Some(b'b')), (b'b', Some(b'a'))]);
        assert_eq!(drawn(&circle, b'a').len(), 2);
    }
}
