INSERT INTO memo (job_id, policy, hook, bytes, checksum) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (job_id, policy, hook) DO UPDATE SET bytes = excluded.bytes, checksum = excluded.checksum
