//! S3, where Bedrock reads and writes the lines of batches: one request an object, signed with the account's keys.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use futures_util::StreamExt;
use http::header::{ACCEPT, HeaderValue, RANGE};
use http::{Method, Uri};

use super::errand::{Errand, Seal, To};
use super::upload::not_stored;
use super::{Desk, invalid};
use crate::call::{Error, Fault, Stored, Upstream};
use crate::providers::auth::Credential;
use crate::providers::auth::aws::{Keys, region};
use crate::providers::auth::sigv4::{Signer, hex};
use crate::providers::client::{Origin, Protocol};
use crate::providers::inbound::{Gathered, Response};
use crate::providers::{fault, stored};
use crate::wire::jobs::s3::{Listed, Store};
use crate::wire::multipart::Piece;

/// No list is longer, bytes.
const LONGEST: usize = 4 << 20;

/// The bucket of one target, and how it is asked.
pub struct Bucket {
    /// Which it is.
    pub store: Store,
    origin: Arc<Origin>,
    /// What stands before every path.
    before: String,
    /// Whether TLS guards what is sent.
    is_secure: bool,
    signer: Arc<Signer>,
}

impl Bucket {
    /// The one that the operator has named. Fails where none is, and where no key signs for it.
    pub fn of(desk: &Desk<'_>) -> Result<Self, Error> {
        let provider = desk.provider;
        let settings = &provider.settings;
        let named = settings.get("batch_bucket").filter(|bucket| !bucket.is_empty());
        let Some(named) = named else {
            let id = provider.spec.id;
            let why = format!(
                "{id} keeps the lines of batches in a bucket of S3, and none is named: its operator must set the option \
                 `batch_bucket`, or BEDROCK_BATCH_BUCKET, to s3://bucket or s3://bucket/prefix"
            );
            return Err(invalid("", why));
        };
        let store = Store::read(named).map_err(|why| invalid("", format!("`batch_bucket` {why}")))?;
        let signer = match &provider.credential {
            Credential::Signed(signer) => signer.for_s3(),
            _ => match (settings.get("access_key_id"), settings.get("secret_access_key")) {
                (Some(id), Some(secret)) => {
                    let keys = Keys::of(id, secret, settings.get("session_token"));
                    Signer::new(keys, region(settings).to_owned(), "s3")
                }
                _ => return Err(invalid("", BEARER_ALONE)),
            },
        };
        let failed = |why: String| fault::ours(provider, Fault::Server, why);
        let base = provider.place.as_ref().map_or("", |place| &place.base);
        let address = settings.get("s3_endpoint").map_or_else(|| beside(base), str::to_owned);
        let uri: Uri = address.parse().map_err(|_| failed("`s3_endpoint` is no address".to_owned()))?;
        let office = desk.office()?;
        let origin = office.client.origin(&uri, office.timeouts, Protocol::Http1);
        let origin = origin.map_err(|error| failed(format!("`s3_endpoint`: {error}")))?;
        let before = uri.path().trim_end_matches('/').to_owned();
        let is_secure = uri.scheme_str() == Some("https");
        Ok(Self { store, origin, before, is_secure, signer: Arc::new(signer) })
    }

    fn errand(&self, method: Method, path: &str, seal: Seal) -> Errand {
        let to = To::Signed(self.origin.clone(), self.signer.clone(), seal);
        let any = HeaderValue::from_static("*/*");
        Errand::new(method, format!("{}{path}", self.before)).to(to).with(ACCEPT, any)
    }

    /// The path of an object. Fails on names that can't be ones of ours.
    fn path(&self, desk: &Desk<'_>, below: &str) -> Result<String, Error> {
        self.store.path(below).ok_or_else(|| desk.no_file(below))
    }

    /// Do it. What is wrong with the bucket's name or place is no failure of the target, whose chats go on: it is said as
    /// that of a missing name is. <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
    async fn open(&self, desk: &Desk<'_>, errand: Errand) -> Result<Response, Error> {
        desk.open(errand).await.map_err(|failed| match failed.code.as_deref() {
            Some("NoSuchBucket") => invalid("", NO_BUCKET),
            Some("PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed") => invalid("", ELSEWHERE),
            _ => failed.into(),
        })
    }

    /// Put an object there.
    pub async fn put(&self, desk: &Desk<'_>, below: &str, content: &Stored) -> Result<(), Error> {
        let path = self.path(desk, below)?;
        // beside TLS, what is sent need not be read twice
        let seal = if self.is_secure { Seal::Nothing } else { Seal::Hash(hash(content).await?.into()) };
        let body = stored::outgoing(content, vec![Piece::Kept(0..content.length())]);
        let kind = HeaderValue::from_static("application/jsonl");
        read(desk, self.open(desk, self.errand(Method::PUT, &path, seal).sends(kind, body)).await?).await?;
        Ok(())
    }

    /// How long an object is, bytes, and when it was written, seconds of Unix time. Its first byte is asked for: the answer
    /// to HEAD does not say what is wrong.
    pub async fn about(&self, desk: &Desk<'_>, below: &str) -> Result<(u64, i64), Error> {
        let path = self.path(desk, below)?;
        let first = HeaderValue::from_static("bytes=0-0");
        let answer = self.open(desk, self.errand(Method::GET, &path, Seal::Body).with(RANGE, first)).await?;
        let field = |name: &str| answer.fields.get(name);
        let whole = field("content-range").and_then(|range| range.rsplit_once('/')?.1.parse().ok());
        let written = field("last-modified").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let written = written.map_or(0, |date| date.timestamp().as_second());
        Ok((whole.or(answer.fields.content_length()).unwrap_or_default(), written))
    }

