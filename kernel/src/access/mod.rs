//! The owner: a password, one-time login links, sessions, API keys with scopes.
//!
//! What a request is checked against lies in memory; checking a key or a session costs one hash
//! and one look-up, whatever was sent. Changes are swapped in after their commit.

mod password;
mod store;
mod token;
mod tries;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use fazt_sdk::call::{Principal, PrincipalId};
use fazt_sdk::{AppId, Error, Result};

use crate::cartridge::{Cartridge, Owner, TxError, WriteTx};
use password::Passwords;
use tries::{Client, Tries};

/// How long a login link is good for.
pub(crate) const LOGIN_LINK_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How long the owner's session lasts.
pub(crate) const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// The most API keys of one node.
const KEYS_MAX: usize = 10_000;

/// The most sessions of the owner at a time; the next one ends the one that would expire first.
const SESSIONS_MAX: usize = 256;

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiKey {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) hash: [u8; 32],
    /// Bits of [`fazt_sdk::call::Scope::bit`].
    pub(crate) scopes: u64,
    /// The only app that it may touch.
    pub(crate) app: Option<AppId>,
    pub(crate) created_at_ms: u64,
    pub(crate) expires_at_ms: Option<u64>,
}

#[derive(Debug, Clone)]
struct OwnerRecord {
    username: String,
    password: String,
}

#[derive(Debug, Default, Clone)]
struct Snapshot {
    keys: HashMap<String, ApiKey>,
    sessions: HashMap<[u8; 32], u64>,
    owner: Option<OwnerRecord>,
}

/// Who somebody turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) principal: Principal,
    pub(crate) scopes: u64,
    pub(crate) limited_to: Option<AppId>,
}

impl Identity {
    /// The owner.
    pub(crate) const OWNER: Self =
        Self { principal: Principal::Owner, scopes: u64::MAX, limited_to: None };
}

/// What a new API key may do.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    pub(crate) name: String,
    pub(crate) scopes: u64,
    pub(crate) app: Option<AppId>,
    pub(crate) lifetime: Option<Duration>,
}

/// The owner's access.
#[derive(Debug)]
pub(crate) struct Access {
    cartridge: Cartridge,
    snapshot: Arc<ArcSwap<Snapshot>>,
    changing: Arc<Mutex<()>>,
    passwords: Passwords,
    tries: Mutex<Tries>,
}

impl Access {
    /// Reads everything into memory.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn load(cartridge: &Cartridge) -> Result<Self> {
        let snapshot = cartridge.scan_value(&Owner::kernel(), store::snapshot).await?;
        Ok(Self {
            cartridge: cartridge.clone(),
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            changing: Arc::default(),
            passwords: Passwords::default(),
            tries: Mutex::default(),
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.cartridge.clock().unix_ms()).unwrap_or(0)
    }

    /// Writes what is not mirrored in memory.
    async fn write<T: Send + 'static>(
        &self,
        write: impl Fn(&WriteTx<'_>) -> Result<T, TxError> + Send + 'static,
    ) -> Result<T> {
        self.cartridge.write_value(&Owner::kernel(), None, write).await.map_err(Error::from)
    }

    /// Writes, and swaps the snapshot for a changed copy after the sync.
    async fn change<T: Send + 'static>(
        &self,
        write: impl Fn(&WriteTx<'_>) -> Result<T, TxError> + Send + 'static,
        change: impl Fn(&mut Snapshot) + Send + Sync + 'static,
    ) -> Result<T> {
        let (snapshot, changing, change) =
            (Arc::clone(&self.snapshot), Arc::clone(&self.changing), Arc::new(change));
        self.write(move |tx| {
            let value = write(tx)?;
            let (snapshot, changing, change) =
                (Arc::clone(&snapshot), Arc::clone(&changing), Arc::clone(&change));
            tx.on_commit(Box::new(move || {
                let guard = changing.lock().unwrap_or_else(PoisonError::into_inner);
                let mut changed = Snapshot::clone(&snapshot.load());
                change(&mut changed);
                snapshot.store(Arc::new(changed));
                drop(guard);
            }));
            Ok(value)
        })
        .await
    }

    /// Whether an owner has set a password.
    pub(crate) fn has_owner(&self) -> bool {
        self.snapshot.load().owner.is_some()
    }

