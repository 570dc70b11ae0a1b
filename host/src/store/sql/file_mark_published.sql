-- ?4 is what the change of stage changes in the checksum; (a | b) - (a & b) is their exclusive or.
UPDATE file SET stage = ?3, checksum = (checksum | ?4) - (checksum & ?4)
WHERE job_id = ?1 AND stage = ?2
