//! What the head of an ELF file tells of the libraries that it needs, for a quick look.
//!
//! The dynamic section lies near the end, so that reading it means inflating all that comes before; but linkers put the names of needed
//! libraries one behind the other into a table near the start. Such a name counts where one of the C library's or compiler's own stands
//! beside it: a name that the program opens by itself (`dlopen`) stands among its other texts.

use super::{Accelerator, evidence};

/// Libraries that nearly all native code needs.
const COMMON: &str = "libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libstdc++.so.6 libgcc_s.so.1 libc++.so.1 \
                      ld-linux-x86-64.so.2 ld-linux-aarch64.so.1 libc10.so libtorch.so libtorch_cpu.so";
/// How many names behind or before it a common one may stand.
const NEAR: usize = 12;

/// Returns the accelerators' libraries that the head of an ELF file names among those that it needs.
pub(super) fn needed(head: &[u8]) -> Vec<(Accelerator, String)> {
    let names: Vec<&[u8]> = head.split(|byte| *byte == 0).collect();
    let is_common = |name: &[u8]| COMMON.split(' ').any(|own| own.as_bytes() == name);
    let mut found = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if !name.starts_with(b"lib") || name.len() > 100 || !name.windows(3).any(|window| window == b".so") {
            continue;
        }
        let name = String::from_utf8_lossy(name);
        let Some(accelerator) = evidence::library(&name) else { continue };
        // All between them are names of libraries, too: a table of texts has others.
        let before = names[..index].iter().rev().take(NEAR).take_while(|name| is_library(name));
        let after = names[index + 1..].iter().take(NEAR).take_while(|name| is_library(name));
        if before.chain(after).any(|name| is_common(name)) {
            found.push((accelerator, name.into_owned()));
        }
    }
    found
}

fn is_library(name: &[u8]) -> bool {
    (name.starts_with(b"lib") || name.starts_with(b"ld-")) && name.windows(3).any(|window| window == b".so")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_among_names_of_libraries_that_all_need() {
        let of = |text: &[u8]| needed(text).into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ");
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
}
