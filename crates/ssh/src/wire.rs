//! The data types of the protocol (RFC 4251, section 5).

use crate::Error;

/// Reads a message from its front.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (bytes, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(Error::Client("sent a message that is too short"))?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.bytes(1)?[0])
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Error> {
        Ok(self.u8()? != 0)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        let bytes = self.bytes(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from(self.u32()?) << 32 | u64::from(self.u32()?))
    }

    pub(crate) fn string(&mut self) -> Result<&'a [u8], Error> {
        let length = self.u32()? as usize;
        self.bytes(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.string()?)
            .map_err(|_| Error::Client("sent a text that is not UTF-8"))
    }

    /// Returns the names of a list that commas separate.
    pub(crate) fn names(&mut self) -> Result<Vec<&'a str>, Error> {
        Ok(self.text()?.split(',').collect())
    }
}

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Begins a message of this number.
    pub(crate) fn message(number: u8) -> Self {
        Self(vec![number])
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn string(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.u32(length).raw(bytes)
    }

    /// Writes a number that is not negative, in as few bytes as it takes.
    pub(crate) fn mpint(self, bytes: &[u8]) -> Self {
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let digits = &bytes[zeros..];
        match digits.first() {
            Some(first) if first & 0x80 != 0 => self.string([&[0], digits].concat()),
            _ => self.string(digits),
        }
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let written = Writer::message(7).u32(300).string("a,b").u8(1).done();
        let mut reader = Reader::new(&written);
        assert_eq!((reader.u8().ok(), reader.u32().ok()), (Some(7), Some(300)));
        assert_eq!(reader.names().ok(), Some(vec!["a", "b"]));
        assert_eq!(reader.bool().ok(), Some(true));
        assert!(reader.u8().is_err());
        assert!(Reader::new(&[0, 0, 0, 9, 1]).string().is_err());
        assert!(Reader::new(&[255, 255, 255, 255]).string().is_err());
    }

    #[test]
    fn numbers_have_the_form_of_the_standard() {
        // The examples of RFC 4251.
        let of = |bytes: &[u8]| Writer::default().mpint(bytes).done();
        assert_eq!(of(&[0]), [0, 0, 0, 0]);
        assert_eq!(of(&[0x80]), [0, 0, 0, 2, 0, 0x80]);
        assert_eq!(
            of(&[0, 0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7]),
            [0, 0, 0, 8, 0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7]
        );
    }
}
