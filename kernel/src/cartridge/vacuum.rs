//! Giving free space back to the disk.

use rusqlite::limits::Limit;

use super::{
    Cartridge, access::Access, checkpoint::checkpoint, error::SqlError, pending::Pending,
    statement::Session, writer,
};

impl Cartridge {
    /// Rewrites the file without its free pages. Writers wait meanwhile, readers go on; needs as much
    /// free space as the cartridge is long, twice.
    ///
    /// The answer is [`super::CartridgeError::Full`] when there is not enough space, and nothing has changed.
    pub fn vacuum(&self) -> Pending {
        let errand = |writer: &mut writer::Writer| {
            let result = vacuum(&writer.session);
            match &result {
                Err(error) if error.is_failed_sync() => Err(writer.fail(error)),
                _ => Ok(result?),
            }
        };
        Pending::new(writer::send(self.shared(), errand), None)
    }
}

fn vacuum(session: &Session) -> Result<(), SqlError> {
    let _entered = session.enter(Access::Cartridge);
    // SQLite attaches a temporary database of its own to copy through.
    session.raw.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1)?;
    let result = session.raw.execute_batch("VACUUM").map_err(|e| session.error(e));
    session.raw.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    result?;
    checkpoint(session, "TRUNCATE").map(drop)
}
