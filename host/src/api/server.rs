//! The server: accepts connections on a unix socket, and owns them.
//!
//! Each connection is a task in one set. When the server is told to stop it accepts no more, lets requests that are being answered end
//! for a moment, ends streams and held answers, and then drops what is left: nothing of it was acknowledged.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connection::{Activity, Overdue, Peer, Watched};
use super::router;
use super::service::ConnectionService;
use super::settings::ApiSettings;
use super::socket::Socket;
use super::state::App;
use crate::host::Host;

/// Who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The user that the host runs as. Root may connect as well: nothing on the machine is kept from it.
    pub uid: u32,
}

/// How long requests that are being answered may take when the server ends. With the host's own end, 5 s in all.
const DRAIN: Duration = Duration::from_millis(500);

/// How often a connection is looked at. Its timeouts are at least five times as long.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Bytes of a request's head, and bytes that wait for a client to take them.
const BUFFER_BYTES: usize = 64 << 10;

/// Pause after a failure to accept: there are no descriptors left, and trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The server of the host API.
#[derive(Debug)]
pub struct Server {
    socket: Socket,
    app: App,
    router: Router,
    access: Access,
}

impl Server {
    /// Binds nothing and starts nothing: [`Server::run`] does the work.
    #[must_use]
    pub fn new(
        socket: Socket,
        host: Arc<Host>,
        settings: ApiSettings,
        access: Access,
        stopping: CancellationToken,
    ) -> Self {
        let (router, document) = router::build();
        let app = App::new(host, settings, document, stopping);
        let router = router::counted(router, app.clone()).with_state(app.clone());
        Self { socket, app, router, access }
    }

    /// The path of the socket.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.socket.path().to_owned()
    }

    /// Serves until the token that it was made with is cancelled. The socket is gone when this returns, and so is every use of the host.
    pub async fn run(self) {
        let Self { socket, app, router, access } = self;
        let router = TowerToHyperService::new(router);
        let slots = Arc::new(Semaphore::new(app.settings.connections_max));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = app.stopping.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = accept(&socket, &slots) => accepted,
            };
            match accepted {
                Some((stream, slot)) => match peer(&stream, access) {
                    Some(peer) => drop(connections.spawn(serve(stream, slot, peer, app.clone(), router.clone()))),
                    None => drop(app.metrics.connections_refused.inc()),
                },
                None => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
        // From here on nobody can connect.
        drop(socket);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::debug!(left = connections.len(), "connections were ended in the middle");
            connections.shutdown().await;
        }
    }
}

/// The next connection, once there is a slot for it. Cancel-safe: a connection that was not taken stays in the backlog.
async fn accept(socket: &Socket, slots: &Arc<Semaphore>) -> Option<(UnixStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match socket.listener().accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            tracing::warn!(%error, "failed to accept a connection");
            None
        }
    }
}

/// Who is at the other end, if it may be.
fn peer(stream: &UnixStream, access: Access) -> Option<Peer> {
    let uid = match stream.peer_cred() {
        Ok(credentials) => credentials.uid(),
        Err(error) => {
            tracing::warn!(%error, "refused a connection whose user is not known");
            return None;
        }
    };
    if uid != access.uid && uid != 0 {
        tracing::warn!(uid, "refused a connection of another user");
        return None;
    }
    Some(Peer { uid })
}

async fn serve(
    stream: UnixStream,
    slot: OwnedSemaphorePermit,
    peer: Peer,
    app: App,
    router: TowerToHyperService<Router>,
) {
    app.metrics.connections.inc();
    let activity = Arc::new(Activity::new());
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let service = ConnectionService { app: app.clone(), router, peer, activity: Arc::clone(&activity) };
    let mut builder = hyper::server::conn::http1::Builder::new();
    // The connection watches its own time. Flushing answers together (`pipeline_flush`) would switch the bound of the buffer off.
    builder.header_read_timeout(None).max_buf_size(BUFFER_BYTES);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut watch = tokio::time::interval(WATCH_INTERVAL);
    let mut stopping = pin!(app.stopping.cancelled());
    let mut is_stopping = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                break;
            }
            () = stopping.as_mut(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = watch.tick() => match activity.overdue(&app.settings) {
                Some(overdue @ (Overdue::Head | Overdue::Write | Overdue::Request)) => {
                    tracing::debug!(?overdue, "ended a connection that does nothing");
                    break;
                }
                None => {}
            }
        }
    }
    app.metrics.connections.dec();
    drop(slot);
}
