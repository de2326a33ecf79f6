//! Whose a wheel is, by URL: what pages and the cache offer, what an upload says of its run, and what need not be sent again.

use crate::site::{FROMAGER, Site, add, sha256};
use crate::support::{Env, Heard, Reply, Server, Wheel, elf_needing, until};
use crate::uploads::{FORM, basic, form};

/// A store with the collections shared, cuda and cpu, and no word about whose a project is.
fn env() -> Env {
    let env = Env::new();
    for name in ["shared", "cuda", "cpu"] {
        env.ok(["collection", "create", name]);
    }
    env.ok(["collection", "set", "cuda", "--fallback", "shared"]);
    env
}

/// Returns the filenames of a page; none: it is a 404.
pub(crate) fn listed(site: &Site, path: &str, rules: Option<&str>) -> Vec<String> {
    let headers = [("Accept", FROMAGER), ("X-Wcas-Rules", rules.unwrap_or_default())];
    site.server.ask("GET", path, &headers[..1 + usize::from(rules.is_some())]).files()
}

pub(crate) fn post(site: &Site, path: &str, token: &str, body: &[u8]) -> Heard {
    let login = basic(token);
    site.server.connect().post(path, &[FORM, ("Authorization", &login)], body)
}

/// Returns a form of fields alone.
pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let field = |(name, value): &(&str, &str)| {
        format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    (fields.iter().map(field).collect::<String>() + "--limit--\r\n").into_bytes()
}

pub(crate) fn upload(site: &Site, path: &str, token: &str, wheel: &Wheel) -> Heard {
    post(site, path, token, &form(&wheel.filename(), &wheel.bytes(), &[]))
}

pub(crate) fn refer(site: &Site, path: &str, token: &str, wheel: &Wheel) -> Heard {
    let (digest, name) = (sha256(&wheel.bytes()), wheel.filename());
    let named = [(":action", "file_reference"), ("filename", name.as_str()), ("sha256_digest", digest.as_str())];
    post(site, path, token, &fields(&named))
}

fn built(version: &str, build: &str, seed: u64) -> Wheel {
    Wheel::new("torch", version).build(build).tags("cp312-cp312-linux_x86_64").payload(2000, seed)
}

#[test]
fn cache_and_index_hold_back_what_is_own_and_follow_what_is_said() {
    let env = env();
    add(&env, "shared", &[built("1.0", "0", 1), Wheel::new("numpy", "2.0").build("0")]);
    let site = Site::of(env, &[]);
    let cache = "/cuda/cache/simple/torch/";
    assert_eq!((listed(&site, cache, None).len(), listed(&site, "/cuda/simple/torch/", None).len()), (1, 1));
    std::fs::write(site.env.path("cuda.txt"), "torch\n").unwrap();
    site.env.ok(["route", "set", "cuda", "--requirements", "cuda.txt"]);
    assert!(listed(&site, cache, None).is_empty() && listed(&site, "/cuda/simple/torch/", None).is_empty());
    assert_eq!(site.server.json("/cuda/simple/")["projects"].as_array().unwrap().len(), 1, "numpy alone");
    assert_eq!(listed(&site, "/cpu/cache/simple/torch/", None).len(), 1);
    let file =
        format!("/cuda/cache/files/{}/{}", sha256(&built("1.0", "0", 1).bytes()), built("1.0", "0", 1).filename());
    assert_ne!(site.server.get(&file).status, 200, "nor for who knows the address");
    assert_ne!(site.server.get(&file.replace("/cache", "")).status, 200);
    let shown = site.server.get("/cuda/projects/torch/");
    assert!(
        shown.status == 200 && shown.text().contains("torch is cuda&#39;s own")
            || shown.text().contains("torch is cuda's own"),
        "{shown}"
    );
    assert!(shown.text().contains("Held back") && shown.text().contains(&built("1.0", "0", 1).filename()), "{shown}");
    // Two runs on one server, each with its own word.
    assert_eq!(listed(&site, cache, Some("own=no")).len(), 1);
    assert!(listed(&site, cache, Some("own=yes")).is_empty());
    assert!(listed(&site, cache, None).is_empty(), "no run leaves a trace");
    assert!(listed(&site, "/cuda/cache/simple/numpy/", Some("own=yes")).is_empty());
    assert_eq!(listed(&site, "/cuda/cache/simple/numpy/", None).len(), 1);
    // uv sends no header: a path has the run's whole set, and what the header says of the project goes first.
    let of =
        |set: &str, rules| listed(&site, &cache.replace("/simple/", &format!("/own-projects={set}/simple/")), rules);
    assert!(of("numpy,Torch", None).is_empty());
    assert_eq!(of("numpy", None).len(), 1);
    assert_eq!(of("", None).len(), 1, "an empty set is a set");
    assert_eq!(of("numpy,torch", Some("own=no")).len(), 1);
    let heard = site.server.ask("GET", cache, &[("X-Wcas-Rules", "own=perhaps")]);
    assert_eq!(heard.status, 404, "{heard}");
    site.end();
}

