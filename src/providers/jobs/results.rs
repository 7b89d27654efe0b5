//! Results of a batch: the vendor's own lines become OpenAI's while they are read, and no more than one is held.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::upload::JSON_TOOL;
use crate::call::redact::Redactor;
use crate::call::{Fault, Head};
use crate::providers::client::SendError;
use crate::providers::inbound::Inbound;
use crate::providers::receive::Got;
use crate::providers::spec::{Spec, Trail};
use crate::providers::stream::Long;
use crate::providers::{Provider, fault, rework};
use crate::wire::jobs::Batch;
use crate::wire::jobs::item::{self, Endpoint, Failure, Told};
use crate::wire::jobs::lines::Lines;
use crate::wire::native::Back;
use crate::wire::openai::answer::{self, Whole};
use crate::wire::openai::errors::Complaint;
use crate::wire::openai::stream::Broken;
use crate::wire::{Dialect, Malformed};

/// Which of the results are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Those that are answers.
    Answers,
    /// All others.
    Failures,
    /// Both.
    All,
}

impl Wanted {
    /// The same of a batch that has another file for the rest; of one that has none all results are wanted, so that none
    /// is lost where the vendor has counted otherwise.
    pub fn of(self, batch: &Batch) -> Self {
        let rest = match self {
            Wanted::Answers => &batch.error_file_id,
            Wanted::Failures => &batch.output_file_id,
            Wanted::All => return self,
        };
        if rest.is_some() { self } else { Wanted::All }
    }
}

/// How results are read. What can't be read is a failure, and told wherever it is found.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The batch's name at the vendor.
    pub batch: String,
    /// Which are wanted.
    pub wanted: Wanted,
    /// What was asked for.
    pub endpoint: Endpoint,
    /// The wire format of answers.
    pub dialect: Dialect,
    /// The model, where answers do not say.
    pub model: String,
    /// When they were made, where they do not say: seconds of Unix time.
    pub created: i64,
    /// What the file is called.
    pub filename: String,
}

/// The vendor's lines, as they arrive, in OpenAI's words. `told` reads one of them.
pub fn stream(
    provider: &Provider,
    lines: Inbound,
    reading: Reading,
    told: impl Fn(Bytes) -> Result<Told, Malformed> + Send + Sync + 'static,
) -> Got {
    let mut head = Head { status: StatusCode::OK, headers: HeaderMap::new() };
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    let named = format!("attachment; filename=\"{}\"", reading.filename);
    head.headers.extend(HeaderValue::try_from(named).ok().map(|named| (CONTENT_DISPOSITION, named)));
    let host = provider.origin().map(|origin| origin.name().clone()).unwrap_or_default();
    let teller = Teller { reading, told, spec: provider.spec, redactor: provider.redactor.clone(), host };
    let made = stream::unfold(Some((lines, Lines::default(), teller)), |state| async move {
        let (mut arriving, mut cut, teller) = state?;
        loop {
            let mut out = Vec::new();
            match arriving.next().await {
                Some(Ok(chunk)) => {
                    cut.push(&chunk);
                    if let Err(broken) = teller.all(&mut out, &mut cut) {
                        return Some((Err(broken), None));
                    }
                    if !out.is_empty() {
                        return Some((Ok(Bytes::from(out)), Some((arriving, cut, teller))));
                    }
                }
                Some(Err(error)) => return Some((Err(error), None)),
                None => {
                    if let Some(line) = cut.end() {
                        teller.line(&mut out, cut.number(), line);
                    }
                    return (!out.is_empty()).then(|| (Ok(Bytes::from(out)), None));
                }
            }
        }
    });
    Got::Long(Box::new(Long::new(provider, None, Inbound::Made(made.boxed()), head, false)))
}

/// Tells lines in OpenAI's words.
struct Teller<F> {
    reading: Reading,
    told: F,
    spec: &'static Spec,
    redactor: Arc<Redactor>,
    host: Arc<str>,
}

