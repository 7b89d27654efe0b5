//! Keys, ids, addresses, limits, origins and paths of requests to a gateway that has a master key.

use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn a_key_opens_the_api_and_nothing_else_does() {
    let door = Door::locked();
    let check = async |headers: &[(&str, &str)], expected: (u16, &str)| {
        let seen = door.send("GET", "/v1/models", headers).await;
        let code = if seen.status == 200 { "" } else { &seen.code() };
        assert_eq!((seen.status, code), expected, "{headers:?}");
        assert_eq!(seen.header("www-authenticate"), (seen.status == 401).then_some("Bearer"));
    };
    let (open, missing, unknown) = ((200, ""), (401, "missing_api_key"), (401, "invalid_api_key"));
    check(&[("authorization", &format!("Bearer {KEY}"))], open).await;
    check(&[("authorization", &format!("bEARER   {KEY} "))], open).await;
    check(&[("x-api-key", KEY)], open).await;
    check(&[("authorization", "Basic abc"), ("x-api-key", KEY)], open).await;
    check(&[], missing).await;
    check(&[("authorization", "Bearer ")], missing).await;
    check(&[("authorization", "Basic abc")], missing).await;
    check(&[("authorization", KEY)], missing).await;
    check(&[("authorization", &format!("Bearer {KEY}x"))], unknown).await;
    check(&[("authorization", &format!("Bearer {}", &KEY[1..]))], unknown).await;
    check(&[("authorization", &format!("Bearer {}", KEY.to_uppercase()))], unknown).await;
    check(&[("x-api-key", "fgw_")], unknown).await;
    check(&[("authorization", "Bearer wrong"), ("x-api-key", KEY)], unknown).await;
}

#[tokio::test]
async fn a_key_is_asked_for_where_something_is_to_be_had() {
    let door = Door::locked();
    for (path, status) in [
        ("/health", 200),
        ("/metrics", 401),
        ("/v1/models", 401),
        ("/v1", 401),
        ("/v1/nothing", 401),
        ("/openai/v1/models", 401),
        ("//v1//models/", 401),
        ("/admin/keys", 401),
        ("/", 404),
        ("/chat/completions", 404),
    ] {
        assert_eq!(door.send("GET", path, &[]).await.status, status, "{path}");
    }
    assert_eq!(door.send("DELETE", "/v1/models", &[]).await.status, 401, "a key is asked for before the method");
}

#[tokio::test]
async fn a_request_has_one_host() {
    let door = Door::with(&[("MASTER_KEY", KEY)]);
    let check = async |version, hosts: &[&str], expected: u16| {
        let mut request = Request::builder().version(version).uri("/health").header("accept", "*/*");
        for host in hosts {
            request = request.header("host", *host);
        }
        let response = door.service().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{version:?} {hosts:?}");
    };
    check(http::Version::HTTP_11, &["localhost"], 200).await;
    check(http::Version::HTTP_11, &[], 400).await;
    check(http::Version::HTTP_11, &["localhost", "localhost"], 400).await;
    check(http::Version::HTTP_10, &[], 200).await;
    check(http::Version::HTTP_10, &["a", "b"], 400).await;
    check(http::Version::HTTP_2, &[], 200).await;
    assert_eq!(door.send("GET", "/", &[("host", "a"), ("host", "b")]).await.code(), "invalid_request");
}

#[tokio::test]
async fn blank_is_no_master_key() {
    assert!(!settings(&[("MASTER_KEY", " \t")]).unwrap().has_master_key());
}

