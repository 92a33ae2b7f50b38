//! One request: rewritten, sent to a backend, and its response streamed back.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tidegate::balance::Outcome;
use tokio::time::timeout;

use crate::account::Account;
use crate::flags::Mode;
use crate::head::{rewrite_request, rewrite_response};
use crate::shared::{Peer, Shared};
use crate::upstream::{Loan, SendError};

/// A backend's body, or our own.
pub(crate) type ReplyBody = Either<Tracked, Full<Bytes>>;

/// Serves one request. It never fails: what went wrong is said by a status.
pub(crate) async fn forward(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    let mut account = Account::open(Arc::clone(&shared), Arc::clone(&peer), &request);
    let Some(backend) = account.backend() else {
        return Ok(refuse(account, StatusCode::SERVICE_UNAVAILABLE, "connect_refused"));
    };
    let (mut head, body) = request.into_parts();
    rewrite_request(&mut head, &peer);
    let request = Request::from_parts(head, body);
    let sending = timeout(shared.response_timeout, shared.upstreams.send(backend.slot(), request));
    Ok(match sending.await {
        Ok(Ok((response, loan))) => {
            account.answered(response.status());
            let (mut head, body) = response.into_parts();
            rewrite_response(&mut head, shared.mode == Mode::NonPersistent);
            Response::from_parts(head, Either::Left(Tracked::new(body, loan, account)))
        }
        Ok(Err(SendError::Unreachable)) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            account.failed(status, "connect_refused", Outcome::Unreachable);
            reply(status)
        }
        Ok(Err(SendError::Broken)) => refuse(account, StatusCode::BAD_GATEWAY, "upstream_closed"),
        Err(_) => refuse(account, StatusCode::GATEWAY_TIMEOUT, "response_timeout"),
    })
}

fn refuse(mut account: Account, status: StatusCode, fault: &'static str) -> Response<ReplyBody> {
    account.failed(status, fault, Outcome::Failed);
    reply(status)
}

fn reply(status: StatusCode) -> Response<ReplyBody> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(Either::Right(Full::from(reason)));
    *response.status_mut() = status;
    response
}

pin_project! {
    /// A backend's body on its way to the client. At its end the connection goes back to its pool;
    /// when it is dropped, at its end or before, the account is closed.
    pub(crate) struct Tracked {
        #[pin]
        body: Incoming,
        loan: Option<Loan>,
        account: Account,
    }
}

impl Tracked {
    fn new(body: Incoming, loan: Option<Loan>, account: Account) -> Self {
        let mut tracked = Self { body, loan, account };
        // What has no body is never asked for one.
        if tracked.body.is_end_stream() {
            tracked.account.finished();
            if let Some(loan) = tracked.loan.take() {
                loan.give_back();
            }
        }
        tracked
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.project();
        let mut body = this.body;
        let frame = ready!(body.as_mut().poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                this.account.response_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Some(Err(_)) => this.account.truncated(),
            None => {}
        }
        // hyper asks no further once the announced length is reached.
        if frame.is_none() || body.is_end_stream() {
            this.account.finished();
            if let Some(loan) = this.loan.take() {
                loan.give_back();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
