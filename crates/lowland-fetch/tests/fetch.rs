//! Downloads from a server that each test starts on loopback, and that does what servers do. In one
//! file with that server, which has no other use.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use lowland_fetch::{
    Contents, DataSet, Error, Event, Member, Options, Outcome, Problem, RemoteFile, Result, fetch,
};
use server::{Reply, Request, Server};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};
use tempfile::TempDir;

/// The name of the one file of most sets.
const FILE: &str = "numbers.bin";

/// 300,000 bytes that do not repeat soon.
fn numbers() -> Vec<u8> {
    (0_u32..100_000)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(300_000)
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Patience for servers that do their best.
fn options() -> Options<'static> {
    Options { attempts: 1, ..Options::default() }
}

/// One file, and where it goes.
struct Fixture {
    folder: TempDir,
    length: u64,
    sum: String,
    archive: Vec<Member<'static>>,
}

impl Fixture {
    fn new(published: &[u8]) -> Self {
        let (length, sum) = (published.len() as u64, sha256(published));
        Self { folder: tempfile::tempdir().unwrap(), length, sum, archive: Vec::new() }
    }

    fn with_members(published: &[u8], members: &[Member<'static>]) -> Self {
        Self { archive: members.to_vec(), ..Self::new(published) }
    }

    fn fetch(&self, addresses: &[&str], options: &Options<'_>) -> Result<Outcome> {
        self.watched(addresses, options, |_| ControlFlow::Continue(()))
    }

    fn watched(
        &self,
        addresses: &[&str],
        options: &Options<'_>,
        mut watch: impl FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome> {
        let contents =
            if self.archive.is_empty() { Contents::Kept } else { Contents::TarGz(&self.archive) };
        let file = RemoteFile { name: FILE, length: self.length, sha256: &self.sum, contents };
        let set = DataSet { name: "numbers", page: "", addresses, files: &[file] };
        fetch(&set, &self.inside(), options, &mut watch)
    }

    /// A folder in a folder, so that what escapes is seen.
    fn inside(&self) -> std::path::PathBuf {
        self.folder.path().join("set")
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.inside().join(name)
    }

    /// All files, by their paths.
    fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let path = path.strip_prefix(self.folder.path()).unwrap();
                    found.push(path.display().to_string());
                }
            }
        }
        found.sort();
        found
    }

    fn leave_part(&self, bytes: &[u8]) {
        fs::create_dir_all(self.inside()).unwrap();
        fs::write(self.path("numbers.bin.part"), bytes).unwrap();
    }
}

