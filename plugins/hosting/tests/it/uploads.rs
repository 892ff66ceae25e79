//! Uploads that break the form, the limits or the rights.

use fazt_sdk::call::Scope;
use fazt_testkit::Caller;

use crate::world::{BOUNDARY, Site, World, form, form_type, noise};

#[tokio::test]
async fn a_zip_may_come_as_it_is() {
    let world = World::new().await;
    let zip = Site::new().file("index.html", "plain").zip();
    let reply = world.upload_plain("blog", zip).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(world.get("blog", "/").await.text(), "plain");
}

#[tokio::test]
async fn fields_may_come_in_any_order_and_are_kept() {
    let world = World::new().await;
    let zip = Site::new().file("index.html", "x").zip();
    let parts: [(&str, &[u8]); 5] = [
        ("source_type", b"git"),
        ("file", &zip),
        ("source_commit", b"abc"),
        ("spa", b"true"),
        ("site_name", b"blog"),
    ];
    let reply = world.post(&form_type(), form(&parts)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let id = reply.json()["data"]["deployment_id"].as_str().unwrap().to_owned();
    let deployment = world.api("GET", &format!("/api/deployments/{id}")).await.json();
    assert_eq!(deployment["data"]["source"], serde_json::json!({"type": "git", "commit": "abc"}));
    assert_eq!(deployment["data"]["spa"], true);
    assert_eq!(deployment["data"]["active"], true);
}

#[tokio::test]
async fn a_form_that_says_too_little_or_too_much_is_refused() {
    let world = World::new().await;
    let zip = Site::new().file("index.html", "x").zip();
    let file: (&str, &[u8]) = ("file", &zip);
    let site: (&str, &[u8]) = ("site_name", b"blog");
    let rows = world.rows().await;
    type Case<'a> = (&'a str, Vec<(&'a str, &'a [u8])>, &'a str);
    let cases: Vec<Case<'_>> = vec![
        ("nothing", vec![], "FIELD_MISSING"),
        ("no file", vec![site], "FIELD_MISSING"),
        ("no name", vec![file], "FIELD_MISSING"),
        ("empty name", vec![("site_name", b""), file], "FIELD_MISSING"),
        ("two files", vec![site, file, file], "FIELD_TWICE"),
        ("two names", vec![site, site, file], "FIELD_TWICE"),
        ("unknown", vec![site, file, ("includes", b"1")], "UNKNOWN_FIELD"),
        ("preview", vec![site, file, ("preview", b"perhaps")], "INVALID"),
        ("spa", vec![site, file, ("spa", b"perhaps")], "INVALID"),
        ("empty archive", vec![site, ("file", b"")], "EMPTY_ARCHIVE"),
        ("no label", vec![("site_name", b"Not A Label"), file], "INVALID"),
    ];
    for (name, parts, code) in cases {
        let reply = world.post(&form_type(), form(&parts)).await;
        assert_eq!(reply.status, 400, "{name}: {}", reply.text());
        let given = reply.json()["error"]["code"].as_str().unwrap().to_owned();
        assert!(given == code || code == "INVALID", "{name}: {given}");
    }
    for content_type in ["text/plain", "multipart/form-data", "multipart/mixed; boundary=x", ""] {
        let reply = world.post(content_type, form(&[site, file])).await;
        assert_eq!(reply.status, 400, "{content_type}");
    }
    assert_eq!(world.rows().await["hosting_deployment"], rows["hosting_deployment"]);
}

#[tokio::test]
async fn an_abusive_form_is_refused_early() {
    let world = World::new().await;
    let letter = |number: u32| char::from(b'a' + u8::try_from(number % 26).unwrap());
    let name = |number: u32| {
        let letters: String = (0..4).map(|place| letter(number / 26_u32.pow(place))).collect();
        format!("source_{letters}")
    };
    let names: Vec<_> = (0..100_000).map(name).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"y"[..])).collect();
    let mut endless = format!("--{BOUNDARY}\r\n").into_bytes();
    endless.extend(b"x-a: b\r\n".repeat(1 << 20));
    let mut unended = form(&[("site_name", b"blog"), ("file", &[0; 100_000])]);
    unended.truncate(unended.len() - BOUNDARY.len() - 6);
    let long_name = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=file; filename=\"{}\"\r\n\r\n",
        "x".repeat(64 * 1024)
    );
    let long_field = form(&[("site_name", &vec![b'a'; 100_000])]);
    for (name, body, status) in [
        ("100,000 parts", form(&many), 413),
        ("endless headers", endless, 413),
        ("no end", unended, 400),
        ("a name of 64 KiB", long_name.into_bytes(), 413),
        ("a field of 100 KB", long_field, 413),
        ("nothing", Vec::new(), 400),
        ("no boundary in it", vec![b'x'; 1000], 400),
    ] {
        let reply = world.post(&form_type(), body).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
    }
    assert!(!world.has_app("blog").await);
    // Nothing of it is in the way of the next one.
    world.deploy("blog", &Site::new().file("index.html", "x")).await;
}

