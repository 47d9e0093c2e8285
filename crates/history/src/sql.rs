//! Conversion of values to SQLite columns.

use hikyaku_chat::{event::Seq, room_name::RoomName};
use rusqlite::{Connection, Error, Row, types::Type};

/// SQLite's integers are signed; log numbers and times do not reach the sign bit.
pub(crate) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(crate) fn seq_at<const COLUMN: usize>(row: &Row<'_>) -> rusqlite::Result<Seq> {
    row.get(COLUMN).map(|seq| Seq(from_sql(seq)))
}

pub(crate) fn room_at(row: &Row<'_>, column: usize) -> rusqlite::Result<RoomName> {
    let name: String = row.get(column)?;
    name.parse().map_err(|error| invalid(column, Type::Text, error))
}

/// A column contains a value that no version has written.
pub(crate) fn invalid(
    column: usize,
    found: Type,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::FromSqlConversionFailure(column, found, error.into())
}

/// Returns all rows of an answer.
pub(crate) fn list<T>(
    db: &Connection,
    question: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare(question)?.query_map([], read)?.collect()
}
