//! What every provider of `fazt.objects/1` does.

use std::time::Duration;

use bytes::Bytes;
use fazt_sdk::error::{Error, ErrorKind, Result};
use fazt_sdk::services::Space;
use fazt_sdk::services::objects::{OBJECTS_MAX, Objects, PART_BYTES_MAX};

use super::{Stage, fails};

const SHARED: Space = Space::Shared;

/// Runs all claims.
pub(super) async fn failures(objects: &impl Objects, stage: &Stage) -> Vec<String> {
    claims!(
        stage,
        objects,
        what_was_put_is_read_in_any_part,
        content_of_any_size_comes_in_parts,
        what_was_deleted_is_gone,
        paths_are_paths,
        a_prefix_is_literal_and_pages_are_in_order,
        spaces_and_apps_are_apart,
        addresses_are_signed_for_a_while,
    )
}

async fn put(objects: &impl Objects, stage: &Stage, path: &str, content: &[u8]) -> Result<()> {
    let content = Bytes::copy_from_slice(content);
    objects.put(&stage.call, &SHARED, path, content, "text/plain").await.map(drop)
}

async fn content(objects: &impl Objects, stage: &Stage, path: &str) -> Result<Option<Bytes>> {
    let part = objects.read(&stage.call, &SHARED, path, 0, u64::MAX).await?;
    Ok(part.map(|part| part.content))
}

async fn what_was_put_is_read_in_any_part(objects: &impl Objects, stage: &Stage) -> Result<()> {
    let call = &stage.call;
    put(objects, stage, "a/b.txt", b"0123456789").await?;
    let head = objects.head(call, &SHARED, "a/b.txt").await?;
    let head = head.ok_or_else(|| Error::internal("it was put"))?;
    same!((head.size, head.content_type.as_str()), (10, "text/plain"), "its head");
    for (offset, len, expected) in [
        (0, 10, "0123456789"),
        (2, 3, "234"),
        (8, 100, "89"),
        (10, 1, ""),
        (u64::MAX, u64::MAX, ""),
        (0, 0, ""),
    ] {
        let part = objects.read(call, &SHARED, "a/b.txt", offset, len).await?;
        let part = part.ok_or_else(|| Error::internal("it was put"))?;
        same!(part.content, Bytes::from(expected), "{len} bytes from {offset}");
        same!(&part.object, &head, "the object of a part");
    }
    put(objects, stage, "a/b.txt", b"other").await?;
    same!(content(objects, stage, "a/b.txt").await?, Some(Bytes::from("other")), "put again");
    let again = objects.head(call, &SHARED, "a/b.txt").await?;
    let again = again.ok_or_else(|| Error::internal("it was put again"))?;
    claim!(again.version > head.version && again.hash != head.hash, "another version");
    same!(again.created_at_ms, head.created_at_ms, "when the path was taken");
    put(objects, stage, "empty", b"").await?;
    same!(content(objects, stage, "empty").await?, Some(Bytes::new()), "no content is content");
    let plain = objects.put(call, &SHARED, "plain", Bytes::from("x"), "").await?;
    same!(plain.content_type.as_str(), "application/octet-stream", "a type that was not given");
    let refused = objects.put(call, &SHARED, "plain", Bytes::new(), "a\r\nb: c").await;
    claim!(fails(&refused, ErrorKind::Invalid, "INVALID_TYPE"), "{refused:?}");
    Ok(())
}

async fn content_of_any_size_comes_in_parts(objects: &impl Objects, stage: &Stage) -> Result<()> {
    let call = &stage.call;
    let part = Bytes::from((0..PART_BYTES_MAX).map(|n| (n % 251) as u8).collect::<Vec<_>>());
    let upload = objects.begin(call, &SHARED, "large", "image/png").await?;
    for _ in 0..2 {
        objects.append(call, upload, part.clone()).await?;
    }
    objects.append(call, upload, Bytes::from("end")).await?;
    same!(objects.head(call, &SHARED, "large").await?, None, "before it is finished");
    let refused = objects.append(&stage.other, upload, Bytes::from("x")).await;
    claim!(refused.is_err(), "another app's upload");
    let object = objects.finish(call, upload).await?;
    same!(object.size, 2 * PART_BYTES_MAX as u64 + 3, "its size");
    let last = objects.read(call, &SHARED, "large", object.size - 5, 9).await?;
    let last = last.map(|last| last.content.to_vec());
    let expected = [&part[PART_BYTES_MAX - 2..], b"end"].concat();
    same!(last, Some(expected), "the end");
    let middle = objects.read(call, &SHARED, "large", PART_BYTES_MAX as u64, u64::MAX).await?;
    same!(middle.map(|middle| middle.content), Some(part.clone()), "the second part");
    claim!(objects.finish(call, upload).await.is_err(), "it is finished once");
    claim!(objects.append(call, upload, part.clone()).await.is_err(), "it is over");
    let whole = Bytes::from(vec![0; PART_BYTES_MAX + 1]);
    let refused = objects.put(call, &SHARED, "large", whole, "").await;
    claim!(fails(&refused, ErrorKind::TooLarge, "OBJECT_TOO_LARGE"), "{refused:?}");
    Ok(())
}

