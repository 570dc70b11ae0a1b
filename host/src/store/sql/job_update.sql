UPDATE job SET
    owner = ?2, display_name = ?3, direction = ?4, state = ?5, priority = ?6, minimum_retry_delay_ms = ?7,
    no_progress_timeout_ms = ?8, maximum_download_time_ms = ?9, parallel_files = ?10, cost_flags = ?11, auto_complete
    = ?12, overwrite = ?13, labels = ?14, policies = ?15, created_at = ?16, modified_at = ?17, started_at = ?18,
    transferred_at = ?19, last_progress_at = ?20, files_total = ?21, files_transferred = ?22, bytes_sized = ?23,
    files_sized = ?24, bytes_transferred = ?25, progress_bytes = ?26, error = ?27, error_count = ?28, failures_in_row
    = ?29, recoveries = ?30, last_recovery_at = ?31, attempt = ?32, decisions = ?33, history = ?34, retry_due_at =
    ?35, retry_delay_ms = ?36, no_progress_ms = ?37, active_ms = ?38, intent = ?39, description = ?40, notify_flags =
    ?41, minimum_notification_interval_ms = ?42, dynamic_content = ?43, high_performance = ?44, maximum_download_size
    = ?45, redirects = ?46, redirects_to_http = ?47, resumed = ?48, headers_write_only = ?49, active_at = ?50,
    checksum = ?51
WHERE id = ?1
