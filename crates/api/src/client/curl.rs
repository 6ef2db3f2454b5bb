//! A request as a `curl` line that runs, its secrets left out: what a dry run prints.

use reqwest::{Method, Url};

use super::redact;
use super::request::Request;

/// The line. The key is taken from `FASTVM_API_KEY` when it runs; names of extra headers stand without their values.
pub(crate) fn line<'a>(
    url: &Url,
    request: &Request,
    extra: impl Iterator<Item = &'a str>,
) -> String {
    let mut words = vec![
        "curl".to_owned(),
        "-X".to_owned(),
        request.method.to_string(),
        quoted(url.as_str()),
        // double quotes, as the shell is to put the key in
        r#"-H "X-API-Key: $FASTVM_API_KEY""#.to_owned(),
        format!("-H {}", quoted(&format!("Accept: {}", request.accept))),
    ];
    for name in extra.filter(|name| *name != "x-api-key") {
        words.push(format!("-H {}", quoted(&format!("{name}: [redacted]"))));
    }
    if has_body(&request.method) {
        words.push(format!("-H {}", quoted("Content-Type: application/json")));
    }
    if let Some(body) = &request.body {
        words.push(format!("--data-raw {}", quoted(&redact::whole(body))));
    }
    words.join(" ")
}

/// Returns whether requests of this method are sent with a type of their body.
pub(crate) fn has_body(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::DELETE].contains(method)
}

fn quoted(text: &str) -> String {
    shell_words::quote(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_no_secret_and_keeps_quotes() {
        let request = Request::post(["v1", "vms"])
            .json(&serde_json::json!({"name": "it's", "envVars": {"A": "s3cret"}}))
            .unwrap();
        let url = request.url(&"http://h/pre".parse().unwrap()).unwrap();
        assert_eq!(
            line(&url, &request, ["x-api-key", "x-extra"].into_iter()),
            r#"curl -X POST http://h/pre/v1/vms -H "X-API-Key: $FASTVM_API_KEY" -H 'Accept: application/json' -H 'x-extra: [redacted]' -H 'Content-Type: application/json' --data-raw '{"name":"it'\''s","envVars":"[redacted]"}'"#
        );
    }
}
