//! What each app takes of what its quotas bound. Counted in the transaction that changes it.

pub(crate) mod store;

use fazt_sdk::Result;
use fazt_sdk::host::Host;
use fazt_sdk::prelude::Error;

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Kv,
    Documents,
    Objects,
}

/// What a write adds, or takes away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    pub(crate) count: i64,
    pub(crate) bytes: i64,
}

impl Delta {
    /// What changes when something of `before` bytes, or nothing, becomes something of `after`.
    pub(crate) fn between(before: Option<usize>, after: Option<usize>) -> Self {
        let signed = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        Self {
            count: i64::from(after.is_some()) - i64::from(before.is_some()),
            bytes: signed(after.unwrap_or(0)) - signed(before.unwrap_or(0)),
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

/// How much of one thing an app may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    pub(crate) what: &'static str,
    pub(crate) count_max: i64,
    pub(crate) count_setting: &'static str,
    pub(crate) bytes_max: i64,
    pub(crate) bytes_setting: &'static str,
}

impl Quota {
    /// Refuses what is over, if this write made it more.
    fn check(&self, delta: Delta, count: i64, bytes: i64) -> Result<()> {
        let over = |max: i64, unit: &str, setting: &str| {
            Error::full(format!(
                "the app may keep {max} {unit} of {}; delete some, or raise storage.{setting}",
                self.what
            ))
            .with_code("QUOTA_EXCEEDED")
            .with_details(fazt_sdk::json!({ "setting": format!("storage.{setting}"), "max": max }))
        };
        if delta.count > 0 && count > self.count_max {
            return Err(over(self.count_max, "pieces", self.count_setting));
        }
        if delta.bytes > 0 && bytes > self.bytes_max {
            return Err(over(self.bytes_max, "bytes", self.bytes_setting));
        }
        Ok(())
    }
}

/// All bounds that an operator can set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) kv: Quota,
    pub(crate) documents: Quota,
    pub(crate) objects: Quota,
    pub(crate) kv_value_bytes_max: usize,
    pub(crate) document_bytes_max: usize,
    pub(crate) collections_max: u32,
    pub(crate) object_bytes_max: u64,
}

impl Limits {
    pub(crate) fn of(host: &Host) -> Result<Self> {
        let quota = |what, count_setting, bytes_setting| -> Result<Quota> {
            Ok(Quota {
                what,
                count_max: host.setting(count_setting)?,
                count_setting,
                bytes_max: host.setting(bytes_setting)?,
                bytes_setting,
            })
        };
        Ok(Self {
            kv: quota("values under keys", "kv_keys_max", "kv_bytes_max")?,
            documents: quota("documents", "documents_max", "documents_bytes_max")?,
            objects: quota("objects", "objects_max", "objects_bytes_max")?,
            kv_value_bytes_max: host.setting("kv_value_bytes_max")?,
            document_bytes_max: host.setting("document_bytes_max")?,
            collections_max: host.setting("collections_max")?,
            object_bytes_max: host.setting("object_bytes_max")?,
        })
    }

    fn quota(&self, counted: Counted) -> &Quota {
        match counted {
            Counted::Kv => &self.kv,
            Counted::Documents => &self.documents,
            Counted::Objects => &self.objects,
        }
    }
}
