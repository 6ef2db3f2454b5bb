//! Formats: tar archives, compression, checksums. Pure bytes, without files, VMs or networks.

pub(in crate::transfer) mod archive;
pub(crate) mod channel;
pub(in crate::transfer) mod checksum;
pub(in crate::transfer) mod codec;
mod compressible;
mod gzip;
pub(in crate::transfer) mod header;
pub(in crate::transfer) mod member_path;
pub(in crate::transfer) mod mtime;
pub(in crate::transfer) mod path_bytes;
pub(in crate::transfer) mod pax;
