//! `get`, `get_many`, `has`, `list`.

use fazt_sdk::services::kv::{ENTRIES_MAX, Entry, KvPage};
use fazt_sdk::{Error, Result};

use super::{Values, checked_key, store};
use crate::place::Place;
use crate::reading;

impl Values {
    pub(super) async fn read_one(&self, place: Place, key: &str) -> Result<Option<Entry>> {
        let (key, now_ms) = (checked_key(key)?.to_owned(), self.clock.unix_ms());
        reading::read(&self.cartridge, move |reader| store::find(reader, &place, &key, now_ms))
            .await
    }

    pub(super) async fn read_many(
        &self,
        place: Place,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Entry>>> {
        if keys.len() > ENTRIES_MAX as usize {
            return Err(Error::too_large(format!("one call asks for at most {ENTRIES_MAX} keys")));
        }
        keys.iter().try_for_each(|key| checked_key(key).map(drop))?;
        let now_ms = self.clock.unix_ms();
        reading::read(&self.cartridge, move |reader| {
            keys.iter().map(|key| store::find(reader, &place, key, now_ms)).collect()
        })
        .await
    }

    pub(super) async fn read_page(
        &self,
        place: Place,
        prefix: &str,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<KvPage> {
        if !(1..=ENTRIES_MAX).contains(&limit) {
            return Err(Error::invalid(format!("`limit` is from 1 to {ENTRIES_MAX}"))
                .with_code("INVALID_ARGUMENT"));
        }
        let (prefix, now_ms) = (prefix.to_owned(), self.clock.unix_ms());
        reading::read(&self.cartridge, move |reader| {
            store::page(reader, &place, &prefix, limit, cursor.as_deref(), now_ms)
        })
        .await
    }
}
