//! The three ways to reach a backend: hyper-util's pooled client, single connections of hyper with
//! a pool of our own, and a fresh connection for each request.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client as PooledClient, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::flags::{Client, Mode};
use crate::now;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// For an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Idle connections kept per backend.
const POOL_SIZE: usize = 512;

/// Why there is no response.
pub(crate) enum SendError {
    /// There was no connection, so nothing was sent.
    Unreachable,
    /// It broke before the whole head of a response.
    Broken,
}

/// All backends, in the order of the configuration.
pub(crate) struct Upstreams {
    authorities: Arc<[Authority]>,
    way: Way,
}

enum Way {
    Pooled(PooledClient<HttpConnector, Incoming>),
    OwnPool(Vec<Arc<Pool>>),
    Fresh,
}

impl Upstreams {
    pub(crate) fn new(mode: Mode, client: Client, authorities: Arc<[Authority]>) -> Self {
        let way = match (mode, client) {
            (Mode::NonPersistent, _) => Way::Fresh,
            (Mode::Persistent, Client::Pooled) => Way::Pooled(pooled_client()),
            (Mode::Persistent, Client::OwnPool) => {
                Way::OwnPool(authorities.iter().map(|_| Arc::default()).collect())
            }
        };
        Self { authorities, way }
    }

    /// Sends a request and waits for the head of its response. The loan, if there is one, is to be
    /// given back at the end of the body.
    pub(crate) async fn send(
        &self,
        backend: usize,
        mut request: Request<Incoming>,
    ) -> Result<(Response<Incoming>, Option<Loan>), SendError> {
        let authority = &self.authorities[backend];
        match &self.way {
            Way::Pooled(client) => {
                *request.uri_mut() = absolute(authority, request.uri());
                let response = client.request(request).await;
                let failure = |error: Error| {
                    if error.is_connect() { SendError::Unreachable } else { SendError::Broken }
                };
                Ok((response.map_err(failure)?, None))
            }
            Way::OwnPool(pools) => {
                *request.uri_mut() = origin(request.uri());
                let (response, sender) = pools[backend].send(authority, request).await?;
                let loan = Loan { sender, pool: Arc::clone(&pools[backend]) };
                Ok((response, Some(loan)))
            }
            Way::Fresh => {
                *request.uri_mut() = origin(request.uri());
                request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                let mut sender = connect(authority).await?;
                let response = sender.send_request(request).await;
                Ok((response.map_err(|_| SendError::Broken)?, None))
            }
        }
    }
}

fn pooled_client() -> PooledClient<HttpConnector, Incoming> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    PooledClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(POOL_SIZE)
        .set_host(false)
        .build(connector)
}

fn path(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}

fn origin(uri: &Uri) -> Uri {
    path(uri).into()
}

fn absolute(authority: &Authority, uri: &Uri) -> Uri {
    let mut parts = hyper::http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.clone());
    parts.path_and_query = Some(path(uri));
    // With all three parts there is nothing left to refuse.
    Uri::from_parts(parts).unwrap_or_default()
}

/// Idle connections to one backend, the one used last on top.
#[derive(Default)]
struct Pool {
    idle: Mutex<Vec<(Sender, Instant)>>,
}

type Sender = SendRequest<Incoming>;

/// A connection that is to be given back when the response it brings has ended.
pub(crate) struct Loan {
    sender: Sender,
    pool: Arc<Pool>,
}

impl Loan {
    pub(crate) fn give_back(self) {
        self.pool.put(self.sender);
    }
}

impl Pool {
    async fn send(
        &self,
        authority: &Authority,
        mut request: Request<Incoming>,
    ) -> Result<(Response<Incoming>, Sender), SendError> {
        while let Some(mut sender) = self.take() {
            // At the end of a body its connection may need one more turn until it is ready.
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, sender)),
                // The backend had closed it; unsent, the request comes back.
                Err(mut error) => request = error.take_message().ok_or(SendError::Broken)?,
            }
        }
        let mut sender = connect(authority).await?;
        let response = sender.send_request(request).await.map_err(|_| SendError::Broken)?;
        Ok((response, sender))
    }

    fn take(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, since) = idle.pop()?;
        if now().saturating_duration_since(since) > IDLE_TIMEOUT {
            // Those below it have been idle for longer.
            idle.clear();
            return None;
        }
        Some(sender)
    }

    fn put(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < POOL_SIZE && !sender.is_closed() {
            idle.push((sender, now()));
        }
    }
}

async fn connect(authority: &Authority) -> Result<Sender, SendError> {
    let stream = timeout(CONNECT_TIMEOUT, open(authority)).await;
    let stream = stream.ok().and_then(Result::ok).ok_or(SendError::Unreachable)?;
    let (sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|_| SendError::Unreachable)?;
    tokio::spawn(async {
        // The request that it carries learns of its end by itself.
        let _ = connection.await;
    });
    Ok(sender)
}

/// An address needs no resolver, which would take a thread.
async fn open(authority: &Authority) -> io::Result<TcpStream> {
    let stream = if let Ok(address) = authority.as_str().parse::<SocketAddr>() {
        TcpStream::connect(address).await?
    } else {
        let addresses: Vec<_> = lookup_host(authority.as_str()).await?.collect();
        TcpStream::connect(addresses.as_slice()).await?
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}
