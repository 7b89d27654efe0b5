//! Embeddings in parts: a list of inputs that is longer than the provider takes at once, asked for in several requests.

use bytes::{Bytes, BytesMut};
use futures_util::future::try_join_all;
use serde_json::value::RawValue;

use super::Provider;
use super::fault;
use super::receive::Got;
use super::spec::Spec;
use super::trace::Trace;
use crate::call::{Body, Call, Error, Fault, Op};
use crate::telemetry::Metrics;
use crate::wire::openai::usage;
use crate::wire::{Malformed, Object};

/// Parts that are asked for at the same time.
const AT_ONCE: usize = 4;

/// The most bytes of answers that are put together.
const LONGEST: usize = 256 << 20;

/// The calls that a call becomes; `None` if it is asked as it is. Fails if the inputs are no list.
pub fn split(spec: &Spec, call: &Call, model: &str) -> Result<Option<Vec<Call>>, Error> {
    let Some(batch) = spec.batch.filter(|_| call.op == Op::Embed) else { return Ok(None) };
    let Some(body) = call.body.json() else { return Ok(None) };
    let most = batch(model).max(1);
    let input = body.raw("input").unwrap_or_default();
    // what is not a list of texts or of lists is one input
    let first = input.strip_prefix(b"[").map(<[u8]>::trim_ascii_start).and_then(<[u8]>::first);
    if !matches!(first, Some(b'"' | b'[' | b'{')) {
        return Ok(None);
    }
    let inputs: Vec<&RawValue> = body.get("input")?.unwrap_or_default();
    if inputs.len() <= most {
        return Ok(None);
    }
    let part = |inputs: &[&RawValue]| {
        let mut list = BytesMut::with_capacity(inputs.iter().map(|input| input.get().len() + 1).sum::<usize>() + 2);
        list.extend_from_slice(b"[");
        for (at, input) in inputs.iter().enumerate() {
            list.extend_from_slice(if at > 0 { b"," } else { b"" });
            list.extend_from_slice(input.get().as_bytes());
        }
        list.extend_from_slice(b"]");
        let mut part = body.clone();
        part.set_raw("input", list.freeze());
        Call { body: Body::Json(part), ..call.clone() }
    };
    Ok(Some(inputs.chunks(most).map(part).collect()))
}

/// Ask for the parts, a few at a time, and put the answers together. The first failure is the whole call's.
pub async fn ask(provider: &Provider, parts: &[Call], model: &str, trace: &mut Trace<'_>) -> Result<Got, Error> {
    let (prefer, metrics) = (trace.prefer, trace.metrics);
    let mut answers = Vec::with_capacity(parts.len());
    let mut size = 0;
    for some in parts.chunks(AT_ONCE) {
        for (answer, said, key) in
            try_join_all(some.iter().map(|part| one(provider, part, model, (prefer, metrics)))).await?
        {
            size += answer.len();
            if size > LONGEST {
                let message = format!("the answers of all parts are longer than {LONGEST} bytes");
                return Err(fault::ours(provider, Fault::Server, message).into());
            }
            if answers.is_empty() {
                // each part has the same
                *trace.warnings = said;
                trace.key = key;
            }
            answers.push(answer);
        }
    }
    let whole = merge(answers).map_err(|error| {
        fault::ours(provider, Fault::Server, format!("the answer to a part can't be read: {error}"))
    })?;
    let usage = usage::read(&whole);
    Ok(Got::Whole(whole.encode(), usage))
}

/// The answer to a part, what could not be sent, and the key that was used.
async fn one(
    provider: &Provider,
    part: &Call,
    model: &str,
    (prefer, metrics): (Option<u8>, Option<&Metrics>),
) -> Result<(Bytes, Vec<String>, Option<u8>), Error> {
    let mut warnings = Vec::new();
    let mut trace = Trace { prefer, metrics, ..Trace::new(&mut warnings) };
    let asked = match &provider.keys {
        Some(keys) => Box::pin(keys.ask(provider, part, model, &mut trace)).await,
        None => Box::pin(provider.ask_with(&provider.ready, part, model, trace.warnings)).await,
    };
    let key = trace.key;
    let answer = match asked? {
        Got::Whole(answer, _) => answer,
        Got::Long(mut long) => {
            let mut answer = BytesMut::new();
            while let Some(chunk) = std::future::poll_fn(|cx| long.poll(cx)).await {
                answer.extend_from_slice(&chunk?);
                if answer.len() > LONGEST || long.complete() {
                    break;
                }
            }
            answer.freeze()
        }
        Got::Flow(_) | Got::Tunnel(_) => {
            let message = "answered with a stream where embeddings were asked for".to_owned();
            return Err(fault::ours(provider, Fault::Server, message).into());
        }
    };
    Ok((answer, warnings, key))
}

/// One answer of several: the first one's members, everybody's vectors, numbered anew, and the sum of what was used.
fn merge(answers: Vec<Bytes>) -> Result<Object, Malformed> {
    let mut whole = Object::default();
    let (mut vectors, mut tokens, mut total) = (Vec::new(), 0, 0);
    for (at, answer) in answers.into_iter().enumerate() {
        let answer = Object::parse(answer)?;
        for mut vector in answer.objects("data")? {
            vector.set("index", &vectors.len());
            vectors.push(vector);
        }
        if let Some(usage) = answer.object("usage")? {
            tokens += usage.get::<u64>("prompt_tokens")?.unwrap_or_default();
            total += usage.get::<u64>("total_tokens")?.unwrap_or_default();
        }
        if at == 0 {
            whole = answer;
        }
    }
    whole.set_objects("data", &vectors);
    if let Some(mut usage) = whole.object("usage")? {
        usage.set("prompt_tokens", &tokens);
        usage.set("total_tokens", &total);
        whole.set_raw("usage", usage.encode());
    }
    Ok(whole)
}
