//! The HTTP side of the daemon: metrics, health and readiness, for whoever asks with GET.
//!
//! Whoever asks gets little to hold on to. Connections are counted and limited, and so are the length of
//! a request and the time to send it and to take the answer. An answer is a piece of memory that all who
//! ask at the same time share, so that many slow readers cost no more than a few.

mod connections;
mod negotiation;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, sync::Arc};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{
        ACCEPT, ACCEPT_ENCODING, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING,
        CONTENT_TYPE, HeaderName, HeaderValue, VARY, WWW_AUTHENTICATE,
    },
};

pub(super) use self::{connections::serve, negotiation::Encoding};
use super::state::State;

/// A path that is longer asks for nothing that is here.
const MAX_PATH_BYTES: usize = 1 << 10;

const TEXT: &str = "text/plain; charset=utf-8";

const INDEX: &str = "\
Hostler
  /metrics  for Prometheus, as OpenMetrics or as classic text
  /healthz  whether the host is still read
  /readyz   whether it is measured
";

/// Answers one request.
async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        return Ok(with(refused, ALLOW, "GET, HEAD"));
    }
    let path = request.uri().path();
    if request.uri().to_string().len() > MAX_PATH_BYTES {
        return Ok(text(StatusCode::URI_TOO_LONG, "the path is too long\n"));
    }
    Ok(match path {
        "/metrics" if !is_admitted(&state, &request) => {
            let refused = text(StatusCode::UNAUTHORIZED, "a bearer token is asked for\n");
            with(refused, WWW_AUTHENTICATE, "Bearer")
        }
        "/metrics" => metrics(state, &request).await,
        "/healthz" => judged(state.healthy()),
        "/readyz" => judged(state.ready()),
        "/" => text(StatusCode::OK, INDEX),
        _ => text(StatusCode::NOT_FOUND, "not here; / says what is\n"),
    })
}

fn is_admitted(state: &State, request: &Request<Incoming>) -> bool {
    let given = request.headers().get(AUTHORIZATION);
    state.access().admits(given.map(HeaderValue::as_bytes))
}

async fn metrics(state: Arc<State>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let said = |name: HeaderName| {
        let values = request.headers().get_all(name).into_iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        texts.collect::<Vec<_>>().join(",")
    };
    let format = negotiation::format(&said(ACCEPT));
    let encoding = negotiation::encoding(&said(ACCEPT_ENCODING));
    let Some(body) = state.metrics(format, encoding).await else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "nothing is measured yet\n");
    };
    let mut response = Response::new(Full::new(body));
    response = with(response, CONTENT_TYPE, format.content_type());
    if encoding == Encoding::Gzip {
        response = with(response, CONTENT_ENCODING, "gzip");
    }
    with(response, VARY, "Accept, Accept-Encoding")
}

fn judged(state: Result<(), String>) -> Response<Full<Bytes>> {
    match state {
        Ok(()) => text(StatusCode::OK, "ok\n"),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let response = with(response, CONTENT_TYPE, TEXT);
    with(response, CACHE_CONTROL, "no-store")
}

fn with(
    mut response: Response<Full<Bytes>>,
    name: HeaderName,
    value: &'static str,
) -> Response<Full<Bytes>> {
    let value = HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
    response
}
