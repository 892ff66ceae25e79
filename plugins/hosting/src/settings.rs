//! What an operator can set.

use fazt_sdk::Result;
use fazt_sdk::host::Host;
use fazt_sdk::prelude::Setting;

use crate::archive::ArchiveLimits;
use crate::begin::Bounds;
use crate::store::Retention;
use crate::upload::UPLOAD_BYTES_CEILING;

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;
const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// All settings, in the order in which they are listed.
pub(crate) fn all() -> Vec<Setting> {
    vec![
        Setting::bytes("upload_bytes_max", 512 * MIB, UPLOAD_BYTES_CEILING)
            .doc("The largest archive that a deploy takes, in bytes."),
        Setting::integer("archive_entries_max", 100_000, 1, 1_000_000)
            .doc("The most files of one deployment; of an archive, directories included."),
        Setting::bytes("archive_file_bytes_max", 64 * MIB, 4095 * MIB)
            .doc("The largest file of a deployment, unpacked, in bytes."),
        Setting::bytes("archive_total_bytes_max", GIB, 64 * GIB)
            .doc("The most that all files of a deployment may take, unpacked, in bytes."),
        Setting::integer("uploads_at_once", 32, 1, 1024).doc(
            "How many archives, and how many lists of files, may be on their way in at a time; each \
             has a scratch file.",
        ),
        Setting::integer("contents_at_once", 64, 1, 1024)
            .doc("How many contents may be on their way in at a time."),
        Setting::integer("packs_at_once", 16, 1, 1024).doc(
            "How many packs of contents may be on their way in at a time; each may hold 8 MiB of \
             memory.",
        ),
        Setting::integer("pending_deployments", 32, 1, 1024)
            .doc("How many deployments of one app may wait for their content, for an hour each."),
        Setting::bytes("pending_bytes_max", 4 * GIB, 1024 * GIB)
            .doc("The most that the files of those may take together, in bytes."),
        Setting::bytes("app_bytes_max", 0, 1024 * 1024 * GIB).doc(
            "The most that the contents of all deployments of one app may take together, in bytes; \
             0 for no limit.",
        ),
        Setting::integer("keep_deployments", 10, 1, 1000)
            .doc("How many deployments an app keeps to roll back to, the active one included."),
        Setting::integer("keep_previews", 20, 1, 1000)
            .doc("How many deployments an app keeps that were never active."),
        Setting::integer("preview_days", 7, 1, 3650)
            .doc("For how many days an app keeps a deployment that was never active."),
        Setting::bytes("precompress_bytes_max", 16 * MIB, 64 * MIB).doc(
            "The largest content that is compressed in the background, in bytes; 0 compresses none.",
        ),
        Setting::bytes("cache_bytes", 64 * MIB, 64 * GIB)
            .doc("How much memory the files that are asked for most may take, in bytes."),
        Setting::integer("index_entries", 100_000, 1_000, 100_000_000).doc(
            "How many files of all apps together are kept track of in memory, at about 160 bytes \
             each; apps that are asked for least are read again when needed.",
        ),
        Setting::text("root_app", "").doc(
            "The app, by id or alias, that the node's own name shows; empty for a page about fazt.",
        ),
    ]
}

/// How large a deployment may be.
pub(crate) fn limits(host: &Host) -> Result<ArchiveLimits> {
    Ok(ArchiveLimits {
        entries_max: host.setting("archive_entries_max")?,
        file_bytes_max: host.setting("archive_file_bytes_max")?,
        total_bytes_max: host.setting("archive_total_bytes_max")?,
        ..ArchiveLimits::default()
    })
}

/// What may be pending.
pub(crate) fn bounds(host: &Host) -> Result<Bounds> {
    Ok(Bounds {
        deployments_max: host.setting("pending_deployments")?,
        bytes_max: host.setting("pending_bytes_max")?,
    })
}

/// What an app keeps.
pub(crate) fn retention(host: &Host) -> Result<Retention> {
    let days: u64 = host.setting("preview_days")?;
    Ok(Retention {
        deployments: host.setting("keep_deployments")?,
        previews: host.setting("keep_previews")?,
        previews_ms: days * DAY_MS,
    })
}
