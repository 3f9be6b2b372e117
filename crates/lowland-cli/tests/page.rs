//! The pages of comparisons, landscapes and reports as a reader meets them: in a headless Chromium,
//! wide and narrow, light and dark, under the pointer and printed.
//!
//! The browser is `chromium`, `chromium-browser` or `google-chrome` on the path, or what
//! `LOWLAND_CHROMIUM` names. Without one, the test says so and passes.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "page/browser.rs"]
mod browser;
mod common;

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use browser::{Browser, Tab};
use common::{path, run, short};

const PROBE: &str = include_str!("page/probe.js");
/// What forbids a page all requests.
const POLICY: &str = "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\"";

const DESKTOP: Screen = Screen { name: "desktop", width: 1280, height: 900, phone: false };
const PHONE: Screen = Screen { name: "phone", width: 390, height: 844, phone: true };

/// A window to read in.
#[derive(Debug)]
struct Screen {
    name: &'static str,
    width: u32,
    height: u32,
    phone: bool,
}

/// A browser; `None`, and a word on it, where there is none.
fn browser() -> Option<Browser> {
    match Browser::start() {
        Ok(browser) => Some(browser),
        Err(why) => {
            // Past the test harness, which keeps what a passing test prints.
            let message = "no page was opened, for there is no browser";
            let _ = writeln!(std::io::stderr(), "{message}: {why}");
            None
        }
    }
}

/// The pages of runs that are done: landscapes of both kinds, and a report with all that was
/// measured.
#[test]
fn landscapes_and_reports_can_be_read_on_every_screen_and_on_paper() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (sgd, arsam) = (path(folder.path(), "sgd"), path(folder.path(), "arsam"));
    let (map, line) = (path(folder.path(), "map"), path(folder.path(), "line"));
    let out = path(folder.path(), "report");
    run(&short(&sgd, &["--algorithm", "sgd", "--batch-size", "20"]));
    let algorithm = "arsam:controller.warmup.steps=5";
    run(&short(&arsam, &["--algorithm", algorithm, "--batch-size", "20"]));
    let ground = ["--images", "60", "-q"];
    for one in [&sgd, &arsam] {
        let little = ["--lanczos-steps", "6", "--trace-probes", "3", "--density-probes", "1"];
        run(&[&["sharpness", one][..], &little, &ground].concat());
    }
    let two = ["landscape", &sgd, &arsam];
    run(&[&two[..], &["--points", "5", "--out", &map], &ground].concat());
    run(&[&two[..], &["--along", "line", "--points", "5", "--out", &line], &ground].concat());
    let eigen = ["--along", "eigenvectors", "--points", "4"];
    run(&[&["landscape", &sgd][..], &eigen, &ground].concat());
    run(&["report", &sgd, &arsam, "--out", &out]);
    let landscape = "landscape.html";
    for (folder, name) in
        [(&map, landscape), (&line, landscape), (&sgd, landscape), (&out, "report.html")]
    {
        let found = faults(&mut browser, &Path::new(folder).join(name));
        assert_eq!(found, Vec::<String>::new(), "{folder}/{name}");
    }
}

#[test]
fn a_comparison_can_be_read_on_every_screen_and_on_paper() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "comparison");
    let sizes =
        ["--epochs", "2", "--batch-size", "20", "--train-limit", "200", "--test-limit", "50"];
    let algorithms = "sgd,sam,arsam:controller.warmup.steps=5";
    let what = ["compare", "--algorithms", algorithms, "--seeds", "2", "-q", "--out", &out];
    run(&[&what[..], &sizes].concat());
    let page = Path::new(&out).join("report.html");
    assert_eq!(faults(&mut browser, &page), Vec::<String>::new());

    // What is broken is found.
    let whole = std::fs::read_to_string(&page).unwrap();
    let page = folder.path().join("broken.html");
    for &(from, to, expected) in BROKEN {
        assert!(whole.contains(from), "the page has no {from}");
        std::fs::write(&page, whole.replace(from, to)).unwrap();
        let found = faults(&mut browser, &page);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{to}: {found:#?}");
    }
}