#[test]
fn a_run_sees_no_build_numbers_that_it_cannot_expect() {
    let env = env();
    add(&env, "shared", &[built("1.0", "2", 1), built("1.0", "5", 2), built("2.0", "1", 3)]);
    let site = Site::of(env, &[]);
    let cache = "/cuda/cache/simple/torch/";
    assert_eq!(listed(&site, cache, None).len(), 3);
    let seen = listed(&site, cache, Some("builds=1.0:2,*:0"));
    assert_eq!(seen, [built("1.0", "2", 1).filename()]);
    site.end();
}

#[test]
fn uploads_go_where_their_run_says() {
    let site = Site::of(env(), &[]);
    let token = site.token(&["--all", "--scope", "upload"]);
    let (torch, vllm) = (built("1.0", "0", 1), Wheel::new("vllm", "1.0").build("0"));
    let said = upload(&site, "/cuda/legacy/?own=yes", &token, &torch);
    assert!(said.status == 200 && said.text().contains("is there in cuda"), "{said}");
    let said = upload(
        &site,
        "/cuda/legacy/?own=no&source_url=https%3A%2F%2Fme%3Apw%40index.example%2Fvllm.tar.gz",
        &token,
        &vllm,
    );
    assert!(said.status == 200 && said.text().contains("is there in shared"), "{said}");
    let shown = site.env.json(["show", "vllm"]);
    assert_eq!(shown["distributions"][0]["source_urls"]["shared"], "https://index.example/vllm.tar.gz", "{shown}");
    // A run that counts vllm as its own builds it itself.
    assert!(listed(&site, "/cuda/cache/simple/vllm/", Some("own=yes")).is_empty());
    for query in ["own=maybe", "prebuilt=1", "on_conflict=perhaps", "source_url=nowhere"] {
        assert_eq!(upload(&site, &format!("/cuda/legacy/?{query}"), &token, &torch).status, 400, "{query}");
    }
    site.end();
}

#[test]
fn pre_built_wheels_are_taken_for_no_build_from_source() {
    let site = Site::of(env(), &[]);
    let token = site.token(&["--all", "--scope", "upload"]);
    let wheel = Wheel::new("numpy", "2.0");
    site.env.ok(["collection", "create", "cuda-aarch64"]);
    site.env.ok(["collection", "set", "cuda-aarch64", "--fallback", "cuda"]);
    let said = upload(&site, "/cuda/legacy/?own=no&prebuilt=yes", &token, &wheel);
    assert!(said.text().contains("is there in cuda"), "not in shared: {said}");
    let at = |view: &str, rules| listed(&site, &format!("/{view}/cache/simple/numpy/"), rules).len();
    assert_eq!((at("cuda", None), at("cuda", Some("prebuilt=yes")), at("cuda", Some("prebuilt=no"))), (1, 1, 0));
    assert_eq!(at("cuda-aarch64", None), 0, "another variant's");
    assert_eq!(site.env.json(["lookup", "numpy", "--variant", "cuda"])["hit"], true);
    site.end();
}

#[test]
fn public_wheels_without_a_build_tag_are_not_taken_for_builds() {
    let (public, tagged) = (Wheel::new("demo", "1.0"), Wheel::new("demo", "1.0").build("3"));
    let server = Server::start();
    let links = server.wheel(&public.filename(), &public.bytes()) + &server.wheel(&tagged.filename(), &tagged.bytes());
    server.route("/simple/demo/", Reply::html(links));
    let env = env();
    env.ok(["remote", "add", "public", &server.url("/simple/"), "--collection", "cuda"]);
    let site = Site::of(env, &[]);
    let cache = "/cuda/cache/simple/demo/";
    assert_eq!(listed(&site, cache, None), [tagged.filename()]);
    assert_eq!(listed(&site, cache, Some("prebuilt=yes")).len(), 2);
    assert_eq!(listed(&site, "/cuda/cache/files=any/simple/demo/", None).len(), 2);
    site.env.ok(["pull", &public.filename(), "--collection", "cuda"]);
    assert!(!listed(&site, cache, None).contains(&public.filename()), "now that it is in the store");
    site.env.ok(["remote", "set", "public", "--ours"]);
    assert_eq!(listed(&site, cache, None).len(), 2, "our own caches have what we made");
    site.end();
}

