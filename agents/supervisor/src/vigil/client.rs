//! One request at a time, on a connection of its own: what is asked is whether a connection can be made.

use std::time::Duration;

use axum::http::{
    HeaderValue, Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, PROXY_AUTHORIZATION, USER_AGENT},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use reeve_checks::Proxy;
use tokio::{task::JoinSet, time::timeout};

use super::{
    finding::{Finding, Reason},
    route::{Opened, Routes, secure, unreachable},
    trust,
};

/// A peer that has not answered after this is away.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than any answer that we read has.
const LONGEST: usize = 256 * 1024;

/// What is asked.
#[derive(Debug)]
pub struct Question<'a> {
    /// Where.
    pub uri: &'a Uri,
    /// The value of `Authorization`.
    pub authorization: Option<HeaderValue>,
    /// A form to post; without one it is a GET.
    pub form: Option<String>,
    /// Whether the certificate is verified.
    pub verify: bool,
    /// The proxy given.
    pub proxy: Option<&'a Proxy>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// Asks.
#[derive(Clone, Debug, Default)]
pub struct Client {
    routes: Routes,
}

impl Client {
    /// The ways that it goes.
    pub const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Asks, within [`PATIENCE`]. What is wrong comes as a finding.
    pub async fn ask(&self, question: Question<'_>) -> Result<Answer, Finding> {
        let uri = question.uri;
        let late = || unreachable(uri, &format!("does not answer within {} s", PATIENCE.as_secs()));
        timeout(PATIENCE, self.exchange(question))
            .await
            .map_err(|_| late())?
    }

    async fn exchange(&self, question: Question<'_>) -> Result<Answer, Finding> {
        let uri = question.uri;
        let opened = self.routes.open(uri, question.proxy).await?;
        let (forwards, show) = (opened.forwards, opened.proxy_authorization.clone());
        let pipe = Self::secured(opened, &question).await?;
        let broken = |_: hyper::Error| unreachable(uri, "closes the connection without an answer");
        let (mut sender, connection) = http1::handshake(TokioIo::new(pipe)).await.map_err(broken)?;
        // Ends with this function, whichever way that ends.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let request = request(&question, forwards, show)?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|_| unreachable(uri, "breaks off its answer"))?;
        Ok(Answer {
            status,
            body: body.to_bytes(),
        })
    }

    async fn secured(opened: Opened, question: &Question<'_>) -> Result<super::route::Pipe, Finding> {
        if question.uri.scheme_str() != Some("https") {
            return Ok(opened.pipe);
        }
        let settings =
            trust::settings(question.verify).map_err(|message| Finding::new(Reason::TlsError, message))?;
        secure(opened.pipe, question.uri, settings).await
    }
}

fn request(
    question: &Question<'_>,
    forwards: bool,
    show: Option<HeaderValue>,
) -> Result<Request<Full<Bytes>>, Finding> {
    let uri = question.uri;
    let unusable = || {
        Finding::new(
            Reason::NotChecked,
            "cannot ask: the URL cannot be written into a request",
        )
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let target = if forwards {
        uri.clone()
    } else {
        path.parse().map_err(|_| unusable())?
    };
    let host = uri
        .authority()
        .map_or("", |a| a.as_str().rsplit('@').next().unwrap_or_default());
    let mut request = Request::builder()
        .uri(target)
        .header(HOST, host)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("reeve-supervise/", env!("CARGO_PKG_VERSION")));
    if let Some(authorization) = &question.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    if let Some(show) = show.filter(|_| forwards) {
        request = request.header(PROXY_AUTHORIZATION, show);
    }
    let body = match &question.form {
        Some(form) => {
            request = request
                .method(Method::POST)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            Bytes::from(form.clone())
        }
        None => Bytes::new(),
    };
    request.body(Full::new(body)).map_err(|_| unusable())
}
