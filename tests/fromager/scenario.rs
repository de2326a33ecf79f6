//! What the oldest and the newest fromager must do, each by another way.

use super::{Way, Yard, support, token};
use std::fs;
use wcas::digest::Sha256;

pub(crate) fn f1_f2_two_variants_share_a_store_and_nothing_is_built_twice(yard: Yard) {
    let cold = yard.bootstrap("cold", "cuda", &["demo-app"], &[]);
    assert_eq!((cold.built.len(), cold.sources), (3, 3), "{}", cold.said);
    assert_eq!(yard.wheels("cuda"), ["demo_app-3.0-0-py3-none-any.whl"], "what is top-level is the variant's own");
    let shared = ["demo_backend-1.0-0-py3-none-any.whl", "demo_lib-2.0-0-py3-none-any.whl"];
    assert_eq!(yard.wheels("shared"), shared, "all else is for everybody");
    // The sources lie beside the wheels, as they were fetched; fromager packs them again under the same names.
    for (collection, name) in [("cuda", "demo_app-3.0"), ("shared", "demo_lib-2.0"), ("shared", "demo_backend-1.0")] {
        let name = format!("{name}.tar.gz");
        let fetched = Sha256::of(&fs::read(yard.origin.path("sdists").join(&name)).unwrap()).to_string();
        assert_eq!(yard.files(collection, ".tar.gz").get(&name), Some(&fetched), "{}", cold.said);
    }
    // From an empty folder: all is there, to the byte, and nothing is built, fetched or sent.
    let posts = yard.posts();
    let warm = yard.bootstrap("warm", "cuda", &["demo-app"], &[]);
    assert_eq!((warm.built.len(), warm.sources), (0, 0), "{}", warm.said);
    assert_eq!(warm.digests(), cold.digests());
    assert_eq!(yard.env.json(["stats"])["blobs"]["count"], 6, "a hit isn't stored again");
    let references = if yard.way == Way::Url { 3 } else { 0 };
    assert_eq!(yard.posts() - posts, references, "of what is there, a reference is enough: {}", warm.said);
    // Another variant builds only what is its own.
    let other = yard.bootstrap("other", "cpu", &["demo-app"], &[("WCAS_SDISTS", "0")]);
    assert_eq!((other.built.len(), other.sources), (1, 1), "{}", other.said);
    assert_eq!(yard.wheels("cpu"), ["demo_app-3.0-0-py3-none-any.whl"]);
    assert_eq!(yard.wheels("shared"), shared);
    assert!(yard.files("cpu", ".tar.gz").is_empty(), "{}", other.said);
    // With the short circuit: the same wheels, and no environments.
    let quick = yard.bootstrap("quick", "cuda", &["demo-app"], &[("WCAS_SHORT_CIRCUIT", "1")]);
    assert_eq!((quick.built.len(), quick.sources), (0, 0), "{}", quick.said);
    assert!(quick.said.contains("is taken as it is"), "{}", quick.said);
    assert_eq!((cold.nodes(), warm.nodes()), (4, 4), "the walk is whole");
    assert_eq!(quick.nodes(), 3, "x12: what is skipped is missing from it, which is why it is off by default");
    println!("cold {:?}, warm {:?}, quick {:?}", cold.took, warm.took, quick.took);
    yard.end();
}

pub(crate) fn build_sequence_and_build_parallel_store_what_they_build_and_a_higher_build_stops_nobody(yard: Yard) {
    let cold = yard.bootstrap("cold", "cuda", &["demo-app"], &[]);
    let (order, graph) = (cold.file("build-order.json"), cold.file("graph.json"));
    // Another builder, whose changelog is longer, has a build with a higher number.
    let high = support::Wheel::new("demo-lib", "2.0").build("7").write_to(yard.env.path("high"));
    yard.env.ok(["import", "--collection", "shared", high.to_str().unwrap()]);
    let url = yard.cache("cuda");
    let global = ["--build-wheel-server-url", &url];
    let found = yard.run("found", "cuda", &global, &["build-sequence", "-c", &url, &order], &[]);
    assert_eq!((found.built.len(), found.sources), (0, 0), "{}", found.said);
    // What is invalidated is built, and stored again: other bytes under a name that was taken.
    yard.env.ok(["invalidate", "demo-lib", "--collection", "shared"]);
    let again = yard.run("again", "cuda", &global, &["build-sequence", "-c", &url, &order], &[]);
    assert_eq!((again.built.len(), again.sources), (1, 1), "{}", again.said);
    assert!(yard.wheels("shared").contains(&"demo_lib-2.0-0-py3-none-any.whl".to_owned()), "{}", again.said);
    for collection in ["shared", "cuda"] {
        yard.env.ok(["invalidate", "--all", "--yes", "--collection", collection]);
    }
    yard.env.ok(["import", "--collection", "shared", high.to_str().unwrap()]);
    let parallel = yard.run("parallel", "cuda", &global, &["build-parallel", "-c", &url, &graph], &[]);
    assert_eq!((parallel.built.len(), parallel.sources), (3, 3), "{}", parallel.said);
    assert_eq!(yard.wheels("cuda"), ["demo_app-3.0-0-py3-none-any.whl"], "{}", parallel.said);
    assert_eq!(yard.wheels("shared").len(), 3, "{}", parallel.said);
    yard.end();
}

