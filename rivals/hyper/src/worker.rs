//! One worker: a listener, and a task for each of its connections, all on one thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::forward::forward;
use crate::shared::{Peer, Shared};

/// For an idle client, and for a whole head.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(75);

/// How long accepting rests when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stopped` changes or closes. What is in flight then is cut off.
pub(crate) async fn run(
    shared: Arc<Shared>,
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
            Ok((stream, address)) => serve(&shared, &http, stream, address),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

fn serve(shared: &Arc<Shared>, http: &http1::Builder, stream: TcpStream, address: SocketAddr) {
    // A connection that is gone already, or whose address is no text, is not worth a word.
    let (Ok(()), Ok(ip)) = (stream.set_nodelay(true), address.ip().to_string().parse()) else {
        return;
    };
    let (shared, peer) = (Arc::clone(shared), Arc::new(Peer { address, ip }));
    let service =
        service_fn(move |request| forward(Arc::clone(&shared), Arc::clone(&peer), request));
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::spawn(async {
        // Whatever ended it, the rows of its requests have told.
        let _ = connection.await;
    });
}
