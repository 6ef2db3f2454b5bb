//! `fastvm api`: any request, as `gh api` does it.

mod field_options;
mod fields;

use std::path::PathBuf;

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::value::RawValue;

use self::field_options::FieldOptions;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::raw::{RawAnswer, RawRequest};

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "fastvm api [OPTIONS] [METHOD] <PATH>",
    after_help = "\
Without a method it is GET, or POST where there are fields or an input. Fields of a GET go into the query.
Each request is sent once.

Examples:
  fastvm api /v1/vms
  fastvm api GET v1/vms -f status=running -q '.[].id'
  fastvm api POST /v1/vms -f machineType=c1m2 -F diskGiB=10 -F metadata[env]=ci
  fastvm api PUT /v1/vms/$id/firewall -f mode=restricted -f 'ingress[][protocol]=tcp' -F 'ingress[][portStart]=22'
  fastvm api -X PATCH /v1/vms/$id --input change.json -i"
)]
pub struct ApiArgs {
    /// The method, and the path below the base URL
    #[arg(required = true, num_args = 1..=2, value_name = "METHOD PATH")]
    words: Vec<String>,

    /// The method
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<String>,

    #[command(flatten)]
    fields: FieldOptions,

    /// Add a header (can be repeated)
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,

    /// Send a file as the body, or standard input with `-`; fields then go into the query
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// Print the status line and the headers first
    #[arg(short, long)]
    include: bool,
}

impl ApiArgs {
    fn request(&self) -> Result<RawRequest, Error> {
        let (typed_method, path) = match self.words.as_slice() {
            [path] => (None, path),
            [method, path, ..] => (Some(method), path),
            [] => return Err(Error::usage("no path is given")),
        };
        if path.contains("://") {
            return Err(Error::usage(format!("{path:?} is a URL, not a path"))
                .hint("write a path such as /v1/vms; --base-url says which API"));
        }
        check_path(path)?;
        if typed_method.is_some() && self.method.is_some() {
            return Err(Error::usage("the method is given twice"));
        }
        let fields = self.fields.read()?;
        let input = self.input.as_deref().map(fields::read).transpose()?;
        let has_body = input.is_some() || !fields.is_empty();
        let method = match typed_method.or(self.method.as_ref()) {
            Some(method) => method.to_ascii_uppercase(),
            None if has_body => "POST".to_owned(),
            None => "GET".to_owned(),
        };
        let (query, body) = match input {
            Some(input) => (fields::query(fields), Some(input)),
            None if method == "GET" || method == "HEAD" => (fields::query(fields), None),
            None if fields.is_empty() => (Vec::new(), None),
            None => (
                Vec::new(),
                Some(fields::object(fields)?.to_string().into_bytes()),
            ),
        };
        Ok(RawRequest {
            method,
            path: path.clone(),
            query,
            headers: self.headers()?,
            body,
        })
    }

    fn headers(&self) -> Result<Vec<(String, String)>, Error> {
        let header = |text: &String| match text.split_once(':') {
            Some((name, _)) if name.trim().eq_ignore_ascii_case("x-api-key") => Err(Error::usage(
                "the API key cannot be given with --header: options show in `ps`",
            )
            .hint("use --api-key-file or FASTVM_API_KEY")),
            Some((name, value)) => checked(name.trim(), value.trim()),
            None => Err(Error::usage(format!(
                "the header {text:?} is not NAME: VALUE"
            ))),
        };
        self.header.iter().map(header).collect()
    }
}

/// Refuses what a URL would make another path of.
fn check_path(path: &str) -> Result<(), Error> {
    let segments = path.split(['?', '#']).next().unwrap_or_default();
    let is_dots = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    let why = if path.contains(char::is_control) {
        "has a control character"
    } else if segments.split(['/', '\\']).any(is_dots) {
        "has a segment `.` or `..`, which would lead to another path"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("the path {path:?} {why}"))
        .hint("write the path as the API has it, such as /v1/vms"))
}

/// A header that can be sent. The value is not shown: it may be a secret.
fn checked(name: &str, value: &str) -> Result<(String, String), Error> {
    if HeaderName::try_from(name).is_err() {
        return Err(Error::usage(format!("{name:?} is not a valid header name")));
    }
    if HeaderValue::try_from(value).is_err() {
        let message = format!("the value of the header {name} has a control character");
        return Err(Error::usage(message));
    }
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) async fn run(context: &mut Context, args: ApiArgs) -> Result<Exit, Error> {
    let request = args.request()?;
    let client = context.client().await?;
    let mut answer = client.raw(&request).await?;
    if args.include {
        context.ui.bytes(answer.head().as_bytes())?;
        context.ui.bytes(b"\n")?;
    }
    let body = if answer.is_json() || !answer.status().is_success() {
        whole(&mut answer).await?
    } else {
        while let Some(piece) = answer.chunk().await? {
            context.ui.bytes(&piece)?;
            context.ui.flush()?;
        }
        Vec::new()
    };
    let failure = answer.failure(&body);
    match serde_json::from_slice::<Box<RawValue>>(&body) {
        // a filter is for results
        Ok(json) if failure.is_some() => context.ui.unfiltered_json(&json)?,
        Ok(json) => context.ui.raw_json(&json)?,
        Err(_) => context.ui.bytes(&body)?,
    }
    match failure {
        Some(failure) => Err(failure.into()),
        None => Ok(Exit::SUCCESS),
    }
}

async fn whole(answer: &mut RawAnswer) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