fn problem(error: Error) -> Problem {
    match error {
        Error::Transfer { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

#[test]
fn a_file_is_fetched_once_and_found_good_from_then_on() {
    let fixture = Fixture::new(&numbers());
    let server = Server::start(|_| Reply::whole(&numbers()));
    let first = fixture.fetch(&[&server.address()], &options()).unwrap();
    assert_eq!(first, Outcome::Fetched { received: 300_000 });
    assert_eq!(fs::read(fixture.path(FILE)).unwrap(), numbers());
    assert_eq!(fixture.files(), ["set/numbers.bin"]);
    let asked = server.requests();
    assert_eq!(asked, [Request { path: "/numbers.bin".into(), from: None }]);

    let second = fixture.fetch(&[&server.address()], &options()).unwrap();
    assert_eq!(second, Outcome::AlreadyThere);
    assert_eq!(server.requests().len(), 1, "nothing is asked for");

    let mut damaged = numbers();
    damaged[7] ^= 1;
    fs::write(fixture.path(FILE), damaged).unwrap();
    let third = fixture.fetch(&[&server.address()], &options()).unwrap();
    assert_eq!(third, Outcome::Fetched { received: 300_000 });
    assert_eq!(fs::read(fixture.path(FILE)).unwrap(), numbers());
}

#[test]
fn after_a_cut_connection_the_rest_alone_is_asked_for() {
    let fixture = Fixture::new(&numbers());
    let server = Server::start(|request| match request.from {
        None => Reply::whole(&numbers()).cut_after(120_000),
        Some(from) => Reply::rest(&numbers(), from),
    });
    let error = fixture.fetch(&[&server.address()], &options()).unwrap_err();
    let line = error.to_string();
    let address = server.address();
    let message = "ended the connection after 120000 of 300000 bytes";
    assert_eq!(line, format!("{address}/numbers.bin {message}"));
    assert_eq!(fixture.files(), ["set/numbers.bin.part"], "nothing has the final name");
    assert_eq!(fs::read(fixture.path("numbers.bin.part")).unwrap(), numbers()[..120_000]);

    let outcome = fixture.fetch(&[&address], &options()).unwrap();
    assert_eq!(outcome, Outcome::Fetched { received: 180_000 });
    assert_eq!(server.requests()[1].from, Some(120_000));
    assert_eq!(fs::read(fixture.path(FILE)).unwrap(), numbers());
    assert_eq!(fixture.files(), ["set/numbers.bin"]);
}

#[test]
fn one_call_resumes_by_itself_as_long_as_connections_bring_something() {
    let fixture = Fixture::new(&numbers());
    let server = Server::start(|request| {
        Reply::rest(&numbers(), request.from.unwrap_or(0)).cut_after(70_000)
    });
    let many = Options { attempts: 5, ..options() };
    let outcome = fixture.fetch(&[&server.address()], &many).unwrap();
    assert_eq!(outcome, Outcome::Fetched { received: 300_000 });
    let from: Vec<_> = server.requests().iter().map(|request| request.from).collect();
    assert_eq!(from, [None, Some(70_000), Some(140_000), Some(210_000), Some(280_000)]);

    let fixture = Fixture::new(&numbers());
    let server = Server::start(|_| Reply::whole(&numbers()).cut_after(0));
    let error = fixture.fetch(&[&server.address()], &many).unwrap_err();
    assert_eq!(problem(error), Problem::Cut { received: 0, length: 300_000 });
    assert_eq!(server.requests().len(), 1, "a connection that brings nothing is not tried again");
    assert!(fixture.files().is_empty(), "an empty part is of no use");
}

#[test]
fn a_server_that_knows_no_ranges_gives_all_of_it_anew() {
    let fixture = Fixture::new(&numbers());
    fixture.leave_part(&numbers()[..1234]);
    let server = Server::start(|_| Reply::whole(&numbers()));
    let outcome = fixture.fetch(&[&server.address()], &options()).unwrap();
    assert!(matches!(outcome, Outcome::Fetched { .. }));
    assert_eq!(server.requests()[0].from, Some(1234));
    assert_eq!(fs::read(fixture.path(FILE)).unwrap(), numbers());
}

#[test]
fn a_part_of_another_file_is_found_out() {
    let rest = |request: &Request| Reply::rest(&numbers(), request.from.unwrap_or(0));
    for (left, asked) in [
        (vec![7; 300_000], vec![None]),
        (vec![7; 300_001], vec![None]),
        (vec![7; 1000], vec![Some(1000), None]),
        (numbers(), vec![]),
    ] {
        let fixture = Fixture::new(&numbers());
        let server = Server::start(rest);
        fixture.leave_part(&left);
        fixture.fetch(&[&server.address()], &options()).unwrap();
        assert_eq!(fs::read(fixture.path(FILE)).unwrap(), numbers());
        assert_eq!(fixture.files(), ["set/numbers.bin"]);
        let from: Vec<_> = server.requests().iter().map(|request| request.from).collect();
        assert_eq!(from, asked, "after {} bytes were left", left.len());
    }
}

#[test]
fn a_range_that_cannot_be_had_is_asked_for_as_a_whole() {
    let fixture = Fixture::new(&numbers());
    fixture.leave_part(&numbers()[..1234]);
    let server = Server::start(|request| match request.from {
        Some(_) => Reply::status("416 Range Not Satisfiable"),
        None => Reply::whole(&numbers()),
    });
    fixture.fetch(&[&server.address()], &options()).unwrap();
    assert_eq!(fs::read(fixture.path(FILE)).unwrap(), numbers());
}

#[test]
fn wrong_bytes_are_refused_and_nothing_is_left() {
    let mut wrong = numbers();
    wrong[299_999] ^= 0x80;
    let fixture = Fixture::new(&numbers());
    let server = Server::start({
        let wrong = wrong.clone();
        move |_| Reply::whole(&wrong)
    });
    let error = fixture.fetch(&[&server.address()], &options()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}/numbers.bin gave other bytes than were published: expected SHA-256 {}, found {}; they were removed",
            server.address(),
            sha256(&numbers()),
            sha256(&wrong)
        )
    );
    assert!(fixture.files().is_empty(), "{:?}", fixture.files());
}

#[test]
fn answers_without_the_file_are_reported_in_one_line() {
    for status in ["404 Not Found", "403 Forbidden", "500 Internal Server Error", "204 No Content"]
    {
        let fixture = Fixture::new(&numbers());
        let server = Server::start(move |_| Reply::status(status));
        let error = fixture.fetch(&[&server.address()], &options()).unwrap_err();
        let expected = format!("{}/numbers.bin answered with {status}", server.address());
        assert_eq!(error.to_string(), expected);
        assert!(fixture.files().is_empty());
    }
    let fixture = Fixture::new(&numbers());
    let server = Server::start(|_| Reply::raw(b"220 no web server here\r\n".to_vec()));
    let error = fixture.fetch(&[&server.address()], &options()).unwrap_err();
    assert!(matches!(problem(error), Problem::Unreachable(_)));
}

#[test]
fn a_server_that_is_not_there_is_reported_in_one_line() {
    let nobody = Server::start(|_| Reply::whole(&[])).address_after_the_end();
    let fixture = Fixture::new(&numbers());
    let error = fixture.fetch(&[&nobody], &options()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{nobody}/numbers.bin could not be reached: ")), "{error}");
    assert_eq!(error.lines().count(), 1);
}

#[test]
fn redirects_are_followed_and_a_circle_ends() {
    let fixture = Fixture::new(&numbers());
    let target = Server::start(|_| Reply::whole(&numbers()));
    let elsewhere = format!("{}/moved/numbers.bin", target.address());
    let server = Server::start(move |request| match request.path.as_str() {
        "/numbers.bin" => Reply::redirect("/here/numbers.bin"),
        _ => Reply::redirect(&elsewhere),
    });
    fixture.fetch(&[&server.address()], &options()).unwrap();
    assert_eq!(fs::read(fixture.path(FILE)).unwrap(), numbers());
    assert_eq!(target.requests()[0].path, "/moved/numbers.bin");

    let fixture = Fixture::new(&numbers());
    fixture.leave_part(&numbers()[..10_000]);
    let target = Server::start(|request| Reply::rest(&numbers(), request.from.unwrap()));
    let elsewhere = target.address();
    let server = Server::start(move |_| Reply::redirect(&elsewhere));
    fixture.fetch(&[&server.address()], &options()).unwrap();
    assert_eq!(target.requests()[0].from, Some(10_000), "the range goes along");

    let fixture = Fixture::new(&numbers());
    let server = Server::start(|_| Reply::redirect("/numbers.bin"));
    let error = fixture.fetch(&[&server.address()], &options()).unwrap_err();
    assert!(matches!(problem(error), Problem::Unreachable(_)));
    assert!(fixture.files().is_empty());
}

#[test]
fn lengths_that_lie_are_found_out() {
    let other = |found: &str| Problem::Length { expected: 300_000, found: found.to_owned() };
    let cut = |received| Problem::Cut { received, length: 300_000 };
    let longer = [numbers(), vec![0; 5]].concat();
    let cases: [(Reply, Problem); 6] = [
        (Reply::whole(&longer), other("300005")),
        (Reply::whole(&numbers()[..299_000]), other("299000")),
        // The header is right and the body is not.
        (Reply::whole(&numbers()).cut_after(299_999), cut(299_999)),
        // There is no header.
        (Reply::until_the_end(&numbers()[..200_000]), cut(200_000)),
        (Reply::until_the_end(&longer), other("more")),
        (Reply::chunked(&longer), other("more")),
    ];
    for (reply, expected) in cases {
        let fixture = Fixture::new(&numbers());
        let server = Server::start(move |_| reply.clone());
        let error = fixture.fetch(&[&server.address()], &options()).unwrap_err();
        assert_eq!(problem(error), expected);
        assert!(!fixture.path(FILE).exists());
    }
    // More than the header says is not taken.
    let fixture = Fixture::new(&numbers());
    let server = Server::start(|_| Reply::whole(&numbers()).followed_by(b"more"));
    fixture.fetch(&[&server.address()], &options()).unwrap();
    assert_eq!(fs::read(fixture.path(FILE)).unwrap(), numbers());
}

#[test]
fn parts_that_lie_are_refused_and_what_was_there_stays() {
    let part = |range: &'static str| {
        move |_: &Request| Reply::whole(&numbers()[..5]).in_answer_to_a_range(range)
    };
    let found = |range: &'static str| {
        let fixture = Fixture::new(&numbers());
        fixture.leave_part(&numbers()[..1000]);
        let server = Server::start(part(range));
        let error = fixture.fetch(&[&server.address()], &options()).unwrap_err();
        assert_eq!(fs::read(fixture.path("numbers.bin.part")).unwrap(), numbers()[..1000]);
        error.to_string().split_once("numbers.bin ").unwrap().1.to_owned()
    };
    assert_eq!(
        found("bytes 999-1003/300000"),
        "answered with a part that was not asked for: \"bytes 999-1003/300000\""
    );
    assert_eq!(
        found("bytes 1000-1004/400000"),
        "has another file than was published: expected 300000 bytes, found 400000"
    );
    assert_eq!(found("five"), "answered with a part that it does not name: \"five\"");
}