async fn what_was_deleted_is_gone(objects: &impl Objects, stage: &Stage) -> Result<()> {
    put(objects, stage, "gone", b"x").await?;
    claim!(objects.delete(&stage.call, &SHARED, "gone").await?, "it was there");
    claim!(!objects.delete(&stage.call, &SHARED, "gone").await?, "it is gone");
    same!(content(objects, stage, "gone").await?, None, "what was deleted");
    Ok(())
}

async fn paths_are_paths(objects: &impl Objects, stage: &Stage) -> Result<()> {
    for path in ["a", "é ü/%2f/?#", "a/..b/.c", "'; DROP TABLE x; --", &"p".repeat(512)] {
        put(objects, stage, path, path.as_bytes()).await?;
        same!(content(objects, stage, path).await?, Some(Bytes::from(path.to_owned())), "{path}");
        claim!(objects.delete(&stage.call, &SHARED, path).await?, "{path}");
    }
    for path in [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "a\\b",
        "a\0",
        "a\nb",
        &"p".repeat(513),
    ] {
        let refused = put(objects, stage, path, b"x").await;
        claim!(fails(&refused, ErrorKind::Invalid, "INVALID_PATH"), "{path:?}: {refused:?}");
        let refused = objects.begin(&stage.call, &SHARED, path, "").await;
        claim!(fails(&refused, ErrorKind::Invalid, "INVALID_PATH"), "{path:?}: {refused:?}");
    }
    Ok(())
}

async fn a_prefix_is_literal_and_pages_are_in_order(
    objects: &impl Objects,
    stage: &Stage,
) -> Result<()> {
    let mut paths = vec!["l/%a", "l/_a", "l/xa", "l/é", "l/b/c"];
    for path in paths.iter().chain(&["m", "L/%a"]) {
        put(objects, stage, path, b"x").await?;
    }
    paths.sort_unstable();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = objects.list(&stage.call, &SHARED, "l/", 2, cursor).await?;
        seen.extend(page.objects.into_iter().map(|object| object.path));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    same!(seen, paths, "the pages together");
    for prefix in ["l/%", "l/_", "L"] {
        let page = objects.list(&stage.call, &SHARED, prefix, 10, None).await?;
        same!(page.objects.len(), 1, "{prefix} is literal");
    }
    for limit in [0, OBJECTS_MAX + 1] {
        let refused = objects.list(&stage.call, &SHARED, "", limit, None).await;
        claim!(refused.is_err(), "a limit of {limit}");
    }
    Ok(())
}

async fn spaces_and_apps_are_apart(objects: &impl Objects, stage: &Stage) -> Result<()> {
    let ann = Space::User("ann".to_owned());
    put(objects, stage, "apart", b"shared").await?;
    objects.put(&stage.call, &ann, "apart", Bytes::from("ann's"), "").await?;
    same!(content(objects, stage, "apart").await?, Some(Bytes::from("shared")), "what is shared");
    same!(objects.head(&stage.other, &SHARED, "apart").await?, None, "the other app");
    claim!(objects.delete(&stage.call, &ann, "apart").await?, "ann's own");
    claim!(objects.head(&stage.call, &SHARED, "apart").await?.is_some(), "what is shared stays");
    Ok(())
}

async fn addresses_are_signed_for_a_while(objects: &impl Objects, stage: &Stage) -> Result<()> {
    let valid = Duration::from_secs(60);
    let one = objects.sign(&stage.call, &SHARED, "a b/c", valid).await?;
    let two = objects.sign(&stage.other, &SHARED, "a b/c", valid).await?;
    claim!(one.starts_with("/_fazt/blobs/a%20b/c?") && one != two, "{one} and {two}");
    for valid in [Duration::ZERO, Duration::from_secs(365 * 86_400)] {
        let refused = objects.sign(&stage.call, &SHARED, "a", valid).await;
        claim!(refused.is_err(), "for {valid:?}");
    }
    claim!(objects.sign(&stage.call, &SHARED, "../a", valid).await.is_err(), "no path");
    Ok(())
}
