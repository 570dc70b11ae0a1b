//! One attempt of a delivery: a POST that is signed, bounded in time, and not redirected.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use reqwest::{StatusCode, redirect};
use tokio::time::timeout;

use super::egress::{self, Forbidden, NotResolved, OwnersResolver};
use super::message::Message;
use super::settings::WebhookSettings;
use super::webhook::Webhook;
use crate::access::{EgressRules, Tenants};
use crate::clock::Now;
use crate::job::SafeUrl;
use crate::transfer::retry_after_ms;

/// Bytes of an answer that are taken, so that its connection can be used again. What the answer says does not matter.
const ANSWER_BYTES_MAX: usize = 4 << 10;
/// Header fields of an answer.
const HEADERS_MAX: usize = 100;
/// Idle connections that are kept to one receiver: as many as one webhook uses.
const IDLE_CONNECTIONS: usize = 2;
/// Links of a chain of errors that are looked at: real ones have some eight.
const LINKS_MAX: usize = 32;

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has it.
    Delivered { status: u16 },
    /// The receiver wants no more.
    Gone,
    /// The receiver answered otherwise.
    Refused { status: u16, retry_after_ms: Option<u64> },
    /// There was no answer.
    Unanswered { detail: String },
}

impl Outcome {
    /// In words; none if it went well. The URL is not in them.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Delivered { .. } => None,
            Self::Gone => Some("the receiver answered 410: it wants no more".into()),
            Self::Refused { status: status @ 300..=399, .. } => {
                Some(format!("the receiver answered {status}; redirects are not followed"))
            }
            Self::Refused { status, .. } => Some(format!("the receiver answered {status}")),
            Self::Unanswered { detail } => Some(detail.clone()),
        }
    }

    /// What the receiver answered, if it did.
    pub(super) const fn status(&self) -> Option<u16> {
        match self {
            Self::Delivered { status } | Self::Refused { status, .. } => Some(*status),
            Self::Gone => Some(410),
            Self::Unanswered { .. } => None,
        }
    }
}

/// Sends. One HTTP client an owner: what one may connect to must not be reached by another over a kept connection.
#[derive(Debug)]
pub(super) struct Sender {
    settings: WebhookSettings,
    tenants: Arc<Tenants>,
    clients: Mutex<HashMap<String, reqwest::Client>>,
}

impl Sender {
    pub(super) fn new(settings: WebhookSettings, tenants: Arc<Tenants>) -> Self {
        Self { settings, tenants, clients: Mutex::default() }
    }

    /// Refuses a URL with an address in it that deliveries of the owner may not go to; a name is judged once it is resolved.
    pub(super) fn check(&self, owner: &str, url: &SafeUrl) -> Result<(), Forbidden> {
        egress::check_literal(&self.rules(owner), url)
    }

    fn rules(&self, owner: &str) -> EgressRules {
        self.tenants.egress(self.tenants.class_of(owner))
    }

    /// Tries to deliver a message. Takes no longer than the timeout.
    pub(super) async fn send(&self, webhook: &Webhook, message: Message) -> Outcome {
        let limit = self.settings.timeout;
        match timeout(limit, self.attempt(webhook, message)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Unanswered { detail: format!("no answer within {} s", limit.as_secs_f64()) },
        }
    }

    async fn attempt(&self, webhook: &Webhook, Message { id, body }: Message) -> Outcome {
        if let Err(forbidden) = self.check(&webhook.owner, &webhook.url) {
            return Outcome::Unanswered { detail: forbidden.to_string() };
        }
        let client = match self.client(&webhook.owner) {
            Ok(client) => client,
            Err(error) => return Outcome::Unanswered { detail: in_words(&error) },
        };
        let now = Now::read().wall;
        let timestamp = now.0 / 1000;
        let signature = webhook.secret.sign(&id, timestamp, &body);
        let request = client
            .post(webhook.url.expose().clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Unanswered { detail: in_words(&error) },
        };
        let status = response.status();
        let text = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let retry_after_ms = text(RETRY_AFTER).and_then(|value| retry_after_ms(value, text(DATE), now));
        let mut taken = 0;
        while taken < ANSWER_BYTES_MAX
            && let Ok(Some(chunk)) = response.chunk().await
        {
            taken += chunk.len();
        }
        match status {
            status if status.is_success() => Outcome::Delivered { status: status.as_u16() },
            StatusCode::GONE => Outcome::Gone,
            status => Outcome::Refused { status: status.as_u16(), retry_after_ms },
        }
    }

    fn client(&self, owner: &str) -> Result<reqwest::Client, reqwest::Error> {
        // Only whole clients are put in: a panic in between leaves nothing half done.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(owner) {
            return Ok(client.clone());
        }
        // Fails if a provider was installed before, by whoever embeds this library: theirs is used then.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let rules = Arc::new(self.rules(owner));
        let build = || {
            reqwest::Client::builder()
                .user_agent(concat!("backhaul/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .http1_only()
                .http1_max_headers(HEADERS_MAX)
                .dns_resolver(OwnersResolver { rules: Arc::clone(&rules) })
                .connect_timeout(self.settings.timeout)
                .tcp_nodelay(true)
                .pool_max_idle_per_host(IDLE_CONNECTIONS)
        };
        let client = build().build().or_else(|error| {
            // A machine without certificates can tell receivers over http all the same.
            tracing::warn!(%error, "no certificates of the system can be used: every https receiver will be refused");
            build().tls_certs_only([]).build()
        })?;
        clients.insert(owner.to_owned(), client.clone());
        Ok(client)
    }
}

/// An error of the client without its outermost text, which names the URL with its secrets.
fn in_words(error: &reqwest::Error) -> String {
    let (mut link, mut innermost): (Option<&(dyn Error + 'static)>, _) = (error.source(), None);
    for _ in 0..LINKS_MAX {
        let Some(cause) = link else { break };
        innermost = Some(cause.to_string());
        if cause.is::<Forbidden>() || cause.is::<NotResolved>() {
            break;
        }
        link = cause.source();
    }
    let innermost = innermost.unwrap_or_else(|| "the request could not be made".to_owned());
    if error.is_connect() { format!("no connection to the receiver: {innermost}") } else { innermost }
}

/// Shared by the task and by tests of webhooks that clients ask for.
pub(super) type SharedSender = Arc<Sender>;
