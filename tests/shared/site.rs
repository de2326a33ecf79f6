//! `view --to URL`: static sites in a folder and in a bucket.

use super::bucket::{Between, Trouble, get, team};
use super::faults::points;
use super::support::weed;
use super::support::{Env, Wheel};
use super::web::{Web, install};
use super::{Team, blobs, files_below, wheels};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A store with two versions of a project and one of another.
fn filled() -> Env {
    let env = Env::new();
    fill(&env);
    env
}

fn fill(env: &Env) {
    let dist = env.path("dist");
    fs::create_dir(&dist).unwrap();
    for version in ["1.0", "2.0+cu12"] {
        Wheel::new("demo-app", version).requires("demo-lib").payload(20_000, 1).write_to(&dist);
    }
    Wheel::new("demo-lib", "1!1.0").requires_python(">=3.8").write_to(&dist);
    env.ok(["import", "dist", "--collection", "cuda"]);
}

const NEWEST: [&str; 2] = ["demo_app-2.0+cu12", "demo_lib-1!1.0"];

fn folder_url(env: &Env) -> String {
    format!("file://{}", env.path("site").display())
}

#[track_caller]
fn publish(env: &Env, url: &str) -> Value {
    env.json(["view", "--collection", "cuda", "--to", url])
}

/// What a publication did: copied, uploaded, pages, removed.
fn done(report: &Value) -> [u64; 4] {
    ["copied", "uploaded", "pages", "removed"].map(|field| report[field].as_u64().unwrap())
}

/// Makes sure that all that pages of a folder name is there and right, and returns which files those are.
#[track_caller]
fn assert_whole(site: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for page in files_below(&site.join("simple")).iter().filter(|path| path.ends_with("index.json")) {
        let document: Value = serde_json::from_slice(&fs::read(page).unwrap()).unwrap();
        for file in document["files"].as_array().into_iter().flatten() {
            let base = url::Url::from_file_path(page).unwrap();
            let path = base.join(file["url"].as_str().unwrap()).unwrap().to_file_path().unwrap();
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{page:?} names {path:?}: {error}"));
            assert_eq!(wcas::digest::Sha256::of(&bytes).to_string(), file["hashes"]["sha256"].as_str().unwrap());
            if file["core-metadata"].is_object() {
                let metadata = fs::read(format!("{}.metadata", path.display())).unwrap();
                let told = file["core-metadata"]["sha256"].as_str().unwrap();
                assert_eq!(wcas::digest::Sha256::of(&metadata).to_string(), told);
            }
            names.push(file["filename"].as_str().unwrap().to_owned());
        }
    }
    names
}

/// Returns the bytes of all objects of a folder.
fn objects(site: &Path) -> BTreeMap<String, Vec<u8>> {
    let key = |path: &Path| path.strip_prefix(site).unwrap().to_str().unwrap().to_owned();
    files_below(site).iter().map(|path| (key(path), fs::read(path).unwrap())).collect()
}

#[test]
fn a_site_in_a_folder_is_an_index_and_follows_its_collection() {
    let env = filled();
    let (url, site) = (folder_url(&env), env.path("site"));
    assert_eq!(done(&publish(&env, &url)), [0, 3, 6, 0]);
    assert_eq!(assert_whole(&site).len(), 3);
    let web = Web::of_folder(site.clone());
    let index = format!("{}/simple", web.url);
    if install(&env, &index, "demo-app", &NEWEST) {
        assert_eq!(web.missed(), Vec::<String>::new());
    }
    // With no change nothing is written, the mark neither.
    let before = objects(&site);
    assert_eq!(done(&publish(&env, &url)), [0; 4]);
    assert_eq!(objects(&site), before);
    // What fell off is on no page, and goes a publication later.
    env.ok(["invalidate", "demo-app==2.0+cu12", "demo-lib"]);
    assert_eq!(done(&publish(&env, &url)), [0, 0, 4, 2]);
    assert_eq!(assert_whole(&site), ["demo_app-1.0-py3-none-any.whl"]);
    assert!(!site.join("simple/demo-lib").exists());
    let count = |site: &Path| files_below(&site.join("files")).len();
    assert_eq!(count(&site), 6, "a client with an old page finds its files");
    assert_eq!(done(&publish(&env, &url)), [0, 0, 0, 4]);
    assert_eq!(count(&site), 2);
    assert_eq!(done(&publish(&env, &url)), [0; 4]);
    // What was damaged is made anew.
    fs::write(site.join("simple/index.html"), "other").unwrap();
    fs::remove_dir_all(site.join("files")).unwrap();
    assert_eq!(done(&publish(&env, &url)), [0, 1, 1, 0]);
    assert_eq!(assert_whole(&site).len(), 1);
    assert_eq!(env.json(["view", "--remove", &url])["objects"], 6);
    assert_eq!(files_below(&site), Vec::<std::path::PathBuf>::new());
    assert_eq!(env.run(["view", "--remove", &url]).code, 4);
    assert_eq!(env.run(["view", "--remove", "file:///nowhere/at/all"]).code, 4);
}

