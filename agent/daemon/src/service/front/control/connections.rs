//! Connections to the socket: taken, limited, and cut off where nothing moves on them.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use nix::unistd::{Gid, Uid};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream},
    runtime::Handle,
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{Receiver, Sender, channel},
    },
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::TaskTracker,
};
use tonic::transport::server::Connected;

use super::{
    super::refusals::Refused,
    rights::{Right, Rights},
};

/// Connections at a time of those who may do all.
pub(super) const MAX_TRUSTED: usize = 64;

/// Connections at a time of all others together.
pub(super) const MAX_OTHERS: usize = 32;

/// How often it is asked whether whoever is connected still lives.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Nothing came for so long, not even an answer to that question.
const SILENT: Duration = Duration::from_secs(12);

/// Without a byte taken for so long, whoever asked does not read.
const STALLED: Duration = Duration::from_secs(10);

/// Threads that look users up at a time. More would keep those waiting who write metrics, which share
/// the front's threads.
pub(in crate::service::front) const LOOKUP_THREADS: usize = 2;

/// Until it is known who somebody is. The lists of users may lie on another host.
const RIGHTS_TIME: Duration = Duration::from_secs(5);

/// When nothing can be accepted, such as for want of descriptors, it is tried again after this.
const AGAIN: Duration = Duration::from_millis(200);

/// Connections that were taken and not handed on yet.
const ROOM: usize = 8;

/// Who asks.
#[derive(Clone)]
pub(super) struct Guest {
    pub(super) right: Right,
    /// Cuts the connection off.
    pub(super) cut: CancellationToken,
}

/// Takes connections until `stop`.
pub(super) fn accept(
    listener: UnixListener,
    rights: Arc<Rights>,
    refused: Arc<Refused>,
    stop: CancellationToken,
    tasks: &TaskTracker,
    runtime: &Handle,
) -> Receiver<io::Result<Connection>> {
    let (taken, connections) = channel(ROOM);
    let places = Places {
        trusted: Arc::new(Semaphore::new(MAX_TRUSTED)),
        others: Arc::new(Semaphore::new(MAX_OTHERS)),
        lookups: Arc::new(Semaphore::new(LOOKUP_THREADS)),
        rights,
        refused,
    };
    let accepting = take(listener, Arc::new(places), taken, tasks.clone());
    tasks.spawn_on(
        async move {
            let _ended = stop.run_until_cancelled(accepting).await;
        },
        runtime,
    );
    connections
}

struct Places {
    trusted: Arc<Semaphore>,
    others: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
    rights: Arc<Rights>,
    refused: Arc<Refused>,
}

async fn take(
    listener: UnixListener,
    places: Arc<Places>,
    taken: Sender<io::Result<Connection>>,
    tasks: TaskTracker,
) {
    // Whoever is looked up holds one of these, so that a slow list of users takes no memory.
    let looked_up = Arc::new(Semaphore::new(MAX_TRUSTED + MAX_OTHERS));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                sleep(AGAIN).await;
                continue;
            }
        };
        let Ok(waiting) = Arc::clone(&looked_up).try_acquire_owned() else {
            places.refused.too_many.fetch_add(1, Relaxed);
            continue;
        };
        let (places, taken) = (Arc::clone(&places), taken.clone());
        tasks.spawn(async move {
            let connection = place(stream, &places).await;
            drop(waiting);
            if let Some(connection) = connection {
                // Whoever took them has ended.
                let _is_gone = taken.send(Ok(connection)).await;
            }
        });
    }
}

/// Finds out who it is, and whether there is room.
async fn place(stream: UnixStream, places: &Places) -> Option<Connection> {
    let right = right(&stream, places).await;
    let room = if right == Right::Change {
        &places.trusted
    } else {
        &places.others
    };
    let Ok(place) = Arc::clone(room).try_acquire_owned() else {
        places.refused.too_many.fetch_add(1, Relaxed);
        return None;
    };
    Some(Connection::new(
        stream,
        right,
        place,
        Arc::clone(&places.refused),
    ))
}

async fn right(stream: &UnixStream, places: &Places) -> Right {
    let Ok(credentials) = stream.peer_cred() else {
        return Right::Nothing;
    };
    let uid = Uid::from_raw(credentials.uid());
    let gid = Gid::from_raw(credentials.gid());
    if let Some(right) = places.rights.known(uid, gid) {
        return right;
    }
    let rights = Arc::clone(&places.rights);
    let looked_up = async {
        let thread = Arc::clone(&places.lookups).acquire_owned().await.ok()?;
        let found = spawn_blocking(move || {
            // The thread is taken for as long as it looks, also when nobody waits for it any more.
            let _thread = thread;
            rights.looked_up(uid, gid)
        });
        found.await.ok()
    };
    let right = timeout(RIGHTS_TIME, looked_up).await;
    right.ok().flatten().unwrap_or(Right::Nothing)
}

/// A connection with its place.
pub(super) struct Connection {
    stream: Pin<Box<TimeoutStream<UnixStream>>>,
    guest: Guest,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    refused: Arc<Refused>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(
        stream: UnixStream,
        right: Right,
        place: OwnedSemaphorePermit,
        refused: Arc<Refused>,
    ) -> Self {
        let mut stream = TimeoutStream::new(stream);
        stream.set_read_timeout(Some(SILENT));
        stream.set_write_timeout(Some(STALLED));
        let cut = CancellationToken::new();
        Self {
            stream: Box::pin(stream),
            cut: Box::pin(cut.clone().cancelled_owned()),
            guest: Guest { right, cut },
            refused,
            _place: place,
        }
    }

    fn counted<T>(&self, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &moved
            && error.kind() == io::ErrorKind::TimedOut
        {
            self.refused.cut_off.fetch_add(1, Relaxed);
        }
        moved
    }
}

impl Connected for Connection {
    type ConnectInfo = Guest;

    fn connect_info(&self) -> Guest {
        self.guest.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let moved = self.stream.as_mut().poll_read(context, buffer);
        self.counted(moved)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let moved = self.stream.as_mut().poll_write(context, bytes);
        self.counted(moved)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }
}