pub(crate) fn what_one_variant_needs_another_one_may_want_for_its_own(yard: Yard) {
    let cpu = yard.bootstrap("cpu", "cpu", &["demo-app"], &[]);
    assert_eq!(cpu.built.len(), 3, "{}", cpu.said);
    assert_eq!(yard.wheels("shared").len(), 2, "{}", cpu.said);
    // The same project, built for whoever came first, is top-level here.
    let cuda = yard.bootstrap("cuda", "cuda", &["demo-app", "demo-lib"], &[]);
    assert_eq!(cuda.built.len(), 2, "{}", cuda.said);
    let own = ["demo_app-3.0-0-py3-none-any.whl", "demo_lib-2.0-0-py3-none-any.whl"];
    assert_eq!(yard.wheels("cuda"), own, "{}", cuda.said);
    let warm = yard.bootstrap("warm", "cuda", &["demo-app", "demo-lib"], &[]);
    assert_eq!((warm.built.len(), warm.digests()), (0, cuda.digests()), "{}", warm.said);
    yard.end();
}

pub(crate) fn the_top_level_set_travels_with_each_command(yard: Yard) {
    let url = yard.cache("cuda");
    let global = ["--build-wheel-server-url", &url];
    let first = yard.run("first", "cuda", &global, &["bootstrap-parallel", "-c", &url, "demo-app"], &[]);
    assert_eq!(first.built.len(), 3, "{}", first.said);
    assert_eq!(yard.wheels("cuda"), ["demo_app-3.0-0-py3-none-any.whl"], "{}", first.said);
    assert_eq!(yard.wheels("shared").len(), 2, "{}", first.said);
    // `build` in the same folder goes by its graph; the wheel that it builds anew is there.
    let sources = yard.source.url("/src/simple/");
    let build = ["build", "--wheel-server-url", &url, "demo-lib", "2.0", &sources];
    let again = yard.run("first", "cuda", &[], &build, &[]);
    assert_eq!((again.built.len(), yard.wheels("cuda").len()), (1, 1), "{}", again.said);
    // A file that is named goes before all.
    let mine = yard.env.path("mine.txt");
    fs::write(&mine, "demo_lib\n").unwrap();
    let named = yard.run("named", "cuda", &[], &build, &[("WCAS_REQUIREMENTS", mine.to_str().unwrap())]);
    assert_eq!((named.built.len(), yard.wheels("cuda").len()), (1, 2), "{}", named.said);
    yard.end();
}

pub(crate) fn an_equal_build_is_kept_unless_fromager_is_forced(yard: Yard) {
    // Two teams that build at once: neither finds the other's wheel.
    let first = yard.run("first", "cuda", &[], &["bootstrap", "demo-backend"], &[]);
    let name = "demo_backend-1.0-0-py3-none-any.whl";
    let digest = |yard: &Yard| yard.files("cuda", ".whl")[name].clone();
    let kept = digest(&yard);
    // An archive's times are in steps of two seconds: a fast machine builds the same bytes twice.
    let later = [("SOURCE_DATE_EPOCH", "1700000000")];
    let second = yard.run("second", "cuda", &[], &["bootstrap", "demo-backend"], &later);
    assert_eq!((first.built.len(), second.built.len()), (1, 1), "{}", second.said);
    assert_ne!(first.digests(), second.digests(), "or there is nothing to keep");
    let line = format!("wcas: {name}: an equal build is there and kept (sha256 {kept})");
    assert_eq!(second.said.matches(&line).count(), 1, "{}", second.said);
    assert_eq!(digest(&yard), kept, "recorded digests stay good");
    let order = first.file("build-order.json");
    let forced =
        |name: &str, vars: &[(&str, &str)]| yard.run(name, "cuda", &[], &["build-sequence", "--force", &order], vars);
    if yard.way == Way::Url {
        let denied = forced("denied", &[]);
        assert_eq!(denied.said.matches("the token may not replace what is there").count(), 1, "{}", denied.said);
        assert_eq!(digest(&yard), kept, "{}", denied.said);
    }
    let admin = token(&yard.env, "admin");
    let vars: &[(&str, &str)] = if yard.way == Way::Url { &[("WCAS_TOKEN", &admin)] } else { &[] };
    let replaced = forced("replaced", vars);
    assert_eq!(digest(&yard), replaced.digests()[name].to_string(), "{}", replaced.said);
    yard.end();
}

