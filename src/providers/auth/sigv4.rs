//! AWS' signatures, version 4: every request is signed when it is ready to be sent.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningParams, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::aws::Keys;
use super::token::TokenError;
use crate::call::Fault;

/// A clock that is off by less is not what a signature was refused for: AWS allows for five minutes.
const TOLERANCE: i64 = 240;

/// The service whose signatures are of another kind.
const S3: &str = "s3";

/// What of a body is signed.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// This hash of it (SHA-256, in hexadecimal digits).
    Hash(&'a str),
    /// Nothing, which S3 takes: TLS guards the body then.
    Unsigned,
}

/// Signs the requests of one target.
pub struct Signer {
    keys: Keys,
    region: String,
    service: &'static str,
    /// How far AWS' clock is taken to be ahead of ours, seconds.
    skew: AtomicI64,
    /// How far it was in the last answer that was a refusal.
    shown: AtomicI64,
}

impl Signer {
    /// With these keys, for a service in a region.
    pub fn new(keys: Keys, region: String, service: &'static str) -> Self {
        Self { keys, region, service, skew: AtomicI64::new(0), shown: AtomicI64::new(0) }
    }

    /// With the same keys, for S3 in the same region.
    pub fn for_s3(&self) -> Self {
        let same = Self::new(self.keys.clone(), self.region.clone(), S3);
        Self { skew: AtomicI64::new(self.skew.load(Ordering::Relaxed)), ..same }
    }

