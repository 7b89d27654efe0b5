//! Where the keys come from that Bedrock's requests are signed with.

use std::fs;

use serde_json::json;

use super::{CHAT, CLAUDE, FIXED, WHOLE, ask, gateway, target};
use crate::support::{Say, TestGateway, Upstream};

/// A moment in an hour, as AWS writes it.
fn in_an_hour() -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What the token service answers.
fn role(id: &str) -> String {
    let end = jiff::Timestamp::now().as_second() + 3600;
    let keys = json!({"AccessKeyId": id, "SecretAccessKey": "x", "SessionToken": "role", "Expiration": end});
    json!({"AssumeRoleResponse": {"AssumeRoleResult": {"Credentials": keys}}}).to_string()
}

/// A home with this configuration, signed on at the start URL or session of this name.
fn signed_on(name: &str, config: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join(".aws/sso/cache");
    fs::create_dir_all(&cache).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, name.as_bytes());
    let file: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let token = json!({"accessToken": "sso-token", "expiresAt": in_an_hour()});
    fs::write(cache.join(format!("{file}.json")), token.to_string()).unwrap();
    fs::write(home.path().join(".aws/config"), config).unwrap();
    home
}

async fn signed_by(upstream: &Upstream, gateway: &TestGateway) -> (String, String) {
    let reply = gateway.post(CHAT, ask(CLAUDE, false)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let seen = upstream.seen().remove(0);
    let id = seen.header("authorization").split(['=', '/']).nth(1).unwrap_or_default().to_owned();
    (id, seen.header("x-amz-security-token").to_owned())
}

#[tokio::test]
async fn the_environment_has_some() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let env = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "secret-of-the-environment")];
    let gateway = gateway(&upstream, "", &env).await;
    assert_eq!(signed_by(&upstream, &gateway).await, ("AKIDENV".to_owned(), String::new()));
}

#[tokio::test]
async fn keys_of_the_target_win_over_a_bearer_key_of_the_environment() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let yaml = format!("targets:\n{}", target("aws", &upstream, FIXED));
    let env = [
        ("AWS_BEARER_TOKEN_BEDROCK", "bedrock-key-of-the-environment"),
        ("BEDROCK_ENDPOINT_URL", upstream.url.as_str()),
    ];
    let gateway = TestGateway::configured(&yaml, &env).await;
    assert_eq!(signed_by(&upstream, &gateway).await, ("AKIDEXAMPLE".to_owned(), "SESSION".to_owned()));
}

#[tokio::test]
async fn a_profile_has_some() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    fs::write(&file, "[other]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = x\n[work]\naws_access_key_id = AKIDWORK\naws_secret_access_key = y\n").unwrap();
    let options = format!("profile: work, credentials_file: {}, metadata_disabled: 'true'", file.display());
    let gateway = gateway(&upstream, &options, &[]).await;
    assert_eq!(signed_by(&upstream, &gateway).await.0, "AKIDWORK");
}

#[tokio::test]
async fn a_process_has_some() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let folder = tempfile::tempdir().unwrap();
    let (answer, file) = (folder.path().join("answer.json"), folder.path().join("config"));
    let keys = json!({"Version": 1, "AccessKeyId": "AKIDPROC", "SecretAccessKey": "x", "SessionToken": "t", "Expiration": in_an_hour()});
    fs::write(&answer, keys.to_string()).unwrap();
    fs::write(&file, format!("[profile work]\ncredential_process = cat {}\n", answer.display())).unwrap();
    let options = format!("profile: work, config_file: {}, metadata_disabled: 'true'", file.display());
    let gateway = gateway(&upstream, &options, &[]).await;
    assert_eq!(signed_by(&upstream, &gateway).await, ("AKIDPROC".to_owned(), "t".to_owned()));
}

