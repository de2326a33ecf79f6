//! What a holder of a token with the scope admin does by the pages, and all that does nothing.

use crate::shape::sound;
use crate::site::{HOSTILE, Site};
use crate::support::{Env, Got, Server as Upstream, Wheel, request};
use crate::words::has;
use http::Method;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HOST, HeaderName, LOCATION, ORIGIN, REFERRER_POLICY, SET_COOKIE,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use wcas::server::Anonymous;

const FILE: &str = "demo-1.0-py3-none-any.whl";
const FORM: &str = "application/x-www-form-urlencoded";
const OWN: &str = "http://wheels.example";
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Random bytes that are others each time.
fn random() -> Result<[u8; 32], String> {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    Ok([COUNT.fetch_add(1, Ordering::Relaxed); 32])
}

/// A site whose pages act, with a clock that tests move.
struct Desk {
    site: Site,
    now: Arc<AtomicI64>,
}

/// A browser that is signed in.
struct Browser {
    cookie: String,
}

/// The fields of a form.
type Fields = Vec<(String, String)>;

impl Desk {
    fn of(env: Env, anonymous: Anonymous) -> Self {
        Self::with(env, Upstream::start(), anonymous)
    }

    fn with(env: Env, upstream: Upstream, anonymous: Anonymous) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let now = Arc::new(AtomicI64::new(now.cast_signed()));
        let clock = now.clone();
        let site = Site::with(env, upstream, anonymous, |options| {
            options.has_actions = true;
            options.random = random;
            options.clock = Arc::new(move || clock.load(Ordering::Relaxed));
        });
        Self { site, now }
    }

    fn new() -> Self {
        Self::of(Self::demo(), Anonymous::Read)
    }

    /// A store with two collections of two versions.
    fn demo() -> Env {
        let env = Env::new();
        for (collection, seed) in [("cuda", 1), ("rocm", 50)] {
            for (at, version) in ["1.0", "2.0"].iter().enumerate() {
                let dir = format!("{collection}-{version}");
                Wheel::new("demo", version).payload(100, seed + at as u64).write_to(env.path(&dir));
                env.ok(["import", &dir, "--collection", collection]);
            }
        }
        env
    }

    fn token(&self, args: &[&str]) -> String {
        let all = [&["token", "create", "--scope", "admin"], args].concat();
        self.site.env.json(&all)["secret"].as_str().unwrap().to_owned()
    }

    /// Sends a form as a browser does, with these headers instead of its own ones.
    fn send(&self, path: &str, fields: &[(String, String)], headers: &[(HeaderName, &str)]) -> Got {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let own = [(HOST, "wheels.example"), (ORIGIN, OWN), (SITE, "same-origin"), (CONTENT_TYPE, FORM)];
        let own = own.into_iter().filter(|(name, _)| headers.iter().all(|(other, _)| other != name));
        let all: Vec<_> = own.chain(headers.iter().cloned()).collect();
        Got::read(self.site.server.act(&request(Method::POST, path, &all), body.as_bytes()))
    }

    fn sign_in(&self, token: &str) -> Browser {
        let got = self.send("/_/sign-in/", &fields(&[("token", token)]), &[]);
        assert_eq!((got.status, got.header(LOCATION)), (303, "../sign-in/"), "{}", got.text());
        let cookie = got.header(SET_COOKIE).split(';').next().unwrap().to_owned();
        Browser { cookie }
    }

    /// Signs in with a new token.
    fn signed(&self, args: &[&str]) -> Browser {
        self.sign_in(&self.token(args))
    }

    fn get(&self, browser: &Browser, path: &str) -> Got {
        self.site.ask_plainly(path, &[(HOST, "wheels.example"), (COOKIE, &browser.cookie)])
    }

    fn post(&self, browser: &Browser, path: &str, fields: &[(String, String)]) -> Got {
        self.send(path, fields, &[(COOKIE, &browser.cookie)])
    }

    /// Shows an action; returns the form's fields.
    #[track_caller]
    fn shown(&self, browser: &Browser, path: &str) -> Fields {
        let got = self.get(browser, path);
        assert_eq!(got.status, 200, "{path}: {}", got.text());
        sound(path, got.text());
        assert_eq!((got.header(CACHE_CONTROL), got.header(REFERRER_POLICY)), ("no-store", "same-origin"));
        hidden(got.text())
    }

    /// Shows an action and does it, with more fields; returns the answer.
    #[track_caller]
    fn done(&self, browser: &Browser, path: &str, more: &[(&str, &str)]) -> Got {
        let mut all = self.shown(browser, path);
        all.extend(fields(more));
        let got = self.post(browser, path.split('?').next().unwrap(), &all);
        assert_eq!(got.status, 200, "{path}: {}", got.text());
        sound(path, got.text());
        got
    }

    fn revision(&self, collection: &str) -> i64 {
        self.site.env.json(["collection", "show", collection])["revision"].as_i64().unwrap()
    }

    /// Tells what a collection has: filenames, and reasons of yanks.
    fn listed(&self, collection: &str) -> Vec<(String, Option<String>)> {
        let found = self.site.env.json(["list", "--collection", collection]);
        let rows = found["distributions"].as_array().unwrap().iter();
        rows.map(|row| (row["filename"].as_str().unwrap().to_owned(), row["yanked"].as_str().map(str::to_owned)))
            .collect()
    }
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Reads the hidden fields of a page's form.
fn hidden(html: &str) -> Fields {
    let attribute = |tag: &str, name: &str| {
        let rest = tag.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {tag}")).1;
        rest.split('"')
            .next()
            .unwrap()
            .replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    };
    let tags = html.split("<input type=\"hidden\" ").skip(1);
    tags.map(|tag| tag.split('>').next().unwrap())
        .map(|tag| (attribute(tag, "name"), attribute(tag, "value")))
        .collect()
}