    /// The headers that authorise a request: its content type and host must be among `headers`, its body final. Waits
    /// only if there are no good keys. Fails if none can be had.
    pub async fn sign(
        &self,
        method: &Method,
        path: &PathAndQuery,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Vec<(HeaderName, HeaderValue)>, TokenError> {
        self.sign_payload(method, path, headers, Payload::Whole(body)).await
    }

    /// The same for a body that need not be in memory.
    pub async fn sign_payload(
        &self,
        method: &Method,
        path: &PathAndQuery,
        headers: &HeaderMap,
        payload: Payload<'_>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, TokenError> {
        let identity = self.keys.identity().await?;
        let skew = self.skew.load(Ordering::Relaxed);
        let now = SystemTime::now();
        let shift = Duration::from_secs(skew.unsigned_abs());
        let at = if skew < 0 { now.checked_sub(shift) } else { now.checked_add(shift) }.unwrap_or(now);
        // a model that is named by an ARN lives where that says
        let region = region_of_arn(path.path()).filter(|_| self.service != S3).unwrap_or(&self.region);
        signed(&identity, at, (region, self.service), method, path, headers, payload)
            .map_err(|why| TokenError::new("AWS", why, Fault::Server))
    }

    /// An answer that may be about our clock has this date.
    pub fn saw(&self, date: &str) {
        if let Ok(date) = jiff::fmt::rfc2822::parse(date) {
            self.shown.store(date.timestamp().as_second() - jiff::Timestamp::now().as_second(), Ordering::Relaxed);
        }
    }

    /// A request was refused. Says whether that was for our clock, so that another attempt, signed with AWS' time, has
    /// a chance.
    pub fn corrected(&self, code: &str, message: &str) -> bool {
        let expired = ["Signature expired", "Signature not yet current"].iter().any(|text| message.contains(text));
        if !(matches!(code, "RequestExpired" | "RequestTimeTooSkewed") || expired) {
            return false;
        }
        let shown = self.shown.load(Ordering::Relaxed);
        let off = (shown - self.skew.swap(shown, Ordering::Relaxed)).abs() > TOLERANCE;
        if off {
            tracing::warn!(seconds = shown, "this machine's clock is off: signing with AWS' time");
        }
        off
    }
}

/// The region in a path that names a model by its ARN, percent-encoded.
fn region_of_arn(path: &str) -> Option<&str> {
    let arn = path.split('/').find_map(|segment| segment.strip_prefix("arn%3A"))?;
    let region = arn.split("%3A").nth(2)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    Some(region).filter(|region| !region.is_empty() && region.bytes().all(plain))
}

fn signed(
    identity: &Identity,
    at: SystemTime,
    (region, service): (&str, &str),
    method: &Method,
    path: &PathAndQuery,
    headers: &HeaderMap,
    payload: Payload<'_>,
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    // the path goes out encoded once and is signed encoded twice, which is the default
    let mut settings = SigningSettings::default();
    if service == S3 {
        // there it is signed as it goes out: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let params = v4::SigningParams::builder()
        .identity(identity)
        .region(region)
        .name(service)
        .time(at)
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?;
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let signed_headers = [CONTENT_TYPE, HOST].map(|name| text(name.clone()).map(|value| (name, value)));
    let signed_headers = signed_headers.iter().flatten().map(|(name, value)| (name.as_str(), *value));
    let body = match payload {
        Payload::Whole(body) => SignableBody::Precomputed(hex(digest(&SHA256, body).as_ref())),
        Payload::Hash(hash) => SignableBody::Precomputed(hash.to_owned()),
        Payload::Unsigned => SignableBody::UnsignedPayload,
    };
    let request = SignableRequest::new(method.as_str(), path.as_str(), signed_headers, body)
        .map_err(|error| error.to_string())?;
    let params = SigningParams::V4(params);
    let (instructions, _) = sign(request, &params).map_err(|error| error.to_string())?.into_parts();
    let (made, _) = instructions.into_parts();
    made.into_iter()
        .map(|header| {
            let name = HeaderName::from_static(header.name());
            let mut value = HeaderValue::try_from(header.value()).map_err(|error| error.to_string())?;
            value.set_sensitive(header.sensitive() || name == AUTHORIZATION);
            Ok((name, value))
        })
        .collect()
}

/// Bytes in hexadecimal digits.
pub(in crate::providers) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Sign one request of AWS' own services with these keys, as [`Signer::sign`] does.
pub(super) fn once(
    identity: &Identity,
    scope: (&str, &str),
    path: &PathAndQuery,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    signed(identity, SystemTime::now(), scope, &Method::POST, path, headers, Payload::Whole(body))
}

/// Seconds of Unix time.
pub(super) fn seconds(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;

    use super::*;

    /// `providers.md` 9.2.
    fn check(path: &'static str, token: Option<&str>, signature: &str) {
        let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let identity: Identity = Credentials::new("AKIDEXAMPLE", key, token.map(str::to_owned), None, "test").into();
        let at = UNIX_EPOCH + Duration::from_secs(1_768_478_400);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(HOST, HeaderValue::from_static("bedrock-runtime.us-east-1.amazonaws.com"));
        let body = br#"{"messages":[{"role":"user","content":[{"text":"ping"}]}]}"#;
        let path = PathAndQuery::from_static(path);
        let made =
            signed(&identity, at, ("us-east-1", "bedrock"), &Method::POST, &path, &headers, Payload::Whole(body))
                .expect("as the test has it");
        let of = |name: &str| {
            made.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_str().expect("as the test has it"))
        };
        let also = if token.is_some() { ";x-amz-security-token" } else { "" };
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260115/us-east-1/bedrock/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date{also}, Signature={signature}"
        );
        assert_eq!(of("authorization"), Some(expected.as_str()));
        assert_eq!(of("x-amz-date"), Some("20260115T120000Z"));
        assert_eq!(of("x-amz-security-token"), token);
    }

    #[test]
    fn known_requests_have_the_known_signatures() {
        check(
            "/model/anthropic.claude-sonnet-4-20250514-v1%3A0/converse",
            None,
            "abec95eba70ec121ed9c904fde366b0ba166035cbd81c929853afb126f0dddd9",
        );
        check(
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A111122223333%3Aapplication-inference-profile%2Fab12cd34ef56/converse",
            Some("SESSIONTOKENEXAMPLE"),
            "e339db2bb27bb664ff7ff1f333960c8576c2bf706da49be2f375e941b7c59570",
        );
    }

