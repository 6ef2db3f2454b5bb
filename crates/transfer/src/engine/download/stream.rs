//! Out of a VM into a stream: the bytes of a file, or a folder as a tar archive.

use std::io::{Read as _, Write as _};

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc::Receiver;

use super::file::{check_size, whole};
use super::transport::{ArchiveKind, Transport};
use super::{Download, changed, special};
use crate::engine::receive::{Input, Ready, receive};
use crate::engine::request::RemotePath;
use crate::error::Error;
use crate::format::channel::{ChannelWriter, Piece, channel};
use crate::format::header::TarDialect;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::script::{self, Found, SendTree, Share};
use crate::guest::stderr;
use crate::summary::Summary;
use crate::{READINGS, SMALL};

const CHUNK: usize = 64 * 1024;

type Output = Box<dyn AsyncWrite + Send + Unpin>;

impl<G: Guest, S: BlobStore> Download<'_, G, S> {
    pub(super) async fn stream(
        &self,
        source: &RemotePath,
        mut output: Output,
    ) -> Result<Summary, Error> {
        for _ in 0..READINGS {
            let got = match script::read_small(self.guest, &source.path, SMALL, None).await? {
                Found::Inline(small) => match whole(&small, &source.path)? {
                    Some(bytes) => Some(self.write_small(&bytes, &mut output).await?),
                    None => None,
                },
                Found::File { path, tools, .. } => {
                    let codec = tools.codec(self.settings.compression)?;
                    let take = async |transport: &Transport| {
                        self.stream_file(&path, transport, &mut output).await
                    };
                    self.take_object((&tools, codec), ArchiveKind::File, take)
                        .await?
                }
                Found::Folder { path, tools, .. } => {
                    tools.need(&["tar", "find", "stat"])?;
                    let codec = tools.codec(self.settings.compression)?;
                    let take = async |transport: &Transport| {
                        self.stream_tree(&path, tools.dialect, transport, &mut output)
                            .await
                    };
                    self.take_object((&tools, codec), ArchiveKind::Tree, take)
                        .await?
                }
                Found::Other => return Err(special(&source.path)),
            };
            if let Some(summary) = got {
                return Ok(summary);
            }
        }
        Err(changed(&source.path))
    }

    async fn write_small(&self, bytes: &[u8], output: &mut Output) -> Result<Summary, Error> {
        let size = bytes.len() as u64;
        self.progress.total(Some(size), Some(1));
        output.write_all(bytes).await.map_err(failed)?;
        output.flush().await.map_err(failed)?;
        self.progress.advance(size);
        Ok(Summary {
            files: 1,
            bytes: size,
            wire_bytes: size,
            ..Summary::default()
        })
    }

    /// `None` if it changed meanwhile; then nothing was written.
    async fn stream_file(
        &self,
        path: &str,
        transport: &Transport,
        output: &mut Output,
    ) -> Result<Option<Summary>, Error> {
        let (before, after, made) =
            script::send_file(self.guest, path, transport.codec, &transport.way).await?;
        if before != after {
            return Ok(None);
        }
        self.progress
            .total((before.size > 0).then_some(before.size), Some(1));
        let (size, wire_bytes) = self.pass_on(transport.ready(&made, path)?, output).await?;
        check_size(path, before, size)?;
        Ok(Some(Summary {
            files: 1,
            bytes: size,
            wire_bytes,
            ..Summary::default()
        }))
    }

    /// `None` if it changed meanwhile; then nothing was written.
    async fn stream_tree(
        &self,
        path: &str,
        dialect: TarDialect,
        transport: &Transport,
        output: &mut Output,
    ) -> Result<Option<Summary>, Error> {
        let only = self.chosen(path).await?;
        let tree = SendTree {
            path,
            codec: transport.codec,
            dialect,
            links: self.settings.links,
            only: only.as_deref(),
            share: Share::All,
            way: &transport.way,
        };
        let Some(announced) = script::send_tree(self.guest, tree).await? else {
            return Ok(None);
        };
        if (announced.tar == 1 && dialect == TarDialect::Gnu)
            || (dialect == TarDialect::Plain && !announced.still)
        {
            return Ok(None);
        }
        if announced.tar != 0 {
            let stderr = stderr::clean(&announced.stderr);
            return Err(Error::Guest {
                action: format!("read all of {path}"),
                code: announced.tar,
                stderr,
            });
        }
        let (bytes, wire_bytes) = self
            .pass_on(transport.ready(&announced.made, path)?, output)
            .await?;
        Ok(Some(Summary {
            files: announced.before.0,
            bytes,
            wire_bytes,
            ..Summary::default()
        }))
    }

    /// Writes what the object holds; returns its bytes and those on the wire.
    async fn pass_on(&self, ready: Ready<'_>, output: &mut Output) -> Result<(u64, u64), Error> {
        let (sender, receiver) = channel();
        let progress = self.progress.clone();
        let decode = move |mut input: Input| {
            let mut outlet = ChannelWriter::new(sender);
            let mut buffer = vec![0; CHUNK];
            let mut size = 0;
            loop {
                let got = input.read(&mut buffer)?;
                if got == 0 {
                    outlet.finish()?;
                    return Ok(size);
                }
                outlet.write_all(&buffer[..got])?;
                progress.advance(got as u64);
                size += got as u64;
            }
        };
        let receiving = receive(self.guest, self.store, ready, decode);
        let (received, written) = tokio::join!(receiving, write_out(receiver, output));
        // A reader that left is the cause of whatever the other side then met.
        written?;
        received
    }
}

async fn write_out(mut receiver: Receiver<Piece>, output: &mut Output) -> Result<(), Error> {
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
