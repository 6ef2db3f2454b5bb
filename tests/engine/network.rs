//! Ways in and out of a VM.

use fastvm_engine::Egress;
use tokio::net::TcpListener;

use super::rig::Rig;

#[tokio::test]
async fn the_proxy_keeps_vms_away_from_this_computer_and_its_networks() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let own = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = own.local_addr().unwrap().port();
    let code = [
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{http_connect}",
        "--noproxy",
        "",
    ];
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "[::ffff:127.0.0.1]",
    ] {
        let url = format!("http://{host}:{port}/");
        let curl: Vec<&str> = ["curl"]
            .into_iter()
            .chain(code)
            .chain([url.as_str()])
            .collect();
        assert_eq!(rig.exec(&id, &curl).await["stdout"], "403 000", "{host}");
    }
    let url = format!("https://127.0.0.1:{port}/");
    let curl: Vec<&str> = ["curl"]
        .into_iter()
        .chain(code)
        .chain([url.as_str()])
        .collect();
    assert_eq!(rig.exec(&id, &curl).await["stdout"], "000 403");
    // Without the proxy there is no way at all.
    let run = rig
        .exec(
            &id,
            &[
                "curl",
                "-sS",
                "--noproxy",
                "*",
                &format!("http://127.0.0.1:{port}/"),
            ],
        )
        .await;
    assert_eq!(run["exitCode"], 7);
}

#[tokio::test]
async fn without_egress_nothing_is_announced() {
    let rig = Rig::with(|options| options.egress = Egress::None);
    let id = rig.vm().await;
    let run = rig.exec(&id, &["sh", "-c", "env | grep -ic proxy"]).await;
    assert_eq!(run["stdout"], "0\n");
}
