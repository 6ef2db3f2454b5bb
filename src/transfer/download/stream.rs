//! Out of a VM into a stream: the bytes of a file, or a folder as a tar archive.

use std::io::{Read as _, Write as _};

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc::Receiver;

use super::file::whole;
use super::{Job, changed, special};
use crate::transfer::channel::{Outlet, Piece, channel};
use crate::transfer::checksum::Checksum;
use crate::transfer::codec::Codec;
use crate::transfer::error::Error;
use crate::transfer::receive::{Input, receive};
use crate::transfer::remote::{BlobStore, Guest, StagingObject};
use crate::transfer::request::RemotePath;
use crate::transfer::script::{self, Found};
use crate::transfer::summary::Summary;
use crate::transfer::{READINGS, SMALL};

const PIECE: usize = 64 * 1024;

type Output = Box<dyn AsyncWrite + Send + Unpin>;

impl<G: Guest, S: BlobStore> Job<'_, G, S> {
    pub(super) async fn stream(
        &self,
        source: &RemotePath,
        mut output: Output,
    ) -> Result<Summary, Error> {
        for _ in 0..READINGS {
            return match script::get(self.guest, &source.path, SMALL).await? {
                Found::Inline(small) => {
                    let Some(bytes) = whole(&small, &source.path)? else {
                        continue;
                    };
                    let size = bytes.len() as u64;
                    output.write_all(&bytes).await.map_err(failed)?;
                    output.flush().await.map_err(failed)?;
                    self.progress.advance(size);
                    Ok(Summary {
                        files: 1,
                        bytes: size,
                        wire_bytes: size,
                        ..Summary::default()
                    })
                }
                Found::File { path, tools, .. } => {
                    tools.need(&["curl"])?;
                    let codec = tools.codec(self.settings.compression)?;
                    let object = self.store.presign(&self.object_name()).await?;
                    let (before, after, sum) =
                        script::send_file(self.guest, &path, codec, &object.upload).await?;
                    if before != after {
                        continue;
                    }
                    self.progress
                        .total((before.size > 0).then_some(before.size), Some(1));
                    let (size, got, wire_bytes) =
                        self.pass_on(&path, codec, &object, output).await?;
                    if (before.size != 0 && size != before.size)
                        || sum.is_some_and(|sum| sum != got)
                    {
                        return Err(Error::integrity(path, "what arrived is not what was sent"));
                    }
                    Ok(Summary {
                        files: 1,
                        bytes: size,
                        wire_bytes,
                        ..Summary::default()
                    })
                }
                Found::Folder { path, tools } => {
                    tools.need(&["tar", "find", "stat", "curl"])?;
                    let codec = tools.codec(self.settings.compression)?;
                    let object = self.store.presign(&self.object_name()).await?;
                    let announced =
                        script::send_tree(self.guest, &path, codec, tools.flavor, &object.upload)
                            .await?;
                    if announced.tar == 1 {
                        continue;
                    }
                    if announced.tar != 0 {
                        let stderr = crate::transfer::stderr::clean(&announced.stderr);
                        return Err(Error::Guest {
                            action: format!("read all of {path}"),
                            code: announced.tar,
                            stderr,
                        });
                    }
                    let (bytes, _, wire_bytes) =
                        self.pass_on(&path, codec, &object, output).await?;
                    Ok(Summary {
                        files: announced.before.0,
                        bytes,
                        wire_bytes,
                        ..Summary::default()
                    })
                }
                Found::Other => Err(special(&source.path)),
            };
        }
        Err(changed(&source.path))
    }

    /// Writes what the object holds; answers bytes, checksum and bytes on the wire.
    async fn pass_on(
        &self,
        path: &str,
        codec: Codec,
        object: &StagingObject,
        output: Output,
    ) -> Result<(u64, u32, u64), Error> {
        let (sender, receiver) = channel();
        let progress = self.progress.clone();
        let decode = move |mut input: Input| {
            let mut outlet = Outlet::new(sender);
            let mut buffer = vec![0; PIECE];
            let (mut size, mut sum) = (0, Checksum::default());
            loop {
                let got = input.read(&mut buffer)?;
                if got == 0 {
                    outlet.finish()?;
                    return Ok((size, sum.finish()));
                }
                outlet.write_all(&buffer[..got])?;
                sum.update(&buffer[..got]);
                progress.advance(got as u64);
                size += got as u64;
            }
        };
        let (received, written) = tokio::join!(
            receive(self.store, &object.download, codec, path, decode),
            write_out(receiver, output)
        );
        // A reader that left is the cause of whatever the other side then met.
        written?;
        let ((size, sum), wire) = received?;
        Ok((size, sum, wire))
    }
}

async fn write_out(mut receiver: Receiver<Piece>, mut output: Output) -> Result<(), Error> {
    while let Some(piece) = receiver.recv().await {
        match piece {
            Piece::Data(bytes) => output.write_all(&bytes).await.map_err(failed)?,
            Piece::End => break,
            Piece::Failed(error) => return Err(failed(error)),
        }
    }
    output.flush().await.map_err(failed)
}

fn failed(source: std::io::Error) -> Error {
    Error::Stream {
        action: "write standard output",
        source,
    }
}
