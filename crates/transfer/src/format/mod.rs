//! Formats: tar archives, compression, checksums. Pure bytes, without files, VMs or networks.

pub(crate) mod archive;
pub mod channel;
pub(crate) mod checksum;
pub(crate) mod codec;
mod compressible;
mod gzip;
pub(crate) mod header;
pub(crate) mod member_path;
pub(crate) mod mtime;
pub(crate) mod path_bytes;
pub(crate) mod pax;