#[test]
fn what_others_have_there_is_neither_replaced_nor_removed() {
    let env = filled();
    let (url, site) = (folder_url(&env), env.path("site"));
    let refused = |args: &[&str], why: &str| {
        let before = objects(&site);
        let output = env.run(args);
        assert!(output.code == 2 && output.stderr.contains(why), "{output}");
        assert_eq!(objects(&site), before);
    };
    let view = ["view", "--collection", "cuda", "--to", &url];
    fs::create_dir(&site).unwrap();
    fs::write(site.join("theirs"), "x").unwrap();
    refused(&view, "is not empty");
    refused(&[&view[..], &["--replace"]].concat(), "is not empty");
    fs::remove_file(site.join("theirs")).unwrap();
    publish(&env, &url);
    // Another's object beside ours stays; at a name of ours it is in the way.
    fs::write(site.join("theirs"), "x").unwrap();
    Wheel::new("late", "1.0").write_to(env.path("dist"));
    env.ok(["import", "dist", "--collection", "cuda"]);
    fs::create_dir(site.join("simple/late")).unwrap();
    fs::write(site.join("simple/late/index.html"), "x").unwrap();
    refused(&view, "simple/late/index.html is there");
    fs::remove_file(site.join("simple/late/index.html")).unwrap();
    // A link would lead out of the site.
    fs::remove_dir(site.join("simple/late")).unwrap();
    std::os::unix::fs::symlink(env.path("home"), site.join("simple/late")).unwrap();
    let output = env.run(view);
    assert!(output.code != 0 && files_below(&env.path("home")).is_empty(), "{output}");
    fs::remove_file(site.join("simple/late")).unwrap();
    publish(&env, &url);
    // Another collection, and none of its files, are asked about.
    env.ok(["collection", "create", "empty"]);
    refused(&["view", "--collection", "empty", "--to", &url], "shows collection cuda");
    refused(&["view", "--collection", "cuda", "--to", &url, "--layout", "flat"], "simple layout");
    refused(&["view", "--collection", "cuda", "--to", &url, "--link", "copy"], "--link is for trees");
    refused(&["view", "--collection", "cuda", "--to", "plain", "--region", "x"], "--region");
    env.ok(["view", "--collection", "empty", "--to", &url, "--replace"]);
    assert_eq!(assert_whole(&site), Vec::<String>::new());
    // Another store's is never ours.
    let other = env.path("other");
    let other = |args: &[&str]| env.run([&["--store", other.to_str().unwrap()], args].concat());
    assert_eq!(other(&["import", "dist", "--collection", "cuda"]).code, 0);
    for args in [&["view", "--collection", "cuda", "--to", &url, "--replace"][..], &["view", "--remove", &url]] {
        let output = other(args);
        assert!(output.code == 2 && output.stderr.contains("another store's"), "{output}");
    }
    env.ok(["view", "--remove", &url]);
    assert_eq!(objects(&site).into_keys().collect::<Vec<_>>(), ["theirs"]);
}

