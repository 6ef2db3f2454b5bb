//! Services, snapshots, volumes, credentials and builds against a server that says what a test wrote.

use snapbox::{assert_data_eq, str};

use crate::common::scripted::json;
use crate::common::{Home, Ran, Scripted};

const ID: &str = "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7";
const WEB: &str = r#"{"name":"web","port":8080,"h2c":false}"#;
const VOLUME: &str = r#"{"id":"c0ffee00-1111-4222-8333-444455556666","name":"data","orgId":"o","backend":"native","consistency":"posix","accessMode":"rw","sizeGiB":20,"status":"ready","statusMessage":"","attachmentCount":0,"billableGiB":20,"createdAt":"2026-01-02T03:04:05Z"}"#;
const CREDENTIAL: &str = r#"{"id":"7b7c1a0e-53fb-4a0f-9c0e-2d9d7d1f0a11","name":"reader","type":"s3","createdAt":"2026-01-02T03:04:05Z"}"#;
const SNAPSHOT: &str = r#"{"id":"0d9c2f6e-6c1b-4b6e-9f0a-3a2d1f5e7c88","name":"golden","orgId":"o","vmId":"v","status":"ready","createdAt":"2026-01-02T03:10:00Z"}"#;

fn ran(answers: &[&str], arguments: &[&str]) -> (Vec<String>, Ran) {
    let server = Scripted::new(answers);
    let ran = Home::with_server(server.url()).run(arguments);
    (sent(&server), ran)
}

fn sent(server: &Scripted) -> Vec<String> {
    let requests = server.requests();
    let lines = requests.iter().map(|request| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let line = head.lines().next().unwrap().replace(" HTTP/1.1", "");
        format!("{line} {body}").trim_end().to_owned()
    });
    lines.collect()
}

fn ok(body: &str) -> String {
    json("200 OK", body)
}