fn with(mut fields: Fields, name: &str, value: &str) -> Fields {
    fields.retain(|(own, _)| own != name);
    fields.push((name.to_owned(), value.to_owned()));
    fields
}

/// Returns the pages of actions, for those who look at them.
pub(crate) fn pictured() -> Vec<(&'static str, String)> {
    let (env, upstream) = Site::filled();
    let desk = Desk::with(env, upstream, Anonymous::Read);
    let browser = desk.signed(&["--all", "--name", "release"]);
    let text = |path: &str| desk.get(&browser, path).text().to_owned();
    let refused = desk.send("/_/sign-in/", &fields(&[("token", "x")]), &[]).text().to_owned();
    let pin = "/cuda/actions/pin/?spec=atlas-2.0%2Bcu126-cp312-cp312-manylinux_2_28_x86_64.whl";
    vec![
        ("sign-in", refused),
        ("signed-in", text("/_/sign-in/")),
        ("pin", text(pin)),
        ("rollback", text("/cuda/actions/rollback/?to=4")),
        ("promote-where", text("/cuda/actions/promote/?spec=atlas%3D%3D2.0")),
        ("promote", text("/cuda/actions/promote/?spec=idna&to=rocm")),
        ("not-done", text("/cuda/actions/yank/?spec=none")),
        ("done", desk.done(&browser, pin, &[("reason", "image 24.11")]).text().to_owned()),
        ("file-acts", text("/cuda/projects/atlas/atlas-2.0%2Bcu126-cp312-cp312-manylinux_2_28_x86_64.whl/")),
        ("project-acts", text("/cuda/projects/atlas/")),
        ("history-acts", text("/_/history/")),
        ("collection-acts", text("/cuda/")),
    ]
}

const YANK: &str = "/cuda/actions/yank/?spec=demo-1.0-py3-none-any.whl";

