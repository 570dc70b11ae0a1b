//! Tokens of the API: their digests, never themselves.

use rusqlite::{Connection, Row};

use super::{Columns, Read, Table, blob, integer, optional, text, write};
use crate::access::{Scopes, TokenDigest, TokenName, TokenRecord};
use crate::clock::UnixMillis;
use crate::store::error::Result;

const TABLE: Table = Table {
    name: "token",
    columns: &["name", "digest", "scopes", "created_at", "expires_at", "checksum"],
    key: 1,
    first_checked: 0,
    added: 0..0,
};

const INSERT: &str =
    "INSERT INTO token (name, digest, scopes, created_at, expires_at, checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const DELETE: &str = "DELETE FROM token WHERE name = ?1";
pub(crate) const SELECT_ALL: &str =
    "SELECT name, digest, scopes, created_at, expires_at, checksum FROM token ORDER BY name";

pub(crate) fn insert(connection: &Connection, token: &TokenRecord) -> Result<()> {
    let TokenRecord { name, scopes, digest, created_at, expires_at } = token;
    let columns = [
        text(name.as_str()),
        blob(&digest.0),
        integer(scopes.bits().into()),
        integer(created_at.0),
        optional(expires_at.map(|time| time.0)),
    ];
    write(connection, &TABLE, INSERT, &columns).map(|_| ())
}

pub(crate) fn remove(connection: &Connection, name: &TokenName) -> Result<()> {
    connection.prepare_cached(DELETE)?.execute([name.as_str()])?;
    Ok(())
}

/// Reads a row of the statement above.
pub(crate) fn from_row(row: &Row<'_>) -> Read<TokenRecord> {
    let mut columns = Columns::of(&TABLE, row)?;
    let name = columns.text()?.parse().map_err(|error| columns.error(format!("{error}")))?;
    let digest = columns.blob()?.try_into().map(TokenDigest);
    let digest = digest.map_err(|_| columns.error("a digest has 32 bytes".into()))?;
    let bits = columns.u64()?;
    let scopes = u8::try_from(bits).ok().and_then(Scopes::from_bits);
    let scopes = scopes.ok_or_else(|| columns.error(format!("{bits} are no scopes")))?;
    let (created_at, expires_at) = (UnixMillis(columns.u64()?), columns.optional_u64()?.map(UnixMillis));
    Ok(TokenRecord { name, scopes, digest, created_at, expires_at })
}

/// All tokens, by name. A damaged row is an error: what it allows is not known.
pub(crate) fn all(connection: &Connection) -> Result<Vec<TokenRecord>> {
    let mut statement = connection.prepare_cached(SELECT_ALL)?;
    let mut rows = statement.query([])?;
    let mut tokens = Vec::new();
    while let Some(row) = rows.next()? {
        tokens.push(from_row(row)?);
    }
    Ok(tokens)
}