    /// Sets the owner's name and password, and ends all sessions and sign-in links. Durable.
    ///
    /// # Errors
    /// `Invalid` for a name or a password that cannot be.
    pub(crate) async fn set_credentials(&self, username: &str, password: &str) -> Result<()> {
        let username = username.trim();
        if username.is_empty() || username.len() > 64 || username.chars().any(char::is_control) {
            return Err(Error::invalid("the username takes 1 to 64 characters"));
        }
        let owner = OwnerRecord {
            username: username.to_owned(),
            password: self.passwords.hash(password).await?,
        };
        let stored = owner.clone();
        self.change(
            move |tx| {
                store::put_owner(tx, &stored)?;
                store::delete_login_links(tx)?;
                store::delete_sessions(tx)
            },
            move |snapshot| {
                snapshot.owner = Some(owner.clone());
                snapshot.sessions.clear();
            },
        )
        .await
    }

    /// Signs the owner in by password; returns the session's token.
    ///
    /// # Errors
    /// `Unauthenticated` for a wrong name or password, `Busy` after too many tries.
    pub(crate) async fn sign_in(
        &self,
        client: Client,
        username: &str,
        password: &str,
    ) -> Result<String> {
        let now = self.cartridge.clock().monotonic();
        self.tries(|tries| tries.count(client, now))?;
        let owner = self.snapshot.load().owner.clone();
        let known = owner.as_ref().is_some_and(|owner| owner.username == username);
        let right = self.passwords.verify(password, owner.map(|owner| owner.password)).await?;
        if !(known && right) {
            return Err(Error::unauthenticated("the username or the password is wrong"));
        }
        self.tries(|tries| tries.succeeded(client));
        self.start_session().await
    }