#[tokio::test]
async fn a_container_has_some_which_are_fetched_once() {
    let keys = json!({"AccessKeyId": "AKIDTASK", "SecretAccessKey": "x", "Token": "task", "Expiration": in_an_hour()});
    let container = Upstream::says([Say::json(200, &keys.to_string())]).await;
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let uri = format!("{}/v1/credentials", container.url);
    let env = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod-identity"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let gateway = gateway(&upstream, "", &env).await;
    for _ in 0..3 {
        assert_eq!(signed_by(&upstream, &gateway).await, ("AKIDTASK".to_owned(), "task".to_owned()));
    }
    let asked = container.seen();
    assert_eq!((asked.len(), asked[0].header("authorization")), (1, "pod-identity"));
}

#[tokio::test]
async fn the_machine_has_some() {
    let keys = json!({"Code": "Success", "LastUpdated": in_an_hour(), "Type": "AWS-HMAC", "AccessKeyId": "AKIDEC2",
        "SecretAccessKey": "x", "Token": "machine", "Expiration": in_an_hour()});
    let machine = Upstream::says([
        Say::bytes(200, b"imds-token".to_vec()),
        Say::bytes(200, b"the-role".to_vec()),
        Say::json(200, &keys.to_string()),
    ])
    .await;
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let gateway = gateway(&upstream, &format!("metadata_endpoint: '{}'", machine.url), &[]).await;
    assert_eq!(signed_by(&upstream, &gateway).await, ("AKIDEC2".to_owned(), "machine".to_owned()));
    let asked = machine.seen();
    let paths: Vec<&str> = asked.iter().map(|seen| seen.path.as_str()).collect();
    let role = "/latest/meta-data/iam/security-credentials/";
    assert_eq!(paths, ["/latest/api/token", role, &format!("{role}the-role")]);
    assert!(asked[1..].iter().all(|seen| seen.header("x-aws-ec2-metadata-token") == "imds-token"));
}

#[tokio::test]
async fn single_sign_on_has_some() {
    let end = jiff::Timestamp::now().as_millisecond() + 3_600_000;
    let keys = json!({"roleCredentials": {"accessKeyId": "AKIDSSO", "secretAccessKey": "x", "sessionToken": "sso", "expiration": end}});
    let portal = Upstream::says([Say::json(200, &keys.to_string())]).await;
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let start = "https://example.awsapps.com/start";
    let config = format!(
        "[profile work]\nsso_account_id = 111122223333\nsso_region = eu-west-1\nsso_role_name = Pilot\n\
         sso_start_url = {start}\n"
    );
    let home = signed_on(start, &config);
    let options = format!(
        "profile: work, home: {}, sso_endpoint: '{}', metadata_disabled: 'true'",
        home.path().display(),
        portal.url
    );
    let gateway = gateway(&upstream, &options, &[]).await;
    assert_eq!(signed_by(&upstream, &gateway).await, ("AKIDSSO".to_owned(), "sso".to_owned()));
    assert_eq!(portal.seen()[0].header("x-amz-sso_bearer_token"), "sso-token");
}

#[tokio::test]
async fn a_role_is_taken_on_with_the_keys_there_are() {
    let sts = Upstream::says([Say::json(200, &role("ASIAROLE"))]).await;
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let options = format!(
        "{FIXED}, assume_role_arn: 'arn:aws:iam::111122223333:role/pilot', external_id: 'brest 1', sts_endpoint: '{}'",
        sts.url
    );
    let gateway = gateway(&upstream, &options, &[]).await;
    assert_eq!(signed_by(&upstream, &gateway).await, ("ASIAROLE".to_owned(), "role".to_owned()));
    let asked = sts.seen().remove(0);
    let body = String::from_utf8(asked.body.to_vec()).unwrap();
    assert!(body.contains("Action=AssumeRole") && body.contains("ExternalId=brest+1"), "{body}");
    assert!(asked.header("authorization").contains("/eu-west-1/sts/aws4_request"));
    assert_eq!(asked.header("x-amz-security-token"), "SESSION");
}