#[tokio::test]
async fn an_upload_over_the_limit_is_refused_by_what_it_says_and_by_what_it_is() {
    let world = World::with(&[("hosting.upload_bytes_max", "10000")]).await;
    let small = Site::new().file("index.html", "x").zip();
    assert_eq!(world.upload_plain("blog", small).await.status, 200);
    let large = Site::new().file("a.bin", noise(20_000)).zip();
    let said = [("content-type", "application/zip"), ("content-length", "20000")];
    for reply in [
        world.upload_plain("blog", large.clone()).await,
        world.upload_bytes("blog", &large).await,
        // Refused by its announcement: the body is not even a ZIP.
        world.post_with(Caller::OWNER, &said, Vec::new()).await,
    ] {
        assert_eq!(reply.status, 413, "{}", reply.text());
        assert_eq!(reply.json()["error"]["code"], "UPLOAD_TOO_LARGE");
    }
}

#[tokio::test]
async fn a_key_deploys_with_its_scope_and_to_its_app_only() {
    let world = World::new().await;
    world.deploy("one", &Site::new().file("index.html", "one")).await;
    world.deploy("two", &Site::new().file("index.html", "two")).await;
    let site = Site::new().file("index.html", "new");
    let one = world.key(&[Scope::Deploy], Some("one")).await;
    let read = world.key(&[Scope::Read], None).await;
    let any = world.key(&[Scope::Deploy], None).await;
    for (name, caller, app, status) in [
        ("nobody", Caller::ANONYMOUS, "one", 401),
        ("a key to read", read, "one", 403),
        ("another app's key", one, "two", 403),
        ("a key of one app for a new one", one, "three", 403),
        ("its key", one, "one", 200),
        ("a key for all", any, "three", 200),
    ] {
        let reply = world.upload_as(caller, app, &site).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
    }
    let headers = [("content-type", "text/plain")];
    let reply = world.post_with(read, &headers, b"not even a form".to_vec()).await;
    assert_eq!(reply.status, 403, "who may not deploy is refused before anything is read");
    assert_eq!(world.get("one", "/").await.text(), "new");
    assert_eq!(world.get("two", "/").await.text(), "two");

    for (caller, app, status) in [(read, "two", 403), (one, "two", 403), (one, "one", 200)] {
        let path = format!("/api/apps/{app}/rollback");
        let reply = world.api_as(caller, "POST", &path, "{}").await;
        assert_eq!(reply.status, status, "{app}: {}", reply.text());
    }
    let only_one = world.key(&[Scope::Read], Some("one")).await;
    for (app, status) in [("one", 200), ("two", 403)] {
        for what in ["deployments", "files"] {
            let path = format!("/api/apps/{app}/{what}");
            let reply = world.api_as(only_one, "GET", &path, "").await;
            assert_eq!(reply.status, status, "{path}");
        }
    }
    let two = world.api("GET", "/api/apps/two/deployments").await.json();
    let id = two["data"][0]["deployment_id"].as_str().unwrap();
    let reply = world.api_as(only_one, "GET", &format!("/api/deployments/{id}"), "").await;
    assert_eq!(reply.status, 404, "not even that it exists");
}

#[tokio::test]
async fn deployments_and_files_are_listed() {
    let world = World::new().await;
    let mut site = Site::new().file("index.html", "home").file("private/x.txt", "p");
    for number in 0..7 {
        site = site.file(&format!("assets/{number}.js"), format!("{number}"));
    }
    world.deploy("blog", &site).await;
    world.deploy("blog", &site).await;
    let list = world.api("GET", "/api/apps/blog/deployments").await.json();
    let versions: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|row| &row["version"]).collect();
    assert_eq!(versions, [2, 1]);
    assert_eq!(list["data"][0]["active"], true);
    assert_eq!(list["data"][1]["active"], false);
    assert_eq!(list["data"][0]["deployed_by"], "owner");

    let (mut paths, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let query = format!("/api/apps/blog/files?prefix=assets/&limit=3&cursor={cursor}");
        let page = world.api("GET", &query).await.json();
        for file in page["data"].as_array().unwrap() {
            paths.push(file["path"].as_str().unwrap().to_owned());
            assert_eq!(file["size_bytes"], 1);
            assert_eq!(file["sha256"].as_str().unwrap().len(), 64);
        }
        pages += 1;
        assert_eq!(page["meta"]["has_more"], pages < 3);
        match page["meta"]["cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let expected: Vec<_> = (0..7).map(|number| format!("assets/{number}.js")).collect();
    assert_eq!(paths, expected);
    for wrong in ["limit=0", "limit=1001", "limit=x", "unknown=1"] {
        let reply = world.api("GET", &format!("/api/apps/blog/files?{wrong}")).await;
        assert_eq!(reply.status, 400, "{wrong}");
    }
    for missing in ["/api/apps/none/files", "/api/apps/none/deployments", "/api/deployments/dep_x"]
    {
        assert_eq!(world.api("GET", missing).await.status, 404, "{missing}");
    }
    world.create_app("empty").await;
    let empty = world.api("GET", "/api/apps/empty/files").await.json();
    assert_eq!(empty["data"], serde_json::json!([]));
}
