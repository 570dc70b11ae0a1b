//! What is kept of the host as a whole, beside the store's id: each a JSON text with a checksum before it.

use rusqlite::{Connection, OptionalExtension as _};

use crate::network::Network;
use crate::store::error::{Result, RowError};

const NETWORK_OVERRIDE: &str = "network_override";

const UPSERT: &str =
    "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM meta WHERE key = ?1";
const SELECT: &str = "SELECT value FROM meta WHERE key = ?1";

/// Stores what an operator says of the network, or that nobody says anything.
pub(crate) fn set_network_override(connection: &Connection, network: Option<&Network>) -> Result<()> {
    match network {
        Some(network) => {
            let json = serde_json::to_string(network).expect("plain data with text keys always has a JSON form");
            let value = format!("{:08x} {json}", crc32fast::hash(json.as_bytes()));
            connection.prepare_cached(UPSERT)?.execute([NETWORK_OVERRIDE, &value])?;
        }
        None => {
            connection.prepare_cached(DELETE)?.execute([NETWORK_OVERRIDE])?;
        }
    }
    Ok(())
}

/// What an operator said of the network.
pub(crate) fn network_override(connection: &Connection) -> Result<Option<Network>> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let value = statement.query_row([NETWORK_OVERRIDE], |row| row.get::<_, String>(0)).optional()?;
    let Some(value) = value else { return Ok(None) };
    let error = |problem: &str| RowError {
        table: "meta",
        row: format!("key {NETWORK_OVERRIDE}"),
        column: "value",
        problem: problem.to_owned(),
    };
    let (checksum, json) = value.split_once(' ').ok_or_else(|| error("it has no checksum"))?;
    if checksum != format!("{:08x}", crc32fast::hash(json.as_bytes())) {
        return Err(error("its checksum is wrong: bits of it have changed").into());
    }
    Ok(Some(serde_json::from_str(json).map_err(|problem| error(&problem.to_string()))?))
}
