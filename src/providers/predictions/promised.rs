//! Answers that are promised (202) and asked for until they are there, as NVIDIA's hosted functions do.
//! <https://docs.nvidia.com/cloud-functions/user-guide/latest/cloud-function/api.html>

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode, Uri};

use super::address::Place;
use super::line::Line;
use super::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::call::{Call, Fault, Upstream};
use crate::providers::client::{Client, Lines, Origin, Protocol, Timeouts};
use crate::providers::inbound::Response;
use crate::providers::lines::Ready;
use crate::providers::{Provider, fault};

/// The field that names a promised answer.
const ID: &str = "nvcf-reqid";

/// Where promised answers are asked for.
pub struct Promises {
    origin: Arc<Origin>,
    place: Place,
}

impl Promises {
    /// Below this address; at the host of `own` instead, if the target has an address of its own. `None` if either is no
    /// address.
    pub fn new(
        address: &str,
        own: Option<&Uri>,
        client: &Client,
        (timeouts, protocol): (Timeouts, Protocol),
    ) -> Option<Self> {
        let place = Place::read(address)?;
        let origin = match own {
            Some(own) => client.origin(own, timeouts, protocol),
            None => client.origin(&address.parse().ok()?, timeouts, protocol),
        };
        Some(Self { origin: origin.ok()?, place })
    }

    /// The answer that was promised. Fails if it does not come in the time that a whole answer may take, or if nothing
    /// says which one it is.
    pub(in crate::providers) async fn keep(
        &self,
        provider: &Provider,
        ready: &Ready,
        (call, model): (&Call, &str),
        promise: Response,
    ) -> Result<Response, Box<Upstream>> {
        let plain = |id: &&str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let path = promise.fields.get(ID).filter(plain).and_then(|id| self.place.below(&format!("/{id}")));
        let Some(path) = path else {
            let message = "accepted the request (202) instead of answering it".to_owned();
            return Err(fault::of_nonsense(provider, promise.status, &promise.fields, message));
        };
        // its body says nothing, and its connection is needed no more
        drop(promise);
        let mut line = Line::new(self.origin.clone(), provider, ready, call, model).await?;
        line.unname();
        if call.stream {
            line.set(http::header::ACCEPT, "text/event-stream");
        }
        let asking = async {
            let mut pause = FIRST_PAUSE;
            loop {
                tokio::time::sleep(pause).await;
                pause = (pause * 3 / 2).min(LONGEST_PAUSE);
                let answer = line.open(Method::GET, &path, &Lines::default(), Bytes::new()).await;
                let answer = answer.map_err(|error| fault::of_transport(provider, &error))?;
                if answer.status != StatusCode::ACCEPTED {
                    return Ok(answer);
                }
            }
        };
        tokio::time::timeout(provider.total, asking).await.unwrap_or_else(|_elapsed| {
            let message = format!("promised an answer and gave none within {:?}", provider.total);
            Err(fault::ours(provider, Fault::Timeout, message))
        })
    }
}
