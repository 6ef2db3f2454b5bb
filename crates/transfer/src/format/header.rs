//! Writing the headers of an archive that both GNU and BusyBox tar read alike.
//!
//! Holes are told to GNU tar alone; for others a file is sent with its zeros. Long names and big numbers are written the GNU way, which both know. Times below a second go into a PAX record that GNU tar reads and
//! BusyBox passes over, keeping whole seconds.

use std::io::{self, Write};

use tar::{EntryType, GnuHeader, Header};

use crate::format::mtime::Mtime;

pub(crate) const BLOCK: u64 = 512;

/// Which tar unpacks the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TarDialect {
    Gnu,
    Plain,
}

/// What a member is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape<'a> {
    File,
    Folder,
    Link(&'a [u8]),
    HardLink(&'a [u8]),
}

/// One member, without its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) shape: Shape<'a>,
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) modified: Mtime,
}

impl Head<'_> {
    pub(crate) fn write(&self, out: &mut impl Write, dialect: TarDialect) -> io::Result<()> {
        let (kind, target) = match self.shape {
            Shape::File => (EntryType::Regular, &b""[..]),
            Shape::Folder => (EntryType::Directory, &b""[..]),
            Shape::Link(target) => (EntryType::Symlink, target),
            Shape::HardLink(target) => (EntryType::Link, target),
        };
        let mut header = Header::new_gnu();
        let Some(gnu) = header.as_gnu_mut() else {
            return Err(io::Error::other("not a GNU header"));
        };
        if fill(&mut gnu.name, self.name) == Fit::Long {
            write_extension(out, EntryType::GNULongName, &terminated(self.name))?;
        }
        if fill(&mut gnu.linkname, target) == Fit::Long {
            write_extension(out, EntryType::GNULongLink, &terminated(target))?;
        }
        if dialect == TarDialect::Gnu && self.modified.nanos != 0 {
            write_extension(
                out,
                EntryType::XHeader,
                &record("mtime", self.modified.to_string().as_bytes()),
            )?;
        }
        self.numbers(gnu)?;
        header.set_entry_type(kind);
        header.set_cksum();
        out.write_all(header.as_bytes())
    }

    /// A file with holes, in the form that GNU tar calls sparse 1.0: `size` counts the map and the data, `real_size` the file.
    pub(crate) fn write_sparse(&self, out: &mut impl Write, real_size: u64) -> io::Result<()> {
        let mut records = Vec::new();
        if self.modified.nanos != 0 {
            records.extend(record("mtime", self.modified.to_string().as_bytes()));
        }
        records.extend(record("GNU.sparse.major", b"1"));
        records.extend(record("GNU.sparse.minor", b"0"));
        records.extend(record("GNU.sparse.name", self.name));
        records.extend(record(
            "GNU.sparse.realsize",
            real_size.to_string().as_bytes(),
        ));
        write_extension(out, EntryType::XHeader, &records)?;
        let mut header = Header::new_gnu();
        if let Some(gnu) = header.as_gnu_mut() {
            fill(&mut gnu.name, self.name);
            self.numbers(gnu)?;
            // The form belongs to POSIX archives, and tar looks at this field to tell.
            gnu.magic = *b"ustar\0";
            gnu.version = *b"00";
        }
        header.set_entry_type(EntryType::Regular);
        header.set_cksum();
        out.write_all(header.as_bytes())
    }

    fn numbers(&self, gnu: &mut GnuHeader) -> io::Result<()> {
        number(&mut gnu.mode, self.mode.into());
        number(&mut gnu.uid, 0);
        number(&mut gnu.gid, 0);
        number(
            &mut gnu.size,
            i64::try_from(self.size).map_err(io::Error::other)?,
        );
        number(&mut gnu.mtime, self.modified.seconds);
        Ok(())
    }
}

/// Fills the last block of a content.
pub(crate) fn pad(out: &mut impl Write, size: u64) -> io::Result<()> {
    let rest = usize::try_from((BLOCK - size % BLOCK) % BLOCK).map_err(io::Error::other)?;
    out.write_all(&[0; BLOCK as usize][..rest])
}

/// The two empty blocks that end an archive.
pub(crate) fn end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK as usize])
}

#[derive(PartialEq, Eq)]
enum Fit {
    Whole,
    Long,
}

fn fill(field: &mut [u8], bytes: &[u8]) -> Fit {
    let taken = bytes.len().min(field.len());
    field[..taken].copy_from_slice(&bytes[..taken]);
    if taken == bytes.len() {
        Fit::Whole
    } else {
        Fit::Long
    }
}

fn terminated(bytes: &[u8]) -> Vec<u8> {
    [bytes, b"\0"].concat()
}

/// One PAX record: its own length, a key and a value.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() != length {
        length = length.to_string().len() + rest.len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}

fn write_extension(out: &mut impl Write, kind: EntryType, content: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    if let Some(gnu) = header.as_gnu_mut() {
        fill(&mut gnu.name, b"././@LongLink");
        number(&mut gnu.mode, 0);
        number(&mut gnu.uid, 0);
        number(&mut gnu.gid, 0);
        number(
            &mut gnu.size,
            content.len().try_into().map_err(io::Error::other)?,
        );
        number(&mut gnu.mtime, 0);
    }
    header.set_entry_type(kind);
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    out.write_all(content)?;
    pad(out, content.len() as u64)
}

/// Octal digits where they suffice, else GNU's base 256.
fn number(field: &mut [u8], value: i64) {
    let width = field.len() - 1;
    let digits = format!("{value:0width$o}");
    if value >= 0 && digits.len() == width {
        field[..width].copy_from_slice(digits.as_bytes());
        field[width] = 0;
        return;
    }
    field.fill(if value < 0 { 0xff } else { 0 });
    let bytes = value.to_be_bytes();
    let start = field.len().saturating_sub(bytes.len());
    let used = field.len() - start;
    field[start..].copy_from_slice(&bytes[bytes.len() - used..]);
    field[0] = if value < 0 { 0xff } else { 0x80 };
}
