//! What a bad server does, and what the user then sees.

use snapbox::{assert_data_eq, str};

use crate::common::scripted::{answer, json};
use crate::common::{Home, Scripted};

const VM: &str = r#"{"id":"3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7","name":"dev","orgId":"o","cpu":1,"memoryMiB":2048,"diskGiB":10,"status":"running","createdAt":"2026-01-02T03:04:05Z"}"#;

fn list(answers: &[&str]) -> (Scripted, crate::common::Ran) {
    let server = Scripted::new(answers);
    let home = Home::with_server(server.url());
    let ran = home.run(&["vm", "list"]);
    (server, ran)
}

#[test]
fn a_page_of_html_is_named_and_cut_to_its_words() {
    let page = answer("200 OK", "text/html", "<html><body><h1>Log in</h1> to the wifi</body></html>");
    let (_, ran) = list(&[&page]);
    assert_data_eq!(ran.to_string(), str![[r#"
--- stderr
error: http://[..] answered GET /v1/vms with something else than the contract says: an HTML page (Log in to the wifi)
hint: check the base URL: fastvm context show
--- exit 1
"#]].raw());
}
