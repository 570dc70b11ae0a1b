UPDATE file SET
    remote_name = ?3, local_name = ?4, digest = ?5, has_version = ?6, etag = ?7, last_modified = ?8,
    last_modified_is_strong = ?9, bytes_total = ?10, durable = ?11, high_water = ?12, hash_state = ?13, restarts =
    ?14, repointed = ?15, part_device = ?16, part_inode = ?17, integrity = ?18, ranges = ?19, validation = ?20,
    headers_withheld = ?21, stage = ?22, checksum = ?23
WHERE job_id = ?1 AND file_index = ?2