#[test]
fn a_file_is_yanked_by_a_form_after_it_was_shown_and_the_log_says_by_whom() {
    let desk = Desk::new();
    let browser = desk.signed(&["--collection", "cuda", "--name", "release"]);
    let page = desk.get(&browser, &format!("/cuda/projects/demo/{FILE}/")).text().to_owned();
    let link = "../../../../cuda/actions/yank/?spec=demo-1.0-py3-none-any.whl";
    assert!(page.contains(link), "{page}");
    let before = desk.revision("cuda");
    let shown = desk.get(&browser, YANK);
    has(shown.text(), &[&format!("Yank {FILE} in cuda?"), "What would change: 1 file", "Leave it as it is"]);
    let form = desk.shown(&browser, YANK);
    assert_eq!(desk.revision("cuda"), before, "only a form does something");
    let form = with(form, "reason", "wrong ABI");
    let got = desk.post(&browser, "/cuda/actions/yank/", &form);
    assert_eq!(got.status, 200, "{}", got.text());
    has(got.text(), &["Done", "What changed: 1 file", &format!("cuda is at revision {}", before + 1)]);
    assert_eq!(desk.listed("cuda")[0], (FILE.to_owned(), Some("wrong ABI".to_owned())));
    assert_eq!(desk.listed("rocm")[0].1, None, "the other collection is left alone");
    let record =
        desk.site.env.json(["log", "--collection", "cuda"])["records"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&record["by"]["kind"], &record["by"]["name"], &record["command"], &record["from"]),
        (&"token".into(), &"release".into(), &"page".into(), &"127.0.0.1".into()),
        "{record}"
    );
    let history = desk.site.env.json(["collection", "log", "cuda"])["revisions"][0].clone();
    assert_eq!((&history["kind"], &history["who"]), (&"yank".into(), &"token release".into()), "{history}");
    // The same form once more finds another revision.
    let again = desk.post(&browser, "/cuda/actions/yank/", &form);
    assert_eq!(again.status, 409);
    has(again.text(), &["Something has happened since this was shown"]);
    assert_eq!(desk.revision("cuda"), before + 1);
    let page = desk.get(&browser, &format!("/cuda/projects/demo/{FILE}/")).text().to_owned();
    assert!(page.contains("/actions/unyank/") && !page.contains("/actions/yank/"), "{page}");
    desk.done(&browser, &YANK.replace("yank/", "unyank/"), &[]);
    assert_eq!(desk.listed("cuda")[0].1, None);
}

