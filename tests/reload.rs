//! A configuration that changes while it is served.

mod admin;
mod calls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ferrogw::config;
use ferrogw::server::reload::Follow;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Reply, Say, TestGateway, Upstream, target};

/// A gateway that follows a file in a folder of its own.
pub(super) struct Followed {
    pub(super) gateway: TestGateway,
    dir: TempDir,
    /// The master key, if it has one.
    key: String,
}

/// A configuration with one target of this name.
pub(super) fn one(name: &str, upstream: &Upstream) -> String {
    format!("targets:\n{}", target(name, "openai", upstream, "m", ""))
}

impl Followed {
    /// Begins with this text.
    pub(super) async fn begins(text: &str, env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        std::fs::write(&path, text).unwrap();
        Self::at(dir, path, env).await
    }

    async fn at(dir: TempDir, path: PathBuf, env: &[(&str, &str)]) -> Self {
        let loaded = config::load(&path).unwrap_or_else(|invalid| panic!("{invalid}"));
        let hash = Some(loaded.source.hash().to_owned());
        let follow = Follow { file: Some(path), hash, every: Duration::from_millis(10) };
        let key = env.iter().find(|(name, _)| *name == "MASTER_KEY").map_or("", |(_, key)| key).to_owned();
        Self { gateway: TestGateway::following(loaded.config, follow, env).await, dir, key }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts this in the file's place, at once: what is written in place can be seen half written.
    pub(super) fn write(&self, text: &str) {
        std::fs::write(self.path("new"), text).unwrap();
        std::fs::rename(self.path("new"), self.path("config.yaml")).unwrap();
    }

    /// Asks whether it is ready until that is so, and returns the answer.
    pub(super) async fn until(&self, is: impl Fn(&Value) -> bool) -> Reply {
        let asking = async {
            loop {
                let request = self.gateway.http.get(format!("{}/readyz", self.gateway.url)).bearer_auth(&self.key);
                let reply = self.gateway.send(request).await;
                assert_eq!(reply.status, 200, "{}", reply.body);
                if is(&reply.json()) {
                    return reply;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asking).await.expect("it never became so")
    }

    /// Waits until it serves one target, of this name, from a file that is well.
    pub(super) async fn serves(&self, name: &str) {
        self.until(|ready| {
            let names = ready["targets"].as_array().unwrap();
            names.len() == 1 && names[0]["name"] == name && ready["config"]["status"] == "ok"
        })
        .await;
    }

    pub(super) async fn metric(&self, series: &str) -> f64 {
        let metrics = self.gateway.get("/metrics").await.body;
        let line = metrics.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("no {series}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

const OK: &str = r#"gateway_config_reloads_total{result="ok"}"#;
const FAILED: &str = r#"gateway_config_reloads_total{result="error"}"#;
const SUCCESSFUL: &str = "gateway_config_last_reload_successful";
const LOADED: &str = "gateway_config_last_reload_success_timestamp_seconds";

#[tokio::test]
async fn a_rewritten_file_is_served() {
    let (first, second) = (Upstream::says([Say::text("first")]).await, Upstream::says([Say::text("second")]).await);
    let followed = Followed::begins(&one("a", &first), &[]).await;
    assert!(followed.gateway.chat().await.body.contains("first"));
    assert_eq!((followed.metric(OK).await, followed.metric(SUCCESSFUL).await), (0.0, 1.0));
    assert!(followed.metric(LOADED).await > 1e9);
    std::fs::write(followed.path("config.yaml"), one("b", &second)).unwrap();
    followed.serves("b").await;
    assert!(followed.gateway.chat().await.body.contains("second"));
    assert_eq!(followed.metric(OK).await, 1.0);
}

#[tokio::test]
async fn a_file_that_takes_the_place_of_another_is_served() {
    let upstream = Upstream::says([Say::text("p")]).await;
    let followed = Followed::begins(&one("a", &upstream), &[]).await;
    for name in ["b", "c"] {
        followed.write(&one(name, &upstream));
        followed.serves(name).await;
    }
    assert_eq!((followed.metric(OK).await, followed.metric(FAILED).await), (2.0, 0.0));
}

/// Kubernetes mounts `config.yaml -> ..data/config.yaml` and sets `..data` elsewhere.
#[tokio::test]
async fn a_symbolic_link_that_is_set_elsewhere_is_followed() {
    let upstream = Upstream::says([Say::text("p")]).await;
    let dir = tempfile::tempdir().unwrap();
    let link = |target: &Path, name: &str| std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
    for name in ["v1", "v2"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join(name).join("config.yaml"), one(name, &upstream)).unwrap();
    }
    link(Path::new("v1"), "..data");
    link(Path::new("..data/config.yaml"), "config.yaml");
    link(Path::new("v2"), "..new");
    let path = dir.path().join("config.yaml");
    let followed = Followed::at(dir, path, &[]).await;
    followed.serves("v1").await;
    std::fs::rename(followed.path("..new"), followed.path("..data")).unwrap();
    std::fs::remove_dir_all(followed.path("v1")).unwrap();
    followed.serves("v2").await;
}

#[tokio::test]
async fn a_file_that_cannot_be_used_leaves_the_one_before_it_serving() {
    let upstream = Upstream::says([Say::text("p")]).await;
    let followed = Followed::begins(&one("a", &upstream), &[]).await;
    let stale = |word: &'static str| {
        move |ready: &Value| {
            ready["config"]["status"] == "stale" && ready["config"]["error"].as_str().unwrap().contains(word)
        }
    };
    followed.write("targets:\n  - virtual_key: nobody\n");
    let first = followed.until(stale("config.yaml:2")).await.json();
    assert_eq!(first["targets"][0]["name"], "a");
    assert!(!first["config"]["error"].as_str().unwrap().contains(followed.path("").to_str().unwrap()), "{first}");
    assert_eq!(followed.gateway.chat().await.status, 200);
    assert_eq!((followed.metric(FAILED).await, followed.metric(SUCCESSFUL).await), (1.0, 0.0));

    // every further one is said once, and it has been so since the first
    followed.write("targets: [");
    let second = followed.until(stale("config.yaml:1")).await.json();
    assert_eq!(second["config"]["since"], first["config"]["since"]);
    std::fs::remove_file(followed.path("config.yaml")).unwrap();
    followed.until(stale("No such file")).await;
    followed.write("targets: [{ virtual_key: openai, api_key: \"${NOT_THERE}\" }]\n");
    followed.until(stale("NOT_THERE")).await;
    assert_eq!((followed.metric(FAILED).await, followed.metric(OK).await), (4.0, 0.0));

    // the same again is what is served already
    followed.write(&one("a", &upstream));
    followed.serves("a").await;
    assert_eq!((followed.metric(FAILED).await, followed.metric(OK).await), (4.0, 1.0));
    assert_eq!(followed.metric(SUCCESSFUL).await, 1.0);
}

#[tokio::test]
async fn who_asks_for_it_is_not_told_to_wait_for_a_change() {
    let upstream = Upstream::says([Say::text("p")]).await;
    let followed = Followed::begins(&one("a", &upstream), &[]).await;
    for count in [1.0, 2.0] {
        followed.gateway.running.again.ask();
        while followed.metric(OK).await < count {}
    }
    followed.serves("a").await;
}

#[tokio::test]
async fn limits_of_bodies_are_those_of_the_live_configuration() {
    let upstream = Upstream::says([Say::text("p")]).await;
    let small = one("a", &upstream) + "max_request_bytes: 100\nmax_file_bytes: 150\nbatch_target: a\n";
    let followed = Followed::begins(&small, &[]).await;
    let long = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(200));
    let ask = || followed.gateway.post("/v1/chat/completions", long.clone());
    let file = || followed.gateway.post("/v1/files", long.clone());
    assert_eq!((ask().await.status, file().await.status), (413, 413));
    followed.write(&(one("b", &upstream) + "batch_target: b\n"));
    followed.serves("b").await;
    assert_eq!((ask().await.status, file().await.status), (200, 200));
    followed.write(&small);
    followed.serves("a").await;
    assert_eq!((ask().await.status, file().await.status), (413, 413));
}
