//! Real servers, and one that is not there.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpSocket;

use super::process::Running;

/// How long a server may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(20);

/// nginx, serving a directory.
#[derive(Debug)]
pub(crate) struct Nginx {
    address: SocketAddr,
    access_log: String,
    _process: Running,
}

impl Nginx {
    /// Serves `root` at `/`, at `/slow/` with 32 MiB/s, and at `/gzip/` compressed for who accepts that; `work` is a directory for its own files. The error says why nginx cannot run here.
    pub(crate) fn start(root: &str, work: &str) -> Result<Self, String> {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"]
            .into_iter()
            .find(|path| std::fs::exists(path).unwrap_or(false))
            .ok_or("nginx is not installed")?;
        std::fs::create_dir_all(work).unwrap();
        // nginx cannot take port 0 and tell which it got: another process may be faster to the port that was free.
        (0..5).find_map(|_| Self::try_start(program, root, work)).ok_or_else(|| "nginx does not start".to_owned())
    }

    fn try_start(program: &str, root: &str, work: &str) -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let config = format!(
            "daemon off; master_process off; {user} pid {work}/pid; error_log stderr notice;
            events {{ }}
            http {{
                log_format short '$status $request_method $uri $body_bytes_sent $http_range';
                access_log {work}/access.log short;
                client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
                uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
                sendfile on;
                server {{
                    listen {address};
                    location / {{ root {root}; }}
                    location /slow/ {{ alias {root}/; limit_rate 32m; }}
                    location /gzip/ {{ alias {root}/; gzip on; gzip_types *; gzip_min_length 1; default_type text/html; }}
                }}
            }}"
        );
        let config_file = format!("{work}/nginx.conf");
        std::fs::write(&config_file, config).unwrap();
        let mut command = Command::new(program);
        command.args(["-c", &config_file, "-p", work, "-e", "stderr"]);
        let process = Running::start(command);
        // Said once the sockets listen, or not at all.
        process.try_wait_stderr(START_LIMIT, |line| line.contains("event method"))?;
        Some(Self { address, access_log: format!("{work}/access.log"), _process: process })
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// One line for each request that is over: status, method, path, body bytes, Range.
    pub(crate) fn access_log(&self) -> String {
        std::fs::read_to_string(&self.access_log).unwrap()
    }
}

/// Python's `http.server`, serving a directory: no ranges, no ETag, a Last-Modified.
#[derive(Debug)]
pub(crate) struct PythonServer {
    port: u16,
    process: Running,
}

impl PythonServer {
    /// Serves `root`. The error says why it cannot run here.
    pub(crate) fn start(root: &str) -> Result<Self, String> {
        let found = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
        if !found {
            return Err("python3 is not installed".to_owned());
        }
        let mut command = Command::new("python3");
        command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", root]);
        let process = Running::start(command);
        let line = process.wait_stdout("line with the port", START_LIMIT, |line| line.starts_with("Serving HTTP"));
        let port = line.split(" port ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        Ok(Self { port: port.expect("the line names the port"), process })
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }

    /// Blocks until it has answered a request that its log names so.
    pub(crate) fn wait_request(&self, what: &str, limit: Duration) {
        self.process.wait_stderr(what, limit, |line| line.contains(what));
    }
}

/// A port where connections are neither accepted nor refused.
#[derive(Debug)]
pub(crate) struct BlackHole {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
    _listener: tokio::net::TcpListener,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    /// A listener whose queue is full: the kernel drops every further SYN.
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let context = runtime.enter();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        drop(context);
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queued.push(stream);
        }
        Self { address, _runtime: runtime, _listener: listener, _queued: queued }
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }
}