#[test]
fn each_action_does_what_its_page_says() {
    let desk = Desk::new();
    let browser = desk.signed(&["--all", "--name", "boss"]);
    let env = &desk.site.env;
    // Without a reason nothing is blocked.
    let block = "/cuda/actions/block/?spec=demo%3D%3D1.0";
    let got = desk.post(&browser, "/cuda/actions/block/", &desk.shown(&browser, block));
    assert_eq!(got.status, 400);
    has(got.text(), &["Say why"]);
    desk.done(&browser, block, &[("reason", "it leaks")]);
    let blocks = env.json(["block", "list"]);
    assert_eq!(
        (&blocks["blocks"][0]["spec"], &blocks["blocks"][0]["reason"], &blocks["blocks"][0]["collection"]),
        (&"demo==1.0".into(), &"it leaks".into(), &"cuda".into()),
        "{blocks}"
    );
    desk.done(&browser, "/cuda/actions/pin/?spec=demo-2.0-py3-none-any.whl", &[("reason", "image"), ("days", "30")]);
    let pins = env.json(["pin"]);
    let (pin, now) = (&pins["pins"][0], desk.now.load(Ordering::Relaxed));
    assert_eq!((&pin["owner"], &pin["reason"]), (&"boss".into(), &"image".into()), "{pins}");
    assert_eq!(pin["expires_at"].as_i64(), Some(now + 30 * 86_400));
    env.ok(["collection", "create", "stable"]);
    let ways = desk.get(&browser, "/cuda/actions/promote/?spec=demo%3D%3D2.0");
    sound("promote", ways.text());
    let options = ["<option>rocm</option>", "<option>stable</option>"];
    assert!(options.iter().all(|option| ways.text().contains(option)), "{}", ways.text());
    assert!(!ways.text().contains("<option>cuda</option>"));
    desk.done(&browser, "/cuda/actions/promote/?spec=demo%3D%3D2.0&to=stable", &[]);
    assert_eq!(desk.listed("stable"), [("demo-2.0-py3-none-any.whl".to_owned(), None)]);
    let refused = desk.get(&browser, "/cuda/actions/promote/?spec=demo%3D%3D2.0&to=rocm");
    has(refused.text(), &["What would stay: 1 file", "rocm has it with other bytes", "Nothing would change."]);
    // Back to what it was before the second version came.
    let got = desk.get(&browser, "/rocm/actions/rollback/?to=1");
    has(got.text(), &["Roll rocm back to revision 1?", "removed demo-2.0-py3-none-any.whl"]);
    desk.done(&browser, "/rocm/actions/rollback/?to=1", &[]);
    assert_eq!(desk.listed("rocm").len(), 1);
    let operation = env.json(["collection", "log", "rocm"])["revisions"][0]["operation"].as_i64().unwrap();
    let history = desk.get(&browser, "/_/history/").text().to_owned();
    assert!(history.contains(&format!("../../rocm/actions/undo/?operation={operation}")), "{history}");
    assert!(history.contains("../../rocm/actions/rollback/?to=1"), "{history}");
    let undo = format!("/rocm/actions/undo/?operation={operation}");
    desk.done(&browser, &undo, &[]);
    assert_eq!(desk.listed("rocm").len(), 2);
    assert_eq!(desk.get(&browser, &undo).status, 409, "it was undone already");
    let page = desk.get(&browser, "/rocm/").text().to_owned();
    assert!(page.contains("../rocm/actions/rollback/?to=2") && !page.contains("rollback/?to=4"), "{page}");
    let page = desk.get(&browser, "/rocm/projects/demo/").text().to_owned();
    assert!(page.contains("../../../rocm/actions/promote/?spec=demo%3D%3D%3D2.0"), "{page}");
    env.ok(["log", "verify"]);
    env.ok(["doctor"]);
}

#[test]
fn nothing_is_done_without_a_form_of_the_same_session_from_a_page_of_ours() {
    let desk = Desk::new();
    let token = desk.token(&["--collection", "cuda"]);
    let (browser, other) = (desk.sign_in(&token), desk.sign_in(&token));
    let (form, theirs) = (desk.shown(&browser, YANK), desk.shown(&other, YANK));
    let path = "/cuda/actions/yank/";
    let proof = |fields: &Fields| fields.iter().find(|(name, _)| name == "proof").unwrap().1.clone();
    let without: Fields = form.iter().filter(|(name, _)| name != "proof").cloned().collect();
    let before = desk.revision("cuda");
    assert_ne!(proof(&form), proof(&theirs));
    for wrong in [
        without.clone(),
        with(form.clone(), "proof", ""),
        with(form.clone(), "proof", &"0".repeat(64)),
        with(form.clone(), "proof", &proof(&theirs)),
        with(form.clone(), "proof", &proof(&form)[..63]),
        with(form.clone(), "proof", browser.cookie.split_once('=').unwrap().1),
    ] {
        let got = desk.post(&browser, path, &wrong);
        assert_eq!(got.status, 403, "{wrong:?}");
        has(got.text(), &["The form is not one of your session's"]);
    }
    let cookie = (COOKIE, browser.cookie.as_str());
    for foreign in [
        (ORIGIN, "https://evil.example"),
        (ORIGIN, "null"),
        (ORIGIN, "http://wheels.example.evil.example"),
        (SITE, "cross-site"),
        (SITE, "same-site"),
    ] {
        let got = desk.send(path, &form, &[cookie.clone(), foreign.clone()]);
        assert_eq!(got.status, 403, "{foreign:?}");
        assert_eq!(desk.send("/_/sign-in/", &fields(&[("token", &token)]), &[foreign]).status, 403);
    }
    for kind in ["text/plain", "multipart/form-data; boundary=x", "application/json", ""] {
        assert_eq!(desk.send(path, &form, &[cookie.clone(), (CONTENT_TYPE, kind)]).status, 415, "{kind}");
    }
    // A token in a header is no session, and neither is a cookie without one.
    assert_eq!(desk.send(path, &form, &[]).status, 403);
    assert_eq!(desk.send(path, &form, &[(AUTHORIZATION, &format!("Bearer {token}"))]).status, 403);
    assert_eq!(desk.send(path, &form, &[(COOKIE, "wcas-session=0")]).status, 403);
    let all = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form).finish();
    assert_eq!(desk.get(&browser, &format!("{path}?{all}")).status, 200);
    for twice in [[form.clone(), form.clone()].concat(), vec![("x".into(), "y".into()); 2]] {
        assert_eq!(desk.post(&browser, path, &twice).status, 400);
    }
    assert_eq!(desk.revision("cuda"), before);
    assert_eq!(desk.post(&browser, path, &form).status, 200, "the form itself was good");
}

