//! The guard of collections, and routing by what a wheel is bound to.

use crate::assert_output;
use crate::support::{Env, Output, Wheel, elf_needing};

const TAGS: &str = "cp312-cp312-manylinux_2_28_x86_64";

/// A wheel whose one extension needs a library: only a deep look can tell.
fn needing(project: &str, library: &str) -> Wheel {
    Wheel::new(project, "1.0").tags(TAGS).member(&format!("{project}/_C.so"), elf_needing(library))
}

fn listed(env: &Env, collection: &str) -> Vec<String> {
    let list = env.json(["list", "--collection", collection]);
    let rows = list["distributions"].as_array().unwrap();
    rows.iter().map(|row| row["project"].as_str().unwrap().to_owned()).collect()
}

/// Runs a command that does a part and refuses the rest.
#[track_caller]
fn partly<const N: usize>(env: &Env, args: [&str; N]) -> Output {
    let output = env.run(args);
    assert_eq!(output.code, 3, "{output}");
    output
}

/// A store with collections whose guards take these accelerators.
fn guarded(collections: &[(&str, &str)]) -> Env {
    let env = Env::new();
    for (name, accelerators) in collections {
        env.ok(["collection", "create", name]);
        env.ok(["collection", "set", name, "--accelerator", accelerators]);
    }
    env
}

