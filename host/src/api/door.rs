//! The ways in: the unix socket, where the kernel says who comes, and TCP, where each request has to bring a token.

use std::net::IpAddr;
use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderValue, Request, header};
use hyper::body::Incoming;

use super::connection::Peer;
use super::gate::Gate;
use super::state::App;
use crate::access::{Caller, Mode, Subject};

/// Who may connect to the unix socket, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The user that the host runs as. It and root administer: nothing that the host holds is kept from them.
    pub uid: u32,
    /// Whether others may connect as well.
    pub mode: Mode,
    /// Other users who administer, where there are several.
    pub administrators: Vec<u32>,
}

impl Access {
    /// For one user.
    #[must_use]
    pub const fn single(uid: u32) -> Self {
        Self { uid, mode: Mode::Single, administrators: Vec::new() }
    }

    /// What a user is here; none if it may not connect.
    #[must_use]
    pub fn caller(&self, uid: u32) -> Option<Caller> {
        let administers = uid == 0 || uid == self.uid;
        match self.mode {
            _ if administers => Some(Caller::administrator(Subject::User(uid))),
            Mode::Single => None,
            Mode::Multi if self.administrators.contains(&uid) => Some(Caller::administrator(Subject::User(uid))),
            Mode::Multi => Some(Caller::user(uid)),
        }
    }
}

/// How those at the other end of a connection are known.
#[derive(Debug, Clone)]
pub(super) enum Door {
    /// Once for all requests.
    Socket(Peer),
    /// At each request.
    Tcp {
        /// What a request has to be like.
        gate: Arc<Gate>,
        /// Where it comes from.
        from: IpAddr,
    },
}

impl Door {
    /// Who makes a request, or what it is refused with. A refused one ends its connection: its body is not read.
    pub(super) fn admit(
        &self,
        app: &App,
        request: Request<Incoming>,
    ) -> Result<(Peer, Request<Incoming>), Box<Response>> {
        match self {
            Self::Socket(peer) => Ok((peer.clone(), request)),
            Self::Tcp { gate, from } => {
                let (parts, body) = request.into_parts();
                let has_body = !hyper::body::Body::is_end_stream(&body);
                match admit(app, gate, *from, &parts, has_body) {
                    Ok(peer) => Ok((peer, Request::from_parts(parts, body))),
                    Err(mut response) => {
                        app.metrics.turned_away.inc();
                        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                        Err(response)
                    }
                }
            }
        }
    }
}

fn admit(app: &App, gate: &Gate, from: IpAddr, parts: &Parts, has_body: bool) -> Result<Peer, Box<Response>> {
    gate.check(parts, has_body).map_err(|refusal| Box::new(refusal.into_response()))?;
    let presented = Gate::token(parts);
    let known = presented.and_then(|digest| Some(Peer::of_token(app.host.tokens().caller(&digest)?, digest)));
    match known {
        Some(peer) => Ok(peer),
        None => Err(Box::new(gate.unauthorised(from))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Sight;

    #[test]
    fn a_user_is_known_by_the_kernel_and_let_in_by_the_mode() {
        let single = Access::single(1000);
        assert_eq!(single.caller(1000).map(|caller| caller.sight), Some(Sight::All));
        assert_eq!(single.caller(0).map(|caller| caller.sight), Some(Sight::All));
        assert_eq!(single.caller(1001), None);
        let multi = Access { uid: 1000, mode: Mode::Multi, administrators: vec![7] };
        for (uid, sight) in [(0, Sight::All), (1000, Sight::All), (7, Sight::All), (8, Sight::Own), (65534, Sight::Own)]
        {
            assert_eq!(multi.caller(uid).unwrap().sight, sight, "{uid}");
        }
    }
}
