//! The host as applications see it.

use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::*;
use crate::job::{Direction, JobChanges, JobState, LocalName, Properties, RequestHeaders, SafeUrl, Sha256};
use crate::notify::{DeliveryState, NewWebhook, WebhookChanges, WebhookError};

async fn start(state_dir: &Path) -> Host {
    let config = HostConfig {
        // Nothing runs: what the tests look at stands still.
        network: Network { connected: false, ..Network::default() },
        ..HostConfig::new(state_dir)
    };
    Host::start(config).await.unwrap()
}

fn spec() -> JobSpec {
    JobSpec {
        display_name: "test".into(),
        description: String::new(),
        owner: "uid:0".into(),
        direction: Direction::Download,
        properties: Properties::default(),
        labels: Vec::new(),
        policies: Vec::new(),
        headers: RequestHeaders::default(),
        headers_write_only: false,
    }
}

fn files() -> Vec<FileSpec> {
    let remote_name = SafeUrl::parse("http://127.0.0.1:9/a").unwrap();
    vec![FileSpec {
        remote_name,
        local_name: LocalName::new("/nowhere/a".into()).unwrap(),
        digest: None,
        ranges: Vec::new(),
    }]
}

fn key(key: &str, request: u8) -> Option<IdempotencyKey> {
    Some(IdempotencyKey { key: key.into(), request: Sha256([request; 32]) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_makes_one_job_however_many_come_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let host = Arc::new(start(directory.path()).await);
    let mut requests = JoinSet::new();
    for _ in 0..32 {
        let host = Arc::clone(&host);
        requests.spawn(async move { host.create_once(spec(), files(), Begin::Resumed, key("k", 1)).await.unwrap() });
    }
    let created = requests.join_all().await;
    let first = created.iter().filter(|created| created.repetition == Repetition::First).count();
    assert_eq!(first, 1);
    assert!(created.iter().all(|one| one.job.id == created[0].job.id));
    assert_eq!(host.jobs().len(), 1);
    let other = host.create_once(spec(), files(), Begin::Resumed, key("k", 2)).await.unwrap_err();
    assert!(matches!(other, CreateError::KeyUsed { job } if job == created[0].job.id), "{other}");
    let elsewhere = JobSpec { owner: "uid:1".into(), ..spec() };
    let created = host.create_once(elsewhere, files(), Begin::Resumed, key("k", 1)).await.unwrap();
    assert_eq!(created.repetition, Repetition::First, "another owner's key is another one");
    host.shutdown().await;
    // Over a restart as well.
    let host = start(directory.path()).await;
    let again = host.create_once(spec(), files(), Begin::Resumed, key("k", 1)).await.unwrap();
    assert_eq!(again.repetition, Repetition::Repeated);
    assert_eq!(host.jobs().len(), 2);
    host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_caller_has_left_counts_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let host = start(directory.path()).await;
    for number in 0..50 {
        let text = number.to_string();
        {
            // Left at some point: before, while or after it is stored.
            let request = host.create_once(spec(), files(), Begin::Suspended, key(&text, 1));
            let _left = tokio::time::timeout(Duration::from_micros(number * 40), request).await;
        }
        let created = host.create_once(spec(), files(), Begin::Suspended, key(&text, 1)).await.unwrap();
        let jobs = host.jobs().len();
        assert_eq!(u64::try_from(jobs).unwrap(), number + 1, "{created:?}");
    }
    host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_says_of_the_network_lasts_until_it_is_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let host = start(directory.path()).await;
    let sensed = host.network();
    assert!(!sensed.overridden && !sensed.network.connected);
    let said = Network { connected: false, battery_percent: Some(7), ..Network::default() };
    host.set_network_override(Some(said.clone())).await.unwrap();
    let status = NetworkStatus { network: said.clone(), overridden: true };
    assert_eq!(host.network(), status);
    host.set_network(Network { connected: false, on_battery: true, ..Network::default() }).await;
    host.set_network_override(Some(said)).await.unwrap();
    assert_eq!(host.network(), status, "what is sensed does not matter meanwhile");
    host.shutdown().await;
    assert!(matches!(host.set_network_override(None).await, Err(CommandError::Stopping)));
    let host = start(directory.path()).await;
    assert_eq!(host.network(), status);
    host.set_network_override(None).await.unwrap();
    assert!(!host.network().overridden);
    host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_its_owners_alone() {
    let directory = tempfile::tempdir().unwrap();
    let host = start(directory.path()).await;
    let kinds = vec!["cancelled".to_owned()];
    let (owner, url) = ("uid:0".to_owned(), SafeUrl::parse("http://127.0.0.1:9/").unwrap());
    let new = NewWebhook { owner, url, secret: None, kinds, labels: Vec::new(), enabled: false };
    let created = host.webhooks().create(new.clone()).await.unwrap();
    let id = created.webhook.id;
    assert_eq!(host.webhooks().get(Some("uid:0"), id).await.unwrap(), created);
    let webhooks = host.webhooks();
    let changes = WebhookChanges { enabled: Some(true), ..WebhookChanges::default() };
    for refused in [
        webhooks.get(Some("uid:1"), id).await.map(drop),
        webhooks.change(Some("uid:1"), id, changes).await.map(drop),
        webhooks.remove(Some("uid:1"), id).await,
        webhooks.test(Some("uid:1"), id).await.map(drop),
        webhooks.deliveries(Some("uid:1"), id, DeliveryState::Failed, 0, 1).await.map(drop),
        webhooks.resend(Some("uid:1"), id, 1).await.map(drop),
    ] {
        assert!(matches!(refused, Err(WebhookError::NotFound(named)) if named == id), "{refused:?}");
    }
    assert_eq!(webhooks.list(Some("uid:1")).await.unwrap(), []);
    assert_eq!(webhooks.list(None).await.unwrap(), [host.webhooks().get(Some("uid:0"), id).await.unwrap()]);
    // The limit is each owner's own, and what is created is there after a restart.
    webhooks.create(NewWebhook { owner: "uid:1".into(), ..new }).await.unwrap();
    host.shutdown().await;
    assert!(matches!(host.webhooks().list(Some("uid:0")).await, Err(WebhookError::Stopping)));
    let host = start(directory.path()).await;
    assert_eq!(host.webhooks().list(Some("uid:0")).await.unwrap(), [created]);
    host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_job_wakes_when_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let host = start(directory.path()).await;
    let [waited_for, other] = [(); 2].map(|()| host.create(spec(), files()));
    let (waited_for, other) = (waited_for.await.unwrap().id, other.await.unwrap().id);
    let seen = host.job(waited_for).unwrap().revision;
    let mut waiting = Box::pin(host.changed(waited_for, seen));
    assert!(waiting.as_mut().now_or_never().is_none());
    host.command(Command::Resume(other)).await.unwrap();
    assert!(waiting.as_mut().now_or_never().is_none());
    host.command(Command::Resume(waited_for)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap();
    assert_ne!(host.job(waited_for).unwrap().revision, seen);
    host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_listed_as_they_are_reported_and_final_ones_from_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let host = start(directory.path()).await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(host.create_once(spec(), files(), Begin::Resumed, None).await.unwrap().job.id);
    }
    let changes = Box::new(JobChanges { priority: Some(crate::job::Priority::Low), ..JobChanges::default() });
    host.command(Command::Modify { job: ids[3], changes, expected: None }).await.unwrap();
    host.command(Command::Cancel(ids[0])).await.unwrap();
    let all = host.list(&JobFilter::default(), None, 100);
    assert_eq!(all.jobs.iter().map(|job| job.record.id).collect::<Vec<_>>(), ids[1..]);
    // Without a network, a queued job reports TRANSIENT_ERROR.
    let queued = JobFilter { states: vec![JobState::Queued], ..JobFilter::default() };
    assert!(host.list(&queued, None, 100).jobs.is_empty());
    let waiting = JobFilter { states: vec![JobState::TransientError], ..JobFilter::default() };
    let page = host.list(&waiting, Some(ids[4]), 2);
    assert_eq!((page.jobs[0].record.id, page.next), (ids[5], Some(ids[6])));
    let low = JobFilter { priority: Some(crate::job::Priority::Low), ..JobFilter::default() };
    assert_eq!(host.list(&low, None, 9).jobs[0].record.id, ids[3]);
    let over = host.list_final(JobFilter::default(), None, 9).await.unwrap();
    assert_eq!((over.jobs.len(), over.jobs[0].id, over.next), (1, ids[0], None));
    assert!(host.job(ids[0]).is_some(), "a job that became final lately can be read from memory");
    host.shutdown().await;
    assert!(host.read(|reader| reader.counts()).await.is_err(), "nobody reads after the end");
}
