//! The client of the passes: counted, named, without retries of its own.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{RETRY_AFTER, USER_AGENT},
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tower::{Layer, Service};

use super::{health::Health, metrics::Metrics};
use crate::engine::calls::Rest;

/// How this program names itself to the API server (and so in its audit log).
pub const AGENT: &str = concat!("reeve-operator/", env!("CARGO_PKG_VERSION"));

/// The configuration with our name in it and kube's own retries off: a failed request is tried again by the
/// object's next pass, at the object's own pace.
pub fn named(mut config: Config) -> Config {
    config.default_retry = false;
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    config
}

/// A client that counts its requests, tells `health` of established watches, and `rest` of an API server that wants it.
pub fn counted(
    config: Config,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    rest: Arc<Rest>,
) -> kube::Result<Client> {
    let host = config
        .cluster_url
        .authority()
        .map(ToString::to_string)
        .unwrap_or_default();
    let layer = CountLayer(Arc::new(Counting {
        host,
        metrics,
        health,
        rest,
    }));
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

#[derive(Debug)]
struct Counting {
    host: String,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    rest: Arc<Rest>,
}

#[derive(Clone, Debug)]
struct CountLayer(Arc<Counting>);

impl<S> Layer<S> for CountLayer {
    type Service = Count<S>;

    fn layer(&self, inner: S) -> Count<S> {
        Count {
            inner,
            counting: self.0.clone(),
        }
    }
}

#[derive(Clone, Debug)]
struct Count<S> {
    inner: S,
    counting: Arc<Counting>,
}

impl<S, B> Service<Request<Body>> for Count<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send,
    B: Send,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<B>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let started = Instant::now();
        let method = request.method().to_string();
        let watched = request
            .uri()
            .query()
            .is_some_and(|query| query.split('&').any(|part| part == "watch=true"));
        let watched = watched.then(|| request.uri().path().to_owned());
        let counting = self.counting.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let code = match &answer {
                Ok(response) => response.status().as_str().to_owned(),
                Err(_) => "<error>".to_owned(),
            };
            counting
                .metrics
                .request(&method, &counting.host, &code, started.elapsed());
            if let Ok(response) = &answer
                && matches!(
                    response.status(),
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
                )
            {
                counting.rest.ask(retry_after(response.headers()));
            }
            if let (Some(path), "200") = (watched, code.as_str()) {
                counting.health.watch_established(&path);
            }
            answer
        })
    }
}

/// What a busy API server asks for, in whole seconds; the header is all that its priority and fairness sends.
fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}
