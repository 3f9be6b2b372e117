//! A server on loopback that answers as a test wants it to. The tests of the command use it too.

#![allow(dead_code, reason = "no test uses all of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// The first byte of the range.
    pub(crate) from: Option<u64>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    head: String,
    body: Vec<u8>,
    hangs: bool,
}

impl Reply {
    fn new(status: &str, headers: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
        Self { head, body: body.to_vec(), hangs: false }
    }

    /// A whole file.
    pub(crate) fn whole(file: &[u8]) -> Self {
        Self::new("200 OK", &format!("Content-Length: {}\r\n", file.len()), file)
    }

    /// A file from a byte on; the whole one where that is the first.
    pub(crate) fn rest(file: &[u8], from: u64) -> Self {
        if from == 0 {
            return Self::whole(file);
        }
        let (last, length) = (file.len() - 1, file.len());
        let rest = &file[usize::try_from(from).unwrap()..];
        Self::whole(rest).in_answer_to_a_range(&format!("bytes {from}-{last}/{length}"))
    }

    /// The same as an answer to a request for a range.
    pub(crate) fn in_answer_to_a_range(self, range: &str) -> Self {
        let headers = format!("Content-Length: {}\r\nContent-Range: {range}\r\n", self.body.len());
        Self::new("206 Partial Content", &headers, &self.body)
    }

    /// A file without its length, which ends with the connection.
    pub(crate) fn until_the_end(file: &[u8]) -> Self {
        Self::new("200 OK", "", file)
    }

    /// A file in chunks.
    pub(crate) fn chunked(file: &[u8]) -> Self {
        let mut body = Vec::new();
        for chunk in file.chunks(10_000) {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        Self::new("200 OK", "Transfer-Encoding: chunked\r\n", &body)
    }

    pub(crate) fn redirect(address: &str) -> Self {
        Self::new("302 Found", &format!("Location: {address}\r\nContent-Length: 0\r\n"), b"")
    }

    pub(crate) fn status(status: &str) -> Self {
        let body = if status.starts_with("204") { "" } else { "sorry" };
        let headers = format!("Content-Length: {}\r\n", body.len());
        Self::new(status, &headers, body.as_bytes())
    }

    /// These bytes and nothing else.
    pub(crate) fn raw(bytes: Vec<u8>) -> Self {
        Self { head: String::new(), body: bytes, hangs: false }
    }

    /// So many bytes of the body, and then the end.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.body.truncate(bytes);
        self
    }

    /// More bytes than were announced.
    pub(crate) fn followed_by(mut self, bytes: &[u8]) -> Self {
        self.body.extend_from_slice(bytes);
        self
    }

    /// Silence in place of the end.
    pub(crate) fn and_hang(mut self) -> Self {
        self.hangs = true;
        self
    }
}

/// A server that ends with its test.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(reply: impl Fn(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (log, ends) = (Arc::clone(&requests), Arc::clone(&over));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away early is what some tests are about.
                let _ = stream.and_then(|stream| answer(stream, &reply, &log));
            }
        });
        Self { address, requests, over, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// An address where nobody listens any more.
    pub(crate) fn address_after_the_end(self) -> String {
        self.address()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes it up.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            assert!(joined.is_ok() || thread::panicking(), "the server panicked");
        }
    }
}

fn answer(
    stream: TcpStream,
    reply: &impl Fn(&Request) -> Reply,
    log: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut from = None;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let lower = line.to_lowercase();
        if let Some(range) = lower.strip_prefix("range: bytes=") {
            from = range.trim().trim_end_matches('-').parse().ok();
        }
    }
    let request = Request { path, from };
    let Reply { head, body, hangs } = reply(&request);
    log.lock().unwrap().push(request);
    let stream = reader.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    if !hangs {
        stream.shutdown(Shutdown::Write)?;
    }
    // Until the client has had enough: closing at once could take back bytes that are on their way.
    reader.read_to_end(&mut Vec::new())?;
    Ok(())
}
