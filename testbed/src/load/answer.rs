//! Just enough of HTTP/1.1 to know where an answer ends, so that a load generator costs less than what it loads.

use std::io;

/// The first line and the length of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// The bytes of head and body together.
    pub length: usize,
}

/// Reads the head of an answer; `None` while it is incomplete. The answer must give its length.
pub fn head_of(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let body = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse::<usize>().ok())
        .ok_or_else(|| io::Error::other("the answer has no content-length"))?;
    Ok(Some(Head { status: response.code.unwrap_or(0), length: head + body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_after_its_content_length() {
        let whole = b"HTTP/1.1 422 Unprocessable\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1";
        assert_eq!(head_of(whole).unwrap(), Some(Head { status: 422, length: whole.len() - 8 }));
        assert_eq!(head_of(&whole[..30]).unwrap(), None);
        assert!(head_of(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(head_of(b"SSH-2.0\r\n\r\n").is_err());
    }
}
