//! One prediction that runs at a provider, and ends there when nobody here wants it any more.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Method;
use http::uri::PathAndQuery;

use super::address::Place;
use super::line::{Line, Said};
use crate::providers::client::{Lines, SendError};
use crate::wire::replicate::Prediction;
use crate::wire::replicate::answer::Status;

/// How long saying that a prediction is not wanted, or asking how it went, may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A prediction that was asked for.
pub(super) struct Made {
    /// What was answered: a prediction, or why there is none.
    pub(super) said: Said,
    /// It runs until this is dropped.
    pub(super) run: Run,
}

/// A prediction that runs. Dropped before it is [over](Run::over), it is cancelled.
pub(super) struct Run {
    line: Line,
    get: Option<PathAndQuery>,
    cancel: Option<PathAndQuery>,
}

impl Run {
    /// What an answer says of its prediction's addresses, as far as they are the API's own.
    fn of(line: &Line, place: &Place, said: &Said) -> Self {
        let mut run = Self { line: line.clone(), get: None, cancel: None };
        let Ok(prediction) = Prediction::read(said.body.clone()) else { return run };
        if !said.status.is_success() || prediction.status() != Status::Running {
            return run;
        }
        let own = |what: &str| prediction.url(what).and_then(|url| place.own(&url));
        (run.get, run.cancel) = (own("get"), own("cancel"));
        run
    }

    /// Where to ask how it is; `None` if no address was named that may be asked.
    pub(super) fn address(&self) -> Option<&PathAndQuery> {
        self.get.as_ref()
    }

    /// It has ended by itself.
    pub(super) fn over(&mut self) {
        self.cancel = None;
    }

    /// The prediction as it is now, if it can be had soon.
    pub(super) async fn look(&self) -> Option<Prediction> {
        let path = self.get.as_ref()?;
        let none = Lines::default();
        let asked = tokio::time::timeout(LIMIT, self.line.ask(Method::GET, path, &none, Bytes::new())).await;
        let said = asked.ok()?.ok()?;
        Prediction::read(said.body).ok().filter(|_| said.status.is_success())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let Some(path) = self.cancel.take() else { return };
        let line = self.line.clone();
        later(async move {
            let none = Lines::default();
            match tokio::time::timeout(LIMIT, line.ask(Method::POST, &path, &none, Bytes::new())).await {
                Ok(Ok(said)) if said.status.is_success() => {}
                Ok(Ok(said)) => tracing::warn!(status = said.status.as_u16(), "a prediction could not be cancelled"),
                Ok(Err(error)) => tracing::warn!(%error, "a prediction could not be cancelled"),
                Err(_elapsed) => tracing::warn!("a prediction could not be cancelled in time"),
            }
        });
    }
}

/// Do something that nobody waits for, on the worker that is about to forget it.
fn later(work: impl Future<Output = ()> + Send + 'static) {
    // outside of a runtime everything is over anyway
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(work);
    }
}

/// Ask for a prediction.
///
/// An answer may take a minute, and until it is there nobody knows which prediction to cancel: if the future is dropped
/// meanwhile, the answer is waited for in the background, and then the prediction is cancelled.
pub(super) fn make(line: &Line, place: &Place, path: PathAndQuery, more: Lines, body: Bytes) -> Making {
    let (line, place) = (line.clone(), place.clone());
    let work = async move {
        let said = line.ask(Method::POST, &path, &more, body).await?;
        Ok(Made { run: Run::of(&line, &place, &said), said })
    };
    Making { work: Some(Box::pin(work)), begun: false }
}

/// A prediction that is being asked for.
pub(super) struct Making {
    work: Option<BoxFuture<'static, Result<Made, SendError>>>,
    begun: bool,
}

impl Future for Making {
    type Output = Result<Made, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.begun = true;
        let Some(work) = &mut self.work else { return Poll::Pending };
        let done = work.as_mut().poll(cx);
        if done.is_ready() {
            self.work = None;
        }
        done
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let Some(work) = self.work.take().filter(|_| self.begun) {
            later(async move { drop(work.await) });
        }
    }
}
