SELECT
    job_id, file_index, remote_name, local_name, digest, has_version, etag, last_modified, last_modified_is_strong,
    bytes_total, durable, high_water, hash_state, restarts, repointed, part_device, part_inode, integrity, ranges,
    validation, headers_withheld, stage, checksum
FROM file