#[test]
fn what_is_there_need_not_be_sent() {
    let site = Site::of(env(), &[]);
    let all = site.token(&["--all", "--scope", "upload"]);
    let (wheel, other) = (built("1.0", "0", 1), built("2.0", "0", 2));
    let said = refer(&site, "/cuda/legacy/?own=yes", &all, &wheel);
    assert!(said.status == 404 && said.text().contains("send it"), "{said}");
    assert_eq!(upload(&site, "/shared/legacy/", &all, &wheel).status, 200);
    let said = refer(&site, "/cuda/legacy/?own=yes", &all, &wheel);
    assert!(said.status == 200 && said.text().contains("is there in cuda"), "{said}");
    let said = refer(&site, "/cuda/legacy/?own=yes", &all, &wheel);
    assert!(said.status == 200 && said.text().contains("was there in cuda"), "{said}");
    assert_eq!(listed(&site, "/cuda/cache/simple/torch/", Some("own=yes")), [wheel.filename()]);
    // A digest alone opens nothing that its holder may not read.
    assert_eq!(upload(&site, "/cpu/legacy/", &all, &other).status, 200);
    site.server.stop();
    let site = Site::of(site.env, &["--anonymous", "nothing"]);
    let narrow = site.token(&["--collection", "cuda", "--scope", "upload"]);
    assert_eq!(refer(&site, "/cuda/legacy/", &narrow, &other).status, 404);
    assert_eq!(refer(&site, "/cuda/legacy/", &narrow, &wheel).status, 200);
    assert_eq!(refer(&site, "/cpu/legacy/", &narrow, &other).status, 403);
    assert_eq!(refer(&site, "/cuda/legacy/", "wcas_nobody", &wheel).status, 401);
    // Bad bytes are sent anew.
    let path = site.env.json(["show", &other.filename()])["distributions"][0]["path"].as_str().unwrap().to_owned();
    std::fs::remove_file(std::fs::canonicalize(path).unwrap()).unwrap();
    assert_eq!(refer(&site, "/cpu/legacy/", &all, &other).status, 404);
    assert_eq!(upload(&site, "/cpu/legacy/", &all, &other).status, 200);
    for named in [
        &[(":action", "file_reference")][..],
        &[(":action", "file_reference"), ("filename", "../x.whl"), ("sha256_digest", "00")],
        &[(":action", "file_reference"), ("filename", "torch-1.0-py3-none-any.whl"), ("sha256_digest", "00")],
    ] {
        assert_eq!(post(&site, "/cuda/legacy/", &all, &fields(named)).status, 400, "{named:?}");
    }
    let both = form(&wheel.filename(), &wheel.bytes(), &[("filename", &wheel.filename())]);
    let both = String::from_utf8_lossy(&both).replace("file_upload", "file_reference").into_bytes();
    assert_eq!(post(&site, "/cuda/legacy/", &all, &both).status, 400, "a reference with content");
    site.end();
}

#[test]
fn a_rebuilt_wheel_is_taken_where_the_old_one_is_gone_and_kept_out_where_it_is_not() {
    let site = Site::of(env(), &[]);
    let token = site.token(&["--all", "--scope", "upload"]);
    let (first, second, third) = (built("1.0", "0", 1), built("1.0", "0", 2), built("1.0", "0", 3));
    let up = |query: &str, wheel: &Wheel| upload(&site, &format!("/cuda/legacy/{query}"), &token, wheel);
    assert_eq!(up("", &first).status, 200);
    let said = up("", &second);
    assert!(said.status == 400 && said.text().contains("File already exists"), "{said}");
    let said = up("?on_conflict=keep", &second);
    assert!(said.status == 200 && said.text().contains("kept what is there"), "{said}");
    assert_eq!(up("?on_conflict=replace", &second).status, 403, "that takes an admin's token");
    assert_eq!(listed(&site, "/cuda/cache/simple/torch/", None).len(), 1);
    // Damaged: a builder that asks finds nothing, builds again, and is welcome.
    let path = site.env.json(["show", "torch"])["distributions"][0]["path"].as_str().unwrap().to_owned();
    let path = std::fs::canonicalize(path).unwrap();
    std::fs::remove_file(&path).and_then(|()| std::fs::write(&path, "rot")).unwrap();
    let file = format!("/cuda/cache/files/{}/{}", sha256(&first.bytes()), first.filename());
    assert_ne!(site.server.get(&file).status, 200);
    let said = up("", &second);
    assert!(said.status == 200, "{said}");
    // Invalidated on purpose: builders build it again; people's clients are told to take another name.
    site.env.ok(["invalidate", "torch", "--collection", "cuda"]);
    assert_eq!(up("", &third).status, 400);
    assert_eq!(up("?on_conflict=keep", &third).status, 200);
    // What was taken back isn't invalidated any more.
    site.env.ok(["invalidate", "torch", "--collection", "cuda"]);
    site.env.ok(["undo"]);
    let said = up("?on_conflict=keep", &second);
    assert!(said.status == 200 && said.text().contains("kept what is there"), "{said}");
    // History still has the damaged ones.
    site.server.stop();
    assert_eq!(site.env.run(["verify"]).code, 3);
}

