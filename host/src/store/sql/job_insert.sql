INSERT INTO job (
    id, owner, display_name, direction, state, priority, minimum_retry_delay_ms, no_progress_timeout_ms,
    maximum_download_time_ms, parallel_files, cost_flags, auto_complete, overwrite, labels, policies, created_at,
    modified_at, started_at, transferred_at, last_progress_at, files_total, files_transferred, bytes_sized,
    files_sized, bytes_transferred, progress_bytes, error, error_count, failures_in_row, recoveries, last_recovery_at,
    attempt, decisions, history, retry_due_at, retry_delay_ms, no_progress_ms, active_ms, intent, description,
    notify_flags, minimum_notification_interval_ms, dynamic_content, high_performance, maximum_download_size,
    redirects, redirects_to_http, resumed, headers_write_only, active_at, checksum
) VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,
    ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47,
    ?48, ?49, ?50, ?51
)