#[test]
fn a_site_has_no_page_of_what_is_lost_or_in_quarantine_and_documents_about_variants() {
    let env = filled();
    let (url, site) = (folder_url(&env), env.path("site"));
    Wheel::new("accel", "1.0").variant("null", r#"{"variants": {"null": {}}}"#).write_to(env.path("dist"));
    Wheel::new("gone", "1.0").payload(30_000, 3).write_to(env.path("dist"));
    env.ok(["import", "dist", "--collection", "cuda"]);
    let path = env.json(["lookup", "gone", "--variant", "cuda"])["path"].as_str().unwrap().to_owned();
    let blob = fs::canonicalize(path).unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&blob, permissions).unwrap();
    fs::write(&blob, "other").unwrap();
    let output = env.run(["view", "--collection", "cuda", "--to", &url]);
    assert!(output.code == 3 && output.stderr.contains("left out gone-1.0"), "{output}");
    let names = assert_whole(&site);
    assert!(names.contains(&"accel-1.0-variants.json".to_owned()) && names.len() == 5, "{names:?}");
    assert!(!site.join("simple/gone").exists());
    env.ok(["collection", "status", "cuda", "demo-app", "quarantined"]);
    env.run(["view", "--collection", "cuda", "--to", &url]);
    assert_eq!(assert_whole(&site).len(), 3);
    let page = fs::read_to_string(site.join("simple/demo-app/index.json")).unwrap();
    assert!(page.contains("quarantined"), "clients don't look elsewhere: {page}");
}

#[test]
fn a_publication_killed_anywhere_shows_only_what_is_there_and_is_mended_by_the_next() {
    let prepared = || {
        let env = filled();
        publish(&env, &folder_url(&env));
        env.ok(["invalidate", "demo-app==1.0"]);
        publish(&env, &folder_url(&env));
        env.ok(["invalidate", "demo-lib"]);
        Wheel::new("late", "1.0").write_to(env.path("dist"));
        env.ok(["import", "dist/late-1.0-py3-none-any.whl", "--collection", "cuda"]);
        env
    };
    let traced = prepared();
    let args = |env: &Env| ["view", "--collection", "cuda", "--to", &folder_url(env)].map(str::to_owned);
    let count = points(&traced.run_with_env(&[("WCAS_FAULT", "trace")], args(&traced)));
    publish(&traced, &folder_url(&traced));
    let whole: Vec<String> = objects(&traced.path("site")).into_keys().collect();
    assert!(count > 40, "{count}");
    for (fault, step) in [("kill", 1), ("eio", 3)] {
        for point in (1..=count).step_by(step) {
            let env = prepared();
            let armed = format!("{fault}@{point}");
            let output = env.run_with_env(&[("WCAS_FAULT", &armed)], args(&env));
            assert_whole(&env.path("site"));
            publish(&env, &folder_url(&env));
            assert_eq!(assert_whole(&env.path("site")).len(), 2, "{armed}: {output}");
            publish(&env, &folder_url(&env));
            let left: Vec<String> = objects(&env.path("site")).into_keys().collect();
            assert_eq!(left, whole, "{armed}: {output}");
        }
    }
}

#[test]
fn a_node_uploads_what_it_hasnt_got_to_a_site_elsewhere() {
    let team = Team::new(2);
    fill(&team.nodes[0]);
    let two = &team.nodes[1];
    assert_eq!(done(&publish(two, &folder_url(two))), [0, 3, 6, 0]);
    assert_eq!(assert_whole(&two.path("site")).len(), 3);
    // It is the shared store's: any node goes on with it.
    assert_eq!(done(&publish(&team.nodes[0], &folder_url(two))), [0; 4]);
}

