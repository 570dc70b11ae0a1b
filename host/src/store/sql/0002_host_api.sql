-- Keys of requests that created jobs: a repeated request finds its job by them.
CREATE TABLE idempotency (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    request BLOB NOT NULL CHECK (length(request) = 32),
    job_id BLOB NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    checksum INTEGER NOT NULL CHECK (checksum BETWEEN 0 AND 0xFFFFFFFF),
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_of_job ON idempotency (job_id);

-- Files that are still to be fetched: looked for at each start of a job, however many are finished.
CREATE INDEX file_unfinished ON file (job_id, file_index) WHERE stage = 0;

-- Final jobs, in the order of lists and of retention.
CREATE INDEX job_final ON job (id) WHERE state >= 7;
CREATE INDEX job_final_age ON job (modified_at) WHERE state >= 7;

-- Final jobs whose rows are being removed, because they are too many for one transaction.
CREATE TABLE removal (
    job_id BLOB NOT NULL PRIMARY KEY REFERENCES job (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