#[test]
fn a_service_is_added_once_and_a_conflict_says_how_to_change_it() {
    let (sent, added) = ran(
        &[&json("201 Created", WEB)],
        &["service", "add", ID, "web", "8080", "--json"],
    );
    assert_eq!(
        sent,
        [format!(
            r#"POST /v1/vms/{ID}/services {{"name":"web","port":8080,"h2c":false}}"#
        )]
    );
    assert_eq!(added.json()["port"], 8080);
    let (sent, refused) = ran(
        &[&json("409 Conflict", r#"{"error":"web has another port"}"#)],
        &["service", "add", ID, "web", "9090"],
    );
    assert_data_eq!(
        refused.to_string(),
        str![[r#"
--- stderr
error: VM 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7: web has another port
hint: change it with `fastvm service update 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7 web 9090`
--- exit 5
"#]]
    );
    assert_eq!(sent.len(), 1);
    let (sent, _) = ran(
        &[&ok(WEB)],
        &["service", "update", ID, "web", "9090", "--h2c"],
    );
    assert_eq!(
        sent,
        [format!(
            r#"PUT /v1/vms/{ID}/services/web {{"port":9090,"h2c":true}}"#
        )]
    );
}

#[test]
fn services_are_listed_and_deleted_by_exact_name() {
    let list = ok(&format!("[{WEB}]"));
    let (_, listed) = ran(&[&list], &["service", "ls", ID]);
    assert_data_eq!(
        listed.to_string(),
        str![[r#"
NAME  PORT  PROTOCOL  URL
web   8080  http      -
--- exit 0
"#]]
    );
    let gone = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
    let (sent, deleted) = ran(
        &[&list, gone],
        &["service", "rm", ID, "web", "--yes", "--json"],
    );
    assert_eq!(sent[1], format!("DELETE /v1/vms/{ID}/services/web"));
    assert_eq!(deleted.json()[0]["id"], "web", "{deleted}");
    let (sent, absent) = ran(&[&list, gone], &["service", "rm", ID, "wed", "--yes"]);
    assert_data_eq!(
        absent.to_string(),
        str![[r#"
--- stderr
error: there is no service named "wed"
hint: did you mean web?
--- exit 3
"#]]
    );
    assert_eq!(sent.len(), 1);
}

#[test]
fn a_snapshot_is_shown_and_renamed() {
    let (sent, shown) = ran(
        &[&ok(&format!("[{SNAPSHOT}]")), &ok(SNAPSHOT)],
        &["snapshot", "get", "golden", "-q", ".status"],
    );
    assert_eq!((sent.len(), shown.stdout.as_str()), (2, "ready\n"));
    let id = "0d9c2f6e-6c1b-4b6e-9f0a-3a2d1f5e7c88";
    let (sent, _) = ran(&[&ok(SNAPSHOT)], &["snapshot", "rename", id, "old"]);
    assert_eq!(
        sent,
        [format!(r#"PATCH /v1/snapshots/{id} {{"name":"old"}}"#)]
    );
}

#[test]
fn volumes_are_disks_or_buckets() {
    let created = json("201 Created", VOLUME);
    let (sent, disk) = ran(
        &[&created],
        &["volume", "create", "data", "--size-gib", "20"],
    );
    assert_eq!(
        sent,
        [r#"POST /v1/volumes {"name":"data","backend":"native","sizeGiB":20}"#]
    );
    assert_eq!(disk.code, 0, "{disk}");
    let (sent, bucket) = ran(
        &[&ok(&format!("[{CREDENTIAL}]")), &created],
        &[
            "volume",
            "create",
            "--byo",
            "gs://b/p",
            "--credential",
            "reader",
            "--access",
            "ro",
        ],
    );
    assert_eq!(bucket.code, 0, "{bucket}");
    assert_eq!(
        sent[1],
        r#"POST /v1/volumes {"backend":"byo-object","accessMode":"ro","byoObject":{"uri":"gs://b/p","credentialsRef":"7b7c1a0e-53fb-4a0f-9c0e-2d9d7d1f0a11"}}"#
    );
    let list = ok(&format!("[{VOLUME}]"));
    let (_, listed) = ran(
        &[&list],
        &[
            "volume",
            "list",
            "-o",
            "csv",
            "--columns",
            "name,size,status",
        ],
    );
    assert_eq!(
        listed.stdout.replace('\r', ""),
        "name,size,status\ndata,20,ready\n"
    );
    let (sent, _) = ran(
        &[&list, &ok(VOLUME)],
        &["volume", "update", "data", "--name", "old"],
    );
    assert_eq!(
        sent[1],
        r#"PATCH /v1/volumes/c0ffee00-1111-4222-8333-444455556666 {"name":"old"}"#
    );
    let (_, free) = ran(
        &[&list, &ok(r#"{"any":[1]}"#)],
        &["volume", "diagnostics", "data", "-q", ".any[0]"],
    );
    assert_eq!(free.stdout, "1\n");
    let (_, attached) = ran(
        &[
            &list,
            &ok(
                r#"[{"vmId":"v","mountPath":"/d","readOnly":true,"mountStatus":"mounted"},{"other":1}]"#,
            ),
        ],
        &["volume", "attachments", "data"],
    );
    assert_data_eq!(
        attached.to_string(),
        str![[r#"
VM  PATH  ACCESS  STATUS   MESSAGE
v   /d    ro      mounted  -
-   -     -       -        -
--- exit 0
"#]]
    );
}

#[test]
fn a_volume_in_use_is_not_deleted() {
    let used = json("409 Conflict", r#"{"error":"the volume is attached"}"#);
    let (sent, ran) = ran(
        &[&used],
        &[
            "volume",
            "rm",
            "c0ffee00-1111-4222-8333-444455556666",
            "--yes",
        ],
    );
    assert_eq!((sent.len(), ran.code), (1, 5), "{ran}");
}

#[test]
fn the_secret_of_a_credential_comes_from_a_file_and_is_never_shown() {
    let server = Scripted::new(&[&json("201 Created", CREDENTIAL)]);
    let home = Home::with_server(server.url());
    std::fs::write(home.join("key"), "s3cret\nline\r\n\n").unwrap();
    let ran = home.run(&[
        "-vvv",
        "credential",
        "create",
        "reader",
        "--type",
        "s3",
        "--data-file",
        "key",
    ]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(!ran.to_string().contains("s3cret"), "{ran}");
    assert_eq!(
        sent(&server),
        [r#"POST /v1/volume-credentials {"name":"reader","type":"s3","data":"s3cret\nline"}"#]
    );
}

#[test]
fn a_secret_that_nobody_gives_is_refused_before_anything_is_sent() {
    let server = Scripted::new(&[&ok("{}")]);
    let home = Home::with_server(server.url());
    std::fs::write(home.join("empty"), "\n").unwrap();
    for (arguments, code) in [
        (&["--type", "s3"][..], 2),
        (&["--type", "s3", "--data-file", "-"], 2),
        (&["--type", "s3", "--data-file", "empty"], 2),
        (&["--type", "s3", "--data-file", "nothing"], 3),
        (&["--type", "s3", "--data", "s3cret"], 2),
        (&["--type", "", "--data-file", "empty"], 2),
    ] {
        let ran = home.run(&[&["volume-credential", "create", "reader"], arguments].concat());
        assert_eq!(ran.code, code, "{arguments:?}\n{ran}");
    }
    assert_eq!(sent(&server), Vec::<String>::new());
}

#[test]
fn wrong_input_of_the_nouns_is_refused_before_anything_is_sent() {
    for arguments in [
        &["service", "add", ID, "web", "80"][..],
        &["service", "add", ID, "Web", "8080"],
        &[
            "service",
            "add",
            ID,
            "this-name-has-thirty-characters",
            "8080",
        ],
        &["service", "update", ID, "web", "8080", "--h2c", "--no-h2c"],
        &["volume", "create"],
        &["volume", "create", "--size-gib", "0"],
        &["volume", "create", "--size-gib", "1", "--byo", "gs://b"],
        &["volume", "create", "--byo", "gs://b"],
        &["volume", "create", "--byo", "http://b", "--credential", "c"],
        &["volume", "update", "data"],
        &["volume", "update", "data", "--name", " "],
        &["snapshot", "rename", "golden", ""],
        &["build", "create"],
        &["build", "create", "--context", "."],
    ] {
        let (sent, ran) = ran(&[&ok("[]")], arguments);
        assert_eq!((ran.code, sent.len()), (2, 0), "{arguments:?}\n{ran}");
    }
}

#[test]
fn a_change_is_told_in_one_line_with_the_next_command_and_in_data_where_it_is_asked_for() {
    let vm = format!(
        r#"{{"id":"{ID}","name":"dev","status":"running","firewall":{{"mode":"restricted","ingress":[{{"protocol":"tcp","portStart":80}}]}}}}"#
    );
    let failed = VOLUME.replace(
        r#""status":"ready","statusMessage":"""#,
        r#""status":"error","statusMessage":"no such bucket""#,
    );
    let build = |rest: &str| format!(r#"{{"id":"b-1","name":"deb",{rest}}}"#);
    let volume = "c0ffee00-1111-4222-8333-444455556666";
    let service =
        format!("web of VM {ID}, port 8080; see all services with `fastvm service list {ID}`");
    let firewall = format!(
        "changed the firewall of VM {ID}: restricted, 1 rule; see it with `fastvm firewall get {ID}`"
    );
    let data = format!("data ({volume}); mount it with `fastvm vm launch --volume data:/PATH`");
    let reader = "reader (7b7c1a0e-53fb-4a0f-9c0e-2d9d7d1f0a11); make a volume with `fastvm volume create --byo URI --credential reader`";
    let broken = format!(
        "created data ({volume}), whose status is error (no such bucket); see all of it with `fastvm volume get data`"
    );
    let cases: &[(&[&str], &str, String)] = &[
        (
            &["volume", "create", "data", "--size-gib", "20"],
            VOLUME,
            format!("created {data}"),
        ),
        (
            &["volume", "create", "data", "--size-gib", "20"],
            &failed,
            broken,
        ),
        (
            &["volume", "update", volume, "--name", "data"],
            VOLUME,
            format!("changed {data}"),
        ),
        (
            &[
                "credential",
                "create",
                "reader",
                "--type",
                "gcs",
                "--data-file",
                "key",
            ],
            CREDENTIAL,
            format!("created {reader}"),
        ),
        (
            &["service", "add", ID, "web", "8080"],
            WEB,
            format!("added {service}"),
        ),
        (
            &["service", "update", ID, "web", "8080"],
            WEB,
            format!("changed {service}"),
        ),
        (
            &["firewall", "set", ID, "--mode", "restricted"],
            &vm,
            firewall.clone(),
        ),
        (
            &["firewall", "patch", ID, "--no-rules"],
            &vm,
            firewall.clone(),
        ),
        (&["firewall", "allow", ID, "tcp:443"], &vm, firewall.clone()),
        (&["firewall", "deny", ID, "tcp:80"], &vm, firewall.clone()),
        (
            &["firewall", "allow", ID, "tcp:80"],
            &vm,
            firewall.replace("changed the firewall", "nothing to change in the firewall"),
        ),
        (
            &["build", "create", "--image", "debian:12"],
            &build(r#""status":"pending""#),
            "build deb (b-1) is pending; see how far it is with `fastvm build get b-1`".to_owned(),
        ),
        (
            &["build", "create", "--image", "debian:12", "--wait"],
            &build(r#""status":"completed","snapshotId":"s-1""#),
            "build deb (b-1) is completed; launch from it with `fastvm vm launch --snapshot s-1`"
                .to_owned(),
        ),
    ];
    for (arguments, answer, line) in cases {
        let run = |more: &[&str]| {
            let server = Scripted::new(&[&ok(answer)]);
            let home = Home::with_server(server.url());
            std::fs::write(home.join("key"), "s3cret").unwrap();
            home.run(&[arguments, more].concat())
        };
        let told = run(&[]);
        assert_eq!(
            (told.stdout, told.code),
            (format!("{line}\n"), 0),
            "{arguments:?}"
        );
        assert!(run(&["--json"]).json().is_object(), "{arguments:?}");
        let table = run(&["-o", "table"]);
        assert!(table.stdout.lines().count() > 1, "{arguments:?}\n{table}");
        assert_eq!(run(&["--quiet"]).stdout, "", "{arguments:?}");
    }
}

#[test]
fn a_thing_is_named_once_in_an_error() {
    let id = "7b7c1a0e-53fb-4a0f-9c0e-2d9d7d1f0a11";
    let list = ok(&format!("[{CREDENTIAL}]"));
    let said = format!(r#"{{"error":"volume credential {id} is in use by a volume"}}"#);
    let (_, ran) = ran(
        &[&list, &json("409 Conflict", &said)],
        &["credential", "delete", "reader", "--yes"],
    );
    assert_eq!(
        ran.stderr,
        format!("error: credential reader ({id}) is in use by a volume\n"),
    );
}