#[test]
fn a_site_in_the_shares_bucket_is_copied_there_and_clients_install_from_it() {
    let Some(weed) = weed() else { return };
    let between = Between::start(&weed.address);
    let team = team(2, &between.address);
    fill(&team.nodes[0]);
    team.import(0, &[Wheel::new("large", "1.0").payload(20_000_000, 7)]);
    let (two, url) = (&team.nodes[1], "s3://wcas/site");
    two.ok(["list"]);
    between.asked();
    assert_eq!(done(&publish(two, url)), [3, 0, 6, 0]);
    assert_eq!(blobs(two).len(), 0, "no file came here");
    let asked = between.asked();
    let position = |what: &str| asked.iter().position(|line| line.starts_with(what)).unwrap();
    let last_file = asked.iter().rposition(|line| line.starts_with("PUT /wcas/site/files/")).unwrap();
    let first_page = position("PUT /wcas/site/simple/");
    let index = asked.iter().position(|line| line.starts_with("PUT /wcas/site/simple/index.")).unwrap();
    let last_page = asked.iter().rposition(|line| line.starts_with("PUT /wcas/site/simple/demo")).unwrap();
    assert!(position("PUT /wcas/site/.wcas-site.json") < position("PUT /wcas/site/files/"), "{asked:#?}");
    assert!(last_file < first_page && last_page < index, "{asked:#?}");
    let address = weed.address.clone();
    let web = Web::start(move |path| get(&address, &format!("/wcas/site/{path}")));
    if install(two, &format!("{}/simple", web.url), "demo-app", &NEWEST) {
        assert_eq!(web.missed(), Vec::<String>::new());
    }
    let (headers, _) = get(&weed.address, "/wcas/site/simple/demo-app/index.html").unwrap();
    let tells = |name: &str, value: &str| headers.contains(&(name.to_owned(), value.to_owned()));
    assert!(tells("content-type", "text/html; charset=utf-8"), "{headers:?}");
    assert!(tells("cache-control", "max-age=0, must-revalidate"), "{headers:?}");
    let (headers, _) = get(&weed.address, "/wcas/site/simple/demo-app/index.json").unwrap();
    assert!(headers.contains(&("content-type".to_owned(), "application/vnd.pypi.simple.v1+json".to_owned())));
    // With no change: the mark, and a list.
    between.asked();
    assert_eq!(done(&publish(two, url)), [0; 4]);
    let asked: Vec<String> = between.asked().into_iter().filter(|line| !line.contains("/team")).collect();
    assert!(asked.len() <= 3 && asked.iter().all(|line| line.starts_with("GET ")), "{asked:#?}");
    // The same on the first node; and what it takes away goes.
    let one = &team.nodes[0];
    assert_eq!(done(&publish(one, url)), [0; 4]);
    one.ok(["invalidate", "demo-lib"]);
    assert_eq!(done(&publish(one, url)), [0, 0, 2, 2]);
    assert_eq!(done(&publish(two, url)), [0, 0, 0, 2]);
    // To another place of the bucket by its own words, which is asked as another bucket: uploaded.
    let endpoint = format!("http://{}", &weed.address);
    let args = ["view", "--to", "s3://wcas/uploaded", "--endpoint", &endpoint, "--region", "us-east-1"];
    assert_eq!(done(&two.json(args)), [0, 1, 4, 0]);
    let large = two.json(["lookup", "large"]);
    let sha256 = large["sha256"].as_str().unwrap();
    let key = format!("/wcas/uploaded/files/{}/{sha256}/{}", &sha256[..2], large["filename"].as_str().unwrap());
    let (headers, bytes) = get(&weed.address, &key).unwrap();
    assert_eq!(wcas::digest::Sha256::of(&bytes).to_string(), sha256);
    assert!(headers.contains(&("content-type".to_owned(), "application/octet-stream".to_owned())), "{headers:?}");
    two.ok(["view", "--remove", "s3://wcas/site"]);
    assert_eq!(two.run(["view", "--remove", "s3://wcas/site"]).code, 4);
    // Where the share has its own there is no site.
    let share = fs::read_to_string(two.store().join("wcas.json")).unwrap();
    let share: Value = serde_json::from_str(&share).unwrap();
    for below in ["", "/", "/blobs", "/log/site"] {
        let to = format!("{}{below}", share["share"]["url"].as_str().unwrap());
        let output = two.run(["view", "--to", &to]);
        assert!(output.code != 0 && output.stderr.contains("the share has its own"), "{output}");
    }
    let output = two.run(["view", "--to", "s3://wcas"]);
    assert!(output.code == 2 && output.stderr.contains("is not empty"), "{output}");
    team.assert_equal();
}