impl<F: Fn(Bytes) -> Result<Told, Malformed>> Teller<F> {
    /// Append every line that is whole. Fails on one that is too long to be held.
    fn all(&self, out: &mut Vec<u8>, cut: &mut Lines) -> Result<(), SendError> {
        while let Some(line) = cut.next_line() {
            let number = cut.number();
            let line = line.map_err(|_| {
                let cause = format!("line {number} of the results is too long").into();
                SendError::Protocol { host: self.host.clone(), cause }
            })?;
            self.line(out, number, line);
        }
        Ok(())
    }

    /// Append one line, if it is wanted.
    fn line(&self, out: &mut Vec<u8>, number: u64, line: Bytes) {
        let Reading { batch, wanted, .. } = &self.reading;
        let Told { custom_id, outcome } = match (self.told)(line) {
            Ok(told) => told,
            Err(malformed) => {
                let why = format!("line {number} of the results can't be read: {}", malformed.why());
                return item::failed(out, batch, "", &Failure::unasked("result_unreadable", why));
            }
        };
        match (outcome, wanted) {
            (Ok(answer), Wanted::Answers | Wanted::All) => {
                let told = self.answer(&custom_id, answer);
                let told = told.and_then(|answer| {
                    item::answered(out, batch, &custom_id, &answer).map_err(|malformed| unreadable(&malformed))
                });
                if let Err(failure) = told {
                    item::failed(out, batch, &custom_id, &self.judged(failure));
                }
            }
            (Err(failure), Wanted::Failures | Wanted::All) => {
                item::failed(out, batch, &custom_id, &self.judged(failure))
            }
            (Ok(_), Wanted::Failures) | (Err(_), Wanted::Answers) => {}
        }
    }

    /// An answer, as OpenAI's.
    fn answer(&self, custom_id: &str, answer: Bytes) -> Result<Bytes, Failure> {
        let Reading { batch, endpoint, dialect, model, created, .. } = &self.reading;
        let read = match dialect {
            Dialect::Native(native) => {
                let back = Back {
                    id: item::answer_id(batch, custom_id),
                    created: u64::try_from(*created).unwrap_or_default(),
                    model: model.clone(),
                    json_tool: Some(JSON_TOOL.to_owned()),
                    ..Back::default()
                };
                native.answer(endpoint.op(), answer, &back)
            }
            Dialect::OpenAi => match answer::read(answer) {
                Ok(Whole::Good(object)) => Ok(object),
                Ok(Whole::Error(said)) => Err(Broken::Said(said)),
                Err(error) => Err(Broken::Malformed(error)),
            },
        };
        let mut read = read.map_err(|broken| match broken {
            Broken::Said(said) => {
                let message = said.message.unwrap_or_else(|| "the request failed, and nobody says why".to_owned());
                Failure {
                    status: Some(said.status.unwrap_or(500)),
                    code: said.code.or(said.kind),
                    message,
                    request_id: None,
                }
            }
            Broken::Malformed(malformed) => unreadable(&malformed),
            Broken::Truncated => unreadable(&Malformed::new("it is not finished")),
        })?;
        let (mends, follows) = (self.spec.mends, self.spec.follows);
        rework::mend(mends, follows, &mut read, &mut Trail::default()).map_err(|malformed| unreadable(&malformed))?;
        Ok(read.encode())
    }

    /// A failure, without what is the operator's affair, and without secrets.
    fn judged(&self, mut failure: Failure) -> Failure {
        let said = |text: &str| Some(text.to_owned());
        let (message, code) = (said(&failure.message), failure.code.clone());
        let fault = failure.status.map(|status| {
            let said = Complaint { message, code, ..Complaint::default() };
            fault::classify(self.spec, status, &said)
        });
        if matches!(fault, Some(Fault::Auth | Fault::Billing)) {
            let provider = self.spec.id;
            failure.message =
                format!("{provider} does not serve the gateway's account or credential: ask its operator");
            failure.code = fault.map(|fault| fault.code().to_owned());
            return failure;
        }
        failure.message = self.redactor.error_text(&failure.message).into_owned();
        failure.code = failure.code.map(|code| self.redactor.error_text(&code).into_owned());
        failure
    }
}

fn unreadable(malformed: &Malformed) -> Failure {
    Failure::unasked("result_unreadable", format!("the answer can't be read: {}", malformed.why()))
}
