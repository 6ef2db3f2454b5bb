//! Signed URLs, and moving files through them.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::rig::Rig;

struct Urls {
    upload: String,
    download: String,
}

async fn presign(rig: &Rig, id: &str) -> Urls {
    let path = format!("/v1/vms/{id}/files/presign");
    let (status, urls) = rig.send("POST", &path, r#"{"path":"/root/x"}"#).await;
    assert_eq!(status, 200, "{urls}");
    assert_eq!(
        (&urls["expiresInSec"], &urls["maxUploadBytes"]),
        (&json!(900), &json!(10_i64 << 30))
    );
    let url = |name: &str| urls[name].as_str().unwrap().to_owned();
    Urls {
        upload: url("uploadUrl"),
        download: url("downloadUrl"),
    }
}

async fn put(rig: &Rig, url: &str, body: Vec<u8>) -> u16 {
    let upload = rig
        .client
        .put(url)
        .header("content-type", "application/octet-stream");
    upload.body(body).send().await.unwrap().status().as_u16()
}

async fn fetch(rig: &Rig, id: &str, url: &str, path: &str) -> (u16, Value) {
    let body = json!({ "url": url, "path": path, "timeoutSec": 60 }).to_string();
    rig.send("POST", &format!("/v1/vms/{id}/files/fetch"), body)
        .await
}

#[tokio::test]
async fn a_file_goes_in_and_out_byte_for_byte() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let urls = presign(&rig, &id).await;
    assert_eq!(
        rig.client
            .get(&urls.download)
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    assert_eq!(put(&rig, &urls.upload, bytes.clone()).await, 200);
    let (status, run) = fetch(&rig, &id, &urls.download, "/root/file").await;
    assert_eq!((status, &run["exitCode"]), (200, &json!(0)), "{run}");
    let run = rig
        .exec(&id, &["stat", "-c", "%s %U %a", "/root/file"])
        .await;
    assert_eq!(run["stdout"], "3000000 root 644\n");

    // Out again, by the VM's own curl and the same URLs as outside.
    let urls = presign(&rig, &id).await;
    let header = "content-type: application/octet-stream";
    let curl = [
        "curl",
        "-fsS",
        "-T",
        "/root/file",
        "-H",
        header,
        &urls.upload,
    ];
    let run = rig.exec(&id, &curl).await;
    assert_eq!(run["exitCode"], 0, "{run}");
    let answer = rig.client.get(&urls.download).send().await.unwrap();
    assert_eq!(answer.headers()["content-length"], "3000000");
    let tag = answer.headers()["etag"].clone();
    assert!(answer.bytes().await.unwrap() == bytes);
    let part = rig
        .client
        .get(&urls.download)
        .header("range", "bytes=10-19")
        .header("if-match", tag);
    let answer = part.send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-range"]),
        (206, &"bytes 10-19/3000000".parse().unwrap())
    );
    assert_eq!(answer.bytes().await.unwrap(), bytes[10..20]);

    // By a pipe: chunked, and curl asks whether it may go on.
    let urls = presign(&rig, &id).await;
    let script = "cat /root/file | curl -fsS -T - -H 'content-type: application/octet-stream' -H 'expect: 100-continue' $1";
    let run = rig
        .exec(&id, &["sh", "-c", script, "sh", &urls.upload])
        .await;
    assert_eq!(run["exitCode"], 0, "{run}");
    assert!(
        rig.client
            .get(&urls.download)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
            == bytes
    );
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let urls = presign(&rig, &id).await;
    assert_eq!(put(&rig, &urls.upload, Vec::new()).await, 200);
    assert_eq!(
        fetch(&rig, &id, &urls.download, "/tmp/empty").await.1["exitCode"],
        0
    );
    assert_eq!(
        rig.exec(&id, &["stat", "-c", "%s", "/tmp/empty"]).await["stdout"],
        "0\n"
    );
}