#[test]
fn a_token_acts_only_where_it_is_for() {
    let desk = Desk::new();
    let env = &desk.site.env;
    let browser = desk.signed(&["--collection", "cuda"]);
    let told = |path: &str| {
        let got = desk.get(&browser, path);
        (got.status, got.text().replace("rocm", "NAME").replace("none", "NAME"))
    };
    let (other, absent) = (told(&YANK.replace("/cuda/", "/rocm/")), told(&YANK.replace("/cuda/", "/none/")));
    assert_eq!((other.0, &other), (403, &absent), "who has no right isn't told what there is");
    let form = with(desk.shown(&browser, YANK), "state", "2");
    assert_eq!(desk.post(&browser, "/rocm/actions/yank/", &form).status, 403);
    for page in ["/rocm/", "/rocm/projects/demo/", &format!("/rocm/projects/demo/{FILE}/")] {
        assert!(!desk.get(&browser, page).text().contains("/actions/"), "{page}");
    }
    assert_eq!(desk.get(&browser, "/cuda/actions/promote/?spec=demo&to=rocm").status, 403);
    has(desk.get(&browser, "/cuda/actions/promote/?spec=demo").text(), &["There is no other collection"]);
    // An operation in two collections is not for a token of one of them.
    env.ok(["yank", "demo==2.0", "--everywhere"]);
    let operation = env.json(["collection", "log", "cuda"])["revisions"][0]["operation"].as_i64().unwrap();
    let undo = format!("/cuda/actions/undo/?operation={operation}");
    assert_eq!(desk.get(&browser, &undo).status, 403);
    assert_eq!(desk.get(&browser, "/cuda/actions/undo/?operation=1").status, 200);
    // The first import into the other collection.
    assert_eq!(desk.get(&browser, "/cuda/actions/undo/?operation=3").status, 403);
    let all = desk.signed(&["--all"]);
    has(desk.get(&all, &undo).text(), &["What would change: 2 files", "rocm: demo-2.0-py3-none-any.whl"]);
    // A token for some projects.
    Wheel::new("other", "1.0").payload(50, 90).write_to(env.path("more"));
    env.ok(["import", "more", "--collection", "cuda"]);
    let some = desk.signed(&["--collection", "cuda", "--project", "other"]);
    assert_eq!(desk.get(&some, YANK).status, 403);
    assert_eq!(desk.get(&some, "/cuda/actions/yank/?spec=other").status, 200);
    for whole in ["/cuda/actions/rollback/?to=1", "/cuda/actions/undo/?operation=1"] {
        assert_eq!(desk.get(&some, whole).status, 403, "{whole}");
    }
    assert!(!desk.get(&some, "/cuda/").text().contains("/actions/"));
    assert!(desk.get(&some, "/cuda/projects/other/").text().contains("/actions/"));
    assert!(!desk.get(&some, "/cuda/projects/demo/").text().contains("/actions/"));
}

