//! What the tests of this module share, and the task on a store that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::{DEFAULT_KINDS, NewWebhook, NotifierParts, Secret, Webhook, WebhookId, WebhookSettings, Webhooks};
use crate::clock::UnixMillis;
use crate::host::NumberedEvent;
use crate::job::{Event, EventKind};
use crate::scheduler::driver::Published;
use crate::scheduler::{RetentionConfig, Write};
use crate::store::{Batch, CommitFault, FailCommit, OpenMode, Store};

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

/// No step of a test takes longer, on a slow and busy machine either.
const LIMIT: Duration = Duration::from_secs(60);

/// The next delivery: the connection that it came by, and its id.
async fn delivery(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    let mut text = String::new();
    while !text.ends_with('}') {
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes).await.unwrap();
        assert_ne!(length, 0, "it ends early: {text}");
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
    let id = text.lines().find_map(|line| line.strip_prefix("webhook-id: ")).unwrap();
    (stream, id.to_owned())
}

async fn take(mut stream: TcpStream) {
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_while_nothing_can_be_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let (fails, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let fail = {
        let (fails, failed) = (Arc::clone(&fails), Arc::clone(&failed));
        FailCommit(Arc::new(move |_| {
            let fails = fails.load(Ordering::SeqCst);
            failed.fetch_add(usize::from(fails), Ordering::SeqCst);
            fails.then_some(CommitFault::Full)
        }))
    };
    let store = Store::open_failing(directory.path(), OpenMode::CreateIfMissing, Some(fail)).unwrap().store;
    let (events_tx, events_rx) = broadcast::channel(16);
    let parts = NotifierParts {
        settings: WebhookSettings::default(),
        retention: RetentionConfig::default(),
        tenants: Arc::default(),
        store: store.clone(),
        published: Arc::new(Published::new()),
        events_rx,
    };
    let webhooks = Webhooks::start(parts).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let kinds = vec!["network_changed".to_owned()];
    let owner = "uid:0".to_owned();
    let new = NewWebhook { owner: owner.clone(), url, secret: None, kinds, labels: Vec::new(), enabled: true };
    let created = webhooks.create(new).await.unwrap();
    let kind = EventKind::NetworkChanged { connected: true, note: String::new() };
    let event = Event { at: UnixMillis(1), job: None, kind };
    let writes = vec![Write::Journal(event.clone()), Write::Journal(event)];
    for (number, event) in store.commit(Batch { writes, ..Batch::default() }).await.unwrap().events {
        events_tx.send(Arc::new(NumberedEvent::new(number, event))).unwrap();
    }
    let (first, id) = delivery(&listener).await;
    assert!(id.ends_with("_1"), "{id}");
    fails.store(true, Ordering::SeqCst);
    take(first).await;
    // That the first has arrived cannot be recorded, however often it is tried: the second waits.
    let tried = async {
        while failed.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, tried).await.unwrap();
    assert!(timeout(Duration::ZERO, listener.accept()).await.is_err(), "it was sent");
    assert_eq!(webhooks.get(Some(&owner), created.webhook.id).await.unwrap().pending, 1);
    fails.store(false, Ordering::SeqCst);
    let (second, id) = delivery(&listener).await;
    assert!(id.ends_with("_2"), "{id}");
    take(second).await;
    let told = async {
        while webhooks.counts().pending > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, told).await.unwrap();
    webhooks.shutdown().await;
    assert_eq!(store.reader().unwrap().webhooks().unwrap()[0].cursor, 2);
    assert_eq!(webhooks.counts().delivered, 2, "none of them twice");
}
