//! `wcas list`, `show`, `why`, `lookup`, `stats`: text as people read it.

use crate::support::{Env, Wheel};
use crate::{assert_output, blob, texts};
use std::fs;

fn filled() -> Env {
    let env = Env::new();
    let torch = Wheel::new("torch", "2.5.1").header("Summary", "Tensors").requires("idna").requires_python(">=3.9");
    torch.build("7").write_to(env.path("in"));
    Wheel::new("idna", "3.10").write_to(env.path("in"));
    env.ok(["import", "in", "--collection", "cuda"]);
    env.ok(["import", "in/idna-3.10-py3-none-any.whl"]);
    env
}

#[test]
fn tables_and_details_read_well() {
    let env = filled();
    assert_output!(env.run(["list"]), @r"
    exit 0
    --- stdout
    COLLECTION  PROJECT  VERSION  BUILD   SIZE  FILENAME
    cuda        idna     3.10     -      882 B  idna-3.10-py3-none-any.whl
    cuda        torch    2.5.1    7      953 B  torch-2.5.1-7-py3-none-any.whl
    shared      idna     3.10     -      882 B  idna-3.10-py3-none-any.whl
    ");
    assert_output!(env.run(["list", "--collection", "shared"]), @r"
    exit 0
    --- stdout
    COLLECTION  PROJECT  VERSION  BUILD   SIZE  FILENAME
    shared      idna     3.10     -      882 B  idna-3.10-py3-none-any.whl
    ");
    assert_output!(env.run(["show", "torch"]), @r"
    exit 0
    --- stdout
    torch-2.5.1-7-py3-none-any.whl
      key              torch==2.5.1-7
      collections      cuda (since @1)
      project          torch
      version          2.5.1
      build tag        7
      tags             py3-none-any
      size             953 B (953 bytes)
      sha256           7e9d2fbd…
      blake3           97505e2f…
      state            live
      path             $STORE/blobs/b3/97/97505e2f…
      uploaded         [time]
      verified         never
      used             never
      requires python  >=3.9
      summary          Tensors
      requires         idna
    ");
    assert_output!(env.run(["why", "idna"]), @r"
    exit 0
    --- stdout
    idna-3.10-py3-none-any.whl  882 B  live  8dbf3f9b…
      collection cuda: idna-3.10-py3-none-any.whl since [time]
                 freed by: wcas invalidate idna-3.10-py3-none-any.whl --collection cuda
      collection shared: idna-3.10-py3-none-any.whl since [time]
                 freed by: wcas invalidate idna-3.10-py3-none-any.whl --collection shared
    ");
    assert_output!(env.run(["stats"]), @r"
    exit 0
    --- stdout
    2 blobs, 1.8 kB
    3 distributions in collections, 2.7 kB: 882 B saved by sharing
    not all verified yet

    COLLECTION  REVISION  DISTRIBUTIONS    SIZE  ITS OWN  SHARED
    cuda               1              2  1.8 kB    953 B   882 B
    shared             1              1   882 B      0 B   882 B

    lookups: hits 0, misses 0 (0.0 % hits); stored 3
    ");
}

#[test]
fn list_takes_specs_filenames_digests_and_tags() {
    let env = filled();
    let sha256 = env.json(["lookup", "idna"])["sha256"].as_str().unwrap().to_owned();
    let blake3 = env.json(["lookup", "idna"])["blake3"].as_str().unwrap().to_owned();
    let names = |args: &[&str]| {
        let document = env.json([&["list", "--collection", "cuda"], args].concat());
        texts(&document["distributions"], "project").join(" ")
    };
    assert_eq!(names(&[]), "idna torch");
    assert_eq!(names(&["idna-3.10-py3-none-any.whl"]), "idna");
    assert_eq!(names(&[&sha256]), "idna");
    assert_eq!(names(&[&format!("blake3:{blake3}")]), "idna");
    assert_eq!(names(&["torch>=2", "idna<3.11"]), "idna torch");
    assert_eq!(names(&["--build-tag", "7"]), "torch");
    assert_output!(env.run(["list", "torch<2"]), @r"
    exit 4
    --- stderr
    nothing is listed
      cuda has torch 2.5.1
    ");
}

#[test]
fn lookup_prints_one_path_that_ends_in_the_filename() {
    if Env::is_of_own_store_only("what it loses the share has") {
        return;
    }
    let env = filled();
    let output = env.ok(["lookup", "torch", "--collection", "cuda"]);
    assert!(output.stdout.ends_with("/torch-2.5.1-7-py3-none-any.whl\n"), "{output}");
    assert_eq!((output.stdout.lines().count(), output.stderr.as_str()), (1, ""));
    assert_output!(env.run(["lookup", "torch"]), @r"
    exit 4
    --- stderr
    no match for torch
      not searched: cuda has torch 2.5.1
    ");
    assert_output!(env.run(["-q", "lookup", "torch"]), @"exit 4");
    fs::remove_file(blob(&env, "idna")).unwrap();
    assert_output!(env.run(["lookup", "idna"]), @r"
    exit 4
    --- stderr
    idna-3.10-py3-none-any.whl is listed, but its bytes are missing or wrong: import it again, or `wcas verify --repair`
    no match for idna
      shared has idna 3.10
      not searched: cuda has idna 3.10
    ");
    assert_output!(env.run(["list", "idna"]), @r"
    exit 0
    --- stdout
    COLLECTION  PROJECT  VERSION  BUILD   SIZE  FILENAME
    cuda        idna     3.10     -      882 B  idna-3.10-py3-none-any.whl  (bytes lost)
    shared      idna     3.10     -      882 B  idna-3.10-py3-none-any.whl  (bytes lost)
    ");
}
