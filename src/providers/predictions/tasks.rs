//! Answers that are tasks: named by an id, and asked for until they have ended, as Novita's images are.
//! <https://novita.ai/docs/api-reference/model-apis-task-result>

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::uri::PathAndQuery;

use super::line::Line;
use super::{FIRST_PAUSE, LONGEST_PAUSE, PATIENCE};
use crate::call::{Call, Fault, Upstream};
use crate::providers::client::{Fields, Lines, Origin};
use crate::providers::inbound::{Gathered, Inbound, Response};
use crate::providers::lines::Ready;
use crate::providers::{Provider, fault};
use crate::wire::Object;

/// No answer of a task is longer, bytes.
const LONGEST: usize = 64 << 20;

/// What a task is that has not ended.
const RUNNING: [&str; 2] = ["TASK_STATUS_QUEUED", "TASK_STATUS_PROCESSING"];

/// The answer behind an answer: that of the task it names, or itself if it names none. Tasks are asked for at this path,
/// which their id is appended to. Fails if it does not end in the time that a whole answer may take.
pub(in crate::providers) async fn end(
    provider: &Provider,
    (origin, path): (&Arc<Origin>, &str),
    ready: &Ready,
    (call, model): (&Call, &str),
    answer: Response,
) -> Result<Response, Box<Upstream>> {
    if !answer.status.is_success() {
        return Ok(answer);
    }
    let Response { status, fields, body } = answer;
    let body = match body.gather(LONGEST, None).await.map_err(|error| fault::of_transport(provider, &error))? {
        Gathered::All(body) => body,
        Gathered::Beyond(first, rest) => return Ok(Response { status, fields, body: chained(first, rest) }),
    };
    let task = Object::parse(body.clone()).ok().filter(|said| !said.has("images"));
    let id: Option<String> = task.and_then(|task| task.get("task_id").ok().flatten());
    let Some(id) = id else {
        return Ok(Response { status, fields: kept(&fields), body: Inbound::Local([body].into()) });
    };
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let path = PathAndQuery::try_from(format!("{path}{id}")).ok().filter(|_| plain);
    let Some(path) = path else {
        return Err(fault::of_nonsense(provider, status, &fields, "names a task by what is no id".to_owned()));
    };
    let line = Line::new(origin.clone(), provider, ready, call, model).await?;
    let asking = async {
        let (mut pause, mut failures) = (FIRST_PAUSE, 0);
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            let said = match line.ask(Method::GET, &path, &Lines::default(), Bytes::new()).await {
                Ok(said) if said.status.is_server_error() && failures < PATIENCE => {
                    failures += 1;
                    continue;
                }
                Err(_) if failures < PATIENCE => {
                    failures += 1;
                    continue;
                }
                said => said.map_err(|error| fault::of_transport(provider, &error))?,
            };
            if !(said.status.is_success() && is_running(&said.body)) {
                let body = Inbound::Local([said.body].into());
                return Ok(Response { status: said.status, fields: kept(&said.fields), body });
            }
            failures = 0;
        }
    };
    tokio::time::timeout(provider.total, asking).await.unwrap_or_else(|_elapsed| {
        let message = format!("has not ended its task within {:?}", provider.total);
        Err(fault::ours(provider, Fault::Timeout, message))
    })
}

/// The fields of a body that was unpacked while it was read.
fn kept(fields: &Fields) -> Fields {
    fields.clone().unpacked()
}

fn chained(first: Bytes, rest: Inbound) -> Inbound {
    use futures_util::StreamExt;
    use futures_util::stream;
    let rest = stream::unfold(rest, |mut rest| async move { Some((rest.next().await?, rest)) });
    Inbound::Made(stream::once(async move { Ok(first) }).chain(rest).boxed())
}

fn is_running(body: &Bytes) -> bool {
    let task = Object::parse(body.clone()).ok().and_then(|said| said.object("task").ok().flatten());
    let status: Option<String> = task.and_then(|task| task.get("status").ok().flatten());
    status.is_some_and(|status| RUNNING.contains(&status.as_str()))
}