    fn tries<T>(&self, work: impl FnOnce(&mut Tries) -> T) -> T {
        work(&mut self.tries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a link's token: good once, for [`LOGIN_LINK_LIFETIME`]. Durable.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn create_login_link(&self) -> Result<String> {
        let token = token::secret()?;
        let hash = token::hash(&token);
        let expires_at_ms = self.now_ms() + millis(LOGIN_LINK_LIFETIME);
        self.write(move |tx| store::insert_login_link(tx, &hash, expires_at_ms)).await?;
        Ok(token)
    }

    /// Signs the owner in by a link's token; returns the session's token.
    ///
    /// # Errors
    /// `Unauthenticated` when the link was used, has expired or never was.
    pub(crate) async fn use_login_link(&self, token: &str) -> Result<String> {
        let hash = token::hash(token);
        let used = self.write(move |tx| store::use_login_link(tx, &hash)).await?;
        if !used {
            return Err(Error::unauthenticated("this sign-in link was used or has expired; make a new one with `fazt server login-link`").with_code("LINK_SPENT"));
        }
        self.start_session().await
    }

    async fn start_session(&self) -> Result<String> {
        let token = token::secret()?;
        let hash = token::hash(&token);
        let expires_at_ms = self.now_ms() + millis(SESSION_LIFETIME);
        let now_ms = self.now_ms();
        let one_too_many = oldest_of_full(&self.snapshot.load().sessions, now_ms);
        self.change(
            move |tx| {
                if let Some(oldest) = one_too_many {
                    store::delete_session(tx, &oldest)?;
                }
                store::insert_session(tx, &hash, expires_at_ms)
            },
            move |snapshot| {
                snapshot.sessions.retain(|_, expires| *expires > now_ms);
                if let Some(oldest) = &one_too_many {
                    snapshot.sessions.remove(oldest);
                }
                snapshot.sessions.insert(hash, expires_at_ms);
            },
        )
        .await?;
        Ok(token)
    }

    /// Ends a session. Durable.
    ///
    /// # Errors
    /// What the cartridge says.
    pub(crate) async fn sign_out(&self, token: &str) -> Result<()> {
        let hash = token::hash(token);
        self.change(
            move |tx| store::delete_session(tx, &hash),
            move |snapshot| {
                snapshot.sessions.remove(&hash);
            },
        )
        .await
    }

    /// Who holds the session with that token.
    pub(crate) fn session(&self, token: &str) -> Option<Identity> {
        let expires = *self.snapshot.load().sessions.get(&token::hash(token))?;
        (expires > self.now_ms()).then_some(Identity::OWNER)
    }

    /// Makes an API key; its text is shown this once. Durable.
    ///
    /// # Errors
    /// `Invalid` for no name or no scope, `Full` past the bound on keys.
    pub(crate) async fn create_key(&self, new: NewKey) -> Result<(ApiKey, String)> {
        if new.name.trim().is_empty()
            || new.name.len() > 64
            || new.name.chars().any(char::is_control)
        {
            return Err(Error::invalid(
                "a key's name takes 1 to 64 characters; it tells you later what the key is for",
            ));
        }
        if new.scopes == 0 {
            return Err(Error::invalid(
                "a key without a scope can do nothing; give --scopes read, deploy or admin",
            ));
        }
        if self.snapshot.load().keys.len() >= KEYS_MAX {
            return Err(Error::full(format!(
                "there are {KEYS_MAX} keys, which is the most; remove some"
            )));
        }
        let (id, secret) = (token::random_text(token::ID_CHARS)?, token::secret()?);
        let now_ms = self.now_ms();
        let key = ApiKey {
            hash: token::hash(&secret),
            id,
            name: new.name.trim().to_owned(),
            scopes: new.scopes,
            app: new.app,
            created_at_ms: now_ms,
            expires_at_ms: new.lifetime.map(|lifetime| now_ms + millis(lifetime)),
        };
        let text = token::join_key(&key.id, &secret);
        let (stored, inserted) = (key.clone(), key.clone());
        self.change(
            move |tx| store::insert_key(tx, &stored),
            move |snapshot| {
                snapshot.keys.insert(inserted.id.clone(), inserted.clone());
            },
        )
        .await?;
        Ok((key, text))
    }

    /// Removes a key; requests with it are refused from then on. Durable.
    ///
    /// # Errors
    /// `NotFound` when there is none with that id.
    pub(crate) async fn remove_key(&self, id: &str) -> Result<()> {
        let (stored, removed) = (id.to_owned(), id.to_owned());
        let there = self.change(
            move |tx| store::delete_key(tx, &stored),
            move |snapshot| {
                snapshot.keys.remove(&removed);
            },
        );
        if there.await? {
            Ok(())
        } else {
            Err(Error::not_found(format!("there is no key {id}; see `fazt server keys`")))
        }
    }

    /// All keys, the oldest first.
    pub(crate) fn keys(&self) -> Vec<ApiKey> {
        let mut keys: Vec<_> = self.snapshot.load().keys.values().cloned().collect();
        keys.sort_by(|one, other| {
            (one.created_at_ms, &one.id).cmp(&(other.created_at_ms, &other.id))
        });
        keys
    }

    /// Who holds this key. One hash and one look-up, whatever was sent.
    pub(crate) fn key(&self, text: &str) -> Option<Identity> {
        let (id, secret) = token::split_key(text)?;
        let hash = token::hash(secret);
        let snapshot = self.snapshot.load();
        let key = snapshot.keys.get(id)?;
        let good = token::same(&hash, &key.hash)
            && key.expires_at_ms.is_none_or(|expires| expires > self.now_ms());
        let principal = Principal::Key(PrincipalId::new(&key.id)?);
        good.then_some(Identity { principal, scopes: key.scopes, limited_to: key.app })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The session that has to go for another one, if there are as many as there may be.
fn oldest_of_full(sessions: &HashMap<[u8; 32], u64>, now_ms: u64) -> Option<[u8; 32]> {
    let live = || sessions.iter().filter(|(_, expires)| **expires > now_ms);
    if live().count() < SESSIONS_MAX {
        return None;
    }
    live().min_by_key(|(hash, expires)| (**expires, **hash)).map(|(hash, _)| *hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_table_of_live_sessions_gives_one_up() {
        let mut sessions: HashMap<[u8; 32], u64> =
            (0..=255).map(|number: u8| ([number; 32], 1_000 + u64::from(number))).collect();
        assert_eq!(oldest_of_full(&sessions, 0), Some([0; 32]));
        assert_eq!(oldest_of_full(&sessions, 1_000), None);
        sessions.remove(&[9; 32]);
        assert_eq!(oldest_of_full(&sessions, 0), None);
    }
}