    /// What is in an object, as it comes.
    pub async fn get(&self, desk: &Desk<'_>, below: &str) -> Result<Response, Error> {
        let path = self.path(desk, below)?;
        self.open(desk, self.errand(Method::GET, &path, Seal::Body)).await
    }

    /// Delete an object; one that is not there is deleted, too.
    pub async fn delete(&self, desk: &Desk<'_>, below: &str) -> Result<(), Error> {
        let path = self.path(desk, below)?;
        read(desk, self.open(desk, self.errand(Method::DELETE, &path, Seal::Body)).await?).await?;
        Ok(())
    }

    /// Objects whose names begin so, behind this one by name, and behind which one there are more.
    pub async fn list(
        &self,
        desk: &Desk<'_>,
        begins: &str,
        after: Option<&str>,
        most: u32,
    ) -> Result<(Vec<Listed>, Option<String>), Error> {
        let path = self.store.list(begins, after, most);
        let answer = self.open(desk, self.errand(Method::GET, &path, Seal::Body)).await?;
        let listed = read(desk, answer).await?;
        self.store.listed(&listed).map_err(|malformed| desk.nonsense(malformed))
    }
}

/// The bucket is not there.
const NO_BUCKET: &str = "S3 has no bucket of the name that the option `batch_bucket` has: the target's operator must make it, \
                         or name another one";

/// The bucket is not where S3 was asked for it.
const ELSEWHERE: &str = "the bucket of the option `batch_bucket` is in another region than the target: its operator must name \
                         one in the target's `region`";

/// Why there are no batches with nothing but a key of Bedrock's.
const BEARER_ALONE: &str = "an API key of Bedrock (AWS_BEARER_TOKEN_BEDROCK) opens no bucket of S3, where the lines of batches \
                            are kept: the target's operator must give it keys of AWS, too, as `access_key_id` and \
                            `secret_access_key`, or by `profile` or `assume_role_arn` in the API key's place";

/// The address of S3 that belongs to that of the runtime: that of the same region at AWS; any other address serves both.
/// <https://docs.aws.amazon.com/general/latest/gr/s3.html>
fn beside(base: &str) -> String {
    let Some((scheme, rest)) = base.split_once("://") else { return base.to_owned() };
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    for (runtime, s3) in [("bedrock-runtime", "s3"), ("bedrock-runtime-fips", "s3-fips")] {
        let inside = host.split_once(&format!(".{runtime}.")).and_then(|(_, below)| below.split_once(".vpce."));
        let below = match (host.strip_prefix(&format!("{runtime}.")), inside) {
            (Some(below), _) => below.to_owned(),
            (None, Some((region, domain))) => format!("{region}.{domain}"),
            (None, None) => continue,
        };
        // names with both kinds of addresses are made otherwise there
        let dual = [("api.aws", "amazonaws.com"), ("api.amazonwebservices.com.cn", "amazonaws.com.cn")];
        let dual = dual.iter().find_map(|(dual, plain)| Some((below.strip_suffix(dual)?.to_owned(), plain)));
        return match dual {
            Some((region, domain)) => format!("{scheme}://{s3}.dualstack.{region}{domain}"),
            None => format!("{scheme}://{s3}.{below}"),
        };
    }
    base.to_owned()
}

/// A whole answer as text.
async fn read(desk: &Desk<'_>, answer: Response) -> Result<String, Error> {
    let provider = desk.provider;
    match answer.body.gather(LONGEST, None).await {
        Ok(Gathered::All(body)) => Ok(String::from_utf8_lossy(&body).into_owned()),
        Ok(Gathered::Beyond(..)) => {
            let failed: Box<Upstream> =
                fault::ours(provider, Fault::Server, format!("answered with more than {LONGEST} bytes"));
            Err(failed.into())
        }
        Err(error) => Err(fault::of_transport(provider, &error).into()),
    }
}

/// The hash of what is stored, read piece by piece.
async fn hash(content: &Stored) -> Result<String, Error> {
    let (mut context, mut pieces) = (Context::new(&SHA256), stored::stretches(content, 0..content.length()));
    while let Some(piece) = pieces.next().await {
        context.update(&piece.map_err(not_stored)?);
        tokio::task::yield_now().await;
    }
    Ok(hex(context.finish().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_is_in_the_same_region_as_the_runtime() {
        let check = |base: &str, s3: &str| assert_eq!(beside(base), s3, "{base}");
        check("https://bedrock-runtime.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com");
        check("https://bedrock-runtime-fips.us-east-1.amazonaws.com", "https://s3-fips.us-east-1.amazonaws.com");
        check("https://bedrock-runtime.eu-west-1.api.aws", "https://s3.dualstack.eu-west-1.amazonaws.com");
        check("https://bedrock-runtime.cn-north-1.amazonaws.com.cn", "https://s3.cn-north-1.amazonaws.com.cn");
        let china = "https://bedrock-runtime.cn-north-1.api.amazonwebservices.com.cn";
        check(china, "https://s3.dualstack.cn-north-1.amazonaws.com.cn");
        let inside = "https://vpce-0a1b.bedrock-runtime.eu-west-1.vpce.amazonaws.com";
        check(inside, "https://s3.eu-west-1.amazonaws.com");
        check("http://127.0.0.1:9/base", "http://127.0.0.1:9/base");
    }
}