    /// The first two are those of <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
    #[test]
    fn requests_to_s3_have_the_known_signatures() {
        let check = |method: Method, path: &'static str, payload: Payload<'_>, hash: &str, signature: &str| {
            let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
            let identity: Identity = Credentials::new("AKIAIOSFODNN7EXAMPLE", key, None, None, "test").into();
            let at = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("examplebucket.s3.amazonaws.com"));
            if method == Method::PUT {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
            }
            let path = PathAndQuery::from_static(path);
            let made = signed(&identity, at, ("us-east-1", S3), &method, &path, &headers, payload);
            let made = made.expect("as the test has it");
            let of =
                |name: &str| made.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.to_str().ok());
            assert_eq!(of("x-amz-content-sha256"), Some(hash));
            assert!(of("authorization").is_some_and(|said| said.ends_with(signature)), "{path}");
        };
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let listed = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        check(Method::GET, "/?max-keys=2&prefix=J", Payload::Whole(b""), nothing, listed);
        let lifecycle = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
        check(Method::GET, "/?lifecycle", Payload::Hash(nothing), nothing, lifecycle);
        let unsigned = "1110e8df5276aeb2c4c794c1cafe65916ec5cf5aefd4c8800bcaeff8136001a0";
        check(Method::PUT, "/in/a%21b.jsonl", Payload::Unsigned, "UNSIGNED-PAYLOAD", unsigned);
    }

    #[test]
    fn requests_to_s3_are_signed_as_they_go_out() {
        // worked out by hand, as https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html has it
        let check = |method: Method, path: &'static str, token: Option<&str>, payload, hash: &str, expected: &str| {
            let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            let identity: Identity =
                Credentials::new("AKIDEXAMPLE", key, token.map(str::to_owned), None, "test").into();
            let at = UNIX_EPOCH + Duration::from_secs(1_768_478_400);
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("s3.eu-west-1.amazonaws.com"));
            if method == Method::PUT {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
            }
            let path = PathAndQuery::from_static(path);
            let made = signed(&identity, at, ("eu-west-1", S3), &method, &path, &headers, payload).expect("it is one");
            let of = |name: &str| {
                let value = made.iter().find(|(known, _)| known == name).map(|(_, value)| value);
                value.and_then(|value| value.to_str().ok()).unwrap_or_default()
            };
            assert_eq!((of("x-amz-content-sha256"), of("x-amz-security-token")), (hash, token.unwrap_or_default()));
            assert!(of("authorization").ends_with(expected), "{}", of("authorization"));
        };
        check(
            Method::PUT,
            "/bucket/b/in/1/chat/m%213A/a%281%29.jsonl",
            Some("SESSIONTOKENEXAMPLE"),
            Payload::Unsigned,
            "UNSIGNED-PAYLOAD",
            "=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, \
             Signature=0e3a9129478a237ea789936bf413287ef507bc86501845e4d1d50581aca01dc5",
        );
        check(
            Method::GET,
            "/bucket?list-type=2&max-keys=3&prefix=b%2Fin%2F&start-after=b%2Fin%2Fa%20c",
            None,
            Payload::Whole(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "=host;x-amz-content-sha256;x-amz-date, \
             Signature=538bda046b6254afcadef30e43beeaf7b68d21b168dec936e9f82d9136ec0317",
        );
    }

    #[test]
    fn an_arn_says_where_its_model_lives() {
        let arn = "/model/arn%3Aaws%3Abedrock%3Aeu-west-3%3A1%3Aprovisioned-model%2Fx/converse";
        assert_eq!(region_of_arn(arn), Some("eu-west-3"));
        assert_eq!(region_of_arn("/model/anthropic.claude-v2%3A1/converse"), None);
        assert_eq!(region_of_arn("/model/arn%3Aaws%3Abedrock/converse"), None);
    }

    #[test]
    fn a_clock_that_is_off_is_corrected_once() {
        let signer = Signer::new(Keys::of("AKIDEXAMPLE", "secret", None), "us-east-1".to_owned(), "bedrock");
        let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let date = jiff::fmt::rfc2822::to_string(&ahead.to_zoned(jiff::tz::TimeZone::UTC)).expect("as the test has it");
        signer.saw(&date);
        assert!(!signer.corrected("AccessDeniedException", "no"));
        assert!(!signer.corrected("InvalidSignatureException", "The request signature we calculated does not match"));
        assert!(signer.corrected("InvalidSignatureException", "Signature expired: 1 is now earlier than 2"));
        assert!(!signer.corrected("RequestExpired", ""));
    }
}
