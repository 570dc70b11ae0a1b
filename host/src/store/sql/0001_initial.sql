-- Unsigned 64-bit numbers are stored as the signed ones of the same bits, so that every value is kept; nothing is ordered by them.

CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner TEXT NOT NULL,
    display_name TEXT NOT NULL,
    direction INTEGER NOT NULL CHECK (direction BETWEEN 0 AND 2),
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 8),
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    minimum_retry_delay_ms INTEGER NOT NULL,
    no_progress_timeout_ms INTEGER NOT NULL,
    maximum_download_time_ms INTEGER NOT NULL,
    parallel_files INTEGER NOT NULL CHECK (parallel_files BETWEEN 1 AND 64),
    cost_flags INTEGER NOT NULL CHECK (cost_flags BETWEEN 0 AND 0xFFFFFFFF),
    auto_complete INTEGER NOT NULL CHECK (auto_complete IN (0, 1)),
    overwrite INTEGER NOT NULL CHECK (overwrite IN (0, 1)),
    labels TEXT NOT NULL,
    policies TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    started_at INTEGER,
    transferred_at INTEGER,
    last_progress_at INTEGER,
    files_total INTEGER NOT NULL CHECK (files_total BETWEEN 0 AND 0xFFFFFFFF),
    files_transferred INTEGER NOT NULL CHECK (files_transferred BETWEEN 0 AND 0xFFFFFFFF),
    bytes_sized INTEGER NOT NULL,
    files_sized INTEGER NOT NULL CHECK (files_sized BETWEEN 0 AND 0xFFFFFFFF),
    bytes_transferred INTEGER NOT NULL,
    progress_bytes INTEGER NOT NULL,
    error TEXT,
    error_count INTEGER NOT NULL CHECK (error_count BETWEEN 0 AND 0xFFFFFFFF),
    failures_in_row INTEGER NOT NULL CHECK (failures_in_row BETWEEN 0 AND 0xFFFFFFFF),
    recoveries INTEGER NOT NULL CHECK (recoveries BETWEEN 0 AND 0xFFFFFFFF),
    last_recovery_at INTEGER,
    attempt INTEGER NOT NULL CHECK (attempt BETWEEN 0 AND 0xFFFFFFFF),
    decisions INTEGER NOT NULL CHECK (decisions BETWEEN 0 AND 0xFFFFFFFF),
    history TEXT NOT NULL,
    retry_due_at INTEGER,
    retry_delay_ms INTEGER,
    no_progress_ms INTEGER NOT NULL,
    active_ms INTEGER NOT NULL,
    intent INTEGER CHECK (intent BETWEEN 0 AND 1),
    checksum INTEGER NOT NULL CHECK (checksum BETWEEN 0 AND 0xFFFFFFFF),
    CHECK ((retry_due_at IS NULL) = (retry_delay_ms IS NULL))
) STRICT;

-- Request headers may be credentials: apart from the job, and never read with it.
CREATE TABLE header (
    job_id BLOB NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    checksum INTEGER NOT NULL CHECK (checksum BETWEEN 0 AND 0xFFFFFFFF),
    PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;

-- stage: 0 unfinished, 1 finished, 2 published. It stands last before the checksum: see rows/file.rs.
CREATE TABLE file (
    job_id BLOB NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    file_index INTEGER NOT NULL CHECK (file_index BETWEEN 0 AND 0xFFFFFFFF),
    remote_name TEXT NOT NULL,
    local_name BLOB NOT NULL,
    digest BLOB CHECK (length(digest) = 32),
    has_version INTEGER NOT NULL CHECK (has_version IN (0, 1)),
    etag TEXT,
    last_modified TEXT,
    last_modified_is_strong INTEGER NOT NULL CHECK (last_modified_is_strong IN (0, 1)),
    bytes_total INTEGER,
    durable INTEGER NOT NULL,
    high_water INTEGER NOT NULL,
    hash_state BLOB,
    restarts INTEGER NOT NULL CHECK (restarts BETWEEN 0 AND 0xFFFFFFFF),
    repointed INTEGER NOT NULL CHECK (repointed IN (0, 1)),
    part_device INTEGER,
    part_inode INTEGER,
    integrity INTEGER NOT NULL CHECK (integrity BETWEEN 0 AND 3),
    stage INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 2),
    checksum INTEGER NOT NULL CHECK (checksum BETWEEN 0 AND 0xFFFFFFFF),
    PRIMARY KEY (job_id, file_index),
    CHECK (has_version = 1 OR (etag IS NULL AND last_modified IS NULL AND last_modified_is_strong = 0 AND bytes_total IS NULL)),
    CHECK ((part_device IS NULL) = (part_inode IS NULL))
) STRICT, WITHOUT ROWID;

-- No reference to the job: the journal outlives it. AUTOINCREMENT: a number is never given twice, whatever retention removes.
CREATE TABLE event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    job_id BLOB CHECK (length(job_id) = 16),
    body TEXT NOT NULL,
    checksum INTEGER NOT NULL CHECK (checksum BETWEEN 0 AND 0xFFFFFFFF)
) STRICT;

CREATE INDEX event_of_job ON event (job_id, number);

CREATE TABLE decision (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id BLOB NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    body TEXT NOT NULL,
    checksum INTEGER NOT NULL CHECK (checksum BETWEEN 0 AND 0xFFFFFFFF)
) STRICT;

CREATE INDEX decision_of_job ON decision (job_id, number);

CREATE TABLE memo (
    job_id BLOB NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    policy TEXT NOT NULL,
    hook TEXT NOT NULL CHECK (hook IN ('retry', 'network-cost', 'recovery')),
    bytes BLOB NOT NULL,
    checksum INTEGER NOT NULL CHECK (checksum BETWEEN 0 AND 0xFFFFFFFF),
    PRIMARY KEY (job_id, policy, hook)
) STRICT, WITHOUT ROWID;