#[test]
fn a_server_that_falls_silent_is_left() {
    let patience = Duration::from_millis(300);
    let little = Options { patience, ..options() };
    for kept in [None, Some(50_000)] {
        let fixture = Fixture::new(&numbers());
        let server = Server::start(move |_| match kept {
            None => Reply::raw(Vec::new()).and_hang(),
            Some(count) => Reply::whole(&numbers()).cut_after(count).and_hang(),
        });
        let error = fixture.fetch(&[&server.address()], &little).unwrap_err();
        assert_eq!(error.to_string().split_once(".bin ").unwrap().1, "gave no answer for 300ms");
        let part = fs::read(fixture.path("numbers.bin.part")).map(|bytes| bytes.len());
        assert_eq!(part.ok(), kept);
    }
}

#[test]
fn a_whole_file_is_kept_however_its_connection_ends() {
    let little = Options { patience: Duration::from_millis(300), ..options() };
    let endless = Reply::until_the_end(&numbers()).and_hang();
    let chunked = Reply::chunked(&numbers());
    let all_but_the_last_chunk = numbers().len() + 30 * "2710\r\n\r\n".len();
    for reply in [endless, chunked.cut_after(all_but_the_last_chunk)] {
        let fixture = Fixture::new(&numbers());
        let server = Server::start(move |_| reply.clone());
        let outcome = fixture.fetch(&[&server.address()], &little).unwrap();
        assert_eq!(outcome, Outcome::Fetched { received: 300_000 });
        assert_eq!(server.requests().len(), 1);
        assert_eq!(fs::read(fixture.path(FILE)).unwrap(), numbers());
    }
}

