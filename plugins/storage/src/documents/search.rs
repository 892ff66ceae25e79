//! `search`: documents by the words of their texts.

use std::sync::Arc;

use fazt_sdk::cartridge;
use fazt_sdk::services::documents::{Document, Find};
use fazt_sdk::{Error, Result};

use super::find::Checked;
use super::store::collection::{self, Collection};
use super::store::{self, Stored, text};
use super::{Collections, checked_collection};
use crate::json::Json;
use crate::place::Place;
use crate::reading;

/// The newest documents that a search looks at.
const CANDIDATES_MAX: u32 = 1_000;

/// The most words of a search.
const WORDS_MAX: usize = 20;

/// Documents whose words one write adds.
const BATCH_DOCUMENTS: u32 = 200;

/// What is searched for.
#[derive(Debug)]
struct Words(Vec<(String, bool)>);

impl Words {
    fn parse(text: &str) -> Result<Self> {
        let mut words = Vec::new();
        for part in text.split_whitespace() {
            let is_start = part.ends_with('*');
            let mut found: Vec<_> = part
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .map(|word| (word.to_lowercase(), false))
                .collect();
            if let Some(last) = found.last_mut() {
                last.1 = is_start;
            }
            words.extend(found);
        }
        if words.is_empty() || words.len() > WORDS_MAX {
            return Err(Error::invalid(format!("a search has 1 to {WORDS_MAX} words"))
                .with_code("INVALID_SEARCH"));
        }
        Ok(Self(words))
    }

    /// In the language of the index: every word in quotes, so that none is an operator of it.
    fn expression(&self) -> String {
        let words = self.0.iter().map(|(word, is_start)| {
            let star = if *is_start { "*" } else { "" };
            format!("\"{word}\"{star}")
        });
        words.collect::<Vec<_>>().join(" AND ")
    }

    /// How often the words occur in the texts of a value.
    fn count(&self, value: &Json) -> usize {
        match value {
            Json::Text(text) => {
                let text = text.to_lowercase();
                let all = text.split(|c: char| !c.is_alphanumeric());
                all.filter(|found| {
                    self.0.iter().any(|(word, is_start)| {
                        if *is_start { found.starts_with(word) } else { found == word }
                    })
                })
                .count()
            }
            Json::List(items) => items.iter().map(|item| self.count(item)).sum(),
            Json::Object(fields) => fields.iter().map(|(_, field)| self.count(field)).sum(),
            _ => 0,
        }
    }
}

impl Collections {
    pub(super) async fn search_words(
        &self,
        place: Place,
        collection: &str,
        words: &str,
        find: &Find,
    ) -> Result<Vec<Document>> {
        let name = Arc::<str>::from(checked_collection(collection)?);
        let (words, checked) = (Words::parse(words)?, Checked::new(find)?);
        if find.sort.is_some() || find.cursor.is_some() {
            return Err(Error::invalid("a search has its own order, and no cursor")
                .with_code("INVALID_SEARCH"));
        }
        self.learn_words(&place, &name).await?;
        let expression = words.expression();
        reading::read(&self.cartridge, move |reader| {
            let Some(collection) = collection::find(reader, &place, &name)? else {
                return Ok(Vec::new());
            };
            let found = found(reader, &collection, &expression, &checked)?;
            let mut ranked = Vec::with_capacity(found.len());
            for stored in found {
                let count = stored.seen(|subject| words.count(subject.body))?;
                ranked.push((count, stored));
            }
            // The sort is stable: among equals, the newest stay first.
            ranked.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
            let page = ranked.into_iter().skip(checked.offset as usize);
            page.take(checked.limit as usize)
                .map(|(_, stored)| checked.projected(stored.document))
                .collect()
        })
        .await
    }

    /// Sees to it that the words of a collection are known: from the newest document down, while new
    /// ones come with theirs.
    async fn learn_words(&self, place: &Place, name: &Arc<str>) -> Result<()> {
        let (of, named) = (place.clone(), Arc::clone(name));
        let found =
            reading::read(&self.cartridge, move |reader| collection::find(reader, &of, &named));
        let found = found.await?;
        let Some(collection) = found else { return Ok(()) };
        if collection.is_learned {
            return Ok(());
        }
        let id = collection.id;
        let mut below = collection.places().1;
        // Whoever inserts from here on adds the words as well; what is learned twice is replaced.
        self.cartridge
            .write(Some(place.id), move |transaction| collection::set_searched(transaction, id, 1))
            .await?;
        loop {
            let collection = collection.clone();
            let (at, limit) = (below, BATCH_DOCUMENTS);
            let lowest = self
                .cartridge
                .write(Some(place.id), move |transaction| {
                    let unread = text::unread(transaction, &collection, at, limit)?;
                    for (place, body) in &unread {
                        text::remove(transaction, *place)?;
                        text::add(transaction, *place, body)?;
                    }
                    if unread.len() < limit as usize {
                        collection::set_searched(transaction, id, 2)?;
                        return Ok(None);
                    }
                    Ok(unread.last().map(|(place, _)| *place))
                })
                .await?;
            match lowest {
                Some(lowest) => below = lowest,
                None => return Ok(()),
            }
        }
    }
}

/// The newest documents that have all the words and satisfy the query.
fn found(
    reader: &impl cartridge::Query,
    collection: &Collection,
    expression: &str,
    checked: &Checked,
) -> Result<Vec<Stored>> {
    let mut found = Vec::new();
    for place in text::find(reader, collection, expression, CANDIDATES_MAX)? {
        let Some(stored) = store::at(reader, place)? else { continue };
        if stored.seen(|subject| checked.query.matches(subject))? {
            found.push(stored);
        }
    }
    Ok(found)
}