#[test]
fn what_shared_refuses_of_its_remote_comes_to_the_variant_that_asks() {
    let env = env();
    let upstream = Server::start();
    let torch = Wheel::new("torch", "1.0")
        .build("0")
        .tags("cp312-cp312-linux_x86_64")
        .member("torch/lib.so", elf_needing("libcudart.so.12"));
    upstream.route("/simple/torch/", Reply::html(upstream.wheel(&torch.filename(), &torch.bytes())));
    for (name, accelerator) in [("shared", "none"), ("cuda", "cuda"), ("cpu", "none")] {
        env.ok(["collection", "set", name, "--accelerator", accelerator]);
    }
    env.ok(["collection", "set", "cpu", "--fallback", "shared"]);
    env.ok(["remote", "add", "mirror", &upstream.url("/simple/"), "--collection", "shared"]);
    let site = Site::of(env, &[]);
    let file = |view: &str| format!("/{view}/files/{}/{}", sha256(&torch.bytes()), torch.filename());
    assert_eq!(listed(&site, "/cpu/simple/torch/", None).len(), 1, "nobody knows yet what it is bound to");
    let heard = site.server.get(&file("cpu"));
    assert_ne!(heard.status, 200, "{heard}");
    assert!(listed(&site, "/cpu/simple/torch/", None).is_empty(), "cpu and shared won't have it");
    // What one may not have, the other may.
    assert_eq!(listed(&site, "/cuda/simple/torch/", None), [torch.filename()]);
    let heard = site.server.get(&file("cuda"));
    assert_eq!((heard.status, heard.body.len()), (200, torch.bytes().len()), "{heard}");
    let rows = site.env.json(["list", "--collection", "cuda"]);
    assert_eq!(rows["distributions"].as_array().unwrap().len(), 1, "{rows}");
    assert!(site.env.json(["list", "--collection", "shared"])["distributions"].as_array().unwrap().is_empty());
    assert_eq!(listed(&site, "/cuda/cache/simple/torch/", None), [torch.filename()]);
    // Settings that may change what was refused make it be tried again.
    site.env.ok(["collection", "set", "cpu", "--accelerator", "cuda"]);
    assert_eq!(listed(&site, "/cpu/simple/torch/", None).len(), 1);
    site.end();
}

#[test]
fn two_variants_that_ask_for_one_file_at_the_same_moment_are_judged_each_for_itself() {
    let env = env();
    let upstream = Server::start();
    let torch = Wheel::new("torch", "1.0")
        .build("0")
        .tags("cp312-cp312-linux_x86_64")
        .member("torch/lib.so", elf_needing("libcudart.so.12"))
        .payload(300_000, 7);
    upstream.route("/simple/torch/", Reply::html(upstream.wheel(&torch.filename(), &torch.bytes())));
    for (name, accelerator) in [("shared", "none"), ("cuda", "cuda"), ("cpu", "none")] {
        env.ok(["collection", "set", name, "--accelerator", accelerator]);
    }
    env.ok(["collection", "set", "cpu", "--fallback", "shared"]);
    env.ok(["remote", "add", "mirror", &upstream.url("/simple/"), "--collection", "shared"]);
    let site = Site::of(env, &[]);
    // It takes its time, so that who comes second finds it on its way.
    let pause = std::time::Duration::from_millis(50);
    let slow = Reply::file(torch.bytes()).drip(10_000, pause);
    upstream.route(&format!("/files/{}", torch.filename()), slow);
    for view in ["cpu", "cuda"] {
        assert_eq!(listed(&site, &format!("/{view}/simple/torch/"), None).len(), 1);
    }
    let file = |view: &str| format!("/{view}/files/{}/{}", sha256(&torch.bytes()), torch.filename());
    let (cpu, cuda) = std::thread::scope(|scope| {
        let cpu = scope.spawn(|| site.server.get(&file("cpu")));
        until("the file is on its way", || upstream.paths().iter().any(|path| path.starts_with("/files/")));
        let cuda = scope.spawn(|| site.server.get(&file("cuda")));
        (cpu.join().unwrap(), cuda.join().unwrap())
    });
    assert!(cpu.status != 200 || cpu.body != torch.bytes() || !cpu.is_whole, "{}", cpu.status);
    assert_eq!((cuda.status, cuda.body.len()), (200, torch.bytes().len()), "{cuda}");
    let rows = site.env.json(["list", "--collection", "cuda"]);
    assert_eq!(rows["distributions"].as_array().unwrap().len(), 1, "{rows}");
    site.end();
}
