//! One request: from an address into a part file.
//!
//! A thread reads from the net; the caller's thread writes to disk and asks several times a second
//! whether to continue, however long the server takes. The word to end cuts off a connection; one
//! that is still being made ends first, by the patience of the source at most.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use crate::part::Part;
use crate::{Error, Problem, Result};

/// How often the caller is asked whether to continue while nothing arrives.
const TICK: Duration = Duration::from_millis(100);

/// How many blocks may wait to be written.
const WAITING: usize = 4;

/// A file at an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) address: &'a str,
    /// The length that was published.
    pub(crate) length: u64,
    /// How long the server may be silent.
    pub(crate) patience: Duration,
}

/// What the reading thread sends.
enum Piece {
    /// The body begins with this byte of the file.
    From(u64),
    Bytes(Vec<u8>),
}

impl Source<'_> {
    /// Asks for what `part` lacks, and appends it; `watch` hears how many bytes are there, and
    /// `received` grows by those that came.
    ///
    /// A server that cannot give a part of a file gives all of it, and the part file starts anew. A
    /// connection that ends badly once all is there has done what it was made for.
    ///
    /// # Errors
    /// What went wrong; what had come by then is in `part`.
    pub(crate) fn transfer(
        &self,
        part: &mut Part,
        received: &mut u64,
        watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<()> {
        let agent = self.agent();
        let from = part.length();
        let (sender, receiver) = sync_channel(WAITING);
        let (written, read) = thread::scope(|scope| {
            let reading = agent.clone();
            let worker = scope.spawn(move || self.read(&reading, from, &sender));
            let written = write(&receiver, part, received, watch);
            // The worker may wait for the server or for room in the channel.
            agent.shutdown();
            drop(receiver);
            let read = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (written, read)
        });
        written?;
        let problem = |problem| Error::Transfer { address: self.address.to_owned(), problem };
        match read {
            Ok(()) | Err(Problem::Cut { .. } | Problem::Timeout(_) | Problem::Unreachable(_))
                if part.length() == self.length =>
            {
                Ok(())
            }
            Ok(()) | Err(Problem::Cut { .. }) => {
                Err(problem(Problem::Cut { received: part.length(), length: self.length }))
            }
            Err(other) => Err(problem(other)),
        }
    }

    fn agent(&self) -> Agent {
        Agent::config_builder()
            // Redirects too, so that what begins with https stays there.
            .https_only(self.address.starts_with("https://"))
            .http_status_as_error(false)
            .timeout_resolve(Some(self.patience))
            .timeout_connect(Some(self.patience))
            .timeout_recv_response(Some(self.patience))
            .timeout_per_read(Some(self.patience))
            .user_agent(concat!("lowland-fetch/", env!("CARGO_PKG_VERSION")))
            .build()
            .into()
    }

    /// Reads the answer to the end, or until nobody takes it.
    fn read(
        &self,
        agent: &Agent,
        from: u64,
        pieces: &SyncSender<Piece>,
    ) -> std::result::Result<(), Problem> {
        let mut response = self.ask(agent, from)?;
        let mut from = from;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && from > 0 {
            // It has less than there is already: all of it anew, to see what it has.
            drop(response);
            from = 0;
            response = self.ask(agent, from)?;
        }
        let begins = self.begins(&response, from)?;
        if pieces.send(Piece::From(begins)).is_err() {
            return Ok(());
        }
        let mut left = self.length - begins;
        let mut body = response.into_body().into_reader();
        loop {
            let mut block = vec![0; 1 << 16];
            let count = body.read(&mut block).map_err(|error| self.problem(error.into()))?;
            if count as u64 > left {
                return Err(self.another_length("more".to_owned()));
            }
            left -= count as u64;
            block.truncate(count);
            if count == 0 || pieces.send(Piece::Bytes(block)).is_err() {
                return Ok(());
            }
        }
    }

    fn ask(&self, agent: &Agent, from: u64) -> std::result::Result<Response<Body>, Problem> {
        let mut request = agent.get(self.address);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        request.call().map_err(|error| self.problem(error))
    }

    /// With which byte of the file the body begins, where it is of the file that was published.
    fn begins(&self, response: &Response<Body>, from: u64) -> std::result::Result<u64, Problem> {
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let (begins, whole) = match response.status() {
            StatusCode::OK => (0, text(header::CONTENT_LENGTH)),
            StatusCode::PARTIAL_CONTENT if from > 0 => {
                let range = text(header::CONTENT_RANGE).unwrap_or_default();
                let (begins, whole) = content_range(range).ok_or_else(|| {
                    Problem::Status(format!("a part that it does not name: {range:?}"))
                })?;
                if begins != from {
                    let found = format!("a part that was not asked for: {range:?}");
                    return Err(Problem::Status(found));
                }
                (begins, Some(whole).filter(|whole| *whole != "*"))
            }
            status => return Err(Problem::Status(status.to_string())),
        };
        match whole {
            Some(whole) if whole.parse() != Ok(self.length) => {
                Err(self.another_length(whole.to_owned()))
            }
            _ => Ok(begins),
        }
    }

    fn another_length(&self, found: String) -> Problem {
        Problem::Length { expected: self.length, found }
    }

    fn problem(&self, error: ureq::Error) -> Problem {
        use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
        match error {
            ureq::Error::Timeout(_) => Problem::Timeout(self.patience),
            ureq::Error::RequireHttpsOnly(_) => Problem::Insecure,
            ureq::Error::HostNotFound => {
                Problem::Unreachable("no such host, or no network".to_owned())
            }
            ureq::Error::Io(error) => match error.kind() {
                TimedOut => Problem::Timeout(self.patience),
                // How much is there is said where it is known.
                UnexpectedEof | ConnectionReset | ConnectionAborted => {
                    Problem::Cut { received: 0, length: self.length }
                }
                _ => Problem::Unreachable(error.to_string()),
            },
            other => Problem::Unreachable(other.to_string()),
        }
    }
}

