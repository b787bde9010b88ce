//! Connections: taken, limited, and cut off where nothing moves on them.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    super::{refusals::Refused, state::State},
    answer,
};

/// Connections at a time: many times the scrapers that a host has, at some KiB each.
pub(super) const MAX_CONNECTIONS: usize = 512;

/// Longest head of a request, in bytes; the least that hyper takes is half of it.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Lines in it.
const MAX_HEADERS: usize = 64;

/// Until the head of a request must be there. Also how long a connection without one is kept: whoever
/// asks less often connects again.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);

/// Without a byte taken for so long, whoever asked does not read.
const STALLED: Duration = Duration::from_secs(10);

/// No answer takes so long, however slowly it is read.
const CONNECTION_TIME: Duration = Duration::from_mins(2);

/// After this a connection is cut that has not ended though it was asked to.
const GRACE: Duration = Duration::from_secs(3);

/// When nothing can be accepted, such as for want of descriptors, it is tried again after this.
const AGAIN: Duration = Duration::from_millis(200);

/// Answers whoever connects, until `stop`; connections go on in `tasks` until they are done, or `stop`
/// ends them.
pub(in crate::service) async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    refusals: Arc<Refused>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                sleep(AGAIN).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            refusals.too_many.fetch_add(1, Relaxed);
            continue;
        };
        let (state, refusals) = (Arc::clone(&state), Arc::clone(&refusals));
        tasks.spawn(hold(stream, from, place, state, refusals, stop.clone()));
    }
}

async fn hold(
    stream: TcpStream,
    from: SocketAddr,
    _place: OwnedSemaphorePermit,
    state: Arc<State>,
    refusals: Arc<Refused>,
    stop: CancellationToken,
) {
    let ended = match state.access().tls() {
        None => converse(stream, state, stop).await,
        Some(tls) => match timeout(HEAD_TIME, tls.accept(stream)).await {
            Ok(Ok(stream)) => converse(stream, state, stop).await,
            Ok(Err(error)) => Err(format!("TLS: {error}")),
            Err(_) => Err("TLS was not begun in time".to_owned()),
        },
    };
    if let Err(reason) = ended {
        refusals.cut_off.fetch_add(1, Relaxed);
        tracing::debug!(%from, reason, "a connection was cut off");
    }
}

/// Answers what is asked on one connection. `Err` if it was cut off.
async fn converse(
    stream: impl AsyncRead + AsyncWrite,
    state: Arc<State>,
    stop: CancellationToken,
) -> Result<(), String> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALLED));
    let has_asked = AtomicBool::new(false);
    let service = service_fn(|request| {
        has_asked.store(true, Relaxed);
        answer(Arc::clone(&state), request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    let stream = Box::pin(stream);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = sleep(CONNECTION_TIME) => finish(connection).await?,
        () = stop.cancelled() => finish(connection).await?,
    };
    match ended {
        // Who connects and says nothing, or has gone, has lost nothing.
        Err(error) if error.is_incomplete_message() || is_gone(&error) => Ok(()),
        // Whoever asks less often than connections are kept was answered all the same.
        Err(error) if error.is_timeout() && has_asked.load(Relaxed) => Ok(()),
        Err(error) => Err(error.to_string()),
        Ok(()) => Ok(()),
    }
}

type Connection<T, S> = http1::Connection<TokioIo<Pin<Box<TimeoutStream<T>>>>, S>;

/// Lets a connection end with the answer under way.
async fn finish<T, S>(
    mut connection: Pin<&mut Connection<T, S>>,
) -> Result<hyper::Result<()>, String>
where
    T: AsyncRead + AsyncWrite,
    S: HttpService<Incoming, ResBody = Full<Bytes>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    connection.as_mut().graceful_shutdown();
    timeout(GRACE, connection)
        .await
        .map_err(|_| "it did not end in time".to_owned())
}

fn is_gone(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    source.is_some_and(|source: &io::Error| {
        matches!(
            source.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        )
    })
}
