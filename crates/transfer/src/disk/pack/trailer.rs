//! What an archive carries beside the copy, for the script that unpacks it.

use std::io::{self, Write};

use crate::disk::folder::Meta;
use crate::format::header::{self, Head, Shape, TarDialect};
use crate::format::member_path::MemberPath;

/// Paths on one line of shell.
const PATHS_PER_LINE: usize = 200;

/// An archive of folders alone, deepest first, so that no time is changed after it was set.
pub(super) fn folders(
    folders: &[(MemberPath, Meta)],
    dialect: TarDialect,
    mut out: &mut dyn Write,
) -> io::Result<()> {
    for (place, meta) in folders.iter().rev() {
        let head = Head {
            name: place.as_bytes(),
            shape: Shape::Folder,
            mode: meta.mode,
            size: 0,
            modified: meta.modified,
        };
        head.write(&mut out, dialect)?;
    }
    header::end(&mut out)
}

/// Shell that sets modes of folders, deepest first. BusyBox tar does so for root alone.
pub(super) fn modes(folders: &[(MemberPath, Meta)], out: &mut dyn Write) -> io::Result<()> {
    let mut rest = folders;
    while let Some((_, last)) = rest.last() {
        let same = rest
            .iter()
            .rev()
            .take(PATHS_PER_LINE)
            .take_while(|(_, meta)| meta.mode == last.mode)
            .count();
        let (earlier, line) = rest.split_at(rest.len() - same);
        write!(out, "chmod {:o} --", last.mode)?;
        for (place, _) in line.iter().rev() {
            quoted(place, out)?;
        }
        out.write_all(b" || exit 44\n")?;
        rest = earlier;
    }
    Ok(())
}

/// Shell that names folders to a function.
pub(super) fn listed(folders: &[(MemberPath, Meta)], out: &mut dyn Write) -> io::Result<()> {
    let places: Vec<_> = folders.iter().map(|(place, _)| place.clone()).collect();
    lines("listed", &places, out)
}

/// Shell that makes folders, unless they are there.
pub(super) fn shared(places: &[MemberPath], out: &mut dyn Write) -> io::Result<()> {
    lines("mkdir -p --", places, out)
}

/// Shell that removes files of the copy.
pub(super) fn removals(places: &[MemberPath], out: &mut dyn Write) -> io::Result<()> {
    lines("rm -f --", places, out)
}

/// A command on paths, some on each line.
fn lines(command: &str, places: &[MemberPath], out: &mut dyn Write) -> io::Result<()> {
    for line in places.chunks(PATHS_PER_LINE) {
        out.write_all(command.as_bytes())?;
        for place in line {
            quoted(place, out)?;
        }
        out.write_all(b" || exit 44\n")?;
    }
    Ok(())
}

/// A path below the working folder as one word of shell, whatever bytes it holds.
pub(crate) fn quoted(place: &MemberPath, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b" './")?;
    for part in place.as_bytes().split_inclusive(|&byte| byte == b'\'') {
        match part.strip_suffix(b"'") {
            Some(plain) => {
                out.write_all(plain)?;
                out.write_all(b"'\\''")?;
            }
            None => out.write_all(part)?,
        }
    }
    out.write_all(b"'")
}

/// Takes bytes only to count them.
pub(super) struct Counter(pub(super) u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
