//! PAX records: the few that matter here, and a refusal of what is malformed.

use crate::format::mtime::Mtime;

/// What the records of one member say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) modified: Option<Mtime>,
}

/// Reads `length key=value\n` records; the error is the reason to refuse them.
pub(crate) fn parse(mut bytes: &[u8]) -> Result<Pax, &'static str> {
    const MALFORMED: &str = "its PAX record is malformed";
    let mut pax = Pax::default();
    while !bytes.is_empty() {
        let blank = bytes
            .iter()
            .take(20)
            .position(|&byte| byte == b' ')
            .ok_or(MALFORMED)?;
        let digits = std::str::from_utf8(&bytes[..blank]).map_err(|_| MALFORMED)?;
        let length: usize = if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            digits.parse().map_err(|_| MALFORMED)?
        } else {
            return Err(MALFORMED);
        };
        let record = bytes
            .get(blank + 1..length)
            .and_then(|record| record.strip_suffix(b"\n"))
            .ok_or(MALFORMED)?;
        let equals = record
            .iter()
            .position(|&byte| byte == b'=')
            .ok_or(MALFORMED)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let text = || std::str::from_utf8(value).map_err(|_| MALFORMED);
        match key {
            b"path" => set(&mut pax.path, value.to_vec())?,
            b"linkpath" => set(&mut pax.link, value.to_vec())?,
            b"size" => {
                let digits = text()?;
                if digits.starts_with('+') {
                    return Err(MALFORMED);
                }
                set(
                    &mut pax.size,
                    digits
                        .parse()
                        .ok()
                        .filter(|&size| i64::try_from(size).is_ok())
                        .ok_or("its size is not a number")?,
                )?;
            }
            b"mtime" => set(
                &mut pax.modified,
                Mtime::parse(text()?).ok_or("its time is not a number")?,
            )?,
            key if key.starts_with(b"GNU.sparse.") => {
                return Err("it has holes, which were not asked for");
            }
            _ => {}
        }
        bytes = &bytes[length..];
    }
    Ok(pax)
}

fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), &'static str> {
    if slot.replace(value).is_some() {
        Err("a PAX record stands there twice")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_records_and_refuses_what_is_odd() {
        let pax =
            parse(b"10 path=ab\n30 mtime=1700000000.123456789\n11 size=5678\n").map_err(|_| ());
        assert!(pax.is_err(), "a wrong length is refused");
        let pax = parse(b"11 path=a=b\n30 mtime=1700000000.123456789\n").map_err(|_| ());
        assert!(pax.is_err(), "another wrong length");
        let pax = parse(b"12 path=a=b\n30 mtime=1700000000.123456789\n13 other=xyz\n")
            .unwrap_or_default();
        assert_eq!(pax.path.as_deref(), Some(&b"a=b"[..]));
        assert_eq!(pax.modified, Mtime::parse("1700000000.123456789"));
        for odd in [
            &b"x"[..],
            b"5 a=b",
            b"-6 a=b\n",
            b"99999999999999999999 a=b\n",
            b"6 size\n",
            b"9 size=-\n",
            b"10 size=-1\n",
            b"11 path=ab\n11 path=ab\n",
            b"0 \n",
        ] {
            assert!(parse(odd).is_err(), "{odd:?}");
        }
    }
}
