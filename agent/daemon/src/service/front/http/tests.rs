//! What holds of connections, whoever is at their other end.

use std::{net::SocketAddr, sync::atomic::Ordering::Relaxed, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connections::{HEAD_TIME, MAX_CONNECTIONS},
    *,
};
use crate::{
    config::Config,
    service::{front::AlertDesk, raise_descriptor_limit, tick::Beginning},
};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

struct Served {
    address: SocketAddr,
    state: Arc<State>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Served {
    async fn start() -> Self {
        Self::start_with("").await
    }

    async fn start_with(config: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let config = Config::parse("test", config).expect("it makes sense");
        let served = Self {
            address: listener.local_addr().expect("it has one"),
            state: Arc::new(State::new(
                &config,
                AlertDesk::start().expect("a thread").0,
                crate::service::front::PlanDesk::default(),
            )),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        served.state.configure(&config);
        served.tasks.spawn(serve(
            listener,
            Arc::clone(&served.state),
            Arc::clone(&served.state.refusals().http),
            served.stop.clone(),
            served.tasks.clone(),
        ));
        served
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it is taken");
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        read.expect("it ends").expect("it is answered");
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn get(&self, path: &str) -> String {
        let line = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        self.ask(&line).await
    }
}

#[tokio::test]
async fn before_anything_is_measured_it_is_not_ready_and_has_no_metrics() {
    let served = Served::start().await;
    for path in ["/metrics", "/readyz"] {
        let answer = served.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{path}: {answer}");
    }
    assert!(served.get("/healthz").await.starts_with("HTTP/1.1 200 "));
    served.state.begin(Beginning::default());
    for path in ["/metrics", "/readyz"] {
        let answer = served.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_head_is_answered_without_its_body() {
    let served = Served::start().await;
    let head = "HEAD / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let answer = served.ask(head).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn beyond_the_limit_connections_are_closed_and_counted_until_others_end() {
    raise_descriptor_limit();
    let served = Served::start().await;
    let mut held = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        held.push(served.connect().await);
    }
    let mut one_more = served.connect().await;
    let mut nothing = Vec::new();
    let ended = timeout(PATIENCE, one_more.read_to_end(&mut nothing)).await;
    assert!(ended.is_ok() && nothing.is_empty(), "it is still held");
    assert!(served.state.refusals().http.too_many.load(Relaxed) >= 1);
    held.clear();
    let again = async {
        while !is_answered(served.address).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, again).await.expect("there is room again");
}

async fn is_answered(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return false;
    };
    let asked = stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await;
    asked.is_ok() && stream.read_u8().await.is_ok()
}

#[tokio::test]
async fn who_does_not_finish_a_request_is_cut_off_in_time() {
    let served = Served::start().await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /metr").await.expect("it is taken");
    let began = tokio::time::Instant::now();
    let mut rest = Vec::new();
    let ended = timeout(HEAD_TIME + PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(
        ended.is_ok(),
        "it is still held after {:?}",
        began.elapsed()
    );
    assert_eq!(served.state.refusals().http.cut_off.load(Relaxed), 1);
}

#[tokio::test]
async fn an_end_does_not_wait_for_who_says_nothing() {
    let served = Served::start().await;
    let _silent = served.connect().await;
    assert!(served.get("/").await.contains("/metrics"));
    served.stop.cancel();
    served.tasks.close();
    let ended = timeout(PATIENCE, served.tasks.wait()).await;
    assert!(
        ended.is_ok(),
        "a connection without a request is waited for"
    );
}

#[tokio::test]
async fn who_asks_seldom_connects_again_and_is_not_counted_as_cut_off() {
    let served = Served::start().await;
    let mut stream = served.connect().await;
    let request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    stream.write_all(request).await.expect("it is taken");
    let mut answer = Vec::new();
    let ended = timeout(HEAD_TIME + PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok() && answer.starts_with(b"HTTP/1.1 200 "));
    assert_eq!(served.state.refusals().http.cut_off.load(Relaxed), 0);
}

#[tokio::test]
async fn metrics_are_for_who_has_the_token_and_health_is_for_all() {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("token");
    std::fs::write(&file, "0123456789abcdef\n").expect("there is room");
    let served = Served::start_with(&format!("metrics.token_file = '{}'", file.display())).await;
    served.state.begin(Beginning::default());
    let ask = async |authorization: &str| {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{authorization}\r\n"
        );
        served.ask(&request).await[..12].to_owned()
    };
    assert_eq!(ask("").await, "HTTP/1.1 401");
    for wrong in [
        "Bearer 0123456789abcde",
        "Bearer 0123456789abcdeg",
        "Basic 0123456789abcdef",
    ] {
        assert_eq!(
            ask(&format!("Authorization: {wrong}\r\n")).await,
            "HTTP/1.1 401"
        );
    }
    let right = "Authorization: Bearer 0123456789abcdef\r\n";
    assert_eq!(ask(right).await, "HTTP/1.1 200");
    assert!(served.get("/readyz").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn with_tls_only_who_has_a_certificate_of_the_right_root_is_answered() {
    let folder = tempfile::tempdir().expect("there is room");
    let (host, client, stranger) = (Identity::new(), Identity::new(), Identity::new());
    let [certificate, key, clients] = [
        ("tls.crt", &host.certificate),
        ("tls.key", &host.key),
        ("clients.crt", &client.certificate),
    ]
    .map(|(name, pem)| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).expect("there is room");
        path.display().to_string()
    });
    let served = Served::start_with(&format!(
        "metrics.tls = {{ certificate = '{certificate}', key = '{key}', clients = '{clients}' }}"
    ))
    .await;
    let answer = ask_by_tls(served.address, &host, Some(&client)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for other in [None, Some(&stranger)] {
        assert_eq!(ask_by_tls(served.address, &host, other).await, "");
    }
    // Without TLS nothing is answered in words.
    assert!(!served.get("/").await.starts_with("HTTP/1.1 200"));
    assert!(served.state.refusals().http.cut_off.load(Relaxed) >= 3);
}

/// A certificate that is its own root, and its key, in PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Identity {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.expect("certificates can be made");
        Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }
}

/// What is answered by TLS to whoever trusts `server` and has the certificate of `own`; nothing if it is
/// refused.
async fn ask_by_tls(address: SocketAddr, server: &Identity, own: Option<&Identity>) -> String {
    let certificate = |identity: &Identity| {
        CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("it is one")
    };
    let mut roots = RootCertStore::empty();
    roots.add(certificate(server)).expect("it is one");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("there are some")
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("it is one");
            let with_own = builder.with_client_auth_cert(vec![certificate(own)], key);
            with_own.expect("they belong together")
        }
    };
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(address).await.expect("it listens");
    let Ok(mut stream) = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
    else {
        return String::new();
    };
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let asked = stream.write_all(request).await;
    let mut answer = Vec::new();
    if asked.is_err() || stream.read_to_end(&mut answer).await.is_err() {
        return String::new();
    }
    String::from_utf8_lossy(&answer).into_owned()
}
