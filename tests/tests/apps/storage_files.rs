//! `fazt storage … export`, `import`, `get` and `put`: what an app keeps, as files and back.

use std::fs;

use fazt_tests::Home;
use serde_json::{Value, json};

use crate::app::App;

const APP: &str = "export default { async fetch(request) {
    const { kv, ds } = fazt.app;
    await kv.set('plain', 1);
    await kv.set('odd,\"key\"\\n', { text: '=1+1', list: [null, 'é'] });
    await kv.set('later', 'x', 3_600_000);
    await kv.set('null', null);
    for (let n = 0; n < 1200; n++) await ds.insert('posts', { id: `p${n}`, n, text: n % 2 ? 'a, b' : '=x', deep: { n } });
    return Response.json({});
} };";

#[test]
fn what_an_app_keeps_goes_into_files_and_comes_back() {
    let home = Home::new();
    let node = home.start();
    for app in ["old", "new"] {
        let files = [("api/main.js", APP), ("index.html", "x")];
        assert_eq!(node.deploy(app, &files).status, 200);
    }
    assert_eq!(App::new(&node, "old").ask("POST", "/api").status, 200);
    let good = |words: &str| {
        let said = home.fazt(words);
        assert_eq!(said.code, Some(0), "{words}: {}", said.err);
        said.out
    };
    for ending in ["jsonl", "csv"] {
        let (keys, docs) = (format!("keys.{ending}"), format!("posts.{ending}"));
        assert!(good(&format!("storage kv export old {keys}")).starts_with(&keys));
        good(&format!("storage docs export old posts {docs}"));
        assert_eq!(good(&format!("storage kv import new {keys}")).trim(), "4 keys are in");
        let said = good(&format!("storage docs import new posts {docs}"));
        assert_eq!(said.trim(), "1200 documents are in");
        // The copy is the same in every byte; what was exported was all.
        for (what, file) in [("kv export new", &keys), ("docs export new posts", &docs)] {
            let switch = if ending == "csv" { " --csv" } else { "" };
            let again = good(&format!("storage {what}{switch}"));
            assert_eq!(again, fs::read_to_string(home.path(file)).unwrap(), "{what} {ending}");
        }
        for (file, lines) in [(&keys, 4), (&docs, 1_200)] {
            let head = usize::from(ending == "csv");
            let text = fs::read_to_string(home.path(file)).unwrap();
            assert!(text.lines().count() >= lines + head, "{file}");
        }
        // A spreadsheet takes nothing for a formula.
        if ending == "csv" {
            let text = fs::read_to_string(home.path(&docs)).unwrap();
            assert!(text.contains("'=x") && !text.contains(",=x"), "{text:.300}");
        }
        good("storage docs delete new posts {}");
        for key in ["plain", "later", "null"] {
            good(&format!("storage kv delete new {key}"));
        }
    }
    let some = good("storage docs export old posts --query {\"n\":{\"$lt\":2}}");
    let first: Value = serde_json::from_str(some.lines().next().unwrap()).unwrap();
    assert_eq!(
        (some.lines().count(), &first["id"], &first["deep"]),
        (2, &json!("p0"), &json!({"n": 0}))
    );
    let later = good("storage kv export old --prefix la");
    let later: Value = serde_json::from_str(&later).unwrap();
    assert!(later["expires_at_ms"].as_u64().unwrap() > 1_700_000_000_000, "{later}");
    good("storage kv import new keys.jsonl --user ada");
    assert_eq!(good("storage kv export new --user ada").lines().count(), 4);

    // Objects, also such as are no text.
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    fs::write(home.path("in.bin"), &bytes).unwrap();
    let said = good("storage objects put old photos/a.bin in.bin --type image/png");
    assert!(said.contains("photos/a.bin is there: 3000000 bytes, image/png"), "{said}");
    good("storage objects get old photos/a.bin out.bin");
    assert_eq!(fs::read(home.path("out.bin")).unwrap(), bytes);
    assert!(good("storage objects list old").contains("photos/a.bin"));
    good("storage objects delete old photos/a.bin");

    for (words, code, says) in [
        ("storage kv export old keys.csv", 1, "exists already"),
        ("storage objects get old photos/a.bin gone.bin", 3, "no such object"),
        ("storage kv export none", 3, "there is no app"),
        ("storage docs import new posts nothing.csv", 3, "there is no file"),
        ("storage docs import new posts keys.jsonl --user", 2, "--user"),
    ] {
        let said = home.fazt(words);
        assert_eq!(said.code, Some(code), "{words}: {}", said.err);
        assert!(said.err.contains(says), "{words}: {}", said.err);
    }
    assert!(!home.path("gone.bin").exists());
    fs::write(home.path("bad.jsonl"), "{\"key\":\"a\",\"value\":1}\n{\"key\":2}\n").unwrap();
    let said = home.fazt("storage kv import new bad.jsonl");
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("row 2") && said.err.contains("`key`"), "{}", said.err);
    assert!(node.stop().success());
}
