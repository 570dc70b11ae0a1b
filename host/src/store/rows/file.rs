//! Rows of files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    Columns, Read, Table, blob, checksum, integer, json, optional, optional_text, signed, text, unless_default, write,
};
use crate::job::{FileIndex, FileRecord, FileVersion, Integrity, JobId, LocalName, PartIdentity, Sha256, Validation};
use crate::store::error::{Problem, Result};

pub(crate) const TABLE: Table = Table {
    name: "file",
    columns: &[
        "job_id",
        "file_index",
        "remote_name",
        "local_name",
        "digest",
        "has_version",
        "etag",
        "last_modified",
        "last_modified_is_strong",
        "bytes_total",
        "durable",
        "high_water",
        "hash_state",
        "restarts",
        "repointed",
        "part_device",
        "part_inode",
        "integrity",
        "ranges",
        "validation",
        "headers_withheld",
        "stage",
        "checksum",
    ],
    key: 2,
    first_checked: 0,
    added: 18..21,
};

/// Columns without the checksum.
const WIDTH: usize = TABLE.columns.len() - 1;

/// The kinds of integrity, by the number that stands for each.
const INTEGRITIES: [Integrity; 4] =
    [Integrity::ClientDigest, Integrity::ServerDigest, Integrity::LengthOnly, Integrity::Unverified];

/// The states of validation, by the number that stands for each; the first one is not stored.
const VALIDATIONS: [Validation; 3] = [Validation::Unset, Validation::Valid, Validation::Invalid];

/// `finished` and `published` as one column: a file that is published but not finished has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Unfinished,
    Finished,
    Published,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Unfinished, Self::Finished, Self::Published];

    const fn of(file: &FileRecord) -> Self {
        match (file.finished, file.published) {
            (false, _) => Self::Unfinished,
            (true, false) => Self::Finished,
            (true, true) => Self::Published,
        }
    }

    const fn number(self) -> u64 {
        self as u64
    }
}

const INSERT: &str = include_str!("../sql/file_insert.sql");
const UPDATE: &str = include_str!("../sql/file_update.sql");
const MARK_PUBLISHED: &str = include_str!("../sql/file_mark_published.sql");
pub(crate) const SELECT_OF_JOB: &str =
    concat!(include_str!("../sql/file_select.sql"), "WHERE job_id = ?1 ORDER BY file_index");
pub(super) const SELECT_ONE: &str =
    concat!(include_str!("../sql/file_select.sql"), "WHERE job_id = ?1 AND file_index = ?2");
const SELECT_PAGE: &str = concat!(
    include_str!("../sql/file_select.sql"),
    "WHERE job_id = ?1 AND file_index >= ?2 ORDER BY file_index LIMIT ?3"
);
/// The stage as a literal, as the index has it. Without statistics, SQLite would take the primary key.
pub(super) const SELECT_UNFINISHED: &str = concat!(
    include_str!("../sql/file_select.sql"),
    "INDEXED BY file_unfinished WHERE job_id = ?1 AND file_index >= ?2 AND stage = 0 ORDER BY file_index LIMIT ?3"
);
const SELECT_STAGE: &str = concat!(
    include_str!("../sql/file_select.sql"),
    "WHERE job_id = ?1 AND file_index >= ?2 AND stage = ?4 ORDER BY file_index LIMIT ?3"
);
/// The condition as the index has it. There are few, and a job may have a million others.
const SELECT_WITHHELD: &str = concat!(
    include_str!("../sql/file_select.sql"),
    "INDEXED BY file_headers_withheld WHERE job_id = ?1 AND headers_withheld = 1 ORDER BY file_index"
);
const SELECT_RANGED: &str = "SELECT EXISTS (SELECT 1 FROM file WHERE job_id = ?1 AND ranges IS NOT NULL)";
const SELECT_PREFIX: &str = concat!(
    include_str!("../sql/file_select.sql"),
    "WHERE job_id = ?1 AND file_index >= ?2 AND substr(remote_name, 1, length(?4)) = ?4 ORDER BY file_index LIMIT ?3"
);

