//! `fastvm firewall`: rules are checked here, changes start from the present rules, the difference is shown.

use snapbox::{assert_data_eq, str};

use crate::common::scripted::json;
use crate::common::{Home, Ran, Scripted};

const ID: &str = "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7";

fn vm(policy: &str) -> String {
    json(
        "200 OK",
        &format!(
            r#"{{"id":"{ID}","name":"dev","orgId":"o","cpu":1,"memoryMiB":2048,"diskGiB":10,"status":"running",
                "createdAt":"2026-01-02T03:04:05Z","firewall":{policy},
                "effectiveFirewall":{{"mode":"restricted","ingress":[{{"protocol":"tcp","portStart":8080}}]}}}}"#
        ),
    )
}

const POLICY: &str = r#"{"mode":"restricted","ingress":[{"protocol":"tcp","portStart":22,"sourceCidrs":["2001:db8::/32"],"description":"office","new":1}]}"#;

fn ran(answers: &[&str], arguments: &[&str]) -> (Vec<String>, Ran) {
    let server = Scripted::new(answers);
    let ran = Home::with_server(server.url()).run(arguments);
    let bodies = server.requests();
    let bodies = bodies.iter().map(|request| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let line = head.lines().next().unwrap().replace(" HTTP/1.1", "");
        format!("{line} {body}").trim_end().to_owned()
    });
    (bodies.collect(), ran)
}

#[test]
fn a_policy_is_a_mode_and_rules_for_people_and_the_servers_object_for_programs() {
    let (_, people) = ran(&[&vm(POLICY)], &["firewall", "get", ID]);
    assert_data_eq!(
        people.to_string(),
        str![[r#"
mode:  restricted
PROTOCOL  PORTS  SOURCES        DESCRIPTION
tcp       22     2001:db8::/32  office
--- exit 0
"#]]
    );
    let (_, programs) = ran(&[&vm(POLICY)], &["--json", "firewall", "get", ID]);
    assert_eq!(
        programs.json(),
        serde_json::from_str::<serde_json::Value>(POLICY).unwrap()
    );
    let (_, none) = ran(&[&vm("null")], &["--json", "firewall", "get", ID]);
    assert_eq!(none.stdout, "null\n");
    let (_, names) = ran(&[&vm(POLICY)], &["vm", "firewall", "get", ID, "-o", "name"]);
    assert_eq!(names.stdout, "tcp:22@2001:db8::/32#office\n");
    let (_, effective) = ran(
        &[&vm(POLICY)],
        &["firewall", "get", ID, "--effective", "-o", "name"],
    );
    assert_eq!(effective.stdout, "tcp:8080\n");
}

#[test]
fn set_replaces_everything_and_patch_what_is_given() {
    let (sent, _) = ran(
        &[&vm(POLICY)],
        &[
            "firewall",
            "set",
            ID,
            "--mode",
            "Restricted",
            "--rule",
            "tcp:80",
            "-r",
            "UDP:5000-5010#game",
        ],
    );
    assert_eq!(
        sent,
        [format!(
            r#"PUT /v1/vms/{ID}/firewall {{"mode":"restricted","ingress":[{{"protocol":"tcp","portStart":80}},{{"protocol":"udp","portStart":5000,"portEnd":5010,"description":"game"}}]}}"#
        )]
    );
    let (sent, _) = ran(&[&vm(POLICY)], &["firewall", "patch", ID, "--mode", "open"]);
    assert_eq!(
        sent,
        [format!(r#"PATCH /v1/vms/{ID}/firewall {{"mode":"open"}}"#)]
    );
    let (sent, _) = ran(&[&vm(POLICY)], &["firewall", "patch", ID, "--no-rules"]);
    assert_eq!(
        sent,
        [format!(r#"PATCH /v1/vms/{ID}/firewall {{"ingress":[]}}"#)]
    );
}

#[test]
fn allow_adds_to_the_present_rules_and_shows_the_difference() {
    let (sent, ran) = ran(
        &[&vm(POLICY)],
        &[
            "firewall",
            "allow",
            ID,
            "tcp:80",
            "tcp:22@2001:db8::/32",
            "-o",
            "name",
        ],
    );
    assert_eq!(sent[0], format!("GET /v1/vms/{ID}"));
    assert_eq!(
        sent[1],
        format!(
            r#"PATCH /v1/vms/{ID}/firewall {{"ingress":[{{"protocol":"tcp","portStart":22,"sourceCidrs":["2001:db8::/32"],"description":"office"}},{{"protocol":"tcp","portStart":80}}]}}"#
        )
    );
    assert_eq!((ran.stderr.as_str(), ran.code), ("+ tcp:80\n", 0), "{ran}");
}

#[test]
fn deny_removes_and_names_a_wider_rule() {
    let (sent, denied) = ran(
        &[&vm(POLICY)],
        &["firewall", "deny", ID, "tcp:22", "-o", "name"],
    );
    assert_eq!(
        sent[1],
        format!(r#"PATCH /v1/vms/{ID}/firewall {{"ingress":[]}}"#)
    );
    assert_eq!(denied.stderr, "- tcp:22@2001:db8::/32#office\n");
    let (sent, absent) = ran(&[&vm(POLICY)], &["firewall", "deny", ID, "tcp:80"]);
    assert_data_eq!(
        absent.to_string(),
        str![[r#"
--- stderr
error: VM 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7: no rule allows just tcp:80
hint: see the rules with `fastvm firewall get 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7`
--- exit 3
"#]]
    );
    assert_eq!(sent.len(), 1);
}

#[test]
fn nothing_is_sent_where_nothing_changes_and_an_open_firewall_is_told_of() {
    let (sent, ran) = ran(
        &[&vm(
            r#"{"mode":"open","ingress":[{"protocol":"tcp","portStart":80}]}"#,
        )],
        &["firewall", "allow", ID, "tcp:80", "-o", "name"],
    );
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
tcp:80
--- stderr
warning: the firewall of VM 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7 is open: rules have no effect until its mode is restricted
the firewall already has these rules
--- exit 0
"#]]
    );
    assert_eq!(sent.len(), 1);
}

#[test]
fn a_wrong_rule_is_refused_before_anything_is_sent() {
    for rule in [
        "tcp:0",
        "tcp:65536",
        "tcp:9-1",
        "icmp:1",
        "tcp:1@10.0.0.0/8",
        "tcp:1@::1",
    ] {
        for arguments in [
            &["firewall", "allow", ID, rule][..],
            &["firewall", "deny", ID, rule],
            &["firewall", "set", ID, "--mode", "open", "--rule", rule],
            &["firewall", "patch", ID, "-r", rule],
        ] {
            let (sent, ran) = ran(&[&vm(POLICY)], arguments);
            assert_eq!((sent.len(), ran.code), (0, 2), "{arguments:?}\n{ran}");
        }
    }
}
