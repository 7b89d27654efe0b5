//! Signed statements of who we are, as service accounts make them: RS256 over a JSON Web Token.
//!
//! <https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests>

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

/// Our clock may be ahead of the other side's, seconds.
const SKEW: u64 = 10;

/// How long a statement is good, seconds.
const LIFE: u64 = 3600;

/// Who signs, and for whom. No `Debug`: it holds a key.
pub struct Signer {
    key: RsaKeyPair,
    /// The id of the key.
    id: Option<String>,
    issuer: String,
    audience: String,
    scope: String,
}

impl Signer {
    /// With a private key in PEM. `None` if it is no RSA key.
    pub fn new(pem: &str, id: Option<&str>, issuer: &str, audience: &str, scope: &str) -> Option<Self> {
        let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?,
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok()?,
            _ => return None,
        };
        let [issuer, audience, scope] = [issuer, audience, scope].map(str::to_owned);
        Some(Self { key, id: id.map(str::to_owned), issuer, audience, scope })
    }

    /// The statement, made at this Unix time in seconds. `None` if the key can't sign.
    pub fn assertion(&self, now: u64) -> Option<String> {
        let mut head = json!({ "alg": "RS256", "typ": "JWT" });
        if let Some(id) = &self.id {
            head["kid"] = id.as_str().into();
        }
        let from = now.saturating_sub(SKEW);
        let claims = json!({
            "iss": self.issuer, "scope": self.scope, "aud": self.audience, "iat": from, "exp": from + LIFE,
        });
        let mut token = format!("{}.{}", base64(head.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature).ok()?;
        token.push('.');
        token.push_str(&base64(&signature));
        Some(token)
    }
}

/// Base64 for addresses, without padding: RFC 4648 section 5.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().chain([0, 0].iter()).take(3).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        for digit in 0..=group.len() {
            out.push(char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_the_vectors_of_its_rfc() {
        for (plain, coded) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "-_8");
    }
}
