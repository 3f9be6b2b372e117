//! A headless Chromium, led over a pair of pipes by its own protocol: commands and events are JSON,
//! each ended by a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Names under which the browser is looked for.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// A browser that does not answer for so long is given up.
const PATIENCE: Duration = Duration::from_mins(1);
const FLAGS: [&str; 10] = [
    "--headless",
    "--hide-scrollbars",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-pipe",
];

/// A running browser, which ends with this value.
#[derive(Debug)]
pub(crate) struct Browser {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    last: u64,
    /// Removed after the browser, whose files it holds.
    _profile: TempDir,
}

/// A page in a tab of its own.
#[derive(Debug)]
pub(crate) struct Tab<'browser> {
    browser: &'browser mut Browser,
    target: Value,
    session: Value,
    /// What the browser said of the page, unasked.
    pub(crate) events: Vec<Value>,
}

impl Browser {
    /// The browser of `LOWLAND_CHROMIUM`, or the first on the path; why there is none otherwise.
    pub(crate) fn start() -> Result<Self, String> {
        let program = match std::env::var_os("LOWLAND_CHROMIUM") {
            Some(named) => PathBuf::from(named),
            None => on_path().ok_or_else(|| format!("none of {} found", NAMES.join(", ")))?,
        };
        // Some systems have a script of that name that only tells how to install a browser.
        let works = Command::new(&program).arg("--version").output();
        if !works.is_ok_and(|answer| answer.status.success()) {
            return Err(format!("{} does not start", program.display()));
        }
        Ok(Self::open(&program))
    }

    fn open(program: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The browser reads commands from descriptor 3 and writes to 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null"])
            .arg(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .env("TMPDIR", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let answers = process.stdout.take().unwrap();
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { return };
                let message = serde_json::from_slice(&message).unwrap();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { process, commands, messages, last: 0, _profile: profile }
    }

    /// An empty tab.
    pub(crate) fn tab(&mut self) -> Tab<'_> {
        let mut tab =
            Tab { browser: self, target: Value::Null, session: Value::Null, events: Vec::new() };
        tab.target = tab.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": tab.target["targetId"], "flatten": true});
        let attached = tab.call("Target.attachToTarget", target);
        tab.session = attached["sessionId"].clone();
        for domain in ["Page", "Network", "Runtime", "Log"] {
            tab.call(&format!("{domain}.enable"), json!({}));
        }
        tab
    }

    fn next(&mut self, wanted: &str) -> Value {
        match self.messages.recv_timeout(PATIENCE) {
            Ok(message) => message,
            Err(why) => panic!("the browser did not answer {wanted}: {why}"),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked first, so that its own processes end with it. It may have ended already, which is
        // what is wanted.
        let _ = self.commands.write_all(b"{\"id\": 0, \"method\": \"Browser.close\"}\0");
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(5) {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Tab<'_> {
    /// Has a command done; what happens meanwhile is in `events`.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.browser.last += 1;
        let id = self.browser.last;
        let mut command = json!({"id": id, "method": method});
        command["params"] = parameters;
        if self.session.is_string() {
            command["sessionId"] = self.session.clone();
        }
        self.browser.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut message = self.browser.next(method);
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
            self.keep(message);
        }
    }

    /// Opens a file and waits until it is loaded.
    pub(crate) fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({"url": url}));
        assert!(opened["errorText"].is_null(), "{url}: {}", opened["errorText"]);
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(loaded) {
            let message = self.browser.next("with a loaded page");
            self.keep(message);
        }
    }

    /// The value of an expression in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let ask = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", ask);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer:#}");
        answer["result"]["value"].take()
    }

    fn keep(&mut self, message: Value) {
        if message["sessionId"] == self.session {
            self.events.push(message);
        }
    }
}

impl Drop for Tab<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            let target = json!({"targetId": self.target["targetId"]});
            self.session = Value::Null;
            self.call("Target.closeTarget", target);
        }
    }
}

fn on_path() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    NAMES.iter().find_map(|name| {
        folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file())
    })
}
