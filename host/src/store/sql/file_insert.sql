INSERT INTO file (
    job_id, file_index, remote_name, local_name, digest, has_version, etag, last_modified, last_modified_is_strong,
    bytes_total, durable, high_water, hash_state, restarts, repointed, part_device, part_inode, integrity, ranges,
    validation, headers_withheld, stage, checksum
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)
