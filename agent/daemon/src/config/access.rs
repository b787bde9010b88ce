//! Who may ask for metrics: whoever has a token, or a certificate, or everybody.

use std::{fmt, fs, io, path::Path, sync::Arc};

use subtle::ConstantTimeEq as _;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
};

use super::raw::{RawMetrics, RawTls};

/// A token that is shorter can be guessed, in bytes.
const MIN_TOKEN_BYTES: usize = 16;

/// Longest file of a token, in bytes.
const MAX_TOKEN_BYTES: u64 = 4_096;

/// What whoever asks must have.
#[derive(Clone, Default)]
pub struct Access {
    token: Option<Arc<str>>,
    tls: Option<TlsAcceptor>,
    has_client_certificates: bool,
}

impl Access {
    /// Reads the files that a configuration names. An error comes with its key.
    pub(super) fn read(raw: &RawMetrics) -> Result<Self, (&'static str, String)> {
        let token = raw.token_file.as_deref();
        let token = token
            .map(|path| read_token(path, MIN_TOKEN_BYTES))
            .transpose();
        let tls = raw.tls.as_ref().map(acceptor).transpose();
        Ok(Self {
            token: token.map_err(|message| ("token_file", message))?,
            tls: tls.map_err(|message| ("tls", message))?,
            has_client_certificates: raw.tls.as_ref().is_some_and(|tls| tls.clients.is_some()),
        })
    }

    /// Whether the header `Authorization` holds the token, if one is asked for.
    pub(crate) fn admits(&self, authorization: Option<&[u8]>) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let given = authorization.and_then(|given| given.strip_prefix(b"Bearer "));
        given.is_some_and(|given| given.ct_eq(token.as_bytes()).into())
    }

    /// Whether not everybody may ask.
    pub(crate) fn is_restricted(&self) -> bool {
        self.token.is_some() || self.has_client_certificates
    }

    /// What TLS is begun with; `None` without it.
    pub(crate) fn tls(&self) -> Option<&TlsAcceptor> {
        self.tls.as_ref()
    }
}

/// Without its secrets.
impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Access");
        shown.field("has_token", &self.token.is_some());
        shown.field("has_tls", &self.tls.is_some());
        shown.field("has_client_certificates", &self.has_client_certificates);
        shown.finish_non_exhaustive()
    }
}

/// The token in a file, which has so many bytes at least.
pub(super) fn read_token(path: &Path, least_bytes: usize) -> Result<Arc<str>, String> {
    let refused = |message: String| format!("{}: {message}", path.display());
    let length = fs::metadata(path)
        .map_err(|error| refused(error.to_string()))?
        .len();
    if length > MAX_TOKEN_BYTES {
        return Err(refused(format!(
            "it is longer than {MAX_TOKEN_BYTES} bytes"
        )));
    }
    let text = fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    let token = text.trim();
    let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.len() < least_bytes || !is_plain {
        return Err(refused(format!(
            "a token has {least_bytes} or more letters, digits and signs, and no spaces"
        )));
    }
    Ok(token.into())
}

fn acceptor(raw: &RawTls) -> Result<TlsAcceptor, String> {
    let chain = certificates(&raw.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&raw.key)
        .map_err(|error| format!("{}: {error}", raw.key.display()))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &raw.clients {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                let added = roots.add(certificate);
                added.map_err(|error| format!("{}: {error}", path.display()))?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let verifier = verifier.map_err(|error| format!("{}: {error}", path.display()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|error| format!("{}: {error}", raw.certificate.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let refused = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let read = CertificateDer::pem_file_iter(path).map_err(|error| refused(&error))?;
    let all: Result<Vec<_>, _> = read.collect();
    let all = all.map_err(|error| refused(&error))?;
    if all.is_empty() {
        return Err(refused(&io::Error::other("there is no certificate in it")));
    }
    Ok(all)
}