/// Ways to break a page, each with the fault that must be found.
const BROKEN: &[(&str, &str, &str)] = &[
    ("<main>", "<main><img src=\"https://example.org/a.png\">", "console: "),
    (POLICY, "><img src=\"http://127.0.0.1:9/a.png\"", "request: http://127.0.0.1:9/a.png"),
    ("\"use strict\";", "throw new Error(\"lost\");", "console: "),
    ("\"use strict\";", "console.warn(\"odd\");", "console: "),
    ("<h1>", "<h1 style=\"width: 400px\">", "phone: content overflows"),
    ("name=\"viewport\"", "name=\"window\"", "phone: laid out 980 wide"),
    ("figure > svg { display: block;", "figure > svg { display: none;", "has the box"),
    (".line, .thin", ".line, .mark, .band, .thin { display: none; } .thin", "is empty"),
    ("</span> <b>", "</span> <b hidden>", "a legend is silent"),
    ("text-anchor=\"end\">", "text-anchor=\"start\" dx=\"460\">", "words beyond its figure"),
    ("class=\"hit\"", "class=\"held\"", "shows the pointer nothing"),
    ("tip.hidden = false", "tip.hidden = true", "the pointer is shown null"),
    ("fill(area);", "fill(document.querySelector(\".hit\"));", "the pointer is shown [\"epoch 1\""),
    ("Math.max(8, Math.min(room, beside))", "1270", "are shown beyond the window"),
    ("      hide();", "      return;", "the pointer left"),
    ("event.pointerType === \"touch\" || hide()", "hide()", "phone: the pointer is shown null"),
    ("prefers-color-scheme: dark", "prefers-color-scheme: no", "dark screen: a ground"),
    ("--quiet: #a3abb3", "--quiet: #4a4f55", "dark screen: hard to read"),
    ("--paper: #fff; --panel", "--paper: #eee; --panel", "dark print: a ground"),
    ("  .tip, details", "  main, .tip, details", "printed as"),
];

/// All that is wrong with a page.
fn faults(browser: &mut Browser, page: &Path) -> Vec<String> {
    let url = format!("file://{}", page.display());
    let source = std::fs::read_to_string(page).unwrap();
    let mut found = Vec::new();
    let mut tab = browser.tab();
    set_screen(&mut tab, &DESKTOP, "light", "screen");
    tab.open(&url);
    for screen in [&DESKTOP, &PHONE] {
        set_screen(&mut tab, screen, "light", "screen");
        let mut faults =
            [widths(&mut tab, screen), pictures(&mut tab), pointer(&mut tab, screen, &source)];
        for fault in faults.iter_mut().flatten() {
            *fault = format!("{}: {fault}", screen.name);
        }
        found.extend(faults.into_iter().flatten());
    }
    found.extend(colours(&mut tab));
    found.extend(paper(&mut tab));
    // Last, for all that was done may have led to them.
    found.extend(tab.events.iter().filter_map(|event| complaint(event, &url)));
    found
}

fn set_screen(tab: &mut Tab<'_>, screen: &Screen, scheme: &str, media: &str) {
    let Screen { width, height, phone, .. } = screen;
    let sizes = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
    tab.call("Emulation.setDeviceMetricsOverride", sizes);
    tab.call("Emulation.setTouchEmulationEnabled", json!({"enabled": phone}));
    let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
    tab.call("Emulation.setEmulatedMedia", json!({"media": media, "features": features}));
}

