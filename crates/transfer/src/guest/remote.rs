//! What a transfer needs from the outside: a VM that runs commands, and a storage that signs URLs.

use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use crate::format::channel::ByteStream;

use crate::error::RemoteError;
use fastvm_api::secret::SignedUrl;

/// A command for the VM.
#[derive(Clone)]
pub struct GuestCommand {
    /// Program and arguments, passed without a shell.
    pub argv: Vec<String>,
    /// A word among the arguments that no other command has; whoever asks whether it still runs looks for it.
    pub name: String,
    /// All of its standard input. It may hold signed URLs.
    pub stdin: Vec<u8>,
    /// Bytes of each output the caller has use for; more is a failure of the command.
    pub output_limit: usize,
    /// How long it may run.
    pub deadline: Deadline,
}

/// How long a command in the VM may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// It looks at something or tidies up: half a minute is plenty.
    Brief,
    /// It moves data: as long as the service allows.
    Transfer,
}

impl fmt::Debug for GuestCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestCommand")
            .field("arguments", &self.argv.len())
            .field("stdin_bytes", &self.stdin.len())
            .finish_non_exhaustive()
    }
}

/// What a command in the VM answered.
#[derive(Clone, Debug, Default)]
pub struct GuestOutput {
    /// Exit code; without meaning when `timed_out`.
    pub code: i32,
    /// The service stopped the command.
    pub timed_out: bool,
    /// Standard output, byte for byte.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// A VM.
pub trait Guest: Send + Sync {
    /// Runs a command once and waits for it. A started command is never repeated by the callee.
    fn exec(
        &self,
        command: GuestCommand,
    ) -> impl Future<Output = Result<GuestOutput, RemoteError>> + Send;

    /// Makes the VM pull `url` to the absolute `path`; the answer is that of the download command.
    fn fetch(
        &self,
        url: &SignedUrl,
        path: &str,
    ) -> impl Future<Output = Result<GuestOutput, RemoteError>> + Send;
}

/// A staging object: one side puts it, the other gets it.
#[derive(Clone, Debug)]
pub struct StagingObject {
    /// Takes the bytes, by PUT.
    pub upload: SignedUrl,
    /// Gives them, by GET, once they are complete.
    pub download: SignedUrl,
    /// How long both URLs live.
    pub expires: Duration,
    /// Largest object the service takes, in bytes.
    pub max_bytes: u64,
}

/// The body of one PUT. It can be sent once; an error in it must abort the request, so that no shortened object appears.
pub struct Body {
    /// The bytes.
    pub bytes: ByteStream<io::Error>,
    /// Their number, if known; otherwise the request is sent in chunks.
    pub length: Option<u64>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// The storage that staging objects live in. It reports a stall (nothing moved for half a minute) as a retryable failure.
pub trait BlobStore: Send + Sync {
    /// Asks for a new object; `name` is an absolute path that no other transfer uses.
    fn presign(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<StagingObject, RemoteError>> + Send;

    /// Sends the body; returns once the storage has confirmed the whole object.
    fn put(
        &self,
        url: &SignedUrl,
        body: Body,
    ) -> impl Future<Output = Result<(), RemoteError>> + Send;

    /// Reads the object from byte `from` to its end.
    fn get(
        &self,
        url: &SignedUrl,
        from: u64,
    ) -> impl Future<Output = Result<ByteStream<RemoteError>, RemoteError>> + Send;
}
