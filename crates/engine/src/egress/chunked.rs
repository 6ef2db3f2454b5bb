//! The body of a request whose length is told chunk by chunk.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_buf};

/// The longest line: the size of a chunk with its extensions, or a trailer.
const LINE_LIMIT: u64 = 8 * 1024;

/// How many trailers a body may have.
const TRAILER_LIMIT: usize = 64;

/// Passes a body on as it is, and nothing of what comes after it.
///
/// # Errors
/// `InvalidData` when it is not a chunked body, `UnexpectedEof` when it breaks off; what was passed on is no whole body then.
pub(super) async fn copy_body(
    from: &mut (impl AsyncBufRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    loop {
        let line = read_line(from).await?;
        // The parser takes a line without digits for 0.
        let has_digits = line.first().is_some_and(u8::is_ascii_hexdigit);
        let size = match httparse::parse_chunk_size(&line) {
            Ok(httparse::Status::Complete((_, size))) if has_digits => size,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        to.write_all(&line).await?;
        if size == 0 {
            break;
        }
        if copy_buf(&mut (&mut *from).take(size), to).await? < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut end = [0; 2];
        from.read_exact(&mut end).await?;
        if end != *b"\r\n" {
            return Err(io::ErrorKind::InvalidData.into());
        }
        to.write_all(&end).await?;
    }
    for _ in 0..=TRAILER_LIMIT {
        let line = read_line(from).await?;
        to.write_all(&line).await?;
        if line == b"\r\n" {
            return Ok(());
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

async fn read_line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut limited = from.take(LINE_LIMIT);
    limited.read_until(b'\n', &mut line).await?;
    if line.ends_with(b"\r\n") {
        Ok(line)
    } else if line.len() as u64 == LINE_LIMIT || line.ends_with(b"\n") {
        Err(io::ErrorKind::InvalidData.into())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn copied(body: &str) -> (io::Result<()>, String, String) {
        let mut from = body.as_bytes();
        let mut to = Vec::new();
        let outcome = copy_body(&mut from, &mut to).await;
        let rest = String::from_utf8(from.to_vec()).unwrap();
        (outcome, String::from_utf8(to).unwrap(), rest)
    }

    #[tokio::test]
    async fn a_body_is_passed_on_up_to_its_end() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "A;name=\"value\"\r\n0123456789\r\n1\r\nx\r\n0\r\nTrailer: 1\r\nOther: 2\r\n\r\n",
        ] {
            let (outcome, passed, rest) = copied(&format!("{body}GET http://other/")).await;
            outcome.unwrap();
            assert_eq!(
                (passed.as_str(), rest.as_str()),
                (body, "GET http://other/")
            );
        }
    }

    #[tokio::test]
    async fn what_is_not_chunked_is_an_error() {
        for body in [
            "x\r\n",
            "-1\r\n",
            "\r\n",
            "3\nabc\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "10000000000000000\r\n",
            &format!("1;{}\r\n", "x".repeat(9000)),
            &format!("0\r\n{}\r\n", "a: b\r\n".repeat(100)),
        ] {
            let (outcome, _, _) = copied(body).await;
            assert_eq!(
                outcome.unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{body:?}"
            );
        }
        for body in ["", "3", "3\r\nab", "3\r\nabc", "3\r\nabc\r\n", "0\r\n"] {
            let (outcome, _, _) = copied(body).await;
            assert_eq!(
                outcome.unwrap_err().kind(),
                io::ErrorKind::UnexpectedEof,
                "{body:?}"
            );
        }
    }
}