#[tokio::test]
async fn wrong_methods_and_paths_are_told_apart() {
    let door = Door::locked();
    let seen = door.send("DELETE", "/v1/models", &[("x-api-key", KEY)]).await;
    assert_eq!((seen.status, seen.code().as_str()), (405, "method_not_supported"));
    assert_eq!(seen.header("allow"), Some("GET,HEAD"));
    assert_eq!(door.send("BREW", "/v1/models", &[]).await.status, 501);
    assert_eq!(door.get("/v1/nothing").await.code(), "resource_not_found");
    assert_eq!(door.send("HEAD", "/v1/models", &[("x-api-key", KEY)]).await.status, 200);
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_any_other_replaced() {
    let door = Door::locked();
    let longest = "x".repeat(128);
    for id in ["a", "3f0c-77", "req_!~", &longest] {
        let seen = door.send("GET", "/v1/caller", &[("x-api-key", KEY), ("x-request-id", id)]).await;
        assert_eq!(seen.header("x-request-id"), Some(id));
        assert!(seen.body.contains(id), "the handler sees the same");
    }
    let too_long = "x".repeat(129);
    for id in ["", "two words", "tab\there", &too_long] {
        let seen = door.send("GET", "/v1/caller", &[("x-api-key", KEY), ("x-request-id", id)]).await;
        let fresh = seen.header("x-request-id").unwrap();
        assert!(fresh.len() == 32 && fresh.bytes().all(|byte| byte.is_ascii_hexdigit()), "{fresh}");
        assert!(seen.body.contains(fresh));
    }
    let (one, two) = (door.get("/v1/caller").await, door.get("/v1/caller").await);
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
}

#[tokio::test]
async fn every_response_carries_the_security_headers() {
    let door = Door::locked();
    for path in ["/health", "/v1/models", "/nothing"] {
        let seen = door.send("GET", path, &[]).await;
        assert_eq!(seen.header("x-frame-options"), Some("DENY"));
        assert_eq!(seen.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(seen.header("referrer-policy"), Some("strict-origin-when-cross-origin"));
        assert_eq!(seen.header("permissions-policy"), Some("camera=(), microphone=(), geolocation=()"));
        assert!(seen.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
        assert_eq!(seen.header("vary"), Some("Origin"));
    }
}

#[tokio::test]
async fn the_address_behind_trusted_proxies_is_the_first_that_is_not_one_of_them() {
    let door = Door::with(&[("MASTER_KEY", KEY), ("TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::/32,192.0.2.1")]);
    let check = async |peer: &str, headers: &[(&str, &str)], expected: &str| {
        let mut all = vec![("x-api-key", KEY)];
        all.extend(headers);
        let seen = door.from(peer).send("GET", "/v1/caller", &all).await;
        assert!(seen.body.contains(&format!(r#","{expected}","#)), "{} is not {expected}", seen.body);
    };
    let xff = "x-forwarded-for";
    check("203.0.113.5", &[(xff, "198.51.100.1")], "203.0.113.5").await;
    check("10.0.0.1", &[], "10.0.0.1").await;
    check("10.0.0.1", &[(xff, "6.6.6.6, 198.51.100.1, 10.0.0.2")], "198.51.100.1").await;
    check("10.0.0.1", &[(xff, "6.6.6.6"), (xff, "198.51.100.1"), (xff, "10.0.0.2")], "198.51.100.1").await;
    check("10.0.0.1", &[(xff, "198.51.100.1:5555")], "198.51.100.1").await;
    check("10.0.0.1", &[(xff, "[2001:db9::1]:5555")], "2001:db9::1").await;
    check("2001:db8::5", &[(xff, "::ffff:198.51.100.1, unknown")], "198.51.100.1").await;
    check("::ffff:10.0.0.1", &[(xff, "198.51.100.1")], "198.51.100.1").await;
    check("10.0.0.1", &[(xff, "10.0.0.3"), ("x-real-ip", "198.51.100.9")], "198.51.100.9").await;
    check("192.0.2.1", &[(xff, ", ,"), ("x-real-ip", "?")], "192.0.2.1").await;
}

#[tokio::test]
async fn failed_logins_are_limited_by_address_and_right_keys_are_not() {
    let door = Door::locked().from("198.51.100.1");
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let seen = door.send("GET", "/v1/models", &[("x-api-key", "guess")]).await;
        if seen.status == 429 {
            assert_eq!((seen.code().as_str(), seen.header("retry-after")), ("rate_limit_exceeded", Some("1")));
        }
        statuses.push(seen.status);
    }
    assert!(statuses[..20].iter().all(|status| *status == 401), "{statuses:?}");
    assert!(statuses[30..].contains(&429), "{statuses:?}");
    assert_eq!(door.get("/v1/models").await.status, 200, "the right key is served all the same");
    let neighbour = door.from("198.51.100.2").send("GET", "/v1/models", &[]).await;
    assert_eq!(neighbour.status, 401);
}

#[tokio::test]
async fn known_callers_are_limited_only_when_the_operator_asks_for_it() {
    let door = Door::locked().from("198.51.100.1");
    for _ in 0..100 {
        let seen = door.get("/v1/models").await;
        assert_eq!((seen.status, seen.header("x-ratelimit-limit-requests")), (200, None));
    }
    let slow = [("MASTER_KEY", KEY), ("RATE_LIMIT_RPS", "0.001"), ("RATE_LIMIT_BURST", "2")];
    let door = Door::with(&slow);
    let first = door.get("/v1/models").await;
    let [limit, remaining, reset] = ["limit", "remaining", "reset"].map(|what| format!("x-ratelimit-{what}-requests"));
    assert_eq!((first.status, first.header(&limit), first.header(&remaining)), (200, Some("2"), Some("1")));
    assert_eq!(first.header(&reset), Some("16m40s"));
    assert_eq!(door.get("/v1/models").await.status, 200);
    let seen = door.get("/v1/models").await;
    assert_eq!((seen.status, seen.code().as_str()), (429, "rate_limit_exceeded"));
    assert!(seen.header("retry-after").unwrap().parse::<u32>().unwrap() > 900);
    assert_eq!((seen.header(&limit), seen.header(&remaining)), (Some("2"), Some("0")));
    assert!(seen.header(&reset).unwrap().starts_with("33m"), "{:?}", seen.header(&reset));
    assert_eq!(door.send("GET", "/health", &[]).await.header(&limit), None);
    assert_eq!(door.send("GET", "/health", &[]).await.status, 200, "probes are never limited");
}

#[tokio::test]
async fn strangers_are_limited_unless_the_operator_says_otherwise() {
    let flood = async |rps: &str| {
        let env = [("ALLOW_UNAUTHENTICATED_PROXY", "true"), ("RATE_LIMIT_RPS", rps)];
        let door = Door::with(&env).from("198.51.100.1");
        let mut last = 0;
        for _ in 0..200 {
            last = last.max(door.send("GET", "/v1/models", &[]).await.status);
        }
        last
    };
    assert_eq!(flood("").await, 429);
    assert_eq!(flood("0").await, 200);
}

#[tokio::test]
async fn browsers_of_listed_origins_may_send_what_the_sdks_send_and_read_what_we_add() {
    let door = Door::with(&[("MASTER_KEY", KEY), ("CORS_ORIGINS", "https://a.example, \"https://b.example\", *")]);
    let wanted = "authorization,content-type,x-stainless-arch,x-stainless-retry-count";
    let ask = |origin| {
        [("origin", origin), ("access-control-request-method", "POST"), ("access-control-request-headers", wanted)]
    };
    for origin in ["https://a.example", "https://b.example"] {
        let seen = door.send("OPTIONS", "/v1/chat/completions", &ask(origin)).await;
        assert_eq!((seen.status, seen.body.as_str()), (204, ""));
        assert_eq!(seen.header("access-control-allow-origin"), Some(origin));
        assert_eq!(seen.header("access-control-allow-headers"), Some(wanted));
        assert_eq!(seen.header("access-control-allow-methods"), Some("GET, POST, PUT, DELETE, OPTIONS"));
        assert_eq!(seen.header("access-control-max-age"), Some("86400"));
    }
    for origin in ["https://c.example", "https://a.example.evil", "*", "null"] {
        let seen = door.send("OPTIONS", "/v1/chat/completions", &ask(origin)).await;
        assert_eq!(seen.status, 204);
        assert_eq!(seen.header("access-control-allow-origin").filter(|_| origin != "*"), None, "{origin}");
    }
    let seen = door.send("GET", "/v1/models", &[("origin", "https://a.example")]).await;
    assert_eq!((seen.status, seen.header("access-control-allow-origin")), (401, Some("https://a.example")));
    assert!(seen.header("access-control-expose-headers").unwrap().contains("X-Request-ID"));
    assert_eq!(door.send("OPTIONS", "/v1/models", &[("x-api-key", KEY)]).await.status, 405, "no Origin, no preflight");
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_refused_unread() {
    let door = Door::locked();
    let check = async |length: usize| {
        let request = request("POST", "/v1/echo", &[("x-api-key", KEY)]);
        door.ask(request.map(|_| Body::from(vec![b' '; length]))).await
    };
    assert_eq!(check(1000).await.status, 200);
    let seen = check(1001).await;
    assert_eq!((seen.status, seen.code().as_str()), (413, "request_too_large"));
    assert!(seen.body.contains("1000 bytes"));
}

#[tokio::test]
async fn paths_are_routed_as_they_were_meant_with_their_query() {
    let door = Door::locked();
    for path in ["/v1/models/", "/openai/v1/models?x=/../", "/v1/v1/models", "//v1/models"] {
        assert_eq!(door.get(path).await.body, "models", "{path}");
    }
    assert_eq!(door.get("/v1/models/meta%2Fllama").await.body, "model");
    assert_eq!(door.get("/v1/%2e%2e/metrics").await.code(), "invalid_proxy_path");
}

#[tokio::test]
async fn all_problems_of_the_environment_are_reported_together_without_secrets() {
    let problems = settings(&[
        ("MASTER_KEY", "geheim\u{e4}"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,nowhere"),
        ("CORS_ORIGINS", "*"),
        ("ALLOW_UNAUTHENTICATED_PROXY", "true"),
        ("GATEWAY_ENV", "Production"),
    ])
    .unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(!problems.concat().contains("geheim"));
    let settings =
        settings(&[("MASTER_KEY", "hunter2hunter2"), ("RATE_LIMIT_RPS", "-1"), ("CORS_ORIGINS", "*")]).unwrap();
    assert_eq!(settings.warnings().len(), 3, "{:?}", settings.warnings());
    assert!(!format!("{settings:?}{:?}", settings.warnings()).contains("hunter2"));
}

proptest! {
    #[test]
    fn no_path_panics_and_none_escapes(path in "(/|\\.|%2e|%2E|%2f|%25|\\\\|%5c|;|v1|openai|metrics|a|[ -~]|\\PC){0,24}") {
        if let Ok(normal) = ferrogw::http::edge::path::normal(&path) {
            prop_assert!(normal.starts_with('/') && !normal.contains("//"));
            prop_assert!(normal.len() == 1 || !normal.ends_with('/'));
            prop_assert_eq!(ferrogw::http::edge::path::normal(&normal).unwrap(), &*normal);
            let mut seen = normal.into_owned().into_bytes();
            for _ in 0..12 {
                prop_assert!(!seen.contains(&b'\\'));
                prop_assert!(!seen.split(|byte| *byte == b'/').any(|part| part == b".." || part == b"."));
                seen = decoded(&seen);
            }
        }
    }
}

/// Percent-decoded once, the slow way.
fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |at: usize| path.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::new(), 0);
    while at < path.len() {
        match (path[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}
