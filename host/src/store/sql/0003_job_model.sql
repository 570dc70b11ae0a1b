-- Nothing stands where a property has its default: the rows of before keep their checksums, and no row is written anew.
ALTER TABLE job ADD COLUMN description TEXT;
ALTER TABLE job ADD COLUMN notify_flags INTEGER CHECK (notify_flags BETWEEN 0 AND 31);
ALTER TABLE job ADD COLUMN minimum_notification_interval_ms INTEGER;
ALTER TABLE job ADD COLUMN dynamic_content INTEGER CHECK (dynamic_content = 1);
ALTER TABLE job ADD COLUMN high_performance INTEGER CHECK (high_performance = 1);
ALTER TABLE job ADD COLUMN maximum_download_size INTEGER;
ALTER TABLE job ADD COLUMN redirects INTEGER CHECK (redirects BETWEEN 1 AND 2);
ALTER TABLE job ADD COLUMN redirects_to_http INTEGER CHECK (redirects_to_http = 1);
ALTER TABLE job ADD COLUMN resumed INTEGER CHECK (resumed = 1);
ALTER TABLE job ADD COLUMN headers_write_only INTEGER CHECK (headers_write_only = 1);
ALTER TABLE job ADD COLUMN active_at INTEGER;

ALTER TABLE file ADD COLUMN ranges TEXT;
ALTER TABLE file ADD COLUMN validation INTEGER CHECK (validation BETWEEN 1 AND 2);
-- A redirect has led the remote name to an origin that the request headers were not given for.
ALTER TABLE file ADD COLUMN headers_withheld INTEGER CHECK (headers_withheld = 1);
CREATE INDEX file_headers_withheld ON file (job_id, file_index) WHERE headers_withheld = 1;

-- The last head that an origin answered with, as it came: apart from the file, whose row is written at each checkpoint.
CREATE TABLE file_response (
    job_id BLOB NOT NULL,
    file_index INTEGER NOT NULL,
    headers TEXT NOT NULL,
    checksum INTEGER NOT NULL CHECK (checksum BETWEEN 0 AND 0xFFFFFFFF),
    PRIMARY KEY (job_id, file_index),
    FOREIGN KEY (job_id, file_index) REFERENCES file (job_id, file_index) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Webhooks. The journal is their outbox: what each of them is still to be told lies after its cursor, or has a row of its own.
CREATE TABLE webhook (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner TEXT NOT NULL,
    url TEXT NOT NULL,
    secret BLOB NOT NULL CHECK (length(secret) BETWEEN 24 AND 64),
    kinds TEXT NOT NULL,
    labels TEXT NOT NULL,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    disabled_because TEXT,
    created_at INTEGER NOT NULL,
    checksum INTEGER NOT NULL CHECK (checksum BETWEEN 0 AND 0xFFFFFFFF),
    CHECK (enabled = 0 OR disabled_because IS NULL)
) STRICT;

-- Apart from the webhook, for it is written with most deliveries.
CREATE TABLE webhook_cursor (
    webhook_id BLOB NOT NULL PRIMARY KEY REFERENCES webhook (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number >= 0),
    checksum INTEGER NOT NULL CHECK (checksum BETWEEN 0 AND 0xFFFFFFFF)
) STRICT, WITHOUT ROWID;

-- Deliveries that wait (state 0) or have failed (1), each with its event: the journal may be shorter. No reference to the job, for the same reason.
CREATE TABLE webhook_delivery (
    webhook_id BLOB NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number > 0),
    at INTEGER NOT NULL,
    job_id BLOB CHECK (length(job_id) = 16),
    body TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 1),
    attempts INTEGER NOT NULL CHECK (attempts BETWEEN 0 AND 0xFFFFFFFF),
    due_at INTEGER NOT NULL,
    delay_ms INTEGER NOT NULL,
    attempted_at INTEGER,
    status INTEGER CHECK (status BETWEEN 0 AND 0xFFFF),
    detail TEXT,
    checksum INTEGER NOT NULL CHECK (checksum BETWEEN 0 AND 0xFFFFFFFF),
    PRIMARY KEY (webhook_id, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_delivery_by_state ON webhook_delivery (webhook_id, state, number);

-- Tokens of the API: what stands for each subject is known by its SHA-256 alone.
CREATE TABLE token (
    name TEXT NOT NULL PRIMARY KEY,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    scopes INTEGER NOT NULL CHECK (scopes BETWEEN 0 AND 15),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    checksum INTEGER NOT NULL CHECK (checksum BETWEEN 0 AND 0xFFFFFFFF)
) STRICT, WITHOUT ROWID;