#[test]
fn promotion_goes_where_uploads_of_the_token_may_go_and_replaces_nothing() {
    let desk = Desk::new();
    let env = &desk.site.env;
    env.ok(["collection", "create", "shared"]);
    let browser = desk.signed(&["--collection", "cuda", "--into", "shared,rocm"]);
    desk.done(&browser, "/cuda/actions/promote/?spec=demo%3D%3D1.0&to=shared", &[]);
    assert_eq!(desk.listed("shared").len(), 1);
    let before = desk.revision("rocm");
    has(desk.get(&browser, "/cuda/actions/promote/?spec=demo&to=rocm").text(), &["rocm has it with other bytes"]);
    assert_eq!(desk.get(&browser, &YANK.replace("/cuda/", "/rocm/")).status, 403);
    assert_eq!(desk.revision("rocm"), before);
    // A state of both is in the form: what comes into the other one in between counts, too.
    let path = "/cuda/actions/promote/?spec=demo%3D%3D2.0&to=shared";
    let form = desk.shown(&browser, path);
    Wheel::new("demo", "2.0").payload(100, 99).write_to(env.path("race"));
    env.ok(["import", "race", "--collection", "shared"]);
    let got = desk.post(&browser, "/cuda/actions/promote/", &form);
    assert_eq!(got.status, 409);
    has(got.text(), &["Something has happened since this was shown", "shared has it with other bytes"]);
}

#[test]
fn a_session_ends_with_its_time_its_token_and_by_a_form() {
    let desk = Desk::new();
    let token = desk.token(&["--collection", "cuda", "--name", "release"]);
    let browser = desk.sign_in(&token);
    has(desk.get(&browser, "/_/sign-in/").text(), &["Signed in", "Token release", "For cuda"]);
    sound("signed in", desk.get(&browser, "/_/sign-in/").text());
    assert!(desk.get(&browser, "/").text().contains("Signed in by the token"));
    let form = desk.shown(&browser, YANK);
    let missing = |browser: &Browser| {
        let got = desk.get(browser, YANK);
        assert_eq!(got.status, 403);
        has(got.text(), &["Sign in first"]);
        assert_eq!(desk.post(browser, "/cuda/actions/yank/", &form).status, 403);
        assert!(!desk.get(browser, "/cuda/projects/demo/").text().contains("/actions/"));
    };
    // Only its own form signs a browser out.
    assert_eq!(desk.post(&browser, "/_/sign-out/", &fields(&[("proof", "0")])).status, 403);
    assert_eq!(desk.get(&browser, YANK).status, 200);
    let out = desk.post(&browser, "/_/sign-out/", &hidden(desk.get(&browser, "/_/sign-in/").text()));
    assert_eq!(out.status, 303);
    assert!(out.header(SET_COOKIE).starts_with("wcas-session=; Path=/; Max-Age=0;"), "{}", out.header(SET_COOKIE));
    missing(&browser);
    let browser = desk.sign_in(&token);
    let form = desk.shown(&browser, YANK);
    desk.site.env.ok(["token", "revoke", "release"]);
    missing(&browser);
    assert_eq!(desk.post(&browser, "/cuda/actions/yank/", &form).status, 403);
    let browser = desk.signed(&["--collection", "cuda"]);
    assert_eq!(desk.get(&browser, YANK).status, 200);
    desk.now.fetch_add(8 * 3600, Ordering::Relaxed);
    missing(&browser);
    assert_eq!(desk.revision("cuda"), 2);
}

