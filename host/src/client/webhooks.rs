//! The operations on webhooks.

use http::Method;

use super::request::{Repeat, Request};
use super::{Client, ClientError};
use crate::api::wire::{
    CreatedWebhook, DeliveryPage, DeliveryView, NewWebhook, TestedWebhook, WebhookList, WebhookPatch, WebhookView,
};
use crate::notify::{DeliveryState, WebhookId};

impl NewWebhook {
    /// A webhook of the default kinds for all jobs, with a secret that the daemon draws.
    #[must_use]
    pub fn to(url: impl Into<String>) -> Self {
        Self { url: url.into(), secret: None, kinds: None, labels: std::collections::BTreeMap::new(), enabled: true }
    }
}

impl Client {
    /// Creates a webhook, and says its secret: this answer alone does. Not repeated on a broken connection: it would be there twice.
    pub async fn create_webhook(&self, webhook: &NewWebhook) -> Result<CreatedWebhook, ClientError> {
        self.transport.send(Request::post("/v1/webhooks").json(webhook)).await?.json()
    }

    /// The caller's webhooks, oldest first.
    pub async fn webhooks(&self) -> Result<Vec<WebhookView>, ClientError> {
        let list: WebhookList = self.transport.send(Request::get("/v1/webhooks")).await?.json()?;
        Ok(list.webhooks)
    }

    /// One webhook.
    pub async fn webhook(&self, webhook: WebhookId) -> Result<WebhookView, ClientError> {
        self.transport.send(Request::get(path(webhook, ""))).await?.json()
    }

    /// Changes a webhook.
    pub async fn change_webhook(&self, webhook: WebhookId, patch: &WebhookPatch) -> Result<WebhookView, ClientError> {
        let request = Request::new(Method::PATCH, path(webhook, "")).json(patch).repeat(Repeat::Allowed);
        self.transport.send(request).await?.json()
    }

    /// Removes a webhook with everything that it was still to be told.
    pub async fn remove_webhook(&self, webhook: WebhookId) -> Result<(), ClientError> {
        // A second try would not find what the first has removed.
        let request = Request::new(Method::DELETE, path(webhook, "")).repeat(Repeat::Never);
        self.transport.send(request).await.map(drop)
    }

    /// Sends a test now, and says what the receiver said.
    pub async fn test_webhook(&self, webhook: WebhookId) -> Result<TestedWebhook, ClientError> {
        self.transport.send(Request::post(path(webhook, "/test"))).await?.json()
    }

    /// A page of the deliveries that have failed, or that are tried or wait; from the begin without a cursor.
    pub async fn deliveries(
        &self,
        webhook: WebhookId,
        state: DeliveryState,
        cursor: Option<&str>,
    ) -> Result<DeliveryPage, ClientError> {
        let state = match state {
            DeliveryState::Pending => "pending",
            DeliveryState::Failed => "failed",
        };
        let request = Request::get(path(webhook, "/deliveries")).query("state", Some(state)).query("cursor", cursor);
        self.transport.send(request).await?.json()
    }

    /// Sends the delivery of an event again, at once.
    pub async fn resend(&self, webhook: WebhookId, event: u64) -> Result<DeliveryView, ClientError> {
        let request = Request::post(path(webhook, &format!("/deliveries/{event}/resend")));
        self.transport.send(request).await?.json()
    }
}

fn path(webhook: WebhookId, below: &str) -> String {
    format!("/v1/webhooks/{webhook}{below}")
}