pub(crate) fn a_prebuilt_wheel_is_for_those_who_take_it_so(yard: Yard) {
    let wheel = support::Wheel::new("demo-lib", "2.0").member("demo_lib.py", "NAME = 'upstream'\n");
    let path = wheel.write_to(yard.env.path("upstream"));
    yard.origin.ok(["import", "--collection", "pre", path.to_str().unwrap()]);
    let (pre, src) = (yard.source.url("/pre/simple/"), yard.source.url("/src/simple/"));
    let settings = format!(
        "resolver_dist:\n  sdist_server_url: {src}\n  include_wheels: false\n\
         variants:\n  cuda:\n    pre_built: true\n    wheel_server_url: {pre}\n"
    );
    fs::write(yard.env.path("settings/demo_lib.yaml"), settings).unwrap();
    let cpu = yard.bootstrap("cpu", "cpu", &["demo-app"], &[]);
    assert_eq!(cpu.built.len(), 3, "{}", cpu.said);
    yard.env.ok(["invalidate", "demo-lib", "--collection", "shared"]);
    let cuda = yard.bootstrap("cuda", "cuda", &["demo-app"], &[]);
    assert_eq!(cuda.built.len(), 1, "{}", cuda.said);
    let upstream = Sha256::of(&wheel.bytes()).to_string();
    let stored = [yard.files("shared", ".whl"), yard.files("cuda", ".whl")];
    assert!(stored.iter().flatten().any(|(_, digest)| *digest == upstream), "{}", cuda.said);
    // Who builds it from source isn't given it, though fromager would take it.
    let (order, url) = (cpu.file("build-order.json"), yard.cache("cpu"));
    let global = ["--build-wheel-server-url", &url];
    let sequence = yard.run("sequence", "cpu", &global, &["build-sequence", "-c", &url, &order], &[]);
    assert_eq!(sequence.built.len(), 1, "{}", sequence.said);
    assert!(!sequence.digests().contains_key(&wheel.filename()), "{}", sequence.said);
    yard.end();
}

pub(crate) fn what_shared_refuses_is_found_by_the_next_build_environment(yard: Yard) {
    yard.env.ok(["collection", "set", "shared", "--accelerator", "none"]);
    yard.env.ok(["collection", "set", "cuda", "--accelerator", "cuda"]);
    let kernels = support::elf_needing("libcudart.so.12");
    yard.add("torch-demo", &[], &[], Some(&kernels));
    yard.add("flash-demo", &[], &["torch-demo"], None);
    yard.add("vllm-demo", &["flash-demo"], &[], None);
    // Only vllm-demo is top-level: what it takes to build what it needs is bound to the accelerator all the same.
    let cold = yard.bootstrap("cold", "cuda", &["vllm-demo"], &[]);
    assert_eq!(cold.built.len(), 4, "{}", cold.said);
    let own = ["torch_demo-1.0-0-py3-none-any.whl", "vllm_demo-1.0-0-py3-none-any.whl"];
    assert_eq!(yard.wheels("cuda"), own, "{}", cold.said);
    let shared = ["demo_backend-1.0-0-py3-none-any.whl", "flash_demo-1.0-0-py3-none-any.whl"];
    assert_eq!(yard.wheels("shared"), shared, "{}", cold.said);
    assert_eq!(yard.summary("shared", "flash-demo").as_deref(), Some("built with torch-demo"));
    let warm = yard.bootstrap("warm", "cuda", &["vllm-demo"], &[]);
    assert_eq!((warm.built.len(), warm.digests()), (0, cold.digests()), "{}", warm.said);
    yard.end();
}

pub(crate) fn a_build_environment_gets_what_is_the_runs_own_and_no_other_teams(yard: Yard) {
    yard.add("torch-demo", &[], &[], None);
    yard.add("flash-demo", &[], &["torch-demo"], None);
    // A team without an accelerator needed it on its way, and its changelog is long: uv takes the highest build.
    let theirs = support::Wheel::new("torch-demo", "1.0").build("7");
    let path = theirs.write_to(yard.env.path("theirs"));
    yard.env.ok(["import", "--collection", "shared", path.to_str().unwrap()]);
    let cuda = yard.bootstrap("cuda", "cuda", &["torch-demo", "flash-demo"], &[]);
    assert_eq!(cuda.built.len(), 3, "{}", cuda.said);
    let own = ["flash_demo-1.0-0-py3-none-any.whl", "torch_demo-1.0-0-py3-none-any.whl"];
    assert_eq!(yard.wheels("cuda"), own, "{}", cuda.said);
    assert_eq!(yard.summary("cuda", "flash-demo").as_deref(), Some("built with torch-demo"), "{}", cuda.said);
    // A job with another set, at the same server, takes what is there.
    let cpu = yard.bootstrap("cpu", "cpu", &["flash-demo"], &[]);
    assert_eq!(yard.summary("cpu", "flash-demo").as_deref(), Some("built with another torch_demo"), "{}", cpu.said);
    yard.end();
}
