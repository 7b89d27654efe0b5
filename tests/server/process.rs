//! What happens to a whole process: each of these tests runs itself again in a process of its own.

use std::process::Command;

use ferrogw::server::{Ended, Options, stop_on_signals};

use super::support::{Client, Server, get, until, within};

/// Whether this is the process the test is about; otherwise starts that process, after `prelude`, and checks its end.
fn alone(test: &str, prelude: &str) -> bool {
    const CHILD: &str = "FERROGW_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let module = module_path!().split_once("::").unwrap().1;
    let output = Command::new("sh")
        .args(["-c", &format!(r#"{prelude} exec "$0" --exact "$1" --nocapture"#)])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("{module}::{test}"))
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

#[tokio::test]
async fn a_process_out_of_files_serves_again_when_it_has_some() {
    if !alone("a_process_out_of_files_serves_again_when_it_has_some", "ulimit -n 64;") {
        return;
    }
    let server = Server::with(Options::default());
    let mut clients: Vec<std::net::TcpStream> = Vec::new();
    while let Ok(client) = std::net::TcpStream::connect(server.address()) {
        clients.push(client);
    }
    // One file for the server's side of a connection, none for the next.
    clients.pop();
    until(|| server.handle.connections().counts().opened == 1).await;
    assert!(clients.len() > 10);
    drop(clients);
    let mut client = Client::to(server.address()).await;
    assert_eq!(client.ask(&get("/")).await.status, 200);
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_ends_at_once() {
    if !alone("the_first_signal_drains_and_the_second_ends_at_once", "") {
        return;
    }
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &std::process::id().to_string()]).status().unwrap();
        assert!(sent.success());
    };
    let server = Server::with(Options::default());
    stop_on_signals(&server.stop).unwrap();
    let mut client = server.client().await;
    client.send(get("/wait")).await;
    server.arrived().await;

    signal("-TERM");
    within(server.stop.draining.cancelled()).await;
    assert!(!server.stop.now.is_cancelled());
    signal("-INT");
    assert_eq!(within(server.handle.join()).await, Ended::Cut(1));
    assert_eq!(client.closed().await, "");
}
