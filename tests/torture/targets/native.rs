//! Native code in a wheel, ELF and PE: what the quick and the deep look make of any bytes.

use super::metadata::stored;
use super::saw;
use std::cell::OnceCell;
use wcas::budget;
use wcas::wheel::DistributionFilename;
use wcas::wheel::accelerator::{Inspection, deep, quick};

pub(super) const WORDS: &[&str] = &[
    "\u{7f}ELF",
    "\u{7f}ELF\u{2}\u{1}\u{1}",
    "\u{7f}ELF\u{1}\u{1}\u{1}",
    "MZ",
    "PE\0\0",
    "libcudart.so.12",
    "libamdhip64.so.6",
    "libtorch_cuda.so",
    ".nv_fatbin",
    ".hip_fatbin",
    ".hipFatBinSegment",
    "__CLANG_OFFLOAD_BUNDLE__",
    "CCOB",
    "hipv4-amdgcn-amd-amdhsa--gfx90a",
    "sm_80",
    "compute_90",
    "cudart64_12.dll",
    "KERNEL32.dll",
    ".rdata",
    "$ORIGIN/../nvidia/cuda_runtime/lib",
    "\u{50}\u{ed}\u{55}\u{ba}",
    "\0\0\0\0",
];

/// What a wheel may say of one member at the most, in bytes: as many names as an ELF file may need, each of 512.
const MOST_SAID: u64 = 512 * 2 * 1024;

thread_local! {
    /// A pool of this thread alone: what it takes is counted, and nothing hangs on the order of others.
    static ALONE: OnceCell<rayon::ThreadPool> = const { OnceCell::new() };
}

pub(super) fn check(input: &[u8]) {
    ALONE.with(|alone| {
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().expect("a thread");
        alone.get_or_init(pool).install(|| look(input));
    });
}

fn look(input: &[u8]) {
    let wheel = |member: &str| {
        let metadata = b"Name: demo\nVersion: 1.0\n";
        stored(&[
            (member, input),
            ("demo-1.0.dist-info/METADATA", metadata),
            ("demo-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\n"),
        ])
    };
    let name = DistributionFilename::parse("demo-1.0-cp312-cp312-linux_x86_64.whl").expect("a good name");
    let bytes = wheel("demo/core.bin");
    let found = deep(&bytes[..], &name, None).expect("a good archive");
    let glance = quick(&bytes[..], &name, None).expect("a good archive");
    check_inspection(&found);
    check_inspection(&glance);
    assert!(found.is_deep && found.is_conclusive() && !glance.is_deep);
    assert_eq!(deep(&bytes[..], &name, None).expect("a good archive"), found, "two looks at the same bytes");
    // Native code is known by its first bytes: called a library it is bound to the same.
    let named = deep(&wheel("demo/core.so")[..], &name, None).expect("a good archive");
    check_inspection(&named);
    for (accelerator, _) in found.strengths() {
        assert!(named.strength(accelerator).is_some(), "as core.bin {found:?}, as core.so {named:?}");
    }
    // What stands behind it in the archive changes nothing.
    let text = serde_json::to_string(&found).expect("an inspection is kept as JSON");
    assert_eq!(serde_json::from_str::<Inspection>(&text).expect("it reads back"), found);
}

fn check_inspection(found: &Inspection) {
    let said: usize = found.findings.iter().map(|finding| finding.evidence.len()).sum::<usize>()
        + found.problems.iter().chain(&found.architectures).chain(&found.exceeded).map(String::len).sum::<usize>();
    assert!(said as u64 <= MOST_SAID.min(budget::DEEP_EVIDENCE.limit), "{said} bytes are said of a member");
    saw(format!("{:?} of {:?}", found.strengths(), found.architectures.len().min(3)));
    found.findings.iter().for_each(|finding| saw(finding.evidence.split(' ').next().unwrap_or_default()));
    found.problems.iter().chain(&found.exceeded).for_each(saw);
}
