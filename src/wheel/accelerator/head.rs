//! What the head of a native member tells, for a quick look: the libraries that it needs, and the accelerator's functions that it calls.
//!
//! The dynamic section lies near the end, so that reading it means inflating all that comes before; but linkers put the names of needed
//! libraries and of symbols one behind the other into a table near the start. A library's name counts where one of the C library's or
//! compiler's own stands beside it: a name that the program opens by itself (`dlopen`) stands among its other texts. A symbol counts by
//! what only a compiler for the accelerator writes: the function that registers device code, a stream among a function's parameters.

use super::elf::{Parts, Range};
use super::{Accelerator, evidence, pe};
use std::borrow::Cow;

/// Libraries that nearly all native code needs.
const COMMON: [&[u8]; 13] = [
    b"libc.so.6",
    b"libm.so.6",
    b"libdl.so.2",
    b"libpthread.so.0",
    b"librt.so.1",
    b"libstdc++.so.6",
    b"libgcc_s.so.1",
    b"libc++.so.1",
    b"ld-linux-x86-64.so.2",
    b"ld-linux-aarch64.so.1",
    b"libc10.so",
    b"libtorch.so",
    b"libtorch_cpu.so",
];
/// Symbols that are an accelerator's: whole ones, and types within a function's mangled name.
const SYMBOLS: [(Accelerator, &str); 3] = [
    (Accelerator::Cuda, "__cudaRegisterFatBinary"),
    (Accelerator::Rocm, "__hipRegisterFatBinary"),
    (Accelerator::Oneapi, "__sycl_register_lib"),
];
const TYPES: [(Accelerator, &str); 3] = [
    (Accelerator::Cuda, "P11CUstream_st"),
    (Accelerator::Rocm, "P12ihipStream_t"),
    (Accelerator::Oneapi, "N4sycl3_V1"),
];
/// The longest name that is looked at: of a library, and of a symbol (templates make long ones).
const MAX_LIBRARY_BYTES: usize = 100;
const MAX_SYMBOL_BYTES: usize = 4096;
/// How much is looked at of all symbols: what tells is seldom alone.
const MAX_SYMBOLS_BYTES: usize = 64 << 10;

/// What a head tells.
#[derive(Debug, Default)]
pub(super) struct HeadReport {
    /// The accelerators' libraries among those that it needs.
    pub(super) needed: Vec<(Accelerator, String)>,
    /// Whose code it registers or calls, with the symbol that tells it; each once.
    pub(super) calls: Vec<(Accelerator, String)>,
}

/// Tells whether a part of a file names a common library: the table of names is in it, or ends there.
pub(super) fn has_names(part: &[u8]) -> bool {
    part.split(|byte| *byte == 0).any(is_common)
}

/// Reads what the head of an ELF file tells, in one pass over it.
pub(super) fn read(head: &[u8]) -> HeadReport {
    let (mut told, mut run, mut left) = (HeadReport::default(), Vec::new(), MAX_SYMBOLS_BYTES);
    for name in head.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if is_library(name) {
            run.push(name);
            continue;
        }
        told.add_run(&mut run);
        if name[0] == b'_' && left > 0 {
            left = left.saturating_sub(name.len());
            told.add_symbol(name);
        }
    }
    told.add_run(&mut run);
    told
}

impl HeadReport {
    /// Adds the accelerators' libraries of a run of names, if it has a common one: a table of texts has others between them.
    fn add_run(&mut self, run: &mut Vec<&[u8]>) {
        if run.iter().any(|name| is_common(name)) {
            self.needed.extend(run.iter().filter_map(|name| library(name)));
        }
        run.clear();
    }

    fn add_symbol(&mut self, name: &[u8]) {
        if let Some((accelerator, symbol)) = symbol(name) {
            let call = (accelerator, format!("the symbol {symbol}"));
            if !self.calls.contains(&call) {
                self.calls.push(call);
            }
        }
    }
}

/// Reads what the table of sections at the head of a Windows library tells.
pub(super) fn read_sections(head: &[u8]) -> HeadReport {
    let sections = pe::parse(&Head(head)).map(|(library, _)| library.sections).unwrap_or_default();
    let call = |name: String| Some((evidence::section(&name)?, format!("the section {name}")));
    HeadReport { needed: Vec::new(), calls: sections.into_iter().filter_map(call).collect() }
}