#[tokio::test]
async fn a_fetch_that_fails_says_why() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let urls = presign(&rig, &id).await;
    let (status, run) = fetch(&rig, &id, &urls.download, "/root/x").await;
    assert_eq!(
        (status, &run["exitCode"]),
        (200, &json!(1)),
        "not uploaded: {run}"
    );
    put(&rig, &urls.upload, b"x".to_vec()).await;
    for (path, reason) in [
        ("/no/such/x", "No such file"),
        ("/root", "directory"),
        ("/etc/passwd/x", "Not a directory"),
    ] {
        let (status, run) = fetch(&rig, &id, &urls.download, path).await;
        assert_eq!((status, &run["exitCode"]), (200, &json!(1)), "{path}");
        assert!(
            run["stderr"].as_str().unwrap().contains(reason),
            "{path}: {run}"
        );
    }
    let left = rig
        .exec(&id, &["find", "/root", "/tmp", "-type", "f"])
        .await;
    assert_eq!(left["stdout"], "", "a failed fetch leaves nothing");
    for url in [
        "http://example.com/x",
        "file:///etc/passwd",
        &urls.upload,
        &urls.download.replace("expires=", "expires=1"),
    ] {
        assert_eq!(fetch(&rig, &id, url, "/root/x").await.0, 400, "{url}");
    }
    assert_eq!(fetch(&rig, &id, &urls.download, "root/x").await.0, 400);
}

#[tokio::test]
async fn a_signed_url_is_good_for_nothing_else() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let (urls, other) = (presign(&rig, &id).await, presign(&rig, &id).await);
    assert_eq!(put(&rig, &urls.upload, b"x".to_vec()).await, 200);
    let query = |url: &str| url.split_once('?').unwrap().1.to_owned();
    let swapped = urls
        .download
        .replace(&query(&urls.download), &query(&other.download));
    let refused = [
        swapped,
        urls.upload.clone(),
        urls.download.replace("sig=", "sig=A"),
        rig.url("/blobs/key"),
    ];
    for url in refused {
        let answer = rig.client.get(&url).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (403, &"application/xml".parse().unwrap())
        );
    }
    assert_eq!(
        rig.client
            .head(&urls.download)
            .send()
            .await
            .unwrap()
            .status(),
        403
    );
    assert_eq!(put(&rig, &urls.download, b"y".to_vec()).await, 403);
    for kind in ["application/json", "application/octet-stream; a=b"] {
        let upload = rig
            .client
            .put(&urls.upload)
            .header("content-type", kind)
            .body("y");
        assert_eq!(upload.send().await.unwrap().status(), 403, "{kind}");
    }
    assert_eq!(
        rig.client
            .get(&urls.download)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        "x"
    );
}

#[tokio::test]
async fn a_signed_url_of_one_vm_is_of_no_use_in_another() {
    let rig = Rig::start();
    let (a, b) = (rig.vm().await, rig.vm().await);
    let urls = presign(&rig, &a).await;
    assert_eq!(put(&rig, &urls.upload, b"x".to_vec()).await, 200);
    assert_eq!(fetch(&rig, &b, &urls.download, "/root/x").await.0, 400);
    let (_, context) = rig.send("POST", "/v1/build-contexts/presign", "").await;
    let upload = rig
        .client
        .put(context["uploadUrl"].as_str().unwrap())
        .header("content-type", "application/gzip");
    assert_eq!(upload.body("x").send().await.unwrap().status(), 200);
    let context = context["downloadUrl"].as_str().unwrap();
    assert_eq!(fetch(&rig, &b, context, "/root/x").await.0, 400);
    let curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"];
    for (id, code) in [(&a, "200"), (&b, "403")] {
        let run = rig.exec(id, &[&curl[..], &[&urls.download]].concat()).await;
        assert_eq!(run["stdout"], code, "{run}");
    }
    // A copy from VM to VM is one that the first uploads for the second.
    let upload = [
        &curl[..],
        &[
            "-T",
            "/etc/hostname",
            "-H",
            "content-type: application/octet-stream",
            &urls.upload,
        ],
    ]
    .concat();
    assert_eq!(rig.exec(&b, &upload).await["stdout"], "200");
    let (_, run) = fetch(&rig, &a, &urls.download, "/root/x").await;
    assert_eq!(run["exitCode"], 0, "{run}");
}