#[tokio::test]
async fn a_session_of_single_sign_on_has_some() {
    let end = jiff::Timestamp::now().as_millisecond() + 3_600_000;
    let keys = json!({"accessKeyId": "AKIDSESSION", "secretAccessKey": "x", "sessionToken": "s", "expiration": end});
    let portal = Upstream::says([Say::json(200, &json!({ "roleCredentials": keys }).to_string())]).await;
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let config = "[profile work]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = Pilot\n\n\
                  [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start\n";
    let home = signed_on("corp", config);
    let options = format!(
        "profile: work, home: {}, sso_endpoint: '{}', metadata_disabled: 'true'",
        home.path().display(),
        portal.url
    );
    let gateway = gateway(&upstream, &options, &[]).await;
    assert_eq!(signed_by(&upstream, &gateway).await, ("AKIDSESSION".to_owned(), "s".to_owned()));
}

#[tokio::test]
async fn a_profile_takes_on_a_role_with_the_keys_of_another() {
    let sts = Upstream::says([Say::json(200, &role("ASIAPROFILE"))]).await;
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    let config =
        "[profile pilot]\nrole_arn = arn:aws:iam::111122223333:role/pilot\nsource_profile = base\nexternal_id = e1\n";
    fs::write(home.path().join(".aws/config"), config).unwrap();
    let keys = "[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = y\n";
    fs::write(home.path().join(".aws/credentials"), keys).unwrap();
    let options = format!(
        "profile: pilot, home: {}, sts_endpoint: '{}', metadata_disabled: 'true'",
        home.path().display(),
        sts.url
    );
    let gateway = gateway(&upstream, &options, &[]).await;
    assert_eq!(signed_by(&upstream, &gateway).await, ("ASIAPROFILE".to_owned(), "role".to_owned()));
    let asked = sts.seen().remove(0);
    assert!(asked.header("authorization").contains("Credential=AKIDBASE/"));
    assert!(String::from_utf8(asked.body.to_vec()).unwrap().contains("ExternalId=e1"));
}

#[tokio::test]
async fn a_web_identity_has_some() {
    let answer = format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAPOD</AccessKeyId>\
         <SecretAccessKey>x</SecretAccessKey><SessionToken>pod</SessionToken><Expiration>{}</Expiration></Credentials>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        in_an_hour()
    );
    let sts = Upstream::says([Say::bytes(200, answer.into_bytes()).header("content-type", "text/xml")]).await;
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "the.pods.token").unwrap();
    let env = [
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/pod"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", sts.url.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let gateway = gateway(&upstream, "", &env).await;
    assert_eq!(signed_by(&upstream, &gateway).await, ("ASIAPOD".to_owned(), "pod".to_owned()));
    let asked = sts.seen().remove(0);
    let said = format!("{}{}", asked.path, String::from_utf8_lossy(&asked.body));
    assert!(said.contains("AssumeRoleWithWebIdentity") && said.contains("the.pods.token"), "{said}");
}

#[tokio::test]
async fn without_any_the_error_says_where_they_were_looked_for() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let gateway = gateway(&upstream, "profile: nobody, home: /nonexistent, metadata_disabled: 'true'", &[]).await;
    let reply = gateway.post(CHAT, ask(CLAUDE, false)).await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_auth_error"), "{}", reply.body);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_and_the_request_signed_anew() {
    let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&ahead).unwrap();
    let refused =
        Say::json(403, r#"{"message":"Signature expired: 20260101T000000Z is now earlier than 20260101T020000Z"}"#)
            .header("x-amzn-errortype", "InvalidSignatureException")
            .header("date", &date);
    let upstream = Upstream::says([refused, Say::json(200, WHOLE)]).await;
    let gateway = gateway(&upstream, FIXED, &[]).await;
    let reply = gateway.post(CHAT, ask(CLAUDE, false)).await;
    assert_eq!((reply.status, reply.header("x-ferro-attempts")), (200, "1"), "{}", reply.body);
    let seen = upstream.seen();
    let hour = |at: usize| seen[at].header("x-amz-date")[9..11].parse::<u32>().unwrap();
    assert!(matches!((hour(1) + 24 - hour(0)) % 24, 1..=3), "{} {}", hour(0), hour(1));
}