fn to_columns<'a>(job: &'a JobId, file: &'a FileRecord) -> [ToSqlOutput<'a>; WIDTH] {
    let number = |number: u32| integer(u64::from(number));
    let flag = |flag: bool| integer(u64::from(flag));
    let version = file.version.as_ref();
    let integrity = match file.integrity {
        Integrity::ClientDigest => 0,
        Integrity::ServerDigest => 1,
        Integrity::LengthOnly => 2,
        Integrity::Unverified => 3,
    };
    let optional_blob = |bytes: Option<&'a [u8]>| bytes.map_or(ToSqlOutput::Owned(Value::Null), blob);
    [
        blob(job.0.as_bytes()),
        number(file.index.0),
        text(file.remote_name.expose().as_str()),
        blob(file.local_name.as_path().as_os_str().as_bytes()),
        optional_blob(file.digest.as_ref().map(|digest| &digest.0[..])),
        flag(version.is_some()),
        optional_text(version.and_then(|version| version.etag.as_deref())),
        optional_text(version.and_then(|version| version.last_modified.as_deref())),
        flag(version.is_some_and(|version| version.last_modified_is_strong)),
        optional(version.and_then(|version| version.bytes_total)),
        integer(file.durable),
        integer(file.high_water),
        optional_blob(file.hash_state.as_deref()),
        number(file.restarts),
        flag(file.repointed),
        optional(file.part.map(|part| part.device)),
        optional(file.part.map(|part| part.inode)),
        integer(integrity),
        if file.ranges.is_empty() { optional(None) } else { json(&file.ranges) },
        unless_default(file.validation as u64, 0),
        unless_default(u64::from(file.headers_withheld), 0),
        integer(Stage::of(file).number()),
    ]
}

/// Reads a row of one of the statements above.
pub(crate) fn from_row(row: &Row<'_>) -> Read<FileRecord> {
    let mut columns = Columns::of(&TABLE, row)?;
    let columns = &mut columns;
    let _job = columns.job()?;
    // In the order of the columns.
    let mut file = FileRecord {
        index: FileIndex(columns.u32()?),
        remote_name: columns.text()?.parse().map_err(|error| columns.error(format!("{error}")))?,
        local_name: LocalName::new(PathBuf::from(OsStr::from_bytes(columns.blob()?)))
            .map_err(|error| columns.error(error.to_string()))?,
        digest: columns
            .optional_blob()?
            .map(|bytes| bytes.try_into().map(Sha256).map_err(|_| columns.error("a digest has 32 bytes".into())))
            .transpose()?,
        version: version(columns)?,
        durable: columns.u64()?,
        high_water: columns.u64()?,
        hash_state: columns.optional_blob()?.map(<[u8]>::to_vec),
        restarts: columns.u32()?,
        repointed: columns.flag()?,
        part: match (columns.optional_u64()?, columns.optional_u64()?) {
            (Some(device), Some(inode)) => Some(PartIdentity { device, inode }),
            (None, None) => None,
            _ => return Err(columns.error("one half of the part file's identity is missing".into())),
        },
        integrity: columns.one_of(&INTEGRITIES)?,
        ranges: columns.optional_json()?.unwrap_or_default(),
        validation: columns.optional_one_of(&VALIDATIONS)?.unwrap_or_default(),
        headers_withheld: columns.added_flag()?,
        finished: false,
        published: false,
    };
    let stage = columns.one_of(&Stage::ALL)?;
    file.finished = stage != Stage::Unfinished;
    file.published = stage == Stage::Published;
    Ok(file)
}