#[test]
fn only_a_token_that_may_act_signs_in_and_only_its_holder_hears_why_not() {
    let desk = Desk::new();
    let env = &desk.site.env;
    sound("sign in", desk.site.page("/_/sign-in/").as_str());
    let make = |args: &[&str]| env.json([&["token", "create"], args].concat())["secret"].as_str().unwrap().to_owned();
    let ended = desk.token(&["--all", "--name", "ended"]);
    env.ok(["token", "revoke", "ended"]);
    for (token, words) in [
        (String::new(), "this is no token of this server"),
        (HOSTILE.to_owned(), "this is no token of this server"),
        (format!("wcas_{}", "0".repeat(64)), "the token is unknown"),
        (
            make(&["--collection", "cuda", "--scope", "read", "--name", "r"]),
            "the token r has the scope read; this takes admin",
        ),
        (make(&["--collection", "cuda", "--scope", "upload", "--name", "u"]), "has the scope upload"),
        (make(&["--all", "--scope", "admin", "--no-read", "--name", "b"]), "the token b doesn't read"),
        (ended, "the token ended was revoked on"),
    ] {
        let got = desk.send("/_/sign-in/", &fields(&[("token", &token)]), &[]);
        assert_eq!((got.status, got.header(SET_COOKIE)), (403, ""), "{token}");
        has(got.text(), &["Not signed in:", words]);
        sound("sign in", got.text());
        assert!(token.is_empty() || !got.text().contains(&token), "it is not shown again");
    }
}

#[test]
fn cookies_are_for_this_host_alone_and_no_token() {
    let desk = Desk::new();
    let token = desk.token(&["--all"]);
    let answer = |is_secure: bool| {
        let headers = [(HOST, "wheels.example"), (CONTENT_TYPE, FORM)];
        let mut request = request(Method::POST, "/_/sign-in/", &headers);
        request.body_mut().is_secure = is_secure;
        let got = Got::read(desk.site.server.act(&request, format!("token={token}").as_bytes()));
        assert_eq!(got.header(CACHE_CONTROL), "no-store");
        got.header(SET_COOKIE).to_owned()
    };
    let (plain, secure) = (answer(false), answer(true));
    let end = "; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict";
    assert!(plain.starts_with("wcas-session=") && plain.ends_with(end), "{plain}");
    assert!(secure.starts_with("__Host-wcas-session=") && secure.ends_with(&format!("{end}; Secure")), "{secure}");
    let value = plain.split_once('=').unwrap().1.split(';').next().unwrap();
    assert_eq!(value.len(), 64);
    assert!(!token.contains(value) && !secure.contains(value));
}

#[test]
fn two_who_act_at_once_do_not_undo_each_other_unseen() {
    let desk = Desk::new();
    let (one, two) = (desk.signed(&["--all", "--name", "one"]), desk.signed(&["--all", "--name", "two"]));
    let first = with(desk.shown(&one, YANK), "reason", "first");
    let second = with(desk.shown(&two, YANK), "reason", "second");
    let run = |browser, form: &Fields| desk.post(browser, "/cuda/actions/yank/", form).status;
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let threads = [scope.spawn(|| run(&one, &first)), scope.spawn(|| run(&two, &second))];
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut sorted = answers.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [200, 409]);
    let winner = if answers[0] == 200 { "first" } else { "second" };
    assert_eq!(desk.listed("cuda")[0].1.as_deref(), Some(winner));
    assert_eq!(desk.revision("cuda"), 3);
}

