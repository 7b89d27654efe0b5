//! `GET /admin/config`: who may see the configuration, and what is in it.

use serde_json::Value;

use super::{Followed, one};
use crate::support::{Reply, Say, Upstream};

const KEY: &str = "a-master-key-of-36-characters-012345";

async fn ask(followed: &Followed, key: Option<&str>, accept: &str) -> Reply {
    let gateway = &followed.gateway;
    let mut request = gateway.http.get(format!("{}/admin/config", gateway.url)).header("accept", accept);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    gateway.send(request).await
}

#[tokio::test]
async fn it_is_shown_to_who_has_the_master_key_only() {
    let upstream = Upstream::says([Say::text("p")]).await;
    let open = Followed::begins(&one("a", &upstream), &[]).await;
    for key in [None, Some(KEY)] {
        let refused = ask(&open, key, "*/*").await;
        assert_eq!(refused.status, 403);
        assert!(refused.body.contains("MASTER_KEY") && !refused.body.contains("virtual_key"), "{}", refused.body);
    }
    let env = [("MASTER_KEY", KEY), ("ALLOW_UNAUTHENTICATED_PROXY", "true")];
    let closed = Followed::begins(&one("a", &upstream), &env).await;
    assert_eq!(ask(&closed, None, "*/*").await.status, 401);
    assert_eq!(ask(&closed, Some("wrong"), "*/*").await.status, 401);
    assert_eq!(ask(&closed, Some(KEY), "*/*").await.status, 200);
    let gateway = &closed.gateway;
    let send =
        |method, path: &str| gateway.http.request(method, format!("{}{path}", gateway.url)).bearer_auth(KEY).send();
    assert_eq!(send(http::Method::DELETE, "/admin/config").await.unwrap().status(), 405);
    assert_eq!(send(http::Method::GET, "/admin/nothing").await.unwrap().status(), 404);
}

#[tokio::test]
async fn it_is_the_live_document_with_its_secrets_masked() {
    let upstream = Upstream::says([Say::text("p")]).await;
    let text = one("a", &upstream) + "    headers: { x-own: \"Bearer ${TOKEN}\" }\n";
    let followed = Followed::begins(&text, &[("MASTER_KEY", KEY), ("TOKEN", "t-0123456789")]).await;
    let json = ask(&followed, Some(KEY), "application/json").await;
    let target: Value = json.json()["targets"][0].clone();
    assert_eq!((&target["virtual_key"], &target["api_key"]), (&"a".into(), &"[REDACTED]".into()));
    assert_eq!(target["headers"]["x-own"], "Bearer ${TOKEN}");
    assert!(!json.body.contains("sk-test") && !json.body.contains("t-0123456789"), "{}", json.body);
    assert_eq!(json.header("x-ferro-config-source"), "file");
    assert!(json.header("x-ferro-config-file").ends_with("config.yaml"));
    assert_eq!(json.header("etag"), format!("\"{}\"", ferrogw::config::hash(text.as_bytes())));
    assert_eq!((json.header("x-ferro-config-status"), json.header("cache-control")), ("ok", "no-store"));
    assert!(json.header("x-ferro-config-loaded-at").ends_with('Z'));

    let yaml = ask(&followed, Some(KEY), "application/yaml").await;
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert!(yaml.body.contains("virtual_key: a\n"), "{}", yaml.body);

    followed.write(&(one("b", &upstream) + "server: { drain: 20s }\n"));
    followed.serves("b").await;
    let after = ask(&followed, Some(KEY), "*/*").await;
    assert_eq!(
        (&after.json()["targets"][0]["virtual_key"], &after.json()["server"]["drain"]),
        (&"b".into(), &"20s".into())
    );
    assert_eq!(after.header("x-ferro-config-pending-restart"), "server.drain");
    assert_ne!(after.header("etag"), json.header("etag"));
    followed.write("targets: []\n");
    followed.until(|ready| ready["config"]["status"] == "stale").await;
    let stale = ask(&followed, Some(KEY), "*/*").await;
    assert_eq!((stale.header("x-ferro-config-status"), stale.header("etag")), ("stale", after.header("etag")));
}
