//! Making the VM send files to a staging object.

use super::answer::{Answer, broken};
use super::{Call, Patience, SMALL_OUTPUT, line};
use crate::secret::SignedUrl;
use crate::transfer::codec::Codec;
use crate::transfer::error::Error;
use crate::transfer::header::Flavor;
use crate::transfer::moment::Moment;
use crate::transfer::remote::Guest;

/// Size, mode and time of a file in the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transfer) struct Status {
    pub(in crate::transfer) size: u64,
    pub(in crate::transfer) mode: u32,
    pub(in crate::transfer) modified: Moment,
}

impl Status {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or_else(broken);
        let size = word()?.parse().map_err(|_| broken())?;
        let mode = u32::from_str_radix(word()?, 8).map_err(|_| broken())? & 0o1777;
        let modified = Moment::parse(word()?).ok_or_else(broken)?;
        Ok(Self {
            size,
            mode,
            modified,
        })
    }
}

/// What the VM says it sent of a folder.
#[derive(Clone, Debug)]
pub(in crate::transfer) struct Announced {
    /// Members and bytes, before and after.
    pub(in crate::transfer) before: (u64, u64),
    pub(in crate::transfer) after: (u64, u64),
    /// Exit status of tar, which may be one that is no failure.
    pub(in crate::transfer) tar: i32,
    pub(in crate::transfer) stderr: Vec<u8>,
}

/// Sends one file; answers its status before and after, and its checksum when the codec has none.
pub(in crate::transfer) async fn send_file(
    guest: &impl Guest,
    path: &str,
    codec: Codec,
    url: &SignedUrl,
) -> Result<(Status, Status, Option<u32>), Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("status.sh"),
        include_str!("object.sh"),
        include_str!("send_file.sh")
    );
    let arguments = vec![path.to_owned(), codec.name().to_owned()];
    let call = Call {
        script,
        arguments,
        stdin: line(url)?,
        output_limit: SMALL_OUTPUT,
        patience: Patience::Transfer,
        action: "send the file",
        path,
    };
    let output = call.run(guest).await?;
    let (answer, _) = Answer::read(&output.stdout, &["done"])?;
    let sum = match codec {
        Codec::None => Some(answer.get("sum")?.parse().map_err(|_| broken())?),
        Codec::Zstd | Codec::Gzip => None,
    };
    Ok((
        Status::read(answer.get("before")?)?,
        Status::read(answer.get("after")?)?,
        sum,
    ))
}

/// Sends what is in a folder, as one archive.
pub(in crate::transfer) async fn send_tree(
    guest: &impl Guest,
    path: &str,
    codec: Codec,
    flavor: Flavor,
    url: &SignedUrl,
) -> Result<Announced, Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("object.sh"),
        include_str!("send_tree.sh")
    );
    let flavor = match flavor {
        Flavor::Gnu => "gnu",
        Flavor::Plain => "plain",
    };
    let arguments = vec![path.to_owned(), codec.name().to_owned(), flavor.to_owned()];
    let call = Call {
        script,
        arguments,
        stdin: line(url)?,
        output_limit: SMALL_OUTPUT,
        patience: Patience::Transfer,
        action: "send the folder",
        path,
    };
    let output = call.run(guest).await?;
    let (answer, _) = Answer::read(&output.stdout, &["done"])?;
    let pair = |key| {
        let (members, bytes) = answer.get(key)?.split_once(' ').ok_or_else(broken)?;
        Ok::<_, Error>((
            members.parse().map_err(|_| broken())?,
            bytes.parse().map_err(|_| broken())?,
        ))
    };
    Ok(Announced {
        before: pair("before")?,
        after: pair("after")?,
        tar: answer.get("tar")?.parse().map_err(|_| broken())?,
        stderr: output.stderr.clone(),
    })
}
