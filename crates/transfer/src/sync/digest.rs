//! The sha256 of what is here.

use std::fs::File;
use std::io::{self, Read as _};

use ring::digest::{Context, SHA256};

use crate::guest::script::Digest;

const CHUNK: usize = 128 * 1024;

pub(super) fn digest(mut file: &File) -> io::Result<Digest> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(got) => context.update(&buffer[..got]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;

    #[test]
    fn equals_what_sha256sum_prints() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abc").unwrap();
        file.rewind().unwrap();
        assert_eq!(digest(&file).unwrap()[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
