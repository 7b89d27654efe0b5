//! TLS, egress proxies, and settings that cannot act.

use std::path::PathBuf;

use ferrogw::providers::client::{Egress, Unusable};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate authority in a file, and TLS for a server with these names that it vouches for, which offers these
/// protocols.
pub(crate) fn authority(names: &[&str], protocols: &[&[u8]]) -> (NamedTempFile, TlsAcceptor) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    (file, TlsAcceptor::from(Arc::new(config)))
}

pub(super) fn trusting(file: &NamedTempFile) -> Options {
    Options { ca_file: Some(file.path().to_owned()), ..Options::default() }
}

/// An upstream behind TLS that answers with the number of the connection, the name asked for in TLS, and that in HTTP.
async fn secure(tls: TlsAcceptor) -> SocketAddr {
    listen(move |n, stream| {
        let tls = tls.clone();
        async move {
            let Ok(mut stream) = tls.accept(stream).await else { return };
            let sni = stream.get_ref().1.server_name().unwrap_or("none").to_owned();
            while let Some(request) = request(&mut stream).await {
                let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
                let body = format!("{n} {sni} {host}");
                write(&mut stream, &format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn tls_is_spoken_with_whom_a_trusted_authority_vouches_for() {
    let (file, tls) = authority(&["localhost", "127.0.0.1"], &[]);
    let address = secure(tls).await;
    let by_address = origin_with(&format!("https://{address}"), QUICK, trusting(&file));
    for _ in 0..2 {
        assert_eq!(ask(&by_address).await.unwrap(), format!("0 none {address}"));
    }
    let place = format!("localhost:{}", address.port());
    let by_name = origin_with(&format!("https://{place}"), QUICK, trusting(&file));
    assert_eq!(ask(&by_name).await.unwrap(), format!("1 localhost {place}"));
}

#[tokio::test]
async fn a_certificate_of_nobody_we_know_or_for_another_name_is_refused() {
    let (_unused, tls) = authority(&["127.0.0.1"], &[]);
    let address = secure(tls).await;
    let unknown = ask(&origin_with(&format!("https://{address}"), QUICK, Options::default())).await.unwrap_err();
    let (file, tls) = authority(&["elsewhere.test"], &[]);
    let address = secure(tls).await;
    let misnamed = ask(&origin_with(&format!("https://{address}"), QUICK, trusting(&file))).await.unwrap_err();
    for (error, cause) in [(unknown, "UnknownIssuer"), (misnamed, "not valid for name")] {
        assert!(matches!(error, SendError::Tls { .. }) && error.to_string().contains(cause), "{error}");
        assert_eq!(error.fault(), Fault::Unreachable);
    }
}

/// An egress proxy that answers CONNECT with `verdict`, tunnels to `to`, and tells what it was asked.
pub(super) async fn proxy(to: SocketAddr, verdict: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (tell, asked) = mpsc::unbounded_channel();
    let address = listen(move |_, mut stream| {
        let tell = tell.clone();
        async move { tunnel(&mut stream, to, verdict, &tell).await }
    })
    .await;
    (address, asked)
}

async fn tunnel<S>(stream: &mut S, to: SocketAddr, verdict: &str, tell: &mpsc::UnboundedSender<String>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _ = tell.send(request(stream).await.unwrap());
    write(stream, verdict).await;
    if verdict.contains("200") {
        let mut onward = TcpStream::connect(to).await.unwrap();
        let _ = tokio::io::copy_bidirectional(stream, &mut onward).await;
    }
}

pub(super) fn through(proxy: impl Into<String>) -> Options {
    Options { egress: Egress { all: Some(proxy.into()), ..Egress::default() }, ..Options::default() }
}

pub(super) const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

#[tokio::test]
async fn https_takes_a_tunnel_through_the_proxy_and_checks_the_upstream_itself() {
    let (file, tls) = authority(&["api.vendor.test"], &[]);
    let (address, mut asked) = proxy(secure(tls).await, ESTABLISHED).await;
    let options = Options { ca_file: trusting(&file).ca_file, ..through(format!("http://me:pw@{address}")) };
    let origin = origin_with("https://api.vendor.test/v1", QUICK, options);
    for _ in 0..2 {
        assert_eq!(ask(&origin).await.unwrap(), "0 api.vendor.test api.vendor.test");
    }
    let connect = "CONNECT api.vendor.test:443 HTTP/1.1\r\nHost: api.vendor.test:443\r\n\
                   Proxy-Authorization: Basic bWU6cHc=\r\n\r\n";
    assert_eq!(asked.recv().await.unwrap(), connect);
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_proxy_may_itself_be_reached_over_tls() {
    let (file, tls) = authority(&["api.vendor.test", "127.0.0.1"], &[]);
    let upstream = secure(tls.clone()).await;
    let (tell, mut asked) = mpsc::unbounded_channel();
    let address = listen(move |_, stream| {
        let (tls, tell) = (tls.clone(), tell.clone());
        async move { tunnel(&mut tls.accept(stream).await.unwrap(), upstream, ESTABLISHED, &tell).await }
    })
    .await;
    let options = Options { ca_file: trusting(&file).ca_file, ..through(format!("https://{address}")) };
    let origin = origin_with("https://api.vendor.test/v1", QUICK, options);
    assert_eq!(ask(&origin).await.unwrap(), "0 api.vendor.test api.vendor.test");
    assert!(asked.recv().await.unwrap().starts_with("CONNECT api.vendor.test:443 "));
}

#[tokio::test]
async fn a_proxy_that_does_not_let_us_through_is_named_without_its_password() {
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let huge: &'static str = format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(10_000)).leak();
    for (verdict, cause) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "CONNECT answered with status 407"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "answer to CONNECT not understood"),
        ("HTTP/1.1 204 No Content", "closed before an answer to CONNECT"),
        (huge, "answer to CONNECT too long"),
    ] {
        let (address, _asked) = proxy(nowhere, verdict).await;
        let origin = origin_with("https://api.vendor.test", QUICK, through(format!("http://me:pw@{address}")));
        let error = ask(&origin).await.unwrap_err();
        assert_eq!(error.to_string(), format!("api.vendor.test:443: proxy {address}: {cause}"));
        assert_eq!(error.fault(), Fault::Unreachable);
    }
    let origin = origin_with("https://api.vendor.test", QUICK, through(nowhere.to_string()));
    let error = ask(&origin).await.unwrap_err();
    assert_eq!(error.to_string(), format!("api.vendor.test:443: proxy {nowhere}: connection refused"));
}

#[tokio::test]
async fn plain_http_goes_through_the_proxy_in_absolute_form() {
    let (address, mut asked) = says(HELLO).await;
    let egress = Egress { http: Some(format!("http://me:pw@{address}")), ..Egress::default() };
    let origin = origin_with("http://vendor.test:8080/v1", QUICK, Options { egress, ..Options::default() });
    assert_eq!(ask(&origin).await.unwrap(), "hello");
    let sent = "POST http://vendor.test:8080/chat HTTP/1.1\r\nhost: vendor.test:8080\r\n\
                proxy-authorization: Basic bWU6cHc=\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(asked.recv().await.unwrap().1, sent);
}

#[tokio::test]
async fn this_machine_and_the_hosts_of_no_proxy_are_reached_directly() {
    let (address, _asked) = says(HELLO).await;
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let here = origin_with(&format!("http://{address}"), QUICK, through(nowhere.to_string()));
    assert_eq!(ask(&here).await.unwrap(), "hello");

    let proxied = origin_with("http://vendor.invalid", QUICK, through(nowhere.to_string()));
    let error = ask(&proxied).await.unwrap_err();
    assert!(matches!(error, SendError::Proxy { .. }), "{error}");
    let mut options = through(nowhere.to_string());
    options.egress.no = Some("other.test, .invalid".to_owned());
    let error = ask(&origin_with("http://vendor.invalid", QUICK, options)).await.unwrap_err();
    assert!(matches!(error, SendError::Resolve { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Unreachable);
}

#[test]
fn settings_that_cannot_act_are_refused_without_showing_passwords() {
    for proxy in ["socks5://me:pw@host:1080", "ftp://me:pw@host", "http://", "::"] {
        let egress = Egress { https: Some(proxy.to_owned()), ..Egress::default() };
        assert!(!format!("{egress:?}").contains("pw"));
        let error = Client::new(Options { egress, ..Options::default() }).unwrap_err();
        assert_eq!(error.to_string(), "HTTPS_PROXY: not the http or https URL of a proxy", "{proxy}");
    }
    let empty = NamedTempFile::new().unwrap();
    for ca_file in [PathBuf::from("/nonexistent/ca.pem"), empty.path().to_owned()] {
        let error = Client::new(Options { ca_file: Some(ca_file), ..Options::default() }).unwrap_err();
        assert!(matches!(error, Unusable::CaFile { .. }), "{error}");
    }
    let client = Client::new(Options::default()).unwrap();
    for base in ["/v1", "ftp://host/v1", "host:80"] {
        assert!(client.origin(&base.parse().unwrap(), QUICK, Protocol::Http1).is_err(), "{base}");
    }
}