/// Writes what comes until nothing more does.
fn write(
    pieces: &Receiver<Piece>,
    part: &mut Part,
    received: &mut u64,
    watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<()> {
    loop {
        match pieces.recv_timeout(TICK) {
            Ok(Piece::From(begins)) if begins != part.length() => part.clear()?,
            Ok(Piece::Bytes(bytes)) => {
                part.append(&bytes)?;
                *received += bytes.len() as u64;
            }
            Ok(Piece::From(_)) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if watch(part.length()).is_break() {
            return Err(Error::Interrupted);
        }
    }
}

/// `bytes 3-9/10` as 3 and `10`.
fn content_range(range: &str) -> Option<(u64, &str)> {
    let (span, whole) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = span.split_once('-')?;
    Some((first.trim().parse().ok()?, whole.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Redirects of a request that began with https go to https alone; that is the client's rule,
    /// switched on here.
    #[test]
    fn what_begins_with_https_stays_there() {
        let secure = |address| {
            let source = Source { address, length: 1, patience: Duration::from_secs(1) };
            source.agent().config().https_only()
        };
        assert!(secure("https://example.org/x"));
        assert!(!secure("http://example.org/x"));
        let source = Source { address: "", length: 1, patience: Duration::from_secs(1) };
        let refused = source.problem(ureq::Error::RequireHttpsOnly("http://example.org".into()));
        assert_eq!(refused, Problem::Insecure);
    }

    #[test]
    fn ranges_are_read_or_refused() {
        assert_eq!(content_range("bytes 3-9/10"), Some((3, "10")));
        assert_eq!(content_range("bytes 0-0/*"), Some((0, "*")));
        for wrong in ["", "bytes", "bytes 3-9", "bytes -9/10", "items 3-9/10", "bytes x-9/10"] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }
}