/// The first bytes of a file whose size isn't asked.
struct Head<'a>(&'a [u8]);

impl Parts for Head<'_> {
    fn get(&self, (start, len): Range) -> Option<Cow<'_, [u8]>> {
        let (start, len) = (usize::try_from(start).ok()?, usize::try_from(len).ok()?);
        self.0.get(start..start.checked_add(len)?).map(Cow::Borrowed)
    }

    fn size(&self) -> u64 {
        u64::MAX
    }
}

fn library(name: &[u8]) -> Option<(Accelerator, String)> {
    let name = (name.len() <= MAX_LIBRARY_BYTES && name.starts_with(b"lib") && is_library(name)).then_some(name)?;
    let name = String::from_utf8_lossy(name);
    Some((evidence::library(&name)?, name.into_owned()))
}

/// Returns whose a symbol is, and what of it tells so.
fn symbol(name: &[u8]) -> Option<(Accelerator, &'static str)> {
    if let Some(own) = SYMBOLS.iter().find(|(_, own)| own.as_bytes() == name) {
        return Some(*own);
    }
    if !name.starts_with(b"_Z") || name.len() > MAX_SYMBOL_BYTES {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?;
    let found = TYPES.iter().find(|(_, own)| name.contains(own))?;
    let is_symbol = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b'@'));
    is_symbol.then_some(*found)
}

fn is_library(name: &[u8]) -> bool {
    (name.starts_with(b"lib") || name.starts_with(b"ld-")) && name.windows(3).any(|window| window == b".so")
}

fn is_common(name: &[u8]) -> bool {
    name.starts_with(b"l") && COMMON.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_among_names_of_libraries_that_all_need() {
        let of = |text: &[u8]| read(text).needed.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ");
        assert_eq!(
            of(b"\x7fELF\x02\0_init\0_ZN4demo\0libtorch_cuda.so\0libm.so.6\0libcudart.so.12\0GLIBC_2.2.5\0"),
            "libtorch_cuda.so libcudart.so.12"
        );
        assert_eq!(of(b"\0libc.so.6\0libdemo.so\0libamdhip64.so.6\0x\0"), "libamdhip64.so.6");
        // What it opens by itself stands among other texts.
        assert_eq!(of(b"\0libc.so.6\0cannot open\0libcuda.so.1\0cuInit\0libm.so.6\0"), "");
        assert_eq!(of(b"\0libcuda.so.1\0cuInit\0"), "");
        assert_eq!(of(b"\0libc.so.6\0libOpenCL.so.1\0"), "");
    }

    #[test]
    fn a_symbol_counts_that_only_a_compiler_for_the_accelerator_writes() {
        let of = |text: &[u8]| {
            let calls = read(text).calls.into_iter().map(|(accelerator, call)| format!("{accelerator}: {call}"));
            calls.collect::<Vec<_>>().join("; ")
        };
        assert_eq!(
            of(b"\0_init\0__cudaRegisterFatBinary\0_ZN4demo3runEP11CUstream_st\0_ZN4demo4run2EiP11CUstream_st\0"),
            "cuda: the symbol __cudaRegisterFatBinary; cuda: the symbol P11CUstream_st"
        );
        assert_eq!(of(b"\0_ZN4demo3runEP12ihipStream_t\0"), "rocm: the symbol P12ihipStream_t");
        assert_eq!(of(b"\0_ZN4demo3runERN4sycl3_V15queueE\0"), "oneapi: the symbol N4sycl3_V1");
        // Texts about them, and what is called by its name when it runs.
        for text in [
            &b"\0_Z is missing: P11CUstream_st\0"[..],
            b"\0no __cudaRegisterFatBinary\0",
            b"\0CUstream_st\0",
            b"\0cuLaunchKernel\0",
            b"\0_ZN4demo4cuda3runEv\0",
        ] {
            assert!(of(text).is_empty(), "{}", String::from_utf8_lossy(text));
        }
    }
}
