//! Why something cannot be done with a webhook.

use super::WebhookId;
use crate::store::StoreError;

/// Why a request about a webhook is refused.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// There is none, or it is somebody else's.
    #[error("there is no webhook {0}")]
    NotFound(WebhookId),
    /// It has arrived, or there never was one.
    #[error("webhook {webhook} has no delivery of event {number} that waits or has failed")]
    NoDelivery {
        /// Which webhook.
        webhook: WebhookId,
        /// Which event.
        number: u64,
    },
    /// The owner has as many as are allowed.
    #[error("there are {0} webhooks already, as many as are allowed; remove one that is not needed")]
    TooMany(u32),
    /// Everybody on the way could read what is sent.
    #[error(
        "must begin with https://, unless the receiver is on this machine (the setting webhooks.plain_http says so)"
    )]
    PlainHttp,
    /// An address that the owner's jobs may not connect to either.
    #[error("{0} (the section [egress] of the configuration says which addresses are open)")]
    EgressDenied(String),
    /// The kernel gave none.
    #[error("no randomness for a secret: {0}")]
    Randomness(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
}