#[test]
fn a_publication_that_breaks_off_shows_only_what_is_there() {
    use Trouble::{AnswerLost, Refused};
    let Some(weed) = weed() else { return };
    let between = Between::start(&weed.address);
    let team = team(1, &between.address);
    let one = &team.nodes[0];
    let (url, dist) = ("s3://wcas/broken", one.path("dist"));
    fs::create_dir(&dist).unwrap();
    let troubles: &[(&[(&str, Trouble)], bool)] = &[
        (&[("PUT /broken/.wcas-site.json", AnswerLost)], false),
        (&[("PUT /broken/files/", Refused(403))], false),
        (&[("PUT /broken/simple/demo", Refused(403))], false),
        (&[("PUT /broken/simple/index", Refused(403))], false),
        (&[("PUT /broken/simple/", AnswerLost), ("PUT /broken/files/", AnswerLost)], true),
        (&[("PUT /broken/files/", Refused(501))], true),
    ];
    for (round, (plan, is_done)) in troubles.iter().enumerate() {
        wheels(&format!("demo{round}x"), 2).iter().for_each(|wheel| drop(wheel.write_to(&dist)));
        one.ok(["import", "dist", "--collection", "cuda"]);
        between.plan(plan);
        let output = one.run(["view", "--collection", "cuda", "--to", url]);
        assert!(between.is_over(), "{plan:?}: {output}");
        if *is_done {
            assert_eq!(output.code, 0, "{plan:?}: {output}");
        }
        between.plan(&[]);
        assert_links(&weed.address, "/wcas/broken");
        publish(one, url);
        assert_eq!(assert_links(&weed.address, "/wcas/broken"), 2 * (round + 1), "{plan:?}: {output}");
        assert_eq!(done(&publish(one, url)), [0; 4], "{plan:?}");
    }
}

#[test]
fn two_nodes_that_publish_at_once_leave_a_site_that_the_next_run_makes_whole() {
    let Some(weed) = weed() else { return };
    let team = team(2, &weed.address);
    let url = "s3://wcas/atonce";
    let dist = team.nodes[0].path("dist");
    fs::create_dir(&dist).unwrap();
    let mut met = 0;
    for round in 0..6 {
        std::thread::scope(|scope| {
            let at_work: Vec<_> = (team.nodes.iter().enumerate())
                .map(|(number, node)| {
                    let dist = node.path(format!("dist{round}"));
                    fs::create_dir(&dist).unwrap();
                    let wheel = &wheels(&format!("own{number}x{round}x"), 1)[0];
                    wheel.write_to(&dist);
                    scope.spawn(move || {
                        node.ok(["import", dist.to_str().unwrap(), "--collection", "cuda"]);
                        node.run(["view", "--collection", "cuda", "--to", url])
                    })
                })
                .collect();
            for output in at_work.into_iter().map(|work| work.join().unwrap()) {
                let is_met = output.code == 2 && output.stderr.contains("somebody else writes the site");
                assert!(output.code == 0 || is_met, "{output}");
                met += usize::from(is_met);
            }
        });
        publish(&team.nodes[round % 2], url);
        assert_eq!(assert_links(&weed.address, "/wcas/atonce"), 2 * (round + 1));
        assert_eq!(done(&publish(&team.nodes[0], url))[..3], [0; 3]);
    }
    println!("{met} of 12 met another");
}

/// Makes sure that all that pages in a bucket name is there, and returns how many files those are.
#[track_caller]
fn assert_links(address: &str, prefix: &str) -> usize {
    let document = |path: &str| -> Option<Value> { Some(serde_json::from_slice(&get(address, path)?.1).unwrap()) };
    let Some(root) = document(&format!("{prefix}/simple/index.json")) else { return 0 };
    let mut count = 0;
    for project in root["projects"].as_array().unwrap() {
        let at = format!("{prefix}/simple/{}/index.json", project["name"].as_str().unwrap());
        let page = document(&at).unwrap();
        for file in page["files"].as_array().unwrap() {
            let base = url::Url::parse(&format!("http://{address}{at}")).unwrap();
            let path = base.join(file["url"].as_str().unwrap()).unwrap();
            let (_, bytes) = get(address, path.path()).unwrap_or_else(|| panic!("{at} names {path}"));
            assert_eq!(wcas::digest::Sha256::of(&bytes).to_string(), file["hashes"]["sha256"].as_str().unwrap());
            count += 1;
        }
    }
    count
}
