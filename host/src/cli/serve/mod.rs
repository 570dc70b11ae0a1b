//! `backhaul serve`: the daemon. It puts a host and its API together, tells the supervisor, and ends both in order.

mod arguments;
mod places;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{Resource, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

pub(crate) use self::arguments::{ConfigCommand, ConfigFormat, ConfigShowArguments, ServeArguments};

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::get::Signals;
use super::store;
use crate::access::{AccessConfig, AccessError, Mode, Tenants, group_id, user_id};
use crate::api::{Access, Server, Socket, SocketError, SocketOwner, TcpDoor, TcpError};
use crate::client::{checked_socket, default_socket};
use crate::config::{Config, Settings};
use crate::host::{Host, HostConfig, HostError};
use crate::network::Network;
use crate::store::StoreError;
use crate::transfer::has_openat2;

/// What the command line and the environment say together.
struct Plan {
    config: Config,
    state_dir: PathBuf,
    socket: PathBuf,
    access: Access,
    socket_owner: SocketOwner,
}

/// Runs the daemon until it is told to end.
pub(crate) fn run(arguments: ServeArguments) -> Result<ExitCode, Failure> {
    let plan = plan(arguments)?;
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitCode::Internal, format!("failed to start the runtime: {error}")))?;
    runtime.block_on(serve(plan))?;
    Ok(ExitCode::Success)
}

/// Reads a configuration, or takes the defaults.
pub(crate) fn configuration(file: Option<&Path>) -> Result<Config, Failure> {
    file.map_or_else(
        || Ok(Config::default()),
        |file| Config::read(file).map_err(|error| Failure::of(ExitCode::Usage, &error)),
    )
}

fn plan(arguments: ServeArguments) -> Result<Plan, Failure> {
    let user = rustix::process::geteuid();
    let mut config = configuration(arguments.config.as_deref())?;
    // Where each subject has its roots, root writes nothing else.
    if user.is_root() && !arguments.allow_root && config.access.mode == Mode::Single {
        return Err(Failure::usage(
            "serve as the user whose files are to be written; as root, jobs could write every file of the machine: say --allow-root \
             if that is wanted, or serve several users below their roots (access.mode = \"multi\")",
        ));
    }
    config.tcp.listen = arguments.listen.or(config.tcp.listen);
    let needs_roots = config.access.mode == Mode::Multi || config.tcp.listen.is_some();
    if needs_roots && !has_openat2() {
        return Err(Failure::usage(AccessError::NoOpenat2));
    }
    let (access, socket_owner) = access(&config.access, user.as_raw()).map_err(Failure::usage)?;
    let state_dir = match arguments.state_dir {
        Some(given) => given,
        None => places::state_dir(|name| std::env::var_os(name), user.is_root()).map_err(Failure::usage)?,
    };
    let socket = match arguments.socket {
        Some(given) => given,
        None => default_socket().map_err(Failure::usage)?,
    };
    let socket = checked_socket(socket).map_err(Failure::usage)?;
    Ok(Plan { config, state_dir, socket, access, socket_owner })
}

/// Who may connect, with names looked up.
fn access(config: &AccessConfig, uid: u32) -> Result<(Access, SocketOwner), AccessError> {
    let name = |key| move |source| AccessError::Name { key, source };
    let administrators = config.administrators.iter().map(|user| user_id(user).map_err(name("administrators")));
    let administrators = administrators.collect::<Result<_, _>>()?;
    let socket_owner = match (config.mode, &config.socket_group) {
        (Mode::Single, _) => SocketOwner::User,
        (Mode::Multi, Some(group)) => SocketOwner::Group(group_id(group).map_err(name("socket_group"))?),
        (Mode::Multi, None) => return Err(AccessError::NoGroup),
    };
    Ok((Access { uid, mode: config.mode, administrators }, socket_owner))
}

async fn serve(plan: Plan) -> Result<(), Failure> {
    let Plan { config, state_dir, socket, access, socket_owner } = plan;
    let Config { settings, policies, access: access_config, tcp, .. } = config;
    let mut signals = Signals::listen()?;
    let Settings { scheduler, transfer, policy, retention, webhooks, api, limits_preset: _ } = settings;
    let network = Network::default();
    let tenants = Tenants::new(&access_config, access.uid);
    // Before anything that takes long: what the operator got wrong is told at once.
    let tcp = TcpDoor::open(&tcp).await.map_err(|error| of_tcp(&error))?;
    let host = HostConfig {
        state_dir: state_dir.clone(),
        scheduler,
        transfer,
        policy,
        policies,
        network,
        retention,
        webhooks,
        tenants,
    };
    let host = Arc::new(Host::start(host).await.map_err(|error| of_host(&error))?);
    // Only now: whoever has the lock of the state directory may take over a socket that was left behind.
    let socket = match Socket::bind(&socket, socket_owner).await {
        Ok(socket) => socket,
        Err(error) => {
            host.shutdown().await;
            return Err(of_socket(&error));
        }
    };
    let stopping = CancellationToken::new();
    let url = tcp.as_ref().map(TcpDoor::url);
    let server = Server::new(socket, Arc::clone(&host), api, access, stopping.clone()).with_tcp(tcp);
    let path = server.path();
    if let Some(url) = url {
        tracing::info!(%url, "listening");
    }
    tracing::info!(state_dir = %state_dir.display(), socket = %path.display(), pid = std::process::id(), "serving");
    tell_supervisor(&[NotifyState::Ready, NotifyState::Status(&format!("serving {}", path.display()))]);
    let stop = async {
        signals.next().await;
        tracing::info!("stopping: transfers go to a checkpoint");
        tell_supervisor(&[NotifyState::Stopping, NotifyState::Status("transfers go to a checkpoint")]);
        stopping.cancel();
    };
    tokio::join!(server.run(), stop);
    host.shutdown().await;
    tracing::info!("stopped");
    Ok(())
}

fn of_host(error: &HostError) -> Failure {
    match error {
        HostError::Store(error @ StoreError::Io { .. }) => {
            advised(store::failure(error), "say with --state-dir DIR where else the state may lie")
        }
        HostError::Store(error) => store::failure(error),
        HostError::Policy(error) => Failure::of(ExitCode::Policy, error),
        HostError::Transfer(error) => Failure::of(ExitCode::Internal, error),
    }
}

fn of_socket(error: &SocketError) -> Failure {
    match error {
        SocketError::Taken(_) => Failure::of(ExitCode::StoreLocked, error),
        SocketError::Foreign(_) => Failure::of(ExitCode::Usage, error),
        SocketError::Io { .. } => {
            advised(Failure::of(ExitCode::StoreUnusable, error), "say with --socket PATH where else to listen")
        }
    }
}

/// What can be done goes after what failed and why.
fn advised(failure: Failure, advice: &str) -> Failure {
    Failure::new(failure.code, format!("{}; {advice}", failure.message))
}

fn of_tcp(error: &TcpError) -> Failure {
    let code = match error {
        TcpError::NeedsTls(_) | TcpError::Half | TcpError::File { .. } | TcpError::Tls(_) => ExitCode::Usage,
        TcpError::Listen { .. } => ExitCode::StoreUnusable,
    };
    Failure::of(code, error)
}

fn tell_supervisor(states: &[NotifyState<'_>]) {
    // Without a supervisor there is nobody to tell, and one that does not listen is no reason to fail.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "failed to tell the supervisor");
    }
}

/// Connections and files need descriptors, and the usual soft limit of 1,024 is for programs that use `select`.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "failed to raise the limit of descriptors to its maximum");
    }
}