#[tokio::test]
async fn a_fetch_takes_urls_of_engines_on_this_computer_and_no_others() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let urls = presign(&rig, &id).await;
    assert_eq!(put(&rig, &urls.upload, b"x".to_vec()).await, 200);
    let own = rig.engine().address().to_string();
    for host in [
        "evil.example",
        "evil.example:80",
        "8.8.8.8:80",
        &format!("{own}@evil.example"),
        &format!("user@{own}"),
        "[::1]evil.example",
        "localhost:port",
        "",
    ] {
        let url = urls.download.replace(&own, host);
        assert_eq!(fetch(&rig, &id, &url, "/root/x").await.0, 400, "{url}");
    }
    let beside = Rig::beside(&rig);
    for host in [
        &own,
        "localhost:1",
        "[::1]:2",
        &beside.engine().address().to_string(),
    ] {
        let url = urls.download.replace(&own, host);
        let (status, run) = fetch(&rig, &id, &url, "/root/x").await;
        assert_eq!((status, &run["exitCode"]), (200, &json!(0)), "{url}: {run}");
    }
}

#[tokio::test]
async fn a_key_that_is_sent_to_a_signed_url_is_refused() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let urls = presign(&rig, &id).await;
    let upload = rig
        .client
        .put(&urls.upload)
        .header("content-type", "application/octet-stream");
    let key = rig.engine().key().expose();
    let refused = upload
        .try_clone()
        .unwrap()
        .header("x-api-key", key)
        .body("x");
    assert_eq!(refused.send().await.unwrap().status(), 403);
    assert_eq!(upload.body("x").send().await.unwrap().status(), 200);
    let download = rig.client.get(&urls.download);
    for key in [key, "another"] {
        let refused = download.try_clone().unwrap().header("x-api-key", key);
        let answer = refused.send().await.unwrap();
        assert_eq!(answer.status(), 403);
        let text = answer.text().await.unwrap();
        assert!(text.contains("X-API-Key must not be sent"), "{text}");
    }
    assert_eq!(download.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn programs_in_a_vm_reach_signed_urls_and_never_the_api() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let key = format!("x-api-key: {}", rig.engine().key().expose());
    for (path, code) in [
        ("/healthz", "200"),
        ("/v1/vms", "403"),
        ("/v1/org/quotas", "403"),
        ("/blobs/x", "403"),
    ] {
        let url = rig.url(path);
        let curl = [
            "curl",
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            &key,
            &url,
        ];
        assert_eq!(rig.exec(&id, &curl).await["stdout"], code, "{path}");
    }
}

#[tokio::test]
async fn an_upload_that_is_too_large_or_breaks_off_is_no_object() {
    let rig = Rig::start();
    let request = r#"{"machineType":"c1m1","diskGiB":1}"#;
    let (_, vm) = rig.send("POST", "/v1/vms", request).await;
    let id = vm["id"].as_str().unwrap();
    let path = format!("/v1/vms/{id}/files/presign");
    let (_, urls) = rig.send("POST", &path, r#"{"path":"/x"}"#).await;
    assert_eq!(urls["maxUploadBytes"], 1 << 30);
    let address = rig.engine().address();
    let target = urls["uploadUrl"]
        .as_str()
        .unwrap()
        .split_once(&address.to_string())
        .unwrap()
        .1;
    let head = |length: u64| {
        format!(
            "PUT {target} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/octet-stream\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        )
    };
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket
        .write_all(head((1 << 30) + 1).as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(head(100).as_bytes()).await.unwrap();
    socket.write_all(b"half").await.unwrap();
    socket.shutdown().await.unwrap();
    socket.read_to_string(&mut String::new()).await.ok();
    let blobs = rig.data.path().join("blobs");
    while std::fs::read_dir(&blobs).unwrap().count() > 0 {
        tokio::task::yield_now().await;
    }
    let url = urls["downloadUrl"].as_str().unwrap();
    assert_eq!(rig.client.get(url).send().await.unwrap().status(), 404);
}
