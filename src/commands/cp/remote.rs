//! The VM and its storage, through the API, as a transfer needs them.

use std::time::Duration;

use crate::api::exec::Event;
use crate::api::{self, Client};
use crate::secret::SignedUrl;
use crate::transfer::{
    BlobStore, Body, ByteStream, Guest, GuestCommand, GuestOutput, Patience, RemoteClass,
    RemoteError, StagingObject,
};
use crate::wire::base64;
use crate::wire::exec::ExecRequest;

/// The longest that a step in the VM may take, in seconds: a day, as a transfer has no limit of its own.
const TRANSFER_LIMIT: i64 = 24 * 60 * 60;
const BRIEF_LIMIT: i64 = 30;
/// How long the answer to a brief one may take: longer than the service gives it, so that its own word comes first.
const BRIEF_PATIENCE: Duration = Duration::from_secs(45);

/// One VM.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub(super) client: Client,
    pub(super) vm: String,
}

impl Guest for Remote {
    async fn exec(&self, command: GuestCommand) -> Result<GuestOutput, RemoteError> {
        let request = ExecRequest {
            command: command.argv,
            stdin: (!command.stdin.is_empty()).then(|| base64::encode(&command.stdin)),
            timeout_sec: Some(match command.patience {
                Patience::Brief => BRIEF_LIMIT,
                Patience::Transfer => TRANSFER_LIMIT,
            }),
        };
        let run = self.run(&request, command.output_limit);
        if command.patience == Patience::Transfer {
            return run.await;
        }
        let answer = tokio::time::timeout(BRIEF_PATIENCE, run).await;
        answer.unwrap_or_else(|_| {
            Err(failed(api::Error::TimedOut {
                server: self.client.server(),
                limit: format!("{} s", BRIEF_PATIENCE.as_secs()),
            }))
        })
    }

    async fn fetch(&self, url: &SignedUrl, path: &str) -> Result<GuestOutput, RemoteError> {
        let answer = self
            .client
            .fetch(&self.vm, url, path, TRANSFER_LIMIT)
            .await
            .map_err(failed)?;
        Ok(GuestOutput {
            code: answer.exit_code,
            timed_out: answer.timed_out,
            stdout: answer.stdout.into_bytes(),
            stderr: answer.stderr.into_bytes(),
        })
    }
}

impl BlobStore for Remote {
    async fn presign(&self, name: &str) -> Result<StagingObject, RemoteError> {
        let answer = self.client.presign(&self.vm, name).await.map_err(failed)?;
        Ok(StagingObject {
            upload: SignedUrl::new(answer.upload_url),
            download: SignedUrl::new(answer.download_url),
            expires: Duration::from_secs(u64::try_from(answer.expires_in_sec).unwrap_or(0)),
            max_bytes: u64::try_from(answer.max_upload_bytes).unwrap_or(0),
        })
    }

    async fn put(&self, url: &SignedUrl, body: Body) -> Result<(), RemoteError> {
        self.client
            .put_object(url, body.bytes, body.length)
            .await
            .map_err(failed)
    }

    async fn get(
        &self,
        url: &SignedUrl,
        from: u64,
    ) -> Result<ByteStream<RemoteError>, RemoteError> {
        use futures_util::TryStreamExt as _;
        let stream = self.client.get_object(url, from).await.map_err(failed)?;
        Ok(Box::pin(stream.map_err(failed)))
    }
}

impl Remote {
    async fn run(
        &self,
        request: &ExecRequest,
        output_limit: usize,
    ) -> Result<GuestOutput, RemoteError> {
        let mut stream = self.client.exec(&self.vm, request).await.map_err(failed)?;
        let mut output = GuestOutput::default();
        loop {
            match stream.next().await.map_err(failed)? {
                Event::Stdout(bytes) => collect(&mut output.stdout, &bytes, output_limit)?,
                Event::Stderr(bytes) => collect(&mut output.stderr, &bytes, output_limit)?,
                Event::Exit(ended) => {
                    output.code = ended.code;
                    output.timed_out = ended.timed_out;
                    return Ok(output);
                }
            }
        }
    }
}

/// A guest that says more than it should is cut off instead of filling the memory here.
fn collect(output: &mut Vec<u8>, bytes: &[u8], limit: usize) -> Result<(), RemoteError> {
    if output.len() + bytes.len() > limit {
        let text = format!("a command in the VM printed more than the {limit} bytes that it may");
        return Err(RemoteError::new(RemoteClass::Final, text));
    }
    output.extend_from_slice(bytes);
    Ok(())
}

fn failed(error: api::Error) -> RemoteError {
    let class = match &error {
        api::Error::Status {
            retryable: true, ..
        }
        | api::Error::Connect { .. }
        | api::Error::Broken { .. }
        | api::Error::TimedOut { .. }
        | api::Error::Stalled { .. } => RemoteClass::Retryable,
        api::Error::Storage { status, .. } if [400, 403].contains(&status.as_u16()) => {
            RemoteClass::Expired
        }
        api::Error::Storage { status, .. }
            if status.is_server_error() || [408, 429].contains(&status.as_u16()) =>
        {
            RemoteClass::Retryable
        }
        _ => RemoteClass::Final,
    };
    RemoteError::new(class, error)
}
