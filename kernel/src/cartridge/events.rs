//! The durable event log: what happened, in the same transaction in which it happened.
//!
//! A writer emits; a subscriber reads what follows its cursor, acts, and advances the cursor in the
//! write in which it acts. So nothing is lost and nothing is handled twice, also across a crash, and
//! no plugin has to know who listens.

use std::ops::ControlFlow;

use super::{
    error::{SqlError, SqlErrorKind},
    queue::AppKey,
    reader::Reader,
    tx::WriteTx,
    value::Value,
};

/// One event, borrowed for the length of a callback.
#[derive(Debug, Clone, Copy)]
pub struct Event<'e> {
    /// Position in the log; grows, with gaps.
    pub seq: i64,
    /// Who emitted it.
    pub owner: &'e str,
    /// What happened, such as `app.deleted`.
    pub kind: &'e str,
    /// To which app, if to one.
    pub app: Option<AppKey>,
    /// The details, in the form that the kind defines.
    pub payload: &'e [u8],
    /// When, in milliseconds since 1970.
    pub created_at_ms: i64,
}

/// Where a new subscriber begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscribeFrom {
    /// With the oldest event that is still there.
    Oldest,
    /// With the next event.
    Next,
}

impl WriteTx<'_> {
    /// Appends an event to the log, in this transaction; returns its position.
    ///
    /// # Errors
    /// [`SqlErrorKind::TooBig`] for a payload over 64 KiB; keep large content in a blob.
    pub fn emit(&self, kind: &str, payload: &[u8]) -> Result<i64, SqlError> {
        if payload.len() > PAYLOAD_BYTES_MAX || kind.len() > KIND_BYTES_MAX {
            return Err(SqlError::own(
                SqlErrorKind::TooBig,
                format!(
                    "an event's payload is at most {PAYLOAD_BYTES_MAX} bytes and its kind {KIND_BYTES_MAX}"
                ),
            ));
        }
        let app = self.app();
        self.own_execute(
            "INSERT INTO event (owner, kind, app, payload, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            &[
                Value::Text(self.owner().name()),
                Value::Text(kind),
                app.as_ref().map_or(Value::Null, |app| Value::Blob(app)),
                Value::Blob(payload),
                Value::Integer(self.now_ms()),
            ],
        )?;
        let seq = self.last_insert_rowid();
        self.last_event.set(seq);
        Ok(seq)
    }

    /// Makes this owner's `subscriber` known, so that its events are kept. Does nothing when it is.
    ///
    /// # Errors
    /// What the statement ran into.
    pub fn subscribe(&self, subscriber: &str, from: SubscribeFrom) -> Result<(), SqlError> {
        let seq = match from {
            SubscribeFrom::Oldest => 0,
            SubscribeFrom::Next => self.own_integer(NEWEST_SEQ, &[])?.unwrap_or(0),
        };
        self.own_execute(
            "INSERT INTO event_cursor (owner, subscriber, seq) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            &[Value::Text(self.owner().name()), Value::Text(subscriber), Value::Integer(seq)],
        )?;
        Ok(())
    }

    /// Forgets a subscriber; nothing is kept for it any more. The kernel may name any `owner`.
    ///
    /// # Errors
    /// What the statement ran into.
    pub fn unsubscribe(&self, subscriber: &str) -> Result<(), SqlError> {
        self.own_execute(
            "DELETE FROM event_cursor WHERE owner = ?1 AND subscriber = ?2",
            &[Value::Text(self.owner().name()), Value::Text(subscriber)],
        )?;
        Ok(())
    }

    /// Notes that `subscriber` dealt with everything up to `seq`. Never goes back.
    ///
    /// # Errors
    /// [`SqlErrorKind::Usage`] when there is no such subscriber.
    pub fn advance_cursor(&self, subscriber: &str, seq: i64) -> Result<(), SqlError> {
        let changed = self.own_execute(
            "UPDATE event_cursor SET seq = max(seq, ?3) WHERE owner = ?1 AND subscriber = ?2",
            &[Value::Text(self.owner().name()), Value::Text(subscriber), Value::Integer(seq)],
        )?;
        if changed == 0 {
            return Err(SqlError::own(
                SqlErrorKind::Usage,
                format!("`{}` has no subscriber `{subscriber}`", self.owner()),
            ));
        }
        Ok(())
    }

    /// Deletes at most `limit` events that every subscriber is past and that are older than
    /// `before_ms` (milliseconds since 1970); returns how many.
    ///
    /// # Errors
    /// What the statement ran into.
    pub fn prune_events(&self, before_ms: i64, limit: u32) -> Result<u64, SqlError> {
        self.own_execute(
            "DELETE FROM event WHERE seq IN (SELECT seq FROM event \
             WHERE seq <= coalesce((SELECT min(seq) FROM event_cursor), 9223372036854775807) \
             AND created_at < ?1 ORDER BY seq LIMIT ?2)",
            &[Value::Integer(before_ms), Value::Integer(i64::from(limit))],
        )
    }
}

impl Reader<'_> {
    /// Hands at most `limit` events after `seq` to `each`; only of the given kinds, unless there are
    /// none. Returns the position up to which the log was looked at: advance the cursor to there.
    ///
    /// Looks at no more than 1,000 events, so that a rare kind does not make a long read; call again
    /// while the result grows.
    ///
    /// # Errors
    /// As [`Reader::query`].
    pub fn events_after(
        &self,
        seq: i64,
        kinds: &[&str],
        limit: usize,
        each: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> Result<i64, SqlError> {
        let mut looked_at = seq;
        let mut delivered = 0;
        let mut broken = Ok(());
        if limit == 0 {
            return Ok(seq);
        }
        self.session().own_query(
            "SELECT seq, owner, kind, app, payload, created_at FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            &[Value::Integer(seq), Value::Integer(EVENTS_LOOKED_AT_MAX)],
            &mut |row| {
                let event = (|| {
                    Ok(Event {
                        seq: row.integer(0)?,
                        owner: row.text(1)?,
                        kind: row.text(2)?,
                        app: row.blob(3).ok().and_then(|app| app.try_into().ok()),
                        payload: row.blob(4)?,
                        created_at_ms: row.integer(5)?,
                    })
                })();
                match event {
                    Err(error) => {
                        broken = Err(error);
                        ControlFlow::Break(())
                    }
                    Ok(event) => {
                        looked_at = event.seq;
                        if !kinds.is_empty() && !kinds.contains(&event.kind) {
                            return ControlFlow::Continue(());
                        }
                        delivered += 1;
                        let flow = each(&event);
                        if delivered == limit { ControlFlow::Break(()) } else { flow }
                    }
                }
            },
        )?;
        broken.map(|()| looked_at)
    }

    /// Up to where this owner's `subscriber` dealt with events; nothing when it is not known.
    ///
    /// # Errors
    /// As [`Reader::query`].
    pub fn cursor(&self, subscriber: &str) -> Result<Option<i64>, SqlError> {
        self.session().own_integer(
            "SELECT seq FROM event_cursor WHERE owner = ?1 AND subscriber = ?2",
            &[Value::Text(self.owner().name()), Value::Text(subscriber)],
        )
    }
}

/// The position of the newest event that was ever written.
pub(super) const NEWEST_SEQ: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'event'";

/// Largest payload of an event, in bytes.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Longest kind of an event, in bytes.
const KIND_BYTES_MAX: usize = 128;

/// Events that one call looks at.
const EVENTS_LOOKED_AT_MAX: i64 = 1_000;
