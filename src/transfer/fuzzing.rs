//! The walk of an archive from its bytes into a folder that is there, without a VM.

use std::path::Path;

use crate::transfer::disk::install::{EarlierTries, TreeInstall};
use crate::transfer::disk::unpack::{Limits, unpack};
use crate::transfer::format::archive::Fault;
use crate::transfer::format::codec::Codec;
use crate::transfer::progress::Silent;

/// What the bytes are wrapped in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decoder {
    None,
    Gzip,
    Zstd,
}

/// Unpacks beside and moves into place, as a download does; the members it took, or why it took none.
pub(crate) fn unpack_into(
    target: &Path,
    decoder: Decoder,
    archive: &[u8],
    (members, bytes): (u64, u64),
    nonce: &str,
) -> Result<u64, String> {
    let told = |fault: Fault| match fault {
        Fault::Stream(error) => error.to_string(),
        Fault::Refused(error) => error.to_string(),
    };
    let codec = match decoder {
        Decoder::None => Codec::None,
        Decoder::Gzip => Codec::Gzip,
        Decoder::Zstd => Codec::Zstd,
    };
    let install = TreeInstall::prepare(&EarlierTries::default(), target, nonce)
        .map_err(|error| error.to_string())?;
    let folder = install.open().map_err(|error| error.to_string())?;
    let from = codec
        .decoder(archive)
        .map_err(|error| told(Fault::Stream(error)))?;
    let limits = Limits { members, bytes };
    let unpacked = unpack(from, folder, limits, &Silent).map_err(told)?;
    install
        .place(&unpacked.folders)
        .map_err(|error| error.to_string())?;
    Ok(unpacked.members)
}
