//! What is measured: the gateway, the floor and nginx, each configured and started in front of the mock upstream.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::child::Child;
use crate::process;
use crate::settings::{NGINX, Settings, TASKSET, VALGRIND};
use crate::traffic::{KEY, MODELS};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Gateway,
    /// The gateway on one runtime for all its threads.
    Shared,
    /// The gateway with all that routing can do about a chat: least-latency, breaker, slots.
    Routed,
    Floor,
    Nginx,
    /// No proxy: the mock upstream itself, which bounds what can be measured here.
    Direct,
}

/// Where the mock upstream listens.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    pub(crate) tls_port: u16,
    pub(crate) certificate: String,
}

/// How a subject is started.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) upstream: &'a Upstream,
    /// The upstream is reached over TLS.
    pub(crate) tls: bool,
    /// Named targets of the gateway.
    pub(crate) targets: usize,
    /// A file for callgrind's count, when it runs under callgrind; such a subject is not pinned.
    pub(crate) callgrind: Option<&'a Path>,
    /// A folder for configuration and logs.
    pub(crate) folder: &'a Path,
}

/// A proxy at work. Dropping it ends it.
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    pub(crate) pids: Vec<u32>,
    _child: Option<Child>,
}

impl Kind {
    pub(crate) fn parse(name: &str) -> anyhow::Result<Kind> {
        Ok(match name {
            "gateway" => Kind::Gateway,
            "shared" => Kind::Shared,
            "routed" => Kind::Routed,
            "floor" => Kind::Floor,
            "nginx" => Kind::Nginx,
            "direct" => Kind::Direct,
            _ => bail!("BENCH_SUBJECTS: unknown `{name}`; there are gateway, shared, routed, floor, nginx, direct"),
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Gateway => "gateway",
            Kind::Shared => "shared",
            Kind::Routed => "routed",
            Kind::Floor => "floor",
            Kind::Nginx => "nginx",
            Kind::Direct => "direct",
        }
    }

    /// Starts it and waits until it answers; fails with the end of its log when it does not.
    pub(crate) fn start(self, settings: &Settings, setup: Setup<'_>) -> anyhow::Result<Subject> {
        let upstream = setup.upstream;
        let port = match self {
            Kind::Direct => upstream.port,
            _ => free_port()?,
        };
        let path = |name: &str| setup.folder.join(format!("{port}-{name}")).to_string_lossy().into_owned();
        let (mut command, ready) = match self {
            Kind::Direct => return Ok(Subject { kind: self, port, pids: Vec::new(), _child: None }),
            Kind::Floor => (floor_command(port, setup)?, "/v1/models"),
            Kind::Nginx => {
                let file = path("nginx.conf");
                std::fs::write(&file, nginx_conf(port, settings, setup))?;
                (vec![NGINX.to_owned(), "-c".to_owned(), file], "/v1/models")
            }
            Kind::Gateway | Kind::Shared | Kind::Routed => {
                let file = path("config.yaml");
                std::fs::write(&file, gateway_yaml(setup, self == Kind::Routed))?;
                let mut command = gateway_command(port, &file, settings, setup);
                if self == Kind::Shared {
                    command.insert(2, "FERROGW_RUNTIME=shared".to_owned());
                }
                (command, "/readyz")
            }
        };
        if let Some(file) = setup.callgrind {
            let options = ["--tool=callgrind".to_owned(), format!("--callgrind-out-file={}", file.display())];
            let at = command.iter().position(|word| word.starts_with('/')).context("a command has a program")?;
            command.splice(at..at, [VALGRIND.to_owned()].into_iter().chain(options));
        } else if let Some(core) = settings.proxy_core() {
            command.splice(0..0, [TASKSET, "-c", core].map(str::to_owned));
        }
        let log = path("log");
        command.insert(0, log.clone());
        let mut child = Child::start("warden", None, &command)?;
        let started = child.line().and_then(|pid| {
            let pid: u32 = pid.parse()?;
            wait_until_ready(&mut child, port, ready)?;
            Ok(Subject { kind: self, port, pids: process::family(pid), _child: None })
        });
        match started {
            Ok(subject) => Ok(Subject { _child: Some(child), ..subject }),
            Err(error) => {
                drop(child);
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                let tail = log.lines().rev().take(10).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>();
                Err(error.context(format!("starting {}; its log ends:\n{}", self.name(), tail.join("\n"))))
            }
        }
    }
}

fn floor_command(port: u16, setup: Setup<'_>) -> anyhow::Result<Vec<String>> {
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    let upstream = setup.upstream;
    let mut command = vec![program, "role:floor".to_owned(), port.to_string()];
    if setup.tls {
        command.extend([format!("127.0.0.1:{}", upstream.tls_port), upstream.certificate.clone()]);
    } else {
        command.push(format!("127.0.0.1:{}", upstream.port));
    }
    Ok(command)
}

/// An environment of its own, so that keys and settings of whoever runs the bench do not take part.
fn gateway_command(port: u16, config: &str, settings: &Settings, setup: Setup<'_>) -> Vec<String> {
    let mut command: Vec<String> =
        ["env", "-i", "PATH=/usr/bin:/bin", "FERROGW_HOST=127.0.0.1"].map(str::to_owned).into();
    command.extend([
        format!("HOME={}", setup.folder.display()),
        format!("PORT={port}"),
        format!("GATEWAY_CONFIG={config}"),
        format!("MASTER_KEY={KEY}"),
        "BENCH_UPSTREAM_KEY=sk-upstream".to_owned(),
        "RATE_LIMIT_RPS=10000000".to_owned(),
        "RATE_LIMIT_BURST=10000000".to_owned(),
    ]);
    if setup.tls {
        command.push(format!("SSL_CERT_FILE={}", setup.upstream.certificate));
    }
    command.push(settings.gateway.clone());
    command
}

fn gateway_yaml(setup: Setup<'_>, routed: bool) -> String {
    let (mode, more) = match routed {
        false => ("fallback", ""),
        true => {
            ("least-latency", "    circuit_breaker: { timeout: 30s }\n    concurrency: { max_concurrency: 10000 }\n")
        }
    };
    let base = match setup.tls {
        true => format!("https://127.0.0.1:{}/v1", setup.upstream.tls_port),
        false => format!("http://127.0.0.1:{}/v1", setup.upstream.port),
    };
    let mut yaml = format!("strategy: {{ mode: {mode} }}\nrequest_timeout: 2m\nbatch_target: first\ntargets:\n");
    for name in ["first", "second"].iter().take(setup.targets) {
        yaml.push_str(&format!(
            "  - virtual_key: {name}\n    provider: openai\n    base_url: {base}\n    api_key: ${{BENCH_UPSTREAM_KEY}}\n    \
             models: [{}]\n    retry: {{ attempts: 2 }}\n    \
             timeouts: {{ connect: 5s, first_byte: 60s, idle: 2m, total: 10m }}\n{more}",
            MODELS.join(", ")
        ));
    }
    yaml
}

/// nginx as a reverse proxy with upstream keep-alive, as fast as its settings make it: bodies stay in memory.
fn nginx_conf(port: u16, settings: &Settings, setup: Setup<'_>) -> String {
    let folder = setup.folder.display();
    let (scheme, upstream) = match setup.tls {
        true => ("https", setup.upstream.tls_port),
        false => ("http", setup.upstream.port),
    };
    // under callgrind the one process must do the work itself
    let (master, workers) = match setup.callgrind {
        Some(_) => ("off", 1),
        None => ("on", settings.workers()),
    };
    let log = if settings.nginx_log { format!("{folder}/{port}-access.log") } else { "off".to_owned() };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {folder}/{port}-{name};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process {master};\nworker_processes {workers};\nuser root;\npid {folder}/{port}.pid;\n\
         error_log stderr warn;\nworker_rlimit_nofile 16384;\nevents {{ worker_connections 8192; }}\nhttp {{\n{temporary}\
         \x20 access_log {log};\n  keepalive_requests 1000000000;\n  client_max_body_size 64m;\n  \
         client_body_buffer_size 256k;\n  proxy_buffers 16 64k;\n  proxy_busy_buffers_size 512k;\n  proxy_max_temp_file_size 0;\n  \
         upstream mock {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}\n  \
         server {{\n    listen 127.0.0.1:{port} backlog=4096;\n    location / {{\n      proxy_pass {scheme}://mock;\n      \
         proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n    }}\n  }}\n}}\n"
    )
}

/// A port nobody listens on just now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn wait_until_ready(child: &mut Child, port: u16, path: &str) -> anyhow::Result<()> {
    let since = Instant::now();
    let mut last = "no connection".to_owned();
    while since.elapsed() < Duration::from_secs(60) {
        if child.has_ended() {
            bail!("it ended instead of serving");
        }
        match probe(port, path) {
            Ok(status) if status.starts_with("HTTP/1.1 200") => return Ok(()),
            Ok(status) => last = status,
            Err(error) => last = error.to_string(),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("{path} does not answer 200 within a minute, but: {last}")
}

/// The status line of a GET.
fn probe(port: u16, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = vec![0; 512];
    let n = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..n]).lines().next().unwrap_or_default().to_owned())
}
