INSERT INTO memo (job_id, policy, hook, bytes) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (job_id, policy, hook) DO UPDATE SET bytes = excluded.bytes
