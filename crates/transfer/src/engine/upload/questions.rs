//! What an upload asks about paths in the VM before it moves anything there.

use std::io::{self, Write};

use super::Upload;
use super::parts::Route;
use crate::SMALL;
use crate::disk::folder::{Kind, PERMISSIONS};
use crate::disk::pack::trailer::quoted;
use crate::disk::tree::Tree;
use crate::engine::send::{Output, send};
use crate::error::Error;
use crate::format::codec::Codec;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::retry::Retries;
use crate::guest::script::{self, Ask, Object};

/// Bytes that tell of one path.
const ANSWER_BYTES_PER_PATH: usize = 64;
/// Paths on one line of shell.
const PATHS_PER_LINE: usize = 200;

/// Calls of one function for paths, in their order.
pub(super) fn call<'a>(
    function: &str,
    places: impl Iterator<Item = &'a MemberPath>,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    for (number, place) in places.enumerate() {
        if number % PATHS_PER_LINE == 0 {
            write!(out, "\n{function}")?;
        }
        quoted(place, out)?;
    }
    writeln!(out)
}

/// Returns whether anything stands in the way of a tree.
pub(super) fn clashes(tree: &Tree) -> io::Result<Vec<u8>> {
    let mut questions = Vec::new();
    let places = |folders: bool| {
        let entries = tree.entries.iter();
        entries
            .filter(move |entry| (entry.kind == Kind::Folder) == folders)
            .map(|entry| tree.place(entry))
            .collect::<Vec<_>>()
    };
    call("folders", places(true).iter(), &mut questions)?;
    call("files", places(false).iter(), &mut questions)?;
    Ok(questions)
}

impl<G: Guest, S: BlobStore> Upload<'_, G, S> {
    /// Size, time and permissions of each of these, of those that are files in the VM.
    pub(super) async fn stamps(
        &self,
        route: &Route<'_>,
        places: &[MemberPath],
    ) -> Result<Vec<Option<(u64, Mtime, u32)>>, Error> {
        let mut questions = Vec::new();
        call("stamps", places.iter(), &mut questions)
            .map_err(|error| Error::local("list", std::path::PathBuf::from("the copy"), error))?;
        let answer = self
            .ask(route, questions, places.len() * ANSWER_BYTES_PER_PATH)
            .await?;
        let broken = || Error::integrity("the VM", "its answer is not what the script prints");
        let text = String::from_utf8(answer).map_err(|_| broken())?;
        let mut lines = text.lines();
        let mut stamps = Vec::with_capacity(places.len());
        while let Some(digits) = lines.next() {
            for digit in digits.chars() {
                let stamp = match digit {
                    '0' => None,
                    '1' => {
                        let line = lines.next().ok_or_else(broken)?;
                        let (mode, rest) = line.split_once(' ').ok_or_else(broken)?;
                        let (size, time) = rest.split_once(' ').ok_or_else(broken)?;
                        let mode = u32::from_str_radix(mode, 8).map_err(|_| broken())?;
                        let size = size.parse().map_err(|_| broken())?;
                        let time = Mtime::parse(time).ok_or_else(broken)?;
                        Some((size, time, mode & PERMISSIONS))
                    }
                    _ => return Err(broken()),
                };
                stamps.push(stamp);
            }
        }
        if stamps.len() == places.len() {
            Ok(stamps)
        } else {
            Err(broken())
        }
    }

    /// Asks; many questions go by the storage.
    pub(super) async fn ask(
        &self,
        route: &Route<'_>,
        mut questions: Vec<u8>,
        output_limit: usize,
    ) -> Result<Vec<u8>, Error> {
        questions.extend(format!("whole {}\n", self.nonce).as_bytes());
        let inline = questions.len() as u64 <= SMALL;
        let questions = bytes::Bytes::from(questions);
        let mut retries = Retries::default();
        let name = format!("ask-{}", crate::nonce());
        loop {
            let (codec, sum, object) = if inline {
                (Codec::None, None, Ok(Object::Inline(questions.to_vec())))
            } else {
                let make = || {
                    let questions = questions.clone();
                    move |out: &mut Output| Ok(out.write_all(&questions)?)
                };
                let encoding = self.part_encoding(route.codec);
                let length = questions.len() as u64;
                let full = self.object_name(&name);
                let sent = send(self.store, &full, &encoding, length, make).await?;
                let object = self
                    .object(route.place, &route.stage, &name, &sent.object.download)
                    .await;
                (route.codec, sent.sum, object)
            };
            let answer = async {
                let ask = Ask {
                    folder: &route.place.path,
                    stage: &route.stage,
                    nonce: &self.nonce,
                    codec,
                    sum,
                    object: object?,
                    output_limit,
                };
                script::ask(self.guest, ask).await
            };
            match answer.await {
                Ok(answer) => return Ok(answer),
                Err(error) => retries.again(error).await?,
            }
        }
    }
}
