//! The operations on tokens, for administrators.

use http::Method;

use super::request::{Repeat, Request};
use super::{Client, ClientError};
use crate::access::TokenName;
use crate::api::wire::{CreatedToken, NewToken, TokenView};

impl Client {
    /// The tokens of the host, by name.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, ClientError> {
        self.transport.send(Request::get("/v1/tokens")).await?.json()
    }

    /// Makes a token. Its secret is in the answer, and can be had from nowhere else.
    pub async fn create_token(&self, token: &NewToken) -> Result<CreatedToken, ClientError> {
        self.transport.send(Request::post("/v1/tokens").json(token)).await?.json()
    }

    /// Takes a token back.
    pub async fn revoke_token(&self, name: &TokenName) -> Result<(), ClientError> {
        // The second try would find none, and be told so.
        let request = Request::new(Method::DELETE, format!("/v1/tokens/{name}")).repeat(Repeat::Never);
        self.transport.send(request).await.map(drop)
    }
}
