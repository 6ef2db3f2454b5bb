//! What an API, a storage or a network does wrong, and what must not leak meanwhile.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use super::{Random, ended, make_tree, start};
use crate::common::scripted::{answer, json, stream};
use crate::common::{Front, Home, Ran, Say, Scripted, Served, lacks};

const KEY: &str = "fv_test_key_0123456789";
const VM: &str = r#"{"id":"3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7","name":"dev","orgId":"o","cpu":1,"memoryMiB":2048,"diskGiB":10,"status":"running","createdAt":"2026-01-02T03:04:05Z"}"#;

fn list(answers: &[&str]) -> (Scripted, Ran) {
    let server = Scripted::new(answers);
    let ran = Home::with_server(server.url()).run(&["vm", "list", "--retries", "1"]);
    (server, ran)
}

/// T47.
#[test]
fn a_server_that_drifts_is_understood_or_named() {
    let drifted = [
        VM.replace("running", "hibernating"),
        VM.replace(r#""cpu":1"#, r#""cpu":1,"extra":{"deep":[null]}"#),
        VM.replace(r#""cpu":1"#, r#""cpu":"one""#),
        VM.replace(r#""orgId":"o","#, ""),
        VM.replace(r#""o""#, "null"),
    ];
    for vm in &drifted {
        let (_, ran) = list(&[&json("200 OK", &format!("[{vm}]"))]);
        assert_eq!(ran.code, 0, "{ran}");
        assert!(ran.stdout.contains("dev"), "{ran}");
    }
    let strange = [
        (json("200 OK", "{}"), ""),
        (json("200 OK", "null"), ""),
        (json("200 OK", ""), ""),
        (json("200 OK", "[{\"id\":"), ""),
        (answer("204 No Content", "application/json", ""), ""),
        (answer("200 OK", "text/html", "<html>hello</html>"), "HTML"),
        (
            answer("200 OK", "application/octet-stream", "\u{1f}\u{8b}\u{8}"),
            "",
        ),
        (
            json("200 OK", "[]").replace("content-type", "content-encoding: br\r\ncontent-type"),
            "",
        ),
    ];
    for (answer, word) in &strange {
        let (_, ran) = list(&[answer]);
        let whole = ran.code == 0 && answer.contains("content-encoding");
        assert!(whole || ran.code == 1, "{answer}\n{ran}");
        assert!(ran.stderr.contains(word), "{word}\n{ran}");
        assert!(
            whole || ran.stderr.contains("unexpected answer from"),
            "{answer}\n{ran}"
        );
        for never in ["panicked", "i32", "struct"] {
            assert!(!ran.stderr.contains(never), "{ran}");
        }
        assert_eq!(
            ran.stderr
                .lines()
                .filter(|line| line.starts_with("error: "))
                .count(),
            usize::from(!whole),
            "{ran}"
        );
    }
    // A wrong content type around right JSON is no reason to refuse it.
    let (_, ran) = list(&[&answer("200 OK", "text/plain", &format!("[{VM}]"))]);
    assert_eq!(ran.code, 0, "{ran}");
}

/// T40.
#[test]
fn a_redirect_elsewhere_or_in_a_circle_ends_without_the_key() {
    let other = Scripted::new(&[&json("200 OK", "[]")]);
    let there = |to: &str| {
        format!(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
    };
    for to in [
        format!("{}/v1/vms", other.url()),
        "http://127.0.0.1:1/".to_owned(),
        "https://example.invalid/v1/vms".to_owned(),
        "/v1/vms".to_owned(),
        "ftp://x/".to_owned(),
        String::new(),
    ] {
        let (server, ran) = list(&[&there(&to)]);
        assert_eq!(ran.code, 7, "{to}\n{ran}");
        assert!(server.requests().len() <= 14, "{to}");
    }
    assert_eq!(other.requests(), Vec::<String>::new());
}

/// T42.
#[test]
fn keys_that_no_header_can_carry_are_refused_before_anything_is_sent() {
    let server = Scripted::new(&[&json("200 OK", "[]")]);
    for key in ["two\nlines", "a b\u{7f}", "schlüssel", " ", "tab\there"] {
        let home = Home::new()
            .set("FASTVM_BASE_URL", server.url())
            .set("FASTVM_API_KEY", key);
        let ran = home.run(&["vm", "list"]);
        assert_eq!(ran.code, 4, "{key:?}\n{ran}");
        assert!(!ran.stderr.contains(key) || key == " ", "{ran}");
    }
    assert_eq!(server.requests(), Vec::<String>::new());
    for (status, code) in [
        ("401 Unauthorized", 4),
        ("403 Forbidden", 4),
        ("429 Too Many", 6),
    ] {
        let body =
            json(status, r#"{"error":"no"}"#).replace("\r\n\r\n", "\r\nretry-after-ms: 1\r\n\r\n");
        let (_, ran) = list(&[&body]);
        assert_eq!(ran.code, code, "{ran}");
        assert!(!ran.stderr.contains(KEY), "{ran}");
    }
}

/// T34.
#[test]
fn a_stream_that_breaks_anywhere_gives_what_came_before_and_125() {
    let lines = "{\"t\":\"o\",\"d\":\"b25l\"}\n{\"t\":\"future\",\"d\":{}}\n{\"t\":\"e\",\"d\":\"dHdv\"}\n{\"t\":\"x\",\"c\":0}\n";
    let vm = json("200 OK", &format!("[{VM}]"));
    for cut in (0..lines.len() - 2).step_by(3) {
        let server = Scripted::new(&[&vm, &stream(&lines[..cut])]);
        let ran = Home::with_server(server.url()).run(&["exec", "dev", "true"]);
        assert_eq!(ran.code, 125, "{cut}\n{ran}");
        let first = lines.find('\n').unwrap();
        assert_eq!(ran.stdout.contains("one"), cut > first - 1, "{cut}\n{ran}");
    }
    let whole = Scripted::new(&[&vm, &stream(&lines.replace('\n', "\r\n"))]);
    let ran = Home::with_server(whole.url()).run(&["exec", "dev", "true"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "one", "two")
    );
    let twice = Scripted::new(&[
        &vm,
        &stream("{\"t\":\"x\",\"c\":3}\n{\"t\":\"x\",\"c\":0}\n"),
    ]);
    assert_eq!(
        Home::with_server(twice.url())
            .run(&["exec", "dev", "true"])
            .code,
        3
    );
}

/// T35.
#[test]
fn a_thousand_random_words_arrive_as_they_are() {
    let served = Served::start();
    let home = served.client();
    let mut random = Random::new(17);
    let letters: Vec<char> = "a '\"\\\n\t$`*?[]{}();&|<>#~!%-=@éß日\u{1f600}\u{1b}\u{7f}"
        .chars()
        .collect();
    for _ in 0..10 {
        let words: Vec<String> = (0..100)
            .map(|_| {
                (0..random.below(12))
                    .map(|_| letters[usize::try_from(random.below(letters.len() as u64)).unwrap()])
                    .collect()
            })
            .collect();
        let mut arguments = vec!["exec", "dev", "--", "printf", "%s\\0"];
        arguments.extend(words.iter().map(String::as_str));
        let ran = home.run(&arguments);
        assert_eq!(ran.code, 0, "{ran}");
        let mut expected = words.join("\0");
        expected.push('\0');
        assert!(ran.stdout == expected, "{words:?}");
    }
}

/// T36.
#[test]
fn much_output_to_a_slow_reader_is_exact_and_does_not_pile_up() {
    let served = Served::start();
    let home = served.client();
    served.sh("head -c 24000000 /dev/urandom > /root/random");
    let sum = served.sh("cksum < /root/random");
    let mut child = start(
        &home,
        &[
            "exec",
            "dev",
            "cat /root/random & cat /root/random >&2; wait",
        ],
    );
    let mut stderr = child.stderr.take().unwrap();
    let drain = thread::spawn(move || {
        let mut all = Vec::new();
        stderr.read_to_end(&mut all).unwrap();
        all
    });
    let mut stdout = child.stdout.take().unwrap();
    let (mut all, mut piece) = (Vec::new(), vec![0; 20_000]);
    let mut highest = 0;
    loop {
        // A reader that takes a little and then yields for a while is a slow one.
        let got = stdout.read(&mut piece).unwrap();
        if got == 0 {
            break;
        }
        all.extend_from_slice(&piece[..got]);
        if all.len() % 100 == 0 {
            thread::yield_now();
        }
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        highest = highest.max(now.unwrap_or_default());
    }
    assert!(child.wait().unwrap().success());
    for bytes in [all, drain.join().unwrap()] {
        let mut cksum = Command::new("cksum")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        cksum.stdin.take().unwrap().write_all(&bytes).unwrap();
        let said = Ran::of(&cksum.wait_with_output().unwrap());
        assert_eq!(said.stdout.trim(), sum);
    }
    assert!(highest < 64 * 1024, "{highest} KiB");
}

/// T38.
#[test]
fn a_vm_that_cannot_be_deleted_after_a_run_is_named_with_the_command_to_do_it() {
    let created = json("201 Created", VM);
    let done = stream("{\"t\":\"x\",\"c\":0}\n");
    let broken =
        json("500 Oops", r#"{"error":"no"}"#).replace("\r\n\r\n", "\r\nretry-after-ms: 1\r\n\r\n");
    for last in [broken.as_str(), ""] {
        let server = Scripted::new(&[&created, &done, last]);
        let ran = Home::with_server(server.url()).run(&["run", "true"]);
        assert_ne!(ran.code, 0, "{ran}");
        assert!(
            ran.stderr
                .contains("fastvm vm delete 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7"),
            "{ran}"
        );
    }
}

/// T39.
#[test]
fn networks_that_lead_nowhere_are_7_in_one_line_and_without_the_key() {
    for (url, word) in [
        ("https://host.invalid", "host.invalid"),
        ("http://127.0.0.1:1", "127.0.0.1:1"),
    ] {
        let ran = Home::with_server(url).run(&["vm", "list", "--retries", "0"]);
        assert_eq!(ran.code, 7, "{ran}");
        assert!(ran.stderr.contains(word), "{ran}");
    }
    // A proxy that wants a password: 407 to CONNECT.
    let proxy = Scripted::new(&[&answer(
        "407 Proxy Authentication Required",
        "text/plain",
        "no",
    )]);
    let home = Home::with_server("https://api.example").set("HTTPS_PROXY", proxy.url());
    let ran = home.run(&["vm", "list", "--retries", "0"]);
    assert_eq!(ran.code, 7, "{ran}");
    for request in proxy.requests() {
        assert!(
            request.starts_with("CONNECT ") && !request.contains(KEY),
            "{request}"
        );
    }
    // A server that has no other address than one of IPv6.
    if let Ok(listener) = TcpListener::bind("[::1]:0") {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answering = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            assert!(client.read(&mut head).unwrap() > 0);
            client.write_all(json("200 OK", "[]").as_bytes()).unwrap();
        });
        assert_eq!(Home::with_server(&url).ok(&["vm", "list", "--json"]), "[]");
        answering.join().unwrap();
    }
}

/// Makes a CA, and certificates of servers beside it: one that is right, one for another name, one that nobody signed.
fn make_certificates(folder: &Path) {
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        let done = command.args(arguments).current_dir(folder).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{arguments:?}: {done:?}");
    };
    let self_signed = |name: &str, subject: &str| {
        let (pem, key) = (format!("{name}.pem"), format!("{name}.key"));
        let made = ["-keyout", &key, "-out", &pem, "-subj", subject];
        let how = "req -x509 -newkey rsa:2048 -nodes -days 2 -addext subjectAltName=DNS:localhost";
        let how: Vec<&str> = how.split(' ').chain(made).collect();
        openssl(&how);
    };
    self_signed("ca", "/CN=ca");
    self_signed("self", "/CN=localhost");
    for (name, host) in [("right", "localhost"), ("other", "elsewhere")] {
        fs::write(
            folder.join("extensions"),
            format!("subjectAltName=DNS:{host}"),
        )
        .unwrap();
        let ask = format!(
            "req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={host}"
        );
        let sign = format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out {name}.pem"
        );
        for arguments in [ask, sign] {
            openssl(&arguments.split(' ').collect::<Vec<_>>());
        }
    }
}

/// T39.
#[test]
fn a_certificate_that_is_wrong_is_7_and_the_key_stays_here_and_one_that_is_right_is_taken() {
    if lacks("openssl") {
        return;
    }
    let home = Home::new();
    make_certificates(home.path());
    fs::create_dir(home.join("v1")).unwrap();
    let answer = "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n[]";
    fs::write(home.join("v1/vms"), answer).unwrap();
    for (certificate, trusted, code, said) in [
        ("right", "ca", 0, "[]\n"),
        (
            "right",
            "self",
            7,
            "is signed by nobody that this machine trusts",
        ),
        ("other", "ca", 7, "is for another name"),
        ("self", "self", 7, "use one that a CA signed"),
    ] {
        let mut server = Command::new("openssl");
        server
            .args(["s_server", "-accept", "0"])
            .args(["-cert", &format!("{certificate}.pem")])
            .args(["-key", &format!("{certificate}.key")]);
        if code == 0 {
            // It sends the file that is asked for. Else it prints what it hears.
            server.arg("-HTTP");
        }
        let mut server = server
            .current_dir(home.path())
            // It ends a connection when its input ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut heard = BufReader::new(server.stdout.take().unwrap());
        // `ACCEPT 0.0.0.0:1234` is where it listens.
        let mut line = String::new();
        while !line.starts_with("ACCEPT ") {
            line.clear();
            assert_ne!(heard.read_line(&mut line).unwrap(), 0, "openssl ended");
        }
        let port = line.trim_end().rsplit_once(':').unwrap().1;
        let trusted_file = home.join(&format!("{trusted}.pem"));
        let ran = Home::with_server(&format!("https://localhost:{port}"))
            .set("SSL_CERT_FILE", trusted_file.to_str().unwrap())
            .run(&["vm", "list", "-o", "json", "--retries", "0"]);
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(ran.code, code, "{certificate} {trusted}\n{ran}");
        assert!(
            ran.to_string().contains(said),
            "{certificate} {trusted}\n{ran}"
        );
        let mut rest = String::new();
        heard.read_to_string(&mut rest).unwrap();
        assert!(!rest.contains(KEY), "{certificate} {trusted}");
    }
}

/// T41.
#[test]
fn no_output_at_any_level_holds_the_key_or_a_signature() {
    let served = Served::start();
    // Notes every command line in the VM that it sees while it is called.
    let spy = "#!/bin/sh\\nfor p in /proc/[0-9]*; do tr '\\\\0' ' ' < $p/cmdline; tr '\\\\0' ' ' < $p/environ; echo; done >> /root/spied 2>/dev/null\\nPATH=/usr/bin:/bin exec curl \"$@\"\\n";
    served.sh(&format!(
        "printf '{}' > /srv/tools/curl; chmod 755 /srv/tools/curl",
        spy.replace('\'', "'\\''")
    ));
    let home = served.client();
    make_tree(&home.join("src"), 10, "new");
    fs::write(home.join("big"), Random::new(2).bytes(400_000)).unwrap();
    let broken = Front::new(served.url(), "uploadUrl", |asked| {
        if asked.line.starts_with("PUT") || asked.line.contains("/blobs/") {
            return Say::Answer(answer("418 Teapot", "text/plain", "sig=in-the-body"));
        }
        Say::Pass
    });
    let through = Home::with_server(broken.url()).beside(&home);
    let commands: [&[&str]; 8] = [
        &["cp", "src", "dev:/root/src"],
        &["cp", "big", "dev:/root/big"],
        &["cp", "dev:/root/src", "back"],
        &["cp", "dev:/root/big", "big-back"],
        &["cp", "dev:/nothing", "x"],
        &["exec", "--stdin-file", "big", "dev", "cat >/dev/null"],
        &["vm", "list"],
        &["cp", "--dry-run", "src", "dev:/root/src"],
    ];
    let mut all = Vec::new();
    for level in ["-v", "-vv", "-vvv"] {
        // The last level says all that the others say; of them, a copy is enough.
        let some = if level == "-vvv" { 8 } else { 1 };
        for arguments in commands.into_iter().take(some) {
            for (client, format) in [(&home, "table"), (&home, "json"), (&through, "table")] {
                let arguments = [&[level, "-o", format], arguments].concat();
                let mut command = client.command(&arguments);
                command
                    .env("RUST_LOG", "trace")
                    .env("RUST_BACKTRACE", "full");
                let child = command
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap();
                all.push(ended(child));
            }
        }
    }
    assert!(all.iter().any(|ran| ran.code != 0) && all.iter().any(|ran| ran.code == 0));
    let is_told = |line: &str| line.starts_with("> PUT ") && line.ends_with("?[redacted]");
    assert!(all.iter().any(|ran| ran.stderr.lines().any(is_told)));
    for ran in &all {
        let text = ran.to_string();
        assert!(!text.contains(KEY), "{text}");
        // Signatures of the engine are 43 letters of base64.
        for (at, _) in text.match_indices("sig=") {
            let value: String = text[at + 4..].chars().take(10).collect();
            assert!(
                value.starts_with("in-the-bod") || value.starts_with('['),
                "{text}"
            );
        }
    }
    let spied = served.sh("cat /root/spied");
    assert!(spied.contains("curl"), "{spied}");
    assert!(!spied.contains("sig=") && !spied.contains(KEY), "{spied}");
}

/// T54.
#[test]
fn many_clients_that_fail_together_all_get_through_with_few_requests() {
    let served = Served::start();
    let failures = std::sync::atomic::AtomicUsize::new(0);
    let busy = json("503 Service Unavailable", r#"{"error":"busy"}"#);
    let front = Front::new(served.url(), "uploadUrl", move |_| {
        if failures.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 20 {
            return Say::Answer(busy.clone());
        }
        Say::Pass
    });
    thread::scope(|scope| {
        for _ in 0..20 {
            let url = front.url();
            scope.spawn(move || Home::with_server(url).ok(&["vm", "list", "--json"]));
        }
    });
    assert!(front.count("GET /v1/vms") <= 60, "three requests each");
}
