//! Deletion of old events, which frees their space for new ones.

use hikyaku_chat::{event::Seq, limits::MAX_OWNED_NAMES, store::Retention};
use rusqlite::{Connection, Transaction, params};

use crate::{
    limits::{MAX_PRUNED, MERGED_PAGES},
    sql::{seq_at, to_sql},
};

/// Deletes events that are too old or too many, at most [`MAX_PRUNED`], and returns their space to
/// the file system.
pub(crate) fn prune(db: &mut Connection, retention: Retention) -> rusqlite::Result<Seq> {
    let forgotten = db.query_row("SELECT forgotten FROM log", [], seq_at::<0>)?;
    let old = too_old(db, retention)?;
    let much = too_much(db, retention)?;
    let Some(last) = old.max(much) else { return Ok(forgotten) };
    let transaction = db.transaction()?;
    forget(&transaction, last)?;
    transaction.commit()?;
    db.execute("INSERT INTO words (words, rank) VALUES ('merge', ?1)", [MERGED_PAGES])?;
    // Each row of the result is a page that was returned.
    let mut vacuum = db.prepare("PRAGMA incremental_vacuum")?;
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    Ok(last)
}

/// Deletes rooms without messages and without a topic, including their arrivals and departures.
/// Call it while all rooms are empty.
pub(crate) fn forget_idle_rooms(db: &mut Connection) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    transaction.execute_batch(FORGET_IDLE_ROOMS)?;
    transaction.commit()
}

const FORGET_IDLE_ROOMS: &str = "
    CREATE TEMP TABLE idle AS SELECT id FROM room WHERE topic = '' AND name <> 'general'
        AND NOT EXISTS (SELECT 1 FROM event WHERE event.room = room.id AND kind = 'said');
    DELETE FROM event WHERE addressee IS NULL AND room IN (SELECT id FROM idle);
    DELETE FROM room WHERE id IN (SELECT id FROM idle);
    DROP TABLE idle;";

/// Returns the bytes of pages in use.
pub(crate) fn used(db: &Connection) -> rusqlite::Result<u64> {
    let number = |pragma| db.query_row(pragma, [], |row| row.get::<_, u32>(0)).map(u64::from);
    let pages = number("PRAGMA page_count")?.saturating_sub(number("PRAGMA freelist_count")?);
    Ok(pages * number("PRAGMA page_size")?)
}

/// Returns the number of the last event, among the oldest, up to which all are too old.
fn too_old(db: &Connection, retention: Retention) -> rusqlite::Result<Option<Seq>> {
    let Some(before) = retention.before else { return Ok(None) };
    // The clock may have gone backwards: stop at the first event that is recent enough.
    let mut oldest = db.prepare("SELECT seq, at FROM event ORDER BY seq LIMIT ?1")?;
    let mut rows = oldest.query([MAX_PRUNED as i64])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= to_sql(before.as_millis()) {
            break;
        }
        last = Some(seq_at::<0>(row)?);
    }
    Ok(last)
}

/// Returns the number of the last event that must be deleted. Assumes the average size for each,
/// because an event shares pages with others and has its words in the index.
fn too_much(db: &Connection, retention: Retention) -> rusqlite::Result<Option<Seq>> {
    let Some(most) = retention.most_bytes else { return Ok(None) };
    let used = used(db)?;
    let (head, forgotten) = db.query_row("SELECT head, forgotten FROM log", [], |row| {
        Ok((seq_at::<0>(row)?.0, seq_at::<1>(row)?.0))
    })?;
    // This log numbers without gaps.
    let events = head - forgotten;
    if used <= most || events == 0 {
        return Ok(None);
    }
    let too_many = u128::from(used - most) * u128::from(events);
    let too_many = too_many.div_ceil(u128::from(used)).min(MAX_PRUNED as u128) as u64;
    Ok(Some(Seq(forgotten + too_many)))
}

fn forget(db: &Transaction<'_>, last: Seq) -> rusqlite::Result<()> {
    let last = to_sql(last.0);
    db.execute(
        "DELETE FROM words WHERE rowid IN
             (SELECT seq FROM event WHERE seq <= ?1 AND kind = 'said')",
        [last],
    )?;
    db.execute("DELETE FROM event WHERE seq <= ?1", [last])?;
    db.execute("UPDATE log SET forgotten = ?1", [last])?;
    // A room without events is deleted, but its topic is kept.
    db.execute("DELETE FROM room WHERE head <= ?1 AND topic = ''", [last])?;
    // Keys are deleted too, except those with the latest names.
    db.execute(
        "DELETE FROM key WHERE head <= ?1 AND id NOT IN (
             SELECT id FROM key WHERE name IS NOT NULL ORDER BY named DESC LIMIT ?2)",
        params![last, to_sql(MAX_OWNED_NAMES as u64)],
    )?;
    Ok(())
}
