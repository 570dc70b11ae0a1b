//! Timeouts, checkpoints and limits of the transfer engine.

use std::time::Duration;

/// What an operator may set. The defaults suit a server on a common network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferSettings {
    /// How long name resolution, connecting and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// From the request to the head of the response, with the connecting where it needs a connection of its own.
    pub first_byte_timeout: Duration,
    /// Without a byte of the body.
    pub idle_timeout: Duration,
    /// Fewer bytes a second than this, on average over `low_speed_window`, are too slow; 0: never.
    pub low_speed_bytes_per_second: u64,
    /// Time spent waiting for the origin over which the speed is measured.
    pub low_speed_window: Duration,
    /// A checkpoint is due when so many bytes are not durable yet, ...
    pub checkpoint_bytes: u64,
    /// ... or when some have not been for so long.
    pub checkpoint_interval: Duration,
    /// The largest file that is accepted.
    pub file_bytes_max: u64,
    /// Idle connections kept open to one origin.
    pub idle_connections_per_origin: usize,
}

impl Default for TransferSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            // Far below the slowest link in use (GPRS: some 4,000), far above a server that drips to hold its clients.
            low_speed_bytes_per_second: 256,
            low_speed_window: Duration::from_secs(60),
            // What a kill may cost; large enough for the disk to be kept busy by syncs that do not wait for each other.
            checkpoint_bytes: 16 << 20,
            checkpoint_interval: Duration::from_secs(5),
            // Sizes go to policies, whose numbers stay below 2^53.
            file_bytes_max: crate::job::limits::GUEST_NUMBER_MAX,
            // As many as one job can have files in flight.
            idle_connections_per_origin: crate::job::limits::PARALLEL_FILES_MAX as usize,
        }
    }
}
