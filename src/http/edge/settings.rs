//! The edge's part of the environment, read once and completely: all problems are reported together.

use http::HeaderValue;
use ipnet::IpNet;
use std::net::IpAddr;

use super::auth::Auth;
use super::body_cap::Caps;
use super::rate_limit::{Limit, Rate};

/// A shorter master key can be guessed; `ferrogw init` makes one of 36 characters.
const SHORT_KEY: usize = 16;

/// What the edge goes by.
#[derive(Debug)]
pub struct EdgeSettings {
    pub(super) auth: Auth,
    pub(super) origins: Vec<HeaderValue>,
    pub(super) proxies: Vec<IpNet>,
    pub(super) limit: Limit,
    pub(super) caps: Caps,
    warnings: Vec<String>,
}

impl EdgeSettings {
    /// Reads `MASTER_KEY`, `ALLOW_UNAUTHENTICATED_PROXY`, `CORS_ORIGINS`, `TRUSTED_PROXIES`, `RATE_LIMIT_RPS`,
    /// `RATE_LIMIT_BURST` and `GATEWAY_ENV` through `env`. Bodies may be as long as `caps` says. Fails with
    /// everything that is wrong, one line each; none of them repeats a secret.
    pub fn from_env(env: impl Fn(&str) -> Option<String>, caps: Caps) -> Result<Self, Vec<String>> {
        let env = |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let is = |name: &str, wanted: &str| env(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted));
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());

        let production = is("GATEWAY_ENV", "production");
        let master = env("MASTER_KEY");
        if let Some(key) = &master {
            if key.chars().any(|char| char.is_control() || !char.is_ascii()) {
                problems.push("MASTER_KEY: must be printable ASCII, since it is sent in a header".to_owned());
            } else if key.len() < SHORT_KEY {
                warnings.push(format!("MASTER_KEY: shorter than {SHORT_KEY} characters, so it can be guessed"));
            }
        }
        let anyone = is("ALLOW_UNAUTHENTICATED_PROXY", "true");
        if anyone && production {
            problems.push("ALLOW_UNAUTHENTICATED_PROXY: refused when GATEWAY_ENV is production".to_owned());
        } else if anyone {
            warnings.push("ALLOW_UNAUTHENTICATED_PROXY: /v1 is open to everybody who can reach this port".to_owned());
        }
        let origins = origins(&env("CORS_ORIGINS").unwrap_or_default(), production, &mut problems, &mut warnings);
        let proxies = proxies(&env("TRUSTED_PROXIES").unwrap_or("127.0.0.0/8,::1/128".to_owned()), &mut problems);
        let limit = limit(env("RATE_LIMIT_RPS"), env("RATE_LIMIT_BURST"), &mut warnings);

        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { auth: Auth::new(master, anyone), origins, proxies, limit, caps, warnings })
    }

    /// Whether `MASTER_KEY` is set: without it only this machine may be served, unless [`Self::opens_data_plane`].
    pub fn has_master_key(&self) -> bool {
        self.auth.has_master_key()
    }

    /// Whether `ALLOW_UNAUTHENTICATED_PROXY` opens `/v1` to everybody.
    pub fn opens_data_plane(&self) -> bool {
        self.auth.opens_data_plane()
    }

    /// What the operator should know at the start, one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

fn origins(list: &str, production: bool, problems: &mut Vec<String>, warnings: &mut Vec<String>) -> Vec<HeaderValue> {
    let mut origins = Vec::new();
    for origin in list.split(',').map(|origin| origin.trim().trim_matches(['"', '\''])).filter(|one| !one.is_empty()) {
        match HeaderValue::from_str(origin) {
            Ok(_) if origin == "*" && production => {
                problems.push("CORS_ORIGINS: `*` is refused when GATEWAY_ENV is production".to_owned());
            }
            Ok(_) if origin == "*" => {
                warnings.push("CORS_ORIGINS: `*` matches no origin; list them, as `https://app.example`".to_owned());
            }
            Ok(value) => {
                if origin.ends_with('/') {
                    warnings.push(format!("CORS_ORIGINS: `{origin}` matches no origin: leave the final slash out"));
                }
                origins.push(value);
            }
            Err(_) => problems.push(format!("CORS_ORIGINS: `{origin}` is not an origin, as `https://app.example`")),
        }
    }
    origins
}

fn proxies(list: &str, problems: &mut Vec<String>) -> Vec<IpNet> {
    let mut proxies = Vec::new();
    for text in list.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(net) => proxies.push(net),
            Err(_) => problems.push(format!("TRUSTED_PROXIES: `{text}` is not a network, as `10.0.0.0/8`")),
        }
    }
    proxies
}

/// `RATE_LIMIT_RPS=0` turns the limiter off; a value that cannot be read counts as unset, as in the reference.
fn limit(rps: Option<String>, burst: Option<String>, warnings: &mut Vec<String>) -> Limit {
    let mut number = |name: &str, text: Option<String>| {
        let text = text?;
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        if number.is_none() {
            warnings.push(format!("{name}: `{text}` is not a number from 0 on, so the default holds"));
        }
        number
    };
    let default = Rate::default();
    match (number("RATE_LIMIT_RPS", rps), number("RATE_LIMIT_BURST", burst)) {
        (None, None) => Limit::Strangers,
        (Some(0.0), _) => Limit::Nobody,
        (rps, burst) => {
            // Beyond a million a second, or below one in eleven days, arithmetic ends before sense does.
            let rps = rps.unwrap_or(default.rps).clamp(1e-6, 1e6);
            let burst = match burst {
                None => default.burst,
                Some(0.0) => rps.ceil() as u32,
                Some(burst) => burst.clamp(1.0, 1e9) as u32,
            };
            Limit::Everyone(Rate { rps, burst })
        }
    }
}
