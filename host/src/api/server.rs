//! The server: accepts connections on a unix socket and over TCP, and owns them.
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connection::{Activity, Overdue, Peer, Watched};
use super::door::{Access, Door};
use super::router;
use super::service::ConnectionService;
use super::settings::ApiSettings;
use super::shares::{Share, Shares};
use super::socket::Socket;
use super::state::App;
use super::tcp::{TcpDoor, Tls};
use crate::access::Sight;
use crate::host::Host;

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
    tcp: Option<TcpDoor>,
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
        let router = router::guarded(router, app.clone()).with_state(app.clone());
        Self { socket, app, router, access, tcp: None }
    }

    /// Serves over TCP as well. Both ways have as many connections as the settings say.
    #[must_use]
    pub fn with_tcp(self, tcp: Option<TcpDoor>) -> Self {
        Self { tcp, ..self }
    }

    /// The path of the socket.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.socket.path().to_owned()
    }

    /// Serves until the token that it was made with is cancelled. The socket is gone when this returns, and so is every use of the host.
    pub async fn run(self) {
        let Self { socket, app, router, access, tcp } = self;
        let router = TowerToHyperService::new(router);
        // Apart: whoever fills the one keeps nobody from the other.
        let [slots, tcp_slots] = [(); 2].map(|()| Arc::new(Semaphore::new(app.settings.connections_max)));
        let shares = Shares::of(app.settings.connections_max);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = app.stopping.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = accept_any((&socket, &slots), (tcp.as_ref(), &tcp_slots)) => accepted,
            };
            let (app, router) = (app.clone(), router.clone());
            match accepted {
                Some(Accepted::Unix(stream, permit)) => match peer(&stream, &access, &shares) {
                    Some((peer, share)) => {
                        let slot = Slot { _permit: permit, _share: share };
                        connections.spawn(serve(stream, slot, Door::Socket(peer), app, router));
                    }
                    None => drop(app.metrics.connections_refused.inc()),
                },
                Some(Accepted::Tcp { stream, permit, door, tls }) => {
                    let slot = Slot { _permit: permit, _share: None };
                    connections.spawn(serve_tcp(stream, slot, door, tls, app, router));
                }
                None => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
        // From here on nobody can connect.
        drop((socket, tcp));
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::debug!(left = connections.len(), "connections were ended in the middle");
            connections.shutdown().await;
        }
    }
}

/// What a connection holds as long as it lives.
struct Slot {
    _permit: OwnedSemaphorePermit,
    _share: Option<Share>,
}

/// A connection with its slot.
enum Accepted {
    Unix(UnixStream, OwnedSemaphorePermit),
    Tcp { stream: TcpStream, permit: OwnedSemaphorePermit, door: Door, tls: Option<Tls> },
}

/// The next connection of either way, whoever comes first: neither keeps the other from being served. Cancel-safe, as both are.
async fn accept_any(unix: (&Socket, &Arc<Semaphore>), tcp: (Option<&TcpDoor>, &Arc<Semaphore>)) -> Option<Accepted> {
    tokio::select! {
        accepted = accept(unix.0, unix.1) => accepted,
        accepted = accept_tcp(tcp.0, tcp.1) => accepted,
    }
}

/// The next connection, once there is a slot for it. Cancel-safe: a connection that was not taken stays in the backlog.
async fn accept(socket: &Socket, slots: &Arc<Semaphore>) -> Option<Accepted> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match socket.listener().accept().await {
        Ok((stream, _)) => Some(Accepted::Unix(stream, slot)),
        Err(error) => {
            tracing::warn!(%error, "failed to accept a connection");
            None
        }
    }
}

/// As [`accept`], over TCP; never returns where that is not offered.
async fn accept_tcp(tcp: Option<&TcpDoor>, slots: &Arc<Semaphore>) -> Option<Accepted> {
    let Some(tcp) = tcp else { return std::future::pending().await };
    let permit = Arc::clone(slots).acquire_owned().await.ok()?;
    match tcp.listener.accept().await {
        Ok((stream, from)) => {
            let door = Door::Tcp { gate: Arc::clone(&tcp.gate), from: from.ip() };
            Some(Accepted::Tcp { stream, permit, door, tls: tcp.tls.clone() })
        }
        Err(error) => {
            tracing::warn!(%error, "failed to accept a connection over TCP");
            None
        }
    }
}

/// Shakes hands, where the connection is to be encrypted, and serves it.
async fn serve_tcp(
    stream: TcpStream,
    slot: Slot,
    door: Door,
    tls: Option<Tls>,
    app: App,
    router: TowerToHyperService<Router>,
) {
    // Answers are small, and whoever polls waits for each.
    let _slower = stream.set_nodelay(true);
    let Some(Tls(acceptor)) = tls else { return serve(stream, slot, door, app, router).await };
    let shaken = tokio::time::timeout(app.settings.header_read_timeout, acceptor.accept(stream));
    let shaken = tokio::select! {
        shaken = shaken => shaken,
        () = app.stopping.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve(stream, slot, door, app, router).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// Who is at the other end, if it may be.
fn peer(stream: &UnixStream, access: &Access, shares: &Shares) -> Option<(Peer, Option<Share>)> {
    let uid = match stream.peer_cred() {
        Ok(credentials) => credentials.uid(),
        Err(error) => {
            tracing::warn!(%error, "refused a connection whose user is not known");
            return None;
        }
    };
    let Some(caller) = access.caller(uid) else {
        tracing::warn!(uid, "refused a connection of another user");
        return None;
    };
    if caller.sight == Sight::All {
        return Some((Peer::of_socket(caller), None));
    }
    let share = shares.take(uid);
    if share.is_none() {
        tracing::warn!(uid, "refused a connection: this user has its share of them");
    }
    share.map(|share| (Peer::of_socket(caller), Some(share)))
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    slot: Slot,
    door: Door,
    app: App,
    router: TowerToHyperService<Router>,
) {
    app.metrics.connections.inc();
    let activity = Arc::new(Activity::new());
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let service = ConnectionService { app: app.clone(), router, door, activity: Arc::clone(&activity) };
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
