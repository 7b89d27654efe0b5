//! The gateway inside somebody else's server: a configuration and an environment become an [`axum::Router`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::DropGuard;
use tower::{ServiceExt, service_fn};

use super::Stop;
use super::process::{Parts, StartError};
use crate::call::redact::Redactor;
use crate::config::{Config, Env};
use crate::http::tunnel::Switch;
use crate::pipeline::Gateway;
use crate::telemetry::AccessLog;

/// A gateway that is served by the application it is built into.
pub struct Embedded {
    /// Every path of the gateway, behind its edge: request ids, authentication, limits, access lines. It takes whatever
    /// path it is given, so it belongs where an application has its fallback.
    ///
    /// Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: a caller whose address is not known counts
    /// as one from elsewhere, whom a gateway without `MASTER_KEY` refuses.
    pub router: Router,
    /// The live configuration and the metrics.
    pub gateway: Arc<Gateway>,
    /// The steps of the end, which are for the application to take: cancel `draining` to make `/readyz` fail, `hurry`
    /// to give open streams their last event.
    pub stop: Stop,
    /// What the operator should know, one line each.
    pub warnings: Vec<String>,
}

/// Build a gateway to be served by the application. `env` holds the credentials and the edge's settings, as
/// `MASTER_KEY`; `redactor`, best made by
/// [`build::redactor`](super::build::redactor), keeps their secrets out of what providers say. Call it inside a runtime: background work runs
/// there until the last clone of the router is gone. Fails with all that is wrong.
pub fn embed(config: &Config, env: &Env, access: AccessLog, redactor: &Arc<Redactor>) -> Result<Embedded, StartError> {
    let stop = Stop::default();
    let Parts { gateway, edge, behind, warnings, .. } = Parts::of(config, env, 1, access, redactor, &stop, None)?;
    let background = stop.now.child_token();
    behind.start(&gateway, background.clone());
    let (inner, end) = (crate::http::router(gateway.clone()), Arc::new(background.drop_guard()));
    let around = service_fn(move |request: Request<Body>| {
        let _end: &Arc<DropGuard> = &end;
        let upgrade = request.extensions().get::<OnUpgrade>().cloned();
        let answer = edge.around(inner.clone(), peer(&request)).oneshot(request);
        async move {
            let mut response = answer.await?;
            if let (Some(switch), Some(upgrade)) = (response.extensions_mut().remove::<Switch>(), upgrade) {
                tokio::spawn(async move {
                    match upgrade.await {
                        Ok(client) => switch.run(Box::new(TokioIo::new(client))).await,
                        Err(error) => tracing::debug!(%error, "a WebSocket was not opened"),
                    }
                });
            }
            Ok(response)
        }
    });
    Ok(Embedded { router: Router::new().fallback_service(around), gateway, stop, warnings })
}

/// Who is at the other end; nobody from this machine if the server does not say.
fn peer(request: &Request<Body>) -> SocketAddr {
    let known = request.extensions().get::<ConnectInfo<SocketAddr>>();
    known.map_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0), |ConnectInfo(peer)| *peer)
}
