//! What the tests of this module share.

use super::{DEFAULT_KINDS, Secret, Webhook, WebhookId};
use crate::clock::UnixMillis;

pub(crate) fn a_webhook() -> Webhook {
    Webhook {
        id: WebhookId(uuid::Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_00aa)),
        owner: "uid:1000".into(),
        url: "https://user:word@receiver.example/events?signed".parse().unwrap(),
        secret: Secret::from_bytes(vec![7; 32]).unwrap(),
        kinds: DEFAULT_KINDS.map(str::to_owned).to_vec(),
        labels: Vec::new(),
        enabled: true,
        disabled_because: None,
        created_at: UnixMillis(3),
    }
}