#[test]
fn a_collection_without_accelerators_refuses_a_wheel_that_needs_one_and_takes_the_one_beside_it() {
    let env = guarded(&[("shared", "none")]);
    needing("bound", "libcudart.so.12").write_to(env.path("in"));
    needing("plain", "libm.so.6").write_to(env.path("in"));
    assert_output!(partly(&env, ["import", "in"]), @r"
    exit 3
    --- stdout
    1 distribution in shared@1 (1 new)
    --- stderr
    refused in/bound-1.0-cp312-cp312-manylinux_2_28_x86_64.whl: shared doesn't admit it: it requires cuda (bound/_C.so: NEEDED libcudart.so.12), and the collection takes no accelerator
    ");
    assert_eq!(listed(&env, "shared"), ["plain"]);
    env.ok(["import", "in", "--collection", "other"]);
    assert_eq!(listed(&env, "other"), ["bound", "plain"], "a collection without a guard takes all");
    env.ok(["gc", "--grace", "0"]);
    env.ok(["verify"]);
}

#[test]
fn a_guard_may_only_warn_and_a_strict_one_refuses_what_merely_carries() {
    let env = guarded(&[("warns", "none"), ("lenient", "none"), ("strict", "none")]);
    env.ok(["collection", "set", "warns", "--guard", "warn"]);
    env.ok(["collection", "set", "strict", "--strict"]);
    needing("bound", "libcudart.so.12").write_to(env.path("bound"));
    assert_output!(env.ok(["import", "bound", "--collection", "warns"]), @r"
    exit 0
    --- stdout
    1 distribution in warns@1 (1 new)
    --- stderr
    warning: bound/bound-1.0-cp312-cp312-manylinux_2_28_x86_64.whl: warns doesn't admit it: it requires cuda (bound/_C.so: NEEDED libcudart.so.12), and the collection takes no accelerator
    ");
    let carrying = Wheel::new("carrying", "1.0").member("carrying/kernels.cubin", b"\x7fELF".repeat(40));
    carrying.write_to(env.path("carrying"));
    env.ok(["import", "carrying", "--collection", "lenient"]);
    let output = partly(&env, ["import", "carrying", "--collection", "strict"]);
    assert!(output.stderr.contains("it carries code for cuda (carrying/kernels.cubin"), "{output}");
}

#[test]
fn a_collection_for_one_accelerator_refuses_another_one() {
    let env = guarded(&[("cuda", "cuda"), ("both", "cuda,rocm")]);
    needing("green", "libcudart.so.12").write_to(env.path("in"));
    needing("red", "libamdhip64.so.6").write_to(env.path("in"));
    let output = partly(&env, ["import", "in", "--collection", "cuda"]);
    assert!(output.stderr.contains("NEEDED libamdhip64.so.6), and the collection takes only cuda"), "{output}");
    assert_eq!(listed(&env, "cuda"), ["green"]);
    env.ok(["import", "in", "--collection", "both"]);
    assert_eq!(listed(&env, "both"), ["green", "red"]);
}

#[test]
fn detection_routes_unlisted_wheels_by_what_they_are_bound_to() {
    let env = guarded(&[("shared", "none"), ("cuda", "cuda"), ("rocm", "rocm")]);
    for variant in ["cuda", "rocm"] {
        env.ok(["route", "set", variant, "--detect"]);
    }
    needing("green", "libcudart.so.12").write_to(env.path("in"));
    needing("red", "libamdhip64.so.6").write_to(env.path("in"));
    needing("plain", "libm.so.6").write_to(env.path("in"));
    Wheel::new("pure", "1.0").write_to(env.path("in"));
    let file = format!("in/green-1.0-{TAGS}.whl");
    let explained = env.ok(["route", "explain", &file, "--variant", "cuda"]);
    assert!(explained.stdout.contains("bound to cuda, which cuda accepts"), "{explained}");
    env.ok(["import", "in", "--variant", "cuda"]);
    let of = |collection| listed(&env, collection);
    assert_eq!(
        (of("cuda"), of("rocm"), of("shared")),
        (vec!["green".to_owned()], vec!["red".to_owned()], vec!["plain".to_owned(), "pure".to_owned()])
    );
}

#[test]
fn what_a_collection_has_stays_and_what_it_is_given_is_judged() {
    let env = guarded(&[("released", "none")]);
    needing("bound", "libcudart.so.12").write_to(env.path("in"));
    Wheel::new("pure", "1.0").write_to(env.path("in"));
    env.ok(["import", "in", "--collection", "built"]);
    let output = partly(&env, ["collection", "promote", "built", "released", "--dry-run"]);
    assert!(output.stderr.contains("released doesn't admit it: it requires cuda"), "{output}");
    assert_eq!(listed(&env, "released"), [""; 0], "a dry run changes nothing");
    partly(&env, ["collection", "promote", "built", "released"]);
    partly(&env, ["collection", "copy", "built", "released"]);
    assert_eq!(listed(&env, "released"), ["pure"]);
    env.ok(["collection", "set", "built", "--accelerator", "none"]);
    env.ok(["import", "in", "--collection", "built"]);
    assert_eq!(listed(&env, "built"), ["bound", "pure"], "the guard came later");
}

#[test]
fn a_member_that_cannot_be_read_is_told_and_a_strict_guard_refuses_it() {
    let env = guarded(&[("shared", "none"), ("strict", "none")]);
    env.ok(["collection", "set", "strict", "--strict"]);
    let mut torn = elf_needing("libcudart.so.12");
    torn.truncate(100);
    Wheel::new("torn", "1.0").tags(TAGS).member("torn/_C.so", torn).write_to(env.path("in"));
    let output = env.ok(["import", "in"]);
    assert!(output.stderr.contains("the guard could not look into all of it: torn/_C.so"), "{output}");
    let output = partly(&env, ["import", "in", "--collection", "strict"]);
    assert!(output.stderr.contains("torn/_C.so"), "{output}");
}

#[test]
fn a_wheel_beyond_the_budgets_of_a_deep_look_is_refused_and_the_one_beside_it_taken() {
    let env = guarded(&[("shared", "none"), ("warns", "none"), ("later", "none")]);
    env.ok(["collection", "set", "warns", "--guard", "warn"]);
    let zeros = [elf_needing("libm.so.6"), vec![0; 40 << 20]].concat();
    let bomb = (0..3).fold(Wheel::new("bomb", "1.0").tags(TAGS), |wheel, number| {
        wheel.member(&format!("bomb/m{number}.so"), &zeros)
    });
    bomb.write_to(env.path("in"));
    needing("plain", "libm.so.6").write_to(env.path("in"));
    let output = partly(&env, ["import", "in"]);
    let why = "it can't be looked into: more than 64 MiB of a wheel, inflated, and deep-ratio for each packed byte (budget deep-bytes)";
    assert!(output.stderr.contains(why), "{output}");
    assert_eq!(listed(&env, "shared"), ["plain"]);
    let output = env.ok(["import", "in", "--collection", "warns"]);
    assert!(output.stderr.contains("(budget deep-bytes)"), "{output}");
    let output = partly(&env, ["collection", "copy", "warns", "later"]);
    assert!(output.stderr.contains("(budget deep-bytes)"), "{output}");
    assert_eq!(listed(&env, "later"), ["plain"]);
    env.ok(["import", "in", "--collection", "free"]);
    assert_eq!(listed(&env, "free"), ["bomb", "plain"], "a collection without a guard takes all");
}
