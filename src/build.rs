//! Tells the program from which revision it is built: `WCAS_REVISION`, else what git says of this folder, else nothing.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=WCAS_REVISION");
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let git = |args: &[&str]| {
        let output = Command::new("git").arg("-C").arg(&root).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let is_own = || {
        // An unpacked source distribution may lie inside of another project's repository.
        let top = git(&["rev-parse", "--show-toplevel"])?;
        (Path::new(&top).canonicalize().ok()? == Path::new(&root).canonicalize().ok()?).then_some(())
    };
    let given = std::env::var("WCAS_REVISION").ok();
    let revision = given.or_else(|| {
        is_own()?;
        for name in ["HEAD", "logs/HEAD"] {
            println!("cargo:rerun-if-changed={}", git(&["rev-parse", "--git-path", name])?);
        }
        git(&["rev-parse", "--short=10", "HEAD"])
    });
    // Without any such line every change of any file would be a reason to run this again.
    println!("cargo:rerun-if-changed=src/build.rs");
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let text =
        revision.filter(|text| !text.is_empty()).map_or_else(|| version.clone(), |text| format!("{version} ({text})"));
    println!("cargo:rustc-env=WCAS_VERSION={text}");
}