fn probe(tab: &mut Tab<'_>, function: &str, arguments: &[Value]) -> Value {
    let arguments = arguments.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    tab.value(&format!("({PROBE}).{function}({arguments})"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

/// The page is as wide as the screen, with all its numbers unfolded.
fn widths(tab: &mut Tab<'_>, screen: &Screen) -> Vec<String> {
    tab.value("for (const folded of document.querySelectorAll('details')) folded.open = true");
    let width = probe(tab, "width", &[]);
    let mut found = Vec::new();
    if width["page"] != screen.width {
        found.push(format!("laid out {} wide on {}", width["page"], screen.width));
    }
    if number(&width["content"]) > number(&width["page"]) {
        found.push(format!("content overflows to {}: {}", width["content"], width["wide"]));
    }
    found
}

/// Every picture is there in a sensible size, with something in it and a legend that says
/// something.
fn pictures(tab: &mut Tab<'_>) -> Vec<String> {
    let pictures = probe(tab, "pictures", &[]);
    let mut found = Vec::new();
    if list(&pictures).is_empty() {
        found.push("no picture".into());
    }
    for picture in list(&pictures) {
        let name = &picture["name"];
        let (frame, size) = (&picture["frame"], &picture["box"]);
        if frame.is_null() {
            found.push(format!("{name} is in no figure"));
            continue;
        }
        let of = |what: &Value, side: &str| number(&what[side]);
        let inside = of(size, "left") >= of(frame, "left")
            && of(size, "top") >= of(frame, "top")
            && of(size, "right") <= of(frame, "right")
            && of(size, "bottom") <= of(frame, "bottom");
        if !inside || of(size, "width") < 250.0 || of(size, "height") < 150.0 {
            found.push(format!("{name} has the box {size} in a figure of {frame}"));
        }
        if picture["shapes"] == 0 {
            found.push(format!("{name} is empty"));
        }
        if picture["hits"] == 0 {
            found.push(format!("{name} shows the pointer nothing"));
        }
        if !list(&picture["strays"]).is_empty() {
            found.push(format!("{name} has words beyond its figure: {}", picture["strays"]));
        }
    }
    let legends = probe(tab, "legends", &[]);
    found.extend(list(&legends).iter().map(|legend| format!("a legend is silent: {legend}")));
    found
}

/// The pointer is shown the values under it, and nothing where there are none.
fn pointer(tab: &mut Tab<'_>, screen: &Screen, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let spots = probe(tab, "spots", &[]);
    for spot in list(&spots) {
        let aim = probe(tab, "aim", &[spot.clone(), source.into()]);
        point(tab, screen, &json!({"x": aim["x"], "y": aim["y"]}));
        let tip = probe(tab, "tip", &[]);
        if tip["lines"] != aim["values"] {
            found.push(format!("the pointer is shown {} and not {}", tip["lines"], aim["values"]));
        } else if tip["inside"] != true {
            found.push(format!("the values {} are shown beyond the window", aim["values"]));
        }
    }
    point(tab, screen, &json!({"x": 1, "y": 1}));
    let tip = probe(tab, "tip", &[]);
    if !tip.is_null() {
        found.push(format!("the pointer left and is still shown {}", tip["lines"]));
    }
    found
}

/// Moves the mouse to a place, or taps there with a finger.
fn point(tab: &mut Tab<'_>, screen: &Screen, place: &Value) {
    if screen.phone {
        tab.call("Input.dispatchTouchEvent", json!({"type": "touchStart", "touchPoints": [place]}));
        tab.call("Input.dispatchTouchEvent", json!({"type": "touchEnd", "touchPoints": []}));
    } else {
        let moved = json!({"type": "mouseMoved", "x": place["x"], "y": place["y"]});
        tab.call("Input.dispatchMouseEvent", moved);
    }
}

/// Light is light, dark is dark, paper is white in either, and all words stand out.
fn colours(tab: &mut Tab<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let looks = [
        ("light", "screen", 0.8..=1.0),
        ("dark", "screen", 0.0..=0.05),
        ("light", "print", 1.0..=1.0),
        ("dark", "print", 1.0..=1.0),
    ];
    for (scheme, media, ground) in looks {
        set_screen(tab, &DESKTOP, scheme, media);
        let colours = probe(tab, "colours", &[]);
        if !ground.contains(&number(&colours["ground"])) {
            let luminance = &colours["ground"];
            found.push(format!("{scheme} {media}: a ground of luminance {luminance}"));
        }
        if !list(&colours["faint"]).is_empty() {
            found.push(format!("{scheme} {media}: hard to read: {}", colours["faint"]));
        }
    }
    found
}

/// The page can be printed.
fn paper(tab: &mut Tab<'_>) -> Vec<String> {
    set_screen(tab, &DESKTOP, "light", "");
    let printed = tab.call("Page.printToPDF", json!({"printBackground": false}));
    let pdf = probe(tab, "pdf", &[printed["data"].clone()]);
    let whole = pdf["start"] == "%PDF-" && number(&pdf["bytes"]) > 20_000.0;
    if whole && (1.0..=12.0).contains(&number(&pdf["pages"])) {
        return Vec::new();
    }
    vec![format!("printed as {pdf}")]
}

/// What the browser said that it would not say of a page without faults.
fn complaint(event: &Value, url: &str) -> Option<String> {
    let message = &event["params"];
    match event["method"].as_str()? {
        "Network.requestWillBeSent" => {
            let asked = message["request"]["url"].as_str()?;
            (asked != url).then(|| format!("request: {asked}"))
        }
        "Network.webSocketCreated" => Some(format!("request: {}", message["url"])),
        "Runtime.exceptionThrown" => Some(format!("console: {}", message["exceptionDetails"])),
        "Runtime.consoleAPICalled" => {
            let loud = ["error", "warning", "assert"].contains(&message["type"].as_str()?);
            loud.then(|| format!("console: {}", message["args"]))
        }
        "Log.entryAdded" => {
            let entry = &message["entry"];
            let loud = ["error", "warning"].contains(&entry["level"].as_str()?);
            loud.then(|| format!("console: {}", entry["text"]))
        }
        _ => None,
    }
}