fn version(columns: &mut Columns<'_>) -> Read<Option<FileVersion>> {
    let is_known = columns.flag()?;
    let version = FileVersion {
        etag: columns.optional_text()?.map(str::to_owned),
        last_modified: columns.optional_text()?.map(str::to_owned),
        last_modified_is_strong: columns.flag()?,
        bytes_total: columns.optional_u64()?,
    };
    match is_known {
        true => Ok(Some(version)),
        false if version == FileVersion::default() => Ok(None),
        false => Err(columns.error("a file without a version has validators or a size".into())),
    }
}

pub(crate) fn insert(connection: &Connection, job: JobId, file: &FileRecord) -> Result<()> {
    write(connection, &TABLE, INSERT, &to_columns(&job, file)).map(|_| ())
}

pub(crate) fn update(connection: &Connection, job: JobId, file: &FileRecord) -> Result<()> {
    match write(connection, &TABLE, UPDATE, &to_columns(&job, file))?.rows {
        1 => Ok(()),
        _ => Err(Problem::Refused(format!("job {job} has no file {} to be updated", file.index))),
    }
}

pub(crate) fn get(connection: &Connection, job: JobId, index: FileIndex) -> Result<Option<FileRecord>> {
    let mut statement = connection.prepare_cached(SELECT_ONE)?;
    let found = statement.query_row(params![job.0.as_bytes(), index.0], |row| Ok(from_row(row))).optional()?;
    Ok(found.transpose()?)
}

/// Whether any file of a job has ranges.
pub(crate) fn any_ranged(connection: &Connection, job: JobId) -> Result<bool> {
    Ok(connection.prepare_cached(SELECT_RANGED)?.query_row([job.0.as_bytes()], |row| row.get(0))?)
}

/// At most `count` files from `first` on.
pub(crate) fn page(connection: &Connection, job: JobId, first: FileIndex, count: u32) -> Result<Vec<FileRecord>> {
    collect(connection, SELECT_PAGE, params![job.0.as_bytes(), first.0, count])
}

/// At most `count` files of a stage after `after`, or from the first one on.
pub(crate) fn of_stage(
    connection: &Connection,
    job: JobId,
    stage: Stage,
    after: Option<FileIndex>,
    count: u32,
) -> Result<Vec<FileRecord>> {
    let first = after.map_or(0, |after| u64::from(after.0) + 1);
    if stage == Stage::Unfinished {
        return collect(connection, SELECT_UNFINISHED, params![job.0.as_bytes(), signed(first), count]);
    }
    collect(connection, SELECT_STAGE, params![job.0.as_bytes(), signed(first), count, signed(stage.number())])
}

/// At most `count` files from `first` on whose remote name begins with `prefix`.
pub(crate) fn with_prefix(
    connection: &Connection,
    job: JobId,
    prefix: &str,
    first: u64,
    count: u32,
) -> Result<Vec<FileRecord>> {
    collect(connection, SELECT_PREFIX, params![job.0.as_bytes(), signed(first), count, prefix])
}

/// The files of a job to which its headers are not sent.
pub(crate) fn withheld(connection: &Connection, job: JobId) -> Result<Vec<FileRecord>> {
    collect(connection, SELECT_WITHHELD, [job.0.as_bytes()])
}

fn collect(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Vec<FileRecord>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        files.push(from_row(row)?);
    }
    Ok(files)
}

/// Every finished file of the job is published.
///
/// The stage is the last column under the checksum and always takes the same bytes. A CRC is affine: what changes in it when only the last
/// bytes change does not depend on those before them. So one statement keeps the checksums of all rows right without reading them, and a row
/// that was wrong before is wrong after.
pub(crate) fn mark_published(connection: &Connection, job: JobId) -> Result<()> {
    let of = |stage: Stage| checksum(&TABLE, std::iter::once(ValueRef::Integer(signed(stage.number()))));
    let difference = of(Stage::Finished) ^ of(Stage::Published);
    let (from, to) = (signed(Stage::Finished.number()), signed(Stage::Published.number()));
    connection.prepare_cached(MARK_PUBLISHED)?.execute(params![job.0.as_bytes(), from, to, difference])?;
    Ok(())
}
