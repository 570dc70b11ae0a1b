//! The operations on the host as a whole.

use http::Method;

use super::request::Request;
use super::{Client, ClientError, EventFilter};
use crate::api::wire::{EventPage, NetworkOverride, NetworkView, PolicyView};

/// Events of a page that are looked through: as many as the daemon allows.
const JOURNAL_PAGE: u32 = 1000;

impl Client {
    /// The network that jobs are admitted by.
    pub async fn network(&self) -> Result<NetworkView, ClientError> {
        self.transport.send(Request::get("/v1/network")).await?.json()
    }

    /// Says what the network is, until [`Client::network_default`].
    pub async fn set_network(&self, network: &NetworkOverride) -> Result<NetworkView, ClientError> {
        let request = Request::new(Method::PUT, "/v1/network/override").json(network);
        self.transport.send(request).await?;
        self.network().await
    }

    /// Takes back what was said of the network.
    pub async fn network_default(&self) -> Result<NetworkView, ClientError> {
        self.transport.send(Request::new(Method::DELETE, "/v1/network/override")).await?;
        self.network().await
    }

    /// The policies that the host has loaded.
    pub async fn policies(&self) -> Result<Vec<PolicyView>, ClientError> {
        self.transport.send(Request::get("/v1/policies")).await?.json()
    }

    /// Whether the daemon answers; the problem says why it is not ready, for example because nothing can be stored.
    pub async fn ready(&self) -> Result<(), ClientError> {
        self.transport.send(Request::get("/readyz")).await.map(drop)
    }

    /// A page of the journal: the events after this number that the filter lets through, oldest first. For a stream of them see
    /// [`Client::events`].
    pub async fn journal(&self, filter: &EventFilter, after: u64) -> Result<EventPage, ClientError> {
        let request = filter.apply(Request::get("/v1/events"));
        let request = request.query("after", Some(after)).query("limit", Some(JOURNAL_PAGE));
        self.transport.send(request).await?.json()
    }

    /// The number of the last event of the journal; 0 if there was none yet.
    pub async fn last_event_number(&self) -> Result<u64, ClientError> {
        // Progress is not in the journal: the page is empty, and says how far the journal goes.
        let nothing = EventFilter { kinds: vec!["progress".to_owned()], ..EventFilter::default() };
        Ok(self.journal(&nothing, 0).await?.last_number)
    }
}
