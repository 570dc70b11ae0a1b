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