#[test]
fn what_a_server_gives_anew_has_come_all_the_same() {
    let fixture = Fixture::new(&numbers());
    fixture.leave_part(&numbers()[..250_000]);
    let server = Server::start(|_| Reply::whole(&numbers()));
    let outcome = fixture.fetch(&[&server.address()], &options()).unwrap();
    assert_eq!(outcome, Outcome::Fetched { received: 300_000 });
}

#[test]
fn a_file_without_address_is_an_error_that_says_so() {
    let fixture = Fixture::new(&numbers());
    let error = fixture.fetch(&[], &options()).unwrap_err();
    assert_eq!(error.to_string(), "numbers.bin is unavailable: no address is known");
    assert!(fixture.files().is_empty());
}

#[test]
fn a_break_ends_it_at_once_and_keeps_what_came() {
    let fixture = Fixture::new(&numbers());
    let server = Server::start(|_| Reply::whole(&numbers()).cut_after(50_000).and_hang());
    let begin = Instant::now();
    let result = fixture.watched(&[&server.address()], &options(), |event| match event {
        Event::Received { done: 50_000, length: 300_000, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
    assert!(begin.elapsed() < options().patience, "it does not wait for the server");
    assert_eq!(fs::read(fixture.path("numbers.bin.part")).unwrap(), numbers()[..50_000]);
}

#[test]
fn one_address_after_the_other_is_asked() {
    let bad = Server::start(|_| Reply::status("503 Service Unavailable"));
    let wrong = Server::start(|_| Reply::whole(&vec![1; 300_000]));
    let good = Server::start(|_| Reply::whole(&numbers()));
    let addresses = [bad.address(), wrong.address(), good.address()];
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let fixture = Fixture::new(&numbers());
    let mut failed = 0;
    let outcome = fixture.watched(&addresses, &options(), |event| {
        failed += usize::from(matches!(event, Event::Failed { .. }));
        ControlFlow::Continue(())
    });
    assert!(matches!(outcome, Ok(Outcome::Fetched { .. })));
    assert_eq!(failed, 2);
    assert_eq!(fs::read(fixture.path(FILE)).unwrap(), numbers());

    let fixture = Fixture::new(&numbers());
    let error = fixture.fetch(&addresses[..2], &options()).unwrap_err().to_string();
    let [first, second] = [addresses[0], addresses[1]];
    let begins = format!(
        "numbers.bin is unavailable: {first}/numbers.bin answered with 503 Service Unavailable; \
         {second}/numbers.bin gave other bytes than were published: "
    );
    assert!(error.starts_with(&begins), "{error}");
    assert!(fixture.files().is_empty());
}

#[test]
fn a_mirror_takes_the_place_of_all_addresses_and_sums_hold() {
    let publisher = Server::start(|_| Reply::whole(&numbers()));
    let mirror = Server::start(|_| Reply::whole(&numbers()));
    let fixture = Fixture::new(&numbers());
    let address = format!("{}/a/b/", mirror.address());
    let through = Options { mirror: Some(&address), ..options() };
    fixture.fetch(&[&publisher.address()], &through).unwrap();
    assert!(publisher.requests().is_empty());
    assert_eq!(mirror.requests()[0].path, "/a/b/numbers.bin");

    for address in ["", "ftp://example.org", "example.org", "http://", "https://a b"] {
        let fixture = Fixture::new(&numbers());
        let through = Options { mirror: Some(address), ..options() };
        let error = fixture.fetch(&[], &through).unwrap_err();
        assert!(error.is_input());
        assert_eq!(
            error.to_string(),
            format!("{address:?} is no address: expected one that begins with http:// or https://")
        );
        assert!(!fixture.inside().exists(), "nothing is made");
    }
}

#[test]
fn two_downloads_of_one_file_do_not_mix() {
    let fixture = Fixture::new(&numbers());
    fixture.leave_part(b"");
    let other = File::open(fixture.path("numbers.bin.part")).unwrap();
    other.lock().unwrap();
    let server = Server::start(|_| Reply::whole(&numbers()));
    let error = fixture.fetch(&[&server.address()], &options()).unwrap_err().to_string();
    assert!(error.ends_with("numbers.bin.part is being written by another program"), "{error}");
    assert!(server.requests().is_empty());
}

/// A member of an archive, whatever its name.
fn add(archive: &mut Vec<u8>, name: &str, kind: EntryType, contents: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(contents.len() as u64);
    header.set_mode(0o644);
    if kind.is_symlink() {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(contents);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

fn pack(members: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, kind, contents) in members {
        add(&mut archive, name, *kind, contents);
    }
    archive.resize(archive.len() + 1024, 0);
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&archive).unwrap();
    packed.finish().unwrap()
}

const MEMBERS: [Member<'static>; 2] =
    [Member { path: "set/a.bin", length: 3 }, Member { path: "set/b.bin", length: 200_000 }];

fn good() -> Vec<(&'static str, EntryType, Vec<u8>)> {
    vec![
        ("set/", EntryType::Directory, vec![]),
        ("set/readme.html", EntryType::Regular, b"<html>".to_vec()),
        ("./set/a.bin", EntryType::Regular, b"abc".to_vec()),
        ("set/b.bin", EntryType::Regular, numbers()[..200_000].to_vec()),
    ]
}

fn packed(members: &[(&'static str, EntryType, Vec<u8>)]) -> Vec<u8> {
    let members: Vec<_> = members.iter().map(|(n, k, bytes)| (*n, *k, &bytes[..])).collect();
    pack(&members)
}

#[test]
fn an_archive_is_unpacked_to_the_members_that_are_wanted() {
    let archive = packed(&good());
    let fixture = Fixture::with_members(&archive, &MEMBERS);
    let server = Server::start(move |_| Reply::whole(&archive));
    let mut unpacked = Vec::new();
    fixture
        .watched(&[&server.address()], &options(), |event| {
            if let Event::Unpacked { done, length, .. } = event {
                unpacked.push((*done, *length));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(fixture.files(), ["set/fetched.json", "set/set/a.bin", "set/set/b.bin"]);
    assert_eq!(fs::read(fixture.path("set/b.bin")).unwrap(), numbers()[..200_000]);
    assert_eq!(unpacked.last(), Some(&(200_003, 200_003)));

    let address = server.address();
    assert_eq!(fixture.fetch(&[&address], &options()).unwrap(), Outcome::AlreadyThere);
    assert_eq!(server.requests().len(), 1);
    let again = |spoil: &dyn Fn()| {
        spoil();
        let outcome = fixture.fetch(&[&address], &options()).unwrap();
        assert!(matches!(outcome, Outcome::Fetched { .. }));
        assert_eq!(fs::read(fixture.path("set/a.bin")).unwrap(), b"abc");
        assert_eq!(fixture.files().len(), 3);
    };
    again(&|| fs::write(fixture.path("set/a.bin"), "abd").unwrap());
    again(&|| fs::remove_file(fixture.path("set/a.bin")).unwrap());
    again(&|| fs::write(fixture.path("fetched.json"), "{\"numbers.bin\": 7}").unwrap());
}

#[test]
fn archives_that_are_not_what_they_should_be_are_refused() {
    let with = |name: &'static str, kind: EntryType, contents: &[u8]| {
        let mut members = good();
        members.push((name, kind, contents.to_vec()));
        packed(&members)
    };
    let without = |name: &str| {
        let mut members = good();
        members.retain(|member| member.0 != name);
        members
    };
    let link = [without("./set/a.bin"), vec![("set/a.bin", EntryType::Symlink, vec![])]].concat();
    let long = [without("./set/a.bin"), vec![("set/a.bin", EntryType::Regular, b"abcd".to_vec())]]
        .concat();
    let regular = EntryType::Regular;
    let outside = |name: &str| format!("holds {name:?}, which would lie outside its folder");
    let cases: [(Vec<u8>, String); 9] = [
        (with("../escaped", regular, b"x"), outside("../escaped")),
        (with("set/../../escaped", regular, b"x"), outside("set/../../escaped")),
        (with("/tmp/escaped", regular, b"x"), outside("/tmp/escaped")),
        (with("set/a.bin", regular, b"abc"), "holds set/a.bin twice".into()),
        (packed(&without("set/b.bin")), "does not hold set/b.bin".into()),
        (
            packed(&link),
            "holds another set/a.bin: expected a file of 3 bytes, found Symlink of 0".into(),
        ),
        (
            packed(&long),
            "holds another set/a.bin: expected a file of 3 bytes, found Regular of 4".into(),
        ),
        (packed(&good())[..9000].to_vec(), "cannot be unpacked: ".into()),
        (b"no archive".to_vec(), "cannot be unpacked: ".into()),
    ];
    for (archive, expected) in cases {
        let fixture = Fixture::with_members(&archive, &MEMBERS);
        let server = Server::start(move |_| Reply::whole(&archive));
        let error = fixture.fetch(&[&server.address()], &options()).unwrap_err().to_string();
        let message = error.split_once("numbers.bin.part ").unwrap().1;
        assert!(message.starts_with(&expected), "{message}, expected {expected}");
        assert!(!fixture.folder.path().join("escaped").exists());
        assert!(!Path::new("/tmp/escaped").exists());
        let inside = |file: &String| file.starts_with("set/") && !file.ends_with("bin.part.part");
        assert!(fixture.files().iter().all(inside), "{:?}", fixture.files());
        assert!(!fixture.path("fetched.json").exists());
    }
}

#[test]
fn an_archive_that_ends_anywhere_is_refused() {
    let whole = packed(&good());
    // What is behind the last member need not be there.
    for length in (0..whole.len() - 1500).step_by(whole.len() / 40) {
        let archive = whole[..length].to_vec();
        let fixture = Fixture::with_members(&archive, &MEMBERS);
        fixture.leave_part(&archive);
        let error = fixture.fetch(&[], &options()).unwrap_err();
        assert!(matches!(error, Error::Archive { .. }), "{length}: {error}");
    }
}

#[test]
fn a_break_while_unpacking_keeps_the_archive() {
    let archive = packed(&good());
    let fixture = Fixture::with_members(&archive, &MEMBERS);
    let server = Server::start(move |_| Reply::whole(&archive));
    let result = fixture.watched(&[&server.address()], &options(), |event| match event {
        Event::Unpacked { done, .. } if *done > 3 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(result, Err(Error::Interrupted)));
    assert_eq!(fixture.files(), ["set/numbers.bin.part", "set/set/a.bin"]);
    let outcome = fixture.fetch(&[], &options()).unwrap();
    assert_eq!(outcome, Outcome::Fetched { received: 0 }, "the net is not asked again");
    assert_eq!(fixture.files(), ["set/fetched.json", "set/set/a.bin", "set/set/b.bin"]);
}

#[test]
fn a_place_that_cannot_be_written_to_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let set = DataSet { name: "numbers", page: "", addresses: &[], files: &[] };
    let target = folder.path().join("file/sub");
    let error = fetch(&set, &target, &options(), &mut |_| ControlFlow::Continue(())).unwrap_err();
    let line = error.to_string();
    assert!(line.starts_with(&format!("cannot write {}: ", target.display())), "{line}");
}
