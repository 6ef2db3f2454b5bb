//! Writing zip archives: PKWARE's APPNOTE, without its extensions.

use std::io::Write as _;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use crate::Error;
use crate::archive::File;

const LOCAL_HEADER: u32 = 0x0403_4b50;
const CENTRAL_HEADER: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// Version 2.0 can deflate.
const NEEDED: u16 = 20;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;
const DEFLATE: u16 = 8;
/// The upper byte says that the attributes are those of Unix.
const MADE_BY: u16 = 3 << 8 | NEEDED;
const REGULAR_FILE: u32 = 0o100_000;

/// The archive of these files, all of one time in seconds since 1970.
pub(crate) fn zip<'a>(
    files: impl Iterator<Item = (&'a String, &'a File)>,
    time: u64,
) -> Result<Vec<u8>, Error> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    let mut count = 0_u16;
    for (name, file) in files {
        let offset = u32::try_from(archive.len())?;
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&file.content)?;
        let packed = encoder.finish()?;
        let common = common_fields(name, file, &packed, time)?;

        put32(&mut archive, LOCAL_HEADER);
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(packed);

        put32(&mut directory, CENTRAL_HEADER);
        put16(&mut directory, MADE_BY);
        directory.extend(common);
        put16(&mut directory, 0); // comment
        put16(&mut directory, 0); // disk
        put16(&mut directory, 0); // internal attributes
        put32(&mut directory, (REGULAR_FILE | file.mode()) << 16);
        put32(&mut directory, offset);
        directory.extend(name.as_bytes());
        count += 1;
    }
    let offset = u32::try_from(archive.len())?;
    let length = u32::try_from(directory.len())?;
    archive.extend(directory);
    put32(&mut archive, END);
    put16(&mut archive, 0); // disk
    put16(&mut archive, 0); // disk of the directory
    put16(&mut archive, count);
    put16(&mut archive, count);
    put32(&mut archive, length);
    put32(&mut archive, offset);
    put16(&mut archive, 0); // comment
    Ok(archive)
}

/// What both headers of a file say.
fn common_fields(name: &str, file: &File, packed: &[u8], time: u64) -> Result<Vec<u8>, Error> {
    let mut checksum = Crc::new();
    checksum.update(&file.content);
    let (clock, date) = dos_time(time);
    let mut fields = Vec::new();
    put16(&mut fields, NEEDED);
    put16(&mut fields, FLAGS);
    put16(&mut fields, DEFLATE);
    put16(&mut fields, clock);
    put16(&mut fields, date);
    put32(&mut fields, checksum.sum());
    put32(&mut fields, u32::try_from(packed.len())?);
    put32(&mut fields, u32::try_from(file.content.len())?);
    put16(&mut fields, u16::try_from(name.len())?);
    put16(&mut fields, 0); // extra field
    Ok(fields)
}

/// The time of the day and the date as DOS had them, in UTC.
fn dos_time(time: u64) -> (u16, u16) {
    let (days, seconds) = (time / 86_400, time % 86_400);
    let clock = (seconds / 3600) << 11 | (seconds / 60 % 60) << 5 | (seconds % 60 / 2);
    let (year, month, day) = date(days);
    let date = year.saturating_sub(1980) << 9 | month << 5 | day;
    (low16(clock), low16(date))
}

/// Year, month and day of a day since 1970-01-01: Howard Hinnant's `civil_from_days`.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

fn low16(number: u64) -> u16 {
    (number & 0xffff) as u16
}

fn put16(bytes: &mut Vec<u8>, number: u16) {
    bytes.extend(number.to_le_bytes());
}

fn put32(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend(number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(20_787), (2026, 11, 30));
    }

    #[test]
    fn times_are_those_of_dos() {
        // 2026-11-30 08:36:56
        let (clock, date) = dos_time(20_787 * 86_400 + 8 * 3600 + 36 * 60 + 56);
        assert_eq!(clock, 8 << 11 | 36 << 5 | 28);
        assert_eq!(date, 46 << 9 | 11 << 5 | 30);
    }
}
