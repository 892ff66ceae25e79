//! What an operator can set.

use std::time::Duration;

use fazt_sdk::prelude::Setting;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// All settings, in the order in which they are listed.
pub(crate) fn all() -> Vec<Setting> {
    vec![
        Setting::bytes("kv_value_bytes_max", MIB, 4 * MIB)
            .doc("The largest value under a key, in bytes of its JSON."),
        Setting::integer("kv_keys_max", 1_000_000, 1, 1_000_000_000)
            .doc("How many keys an app may have, those of its users included."),
        Setting::bytes("kv_bytes_max", GIB, 1024 * GIB)
            .doc("The most that the keys and values of an app may take together, in bytes."),
        Setting::bytes("document_bytes_max", MIB, 4 * MIB)
            .doc("The largest document, in bytes of its JSON."),
        Setting::integer("documents_max", 10_000_000, 1, 1_000_000_000)
            .doc("How many documents an app may have, in all collections together."),
        Setting::bytes("documents_bytes_max", 4 * GIB, 1024 * GIB)
            .doc("The most that the documents of an app may take together, in bytes."),
        Setting::integer("collections_max", 10_000, 1, 1_000_000)
            .doc("How many collections an app may have, those of its users included."),
        Setting::bytes("object_bytes_max", 512 * MIB, 64 * GIB)
            .doc("The largest object, in bytes."),
        Setting::integer("objects_max", 1_000_000, 1, 1_000_000_000)
            .doc("How many objects an app may have."),
        Setting::bytes("objects_bytes_max", 16 * GIB, 1024 * GIB)
            .doc("The most that the objects of an app may take together, in bytes."),
        Setting::duration("sweep", Duration::from_secs(30), Duration::from_secs(86_400)).doc(
            "How often values that have expired, and the data of apps that are gone, are removed; \
             what has expired cannot be read before that either.",
        ),
    ]
}
