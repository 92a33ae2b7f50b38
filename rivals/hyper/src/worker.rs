//! One worker: a listener, a runtime on one thread, and what its connections share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tidegate::balance::Balancer;
use tidegate::journal::{Feed, Record};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::flags::Mode;
use crate::forward::forward;
use crate::upstream::Upstreams;

/// For an idle client, and for a whole head.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(75);

/// How long accepting rests when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the connections of one worker share. All of it stays on one thread; the lock is there for
/// the type system, is never contended, and costs nothing that could be measured.
pub(crate) struct Worker {
    pub(crate) balancer: Arc<Balancer>,
    pub(crate) upstreams: Upstreams,
    pub(crate) mode: Mode,
    feed: Mutex<Feed>,
}

/// A client's address, also as text for the fields that name it.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) ip: HeaderValue,
}

impl Worker {
    pub(crate) fn new(
        balancer: Arc<Balancer>,
        upstreams: Upstreams,
        feed: Feed,
        mode: Mode,
    ) -> Arc<Self> {
        Arc::new(Self { balancer, upstreams, mode, feed: Mutex::new(feed) })
    }

    /// Serves until `stopped` changes or closes. What is in flight then is cut off.
    pub(crate) async fn run(
        self: Arc<Self>,
        listener: TcpListener,
        mut stopped: watch::Receiver<()>,
    ) {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(CLIENT_TIMEOUT).pipeline_flush(true);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopped.changed() => return,
            };
            match accepted {
                Ok((stream, address)) => self.serve(&http, stream, address),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn serve(self: &Arc<Self>, http: &http1::Builder, stream: TcpStream, address: SocketAddr) {
        // A connection that is gone already, or whose address is no text, is not worth a word.
        let (Ok(()), Ok(ip)) = (stream.set_nodelay(true), address.ip().to_string().parse()) else {
            return;
        };
        let (worker, peer) = (Arc::clone(self), Arc::new(Peer { address, ip }));
        let service =
            service_fn(move |request| forward(Arc::clone(&worker), Arc::clone(&peer), request));
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async {
            // Whatever ended it, the rows of its requests have told.
            let _ = connection.await;
        });
    }

    pub(crate) fn record(&self, record: &Record<'_>) {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner).record(record);
    }
}
