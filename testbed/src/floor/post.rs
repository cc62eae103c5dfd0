//! One keep-alive connection, one request at a time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::load::head_of;

/// An open connection to the sink.
pub(super) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    pub(super) fn open(sink: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(sink)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::new(), answer: vec![0; 4096] })
    }

    /// Posts one event and waits for its acknowledgement.
    pub(super) fn post(&mut self, event: &[u8]) -> io::Result<()> {
        self.request.clear();
        write!(
            self.request,
            "POST /v1/jitsi/events HTTP/1.1\r\nhost: sink\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            event.len()
        )?;
        self.request.extend_from_slice(event);
        self.stream.write_all(&self.request)?;
        let mut filled = 0;
        loop {
            if filled == self.answer.len() {
                return Err(io::Error::other("the answer is longer than an acknowledgement"));
            }
            filled += match self.stream.read(&mut self.answer[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => read,
            };
            if let Some(head) = head_of(&self.answer[..filled])?.filter(|head| filled >= head.length) {
                let refused = || Err(io::Error::other(format!("the sink answered {}", head.status)));
                return if head.status == 200 { Ok(()) } else { refused() };
            }
        }
    }
}
