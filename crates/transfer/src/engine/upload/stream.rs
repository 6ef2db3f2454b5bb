//! A stream of unknown length into one file of a VM.

use std::io::Read as _;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc::Sender;

use super::{Upload, parent_of};
use crate::SMALL;
use crate::disk::pack::Stop;
use crate::engine::request::RemotePath;
use crate::engine::send::{Output, send_once};
use crate::error::Error;
use crate::format::channel::{ChannelReader, Piece, channel};
use crate::format::checksum::Checksum;
use crate::format::codec::Codec;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::script::{self, FileMode, Object, PutFile};
use crate::summary::Summary;

const CHUNK: usize = 64 * 1024;

type Input = Box<dyn AsyncRead + Send + Unpin>;

impl<G: Guest, S: BlobStore> Upload<'_, G, S> {
    pub(super) async fn stream(
        &self,
        mut input: Input,
        target: &RemotePath,
    ) -> Result<Summary, Error> {
        if target.into {
            return Err(Error::Refused {
                path: target.path.clone(),
                reason: "a folder; name the file in it that standard input becomes".to_owned(),
            });
        }
        let mut start = Vec::new();
        (&mut input)
            .take(SMALL + 1)
            .read_to_end(&mut start)
            .await
            .map_err(failed)?;
        if start.len() as u64 > SMALL {
            return self.long_stream(start, input, target).await;
        }
        let size = start.len() as u64;
        let put = PutFile {
            sum: Some(Checksum::of(&start)),
            object: Object::Inline(start),
            ..self.put(&target.path, size)
        };
        script::put_file(self.guest, put).await?;
        self.progress.advance(size);
        Ok(Summary {
            files: 1,
            bytes: size,
            wire_bytes: size,
            ..Summary::default()
        })
    }

    /// It can be read once, so a failed request can't be made again.
    async fn long_stream(
        &self,
        start: Vec<u8>,
        input: Input,
        target: &RemotePath,
    ) -> Result<Summary, Error> {
        let place = script::probe_for_file(self.guest, &target.path, false).await?;
        let codec = place.tools.codec(self.settings.compression)?;
        let encoding = self.encoding(codec);
        let stage = self.stage(parent_of(&place.path));
        if place.kind == script::Kind::Folder {
            return Err(Error::Conflict {
                path: place.path,
                reason: "a folder; name the file in it that standard input becomes".to_owned(),
            });
        }
        let object = self.store.presign(&self.object_name(0)).await?;
        let (sender, receiver) = channel();
        let progress = self.progress.clone();
        let encode = move |out: &mut Output| {
            let mut from = ChannelReader::new(receiver);
            let mut buffer = vec![0; CHUNK];
            let mut size = 0;
            loop {
                let got = from
                    .read(&mut buffer)
                    .map_err(|error| Stop::Failed(failed(error)))?;
                if got == 0 {
                    return Ok(size);
                }
                std::io::Write::write_all(out, &buffer[..got])?;
                progress.advance(got as u64);
                size += got as u64;
            }
        };
        let (sent, ()) = tokio::join!(
            send_once(self.store, object, &encoding, encode),
            feed(start, input, sender)
        );
        let sent = sent?;
        self.settings.cleanup.add(&stage);
        let put = async {
            let object = self
                .hand_over(&place, &stage, 0, &sent.object.download)
                .await?;
            script::put_file(
                self.guest,
                PutFile {
                    sum: sent.sum,
                    codec,
                    object,
                    ..self.put(&place.path, sent.value)
                },
            )
            .await
        };
        self.settle(&stage, put.await).await?;
        Ok(Summary {
            files: 1,
            bytes: sent.value,
            wire_bytes: sent.wire_bytes,
            ..Summary::default()
        })
    }

    fn put<'a>(&'a self, path: &'a str, size: u64) -> PutFile<'a> {
        PutFile {
            path,
            into: false,
            name: "",
            nonce: &self.nonce,
            size,
            sum: None,
            mode: FileMode::of(self.settings.local_modes, 0o644),
            modified: None,
            codec: Codec::None,
            object: Object::Inline(Vec::new()),
        }
    }
}

async fn feed(start: Vec<u8>, mut input: Input, sender: Sender<Piece>) {
    let mut piece = bytes::BytesMut::from(start.as_slice());
    loop {
        if sender
            .send(Piece::Data(piece.split().freeze()))
            .await
            .is_err()
        {
            return;
        }
        piece.reserve(CHUNK);
        match input.read_buf(&mut piece).await {
            Ok(0) => {
                let _ = sender.send(Piece::End).await;
                return;
            }
            Ok(_) => {}
            Err(error) => {
                let _ = sender.send(Piece::Failed(error)).await;
                return;
            }
        }
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::Stream {
        action: "read standard input",
        source,
    }
}