#[test]
fn what_strangers_write_stays_text_and_is_bounded() {
    let desk = Desk::new();
    let browser = desk.signed(&["--all", "--name", HOSTILE]);
    let quoted: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    desk.done(&browser, YANK, &[("reason", HOSTILE)]);
    assert_eq!(desk.listed("cuda")[0].1.as_deref(), Some(HOSTILE));
    let pages = [
        "/_/sign-in/".to_owned(),
        "/_/history/".to_owned(),
        format!("/cuda/actions/yank/?spec={quoted}"),
        format!("/cuda/actions/block/?spec=demo&reason={quoted}"),
        format!("/cuda/actions/promote/?spec={quoted}.whl"),
        format!("/cuda/actions/promote/?spec=demo&to={quoted}"),
        format!("/cuda/actions/rollback/?to={quoted}"),
        format!("/cuda/projects/demo/{FILE}/"),
    ];
    for page in pages {
        let got = desk.get(&browser, &page);
        sound(&page, got.text());
        assert!(!got.text().contains("<script") && !got.text().contains("<img"), "{page}: {}", got.text());
    }
    let block = "/cuda/actions/block/?spec=demo%3D%3D2.0";
    for bad in ["a\nb".to_owned(), "x".repeat(501), "\u{1b}[2J".to_owned(), "\u{FFFD}".to_owned()] {
        let form = with(desk.shown(&browser, block), "reason", &bad);
        assert_eq!(desk.post(&browser, "/cuda/actions/block/", &form).status, 400, "{bad:?}");
    }
    for (path, status) in [
        ("/cuda/actions/yank/", 400),
        ("/cuda/actions/yank/?spec=none", 404),
        ("/cuda/actions/yank/?spec=demo&spec=demo", 400),
        ("/cuda/actions/block/?spec=..%2F..%2Fetc", 400),
        ("/cuda/actions/pin/?spec=demo&days=0", 400),
        ("/cuda/actions/pin/?spec=demo&days=99999999999999999999", 400),
        ("/cuda/actions/rollback/?to=-1", 400),
        ("/cuda/actions/rollback/?to=99", 404),
        ("/cuda/actions/undo/?operation=99", 403),
        ("/cuda/actions/promote/?spec=demo&to=absent", 404),
        ("/none/actions/yank/?spec=demo", 404),
        ("/cuda/actions/drop/?spec=demo", 404),
        ("/cuda@1/actions/yank/?spec=demo", 404),
        ("/cuda/actions/yank", 301),
    ] {
        let got = desk.get(&browser, path);
        assert_eq!(got.status, status, "{path}: {}", got.text());
    }
}

#[test]
fn without_the_switch_there_is_nothing_and_a_reader_sees_nothing_of_it() {
    let desk = Desk::new();
    for page in ["/", "/cuda/", "/cuda/projects/demo/", &format!("/cuda/projects/demo/{FILE}/"), "/_/history/"] {
        assert!(!desk.site.page(page).contains("/actions/"), "{page}");
    }
    let token = desk.token(&["--all"]);
    let browser = desk.sign_in(&token);
    let form = desk.shown(&browser, YANK);
    let Desk { site, now } = desk;
    let site = Site::of(site.into_env(), Upstream::start(), Anonymous::Read);
    let desk = Desk { site, now };
    for path in ["/_/sign-in/", "/_/sign-out/", YANK] {
        assert_eq!(desk.get(&browser, path).status, 404, "{path}");
    }
    assert_eq!(desk.post(&browser, "/cuda/actions/yank/", &form).status, 404);
    assert_eq!(desk.send("/_/sign-in/", &fields(&[("token", &token)]), &[]).status, 404);
    assert!(!desk.get(&browser, "/").text().contains("sign-in"));
    assert_eq!(desk.revision("cuda"), 2);
}

#[test]
fn a_session_reads_what_its_token_reads_and_uploads_nothing() {
    let desk = Desk::of(Desk::demo(), Anonymous::Nothing);
    let browser = desk.signed(&["--collection", "cuda"]);
    assert_eq!(desk.site.browse("/cuda/").status, 401);
    assert_eq!(desk.site.browse("/_/sign-in/").status, 200, "who can't read yet can sign in");
    let got = desk.get(&browser, "/cuda/");
    assert_eq!(got.status, 200);
    let vary = got.headers["vary"].to_str().unwrap();
    assert!(vary.contains("Cookie") && got.header(CACHE_CONTROL).contains("private"), "{vary}");
    assert_eq!(desk.get(&browser, "/rocm/").status, 403);
    let upload =
        request(Method::POST, "/cuda/legacy/", &[(HOST, "wheels.example"), (ORIGIN, OWN), (COOKIE, &browser.cookie)]);
    let refused = desk.site.server.admit_upload(&upload).unwrap_err();
    assert_eq!(refused.status(), 401, "a cookie goes along whoever made the browser ask");
}
