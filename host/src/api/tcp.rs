//! The API over TCP: where it listens, and the certificate that it shows.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::gate::{Gate, Scheme};

/// Where to listen, and under which names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TcpConfig {
    /// The address; none: the unix socket only.
    pub listen: Option<SocketAddr>,
    /// Further names that the host is known by.
    pub host_names: Vec<String>,
    /// Pages that may ask, for example `https://console.example`.
    pub origins: Vec<String>,
    /// The certificate with those that vouch for it, PEM.
    pub tls_certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key: Option<PathBuf>,
}

/// Why the API cannot be offered over TCP.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    /// Tokens would be readable on the way.
    #[error(
        "listening on {0}, which is not loopback, needs TLS: set api.tls_certificate and api.tls_key to PEM files, or listen on 127.0.0.1"
    )]
    NeedsTls(SocketAddr),
    /// One of the two files is missing.
    #[error("api.tls_certificate and api.tls_key belong together: set both, or none")]
    Half,
    /// A file cannot be used.
    #[error("{setting} {}: {reason}", path.display())]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key do not fit.
    #[error("the certificate and the key of the API cannot be used together: {0}")]
    Tls(String),
    /// The system refuses it.
    #[error("failed to listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A listener with what those who come by it have to bring.
#[derive(Debug)]
pub struct TcpDoor {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<Tls>,
    pub(super) gate: Arc<Gate>,
    address: SocketAddr,
}

/// Makes encrypted connections.
#[derive(Clone)]
pub(super) struct Tls(pub(super) TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(..)")
    }
}

impl TcpDoor {
    /// Listens, if the configuration says where.
    ///
    /// # Errors
    /// If the address is not loopback and there is no certificate, or something of it cannot be used.
    pub async fn open(config: &TcpConfig) -> Result<Option<Self>, TcpError> {
        let Some(wanted) = config.listen else { return Ok(None) };
        let tls = match (&config.tls_certificate, &config.tls_key) {
            (Some(certificate), Some(key)) => Some(tls(certificate, key)?),
            (None, None) if wanted.ip().to_canonical().is_loopback() => None,
            (None, None) => return Err(TcpError::NeedsTls(wanted)),
            _ => return Err(TcpError::Half),
        };
        let failed = |source| TcpError::Listen { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let scheme = if tls.is_some() { Scheme::Https } else { Scheme::Http };
        let gate = Arc::new(Gate::new(address, scheme, &config.host_names, &config.origins));
        Ok(Some(Self { listener, tls, gate, address }))
    }

    /// Where it is, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

fn tls(certificate: &Path, key: &Path) -> Result<Tls, TcpError> {
    let file = |setting, path: &Path, reason: String| TcpError::File { setting, path: path.to_owned(), reason };
    let of_certificate = |reason: String| file("api.tls_certificate", certificate, reason);
    let chain = CertificateDer::pem_file_iter(certificate).map_err(|error| of_certificate(error.to_string()))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| of_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(of_certificate("there is no certificate in it".into()));
    }
    // Its own words could hold parts of the key.
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|_| file("api.tls_key", key, "it cannot be read, or has no private key in PEM".into()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| TcpError::Tls(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls(TlsAcceptor::from(Arc::new(config))))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(config: TcpConfig) -> String {
        TcpDoor::open(&config).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn nothing_is_offered_off_loopback_without_tls() {
        for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0", "[2001:db8::1]:0", "[::ffff:192.0.2.1]:0"] {
            let config = TcpConfig { listen: Some(address.parse().unwrap()), ..TcpConfig::default() };
            assert!(refused(config).await.contains("api.tls_certificate and api.tls_key"), "{address}");
        }
        let config = TcpConfig { listen: Some("127.0.0.1:0".parse().unwrap()), ..TcpConfig::default() };
        assert!(TcpDoor::open(&config).await.unwrap().unwrap().url().starts_with("http://127.0.0.1:"));
        let half = TcpConfig { tls_key: Some("/k".into()), ..config.clone() };
        assert!(refused(half).await.contains("belong together"));
        let missing = TcpConfig { tls_key: Some("/k".into()), tls_certificate: Some("/no/c".into()), ..config };
        assert!(refused(missing).await.contains("api.tls_certificate /no/c: "));
        assert!(TcpDoor::open(&TcpConfig::default()).await.unwrap().is_none());
    }
}
