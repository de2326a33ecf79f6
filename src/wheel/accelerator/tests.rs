//! Whole wheels with tiny members, looked at in both depths, and members that lie.

use super::build::{ElfFile, bundle, compressed_bundle, fat_binary, windows_library};
use super::examine::examine;
use super::*;
use crate::budget;
use crate::wheel::DistributionFilename;
use crate::wheel::zip::tests::zip;
use proptest::prelude::*;

const METADATA: &str = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n";

struct Looked {
    quick: Inspection,
    deep: Inspection,
}

fn look_at(filename: &str, metadata: &str, members: &[(&str, &[u8])]) -> Looked {
    let bytes = zip(members);
    let name = DistributionFilename::parse(filename).unwrap();
    let metadata = format!("{METADATA}{metadata}\n");
    let quick = quick(&bytes[..], &name, Some(metadata.as_bytes())).unwrap();
    Looked { quick, deep: deep(&bytes[..], &name, Some(metadata.as_bytes())).unwrap() }
}

fn look(members: &[(&str, &[u8])]) -> Looked {
    look_at("demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", "", members)
}

fn told(inspection: &Inspection) -> Vec<String> {
    inspection.strengths().iter().map(|(accelerator, strength)| format!("{strength} {accelerator}")).collect()
}

fn parsed(bytes: &[u8]) -> elf::Elf {
    examine(bytes.len() as u64, || Ok(bytes)).unwrap().elf.unwrap()
}

fn sample(wide: bool, little: bool, names_last: bool) -> ElfFile {
    let mut file = ElfFile::new()
        .needs("libcudart.so.12")
        .needs("libc.so.6")
        .is("libdemo.so")
        .section(".nv_fatbin")
        .section(".text");
    file.search_path = Some("$ORIGIN/../nvidia/cublas/lib");
    ElfFile { wide, little, names_last, ..file }
}

#[test]
fn headers_are_read_in_each_class_and_byte_order_wherever_the_names_lie() {
    for (wide, little, names_last) in [true, false].into_iter().flat_map(|wide| {
        [true, false].into_iter().flat_map(move |little| [true, false].map(|names_last| (wide, little, names_last)))
    }) {
        let elf = parsed(&sample(wide, little, names_last).bytes());
        assert_eq!(elf.needed, ["libcudart.so.12", "libc.so.6"], "{wide} {little} {names_last}");
        assert_eq!(elf.soname.as_deref(), Some("libdemo.so"));
        assert_eq!(elf.search_paths, ["$ORIGIN/../nvidia/cublas/lib"]);
        assert_eq!(elf.sections, [".nv_fatbin"]);
        assert_eq!((elf.machine, elf.faults.len()), (62, 0));
    }
}

#[test]
fn names_in_the_middle_of_a_large_file_take_a_second_pass() {
    // The names lie between what is kept of the start and what is kept of the end.
    let mut bytes = sample(true, true, false).filled(&vec![7; 6 << 20]).bytes();
    let sections = u64::from_le_bytes(*bytes[40..].first_chunk().unwrap()) as usize;
    let headers = bytes.split_off(sections);
    bytes.resize(10 << 20, 7);
    let at = bytes.len() as u64;
    bytes.extend(headers);
    bytes[40..48].copy_from_slice(&at.to_le_bytes());
    let mut passes = 0;
    let examined = examine(bytes.len() as u64, || {
        passes += 1;
        Ok(&bytes[..])
    });
    let elf = examined.unwrap().elf.unwrap();
    assert_eq!((elf.needed.len(), elf.sections.len(), elf.faults.len()), (2, 1, 0), "{:?}", elf.faults);
    assert_eq!(passes, 2);
}

#[test]
fn a_file_cut_anywhere_is_told_and_never_a_crash() {
    for wide in [true, false] {
        let good = sample(wide, true, true).bytes();
        for at in 4..good.len() {
            let elf = parsed(&good[..at]);
            assert!(!elf.faults.is_empty(), "cut at {at}");
        }
    }
}

#[test]
fn a_file_without_sections_still_tells_what_it_needs() {
    let mut bytes = sample(true, true, false).bytes();
    bytes[40..48].fill(0);
    let elf = parsed(&bytes);
    assert_eq!((elf.needed.len(), elf.sections.len(), elf.faults.len()), (2, 0, 0));
}

#[test]
fn headers_that_lie_are_told() {
    let good = sample(true, true, false).bytes();
    let lie = |at: usize, bytes: &[u8]| {
        let mut lying = good.clone();
        lying[at..at + bytes.len()].copy_from_slice(bytes);
        parsed(&lying).faults.join("; ")
    };
    assert_eq!(lie(4, &[9]), "ELF class 9, expected 1 or 2");
    assert_eq!(lie(5, &[9]), "ELF byte order 9, expected 1 or 2");
    assert!(lie(32, &u64::MAX.to_le_bytes()).contains("program headers: 112 bytes at offset 18446744073709551615"));
    assert!(lie(40, &u64::MAX.to_le_bytes()).contains("section headers: 64 bytes at offset 18446744073709551615"));
    assert!(lie(54, &[1, 0]).contains("program headers of 1 bytes, expected 56"));
    assert!(lie(58, &[1, 0]).contains("section headers of 1 bytes, expected 64"));
    assert!(lie(60, &[0xff, 0xff]).contains("4194240 bytes of section headers"));
    assert!(lie(62, &[0xf0, 0]).contains("no section with the names of sections"));
    // The loaded segment's address: the names' address is then in none.
    assert!(lie(64 + 16, &0x9999_0000u64.to_le_bytes()).contains("which no segment has"));
    assert!(lie(64 + 56 + 32, &u64::MAX.to_le_bytes()).contains("dynamic section: 1048576 bytes"));
}

#[test]
fn a_library_that_the_wheel_does_not_bring_is_required() {
    let module = ElfFile::new().needs("libcudart.so.12").bytes();
    let looked = look(&[("demo/_C.so", &module)]);
    assert_eq!(told(&looked.deep), ["requires cuda"]);
    assert_eq!(told(&looked.quick), [] as [&str; 0]);
    assert!(!looked.quick.is_conclusive() && looked.deep.is_conclusive());
    assert_eq!((looked.quick.unread, looked.deep.unread), (1, 0));
    assert_eq!(looked.deep.bound(), [Accelerator::Cuda]);
    assert_eq!(looked.deep.findings[0].evidence, "NEEDED libcudart.so.12");
    assert_eq!(looked.deep.findings[0].member.as_deref(), Some("demo/_C.so"));
}

#[test]
fn a_bundled_library_is_carried_and_the_driver_is_still_required() {
    let runtime = ElfFile::new().is("libcudart.so.12").bytes();
    let module = ElfFile::new().needs("libcudart-41118559.so.12").bytes();
    let library = ("demo.libs/libcudart-41118559.so.12", &runtime[..]);
    let name = "demo/x.cpython-312-x86_64-linux-gnu.so";
    let looked = look(&[(name, &module), library]);
    assert_eq!((told(&looked.quick), told(&looked.deep)), (vec!["carries cuda".into()], vec!["carries cuda".into()]));
    let by_soname = ElfFile::new().needs("libcudart.so.12").bytes();
    assert_eq!(told(&look(&[(name, &by_soname), library]).deep), ["carries cuda"]);
    let driver = ElfFile::new().needs("libcudart-41118559.so.12").needs("libcuda.so.1").bytes();
    assert_eq!(told(&look(&[(name, &driver), library]).deep), ["requires cuda"]);
}

#[test]
fn a_wheel_of_the_vendors_libraries_is_the_accelerator() {
    let runtime = ElfFile::new().is("libcudart.so.12").bytes();
    let looked = look(&[("nvidia/cuda_runtime/lib/libcudart.so.12", &runtime)]);
    assert_eq!((told(&looked.quick), told(&looked.deep)), (vec!["is cuda".into()], vec!["is cuda".into()]));
    assert_eq!(looked.deep.findings[0].strength, Strength::Is);
}

#[test]
fn one_of_several_builds_of_a_library_is_carried_unless_another_needs_it() {
    let build = ElfFile::new().needs("libcublas.so.12").section(".nv_fatbin").bytes();
    let plain = ElfFile::new().bytes();
    let members = [("demo/libdemo_cuda120.so", &build[..]), ("demo/libdemo_cpu.so", &plain)];
    assert_eq!(told(&look(&members).deep), ["carries cuda"]);
    assert_eq!(told(&look(&members[..1]).deep), ["requires cuda"]);
    let addition = ElfFile::new().needs("libsycl.so.9").bytes();
    let members_of_openmp = [("demo/libomp.sycl.wrap.so", &addition[..]), ("demo/libomp.so", &plain)];
    assert_eq!(told(&look(&members_of_openmp).deep), ["carries oneapi"]);
    let user = ElfFile::new().needs("libdemo_cuda120.so").bytes();
    assert_eq!(told(&look(&[members[0], members[1], ("demo/libdemo.so", &user)]).deep), ["requires cuda"]);
}

#[test]
fn a_module_that_the_rest_does_without_is_carried() {
    let bound = ElfFile::new().needs("libcudart.so.12").bytes();
    let plain = ElfFile::new().needs("libc.so.6").bytes();
    let of = |members: &[(&str, &[u8])]| told(&look(members).deep).join(" ");
    let core = ("demo/_core.cpython-312-x86_64-linux-gnu.so", &plain[..]);
    assert_eq!(of(&[core, ("demo/_cuda.so", &bound)]), "carries cuda");
    assert_eq!(of(&[core, ("demo/ops/ext_cuda.abi3.so", &bound)]), "carries cuda");
    // Alone, or under a name that says nothing, or beside nothing but a library, it is what the wheel is.
    assert_eq!(of(&[("demo/_cuda.so", &bound)]), "requires cuda");
    assert_eq!(of(&[core, ("demo/_C.so", &bound)]), "requires cuda");
    assert_eq!(of(&[core, ("other/_cuda.so", &bound)]), "requires cuda");
    assert_eq!(of(&[("demo/libgomp.so.1", &plain), ("demo/_cuda.so", &bound)]), "requires cuda");
    let user = ElfFile::new().needs("_cuda.so").bytes();
    assert_eq!(of(&[("demo/_core.abi3.so", &user), core, ("demo/_cuda.so", &bound)]), "requires cuda");
}

#[test]
fn operators_of_a_framework_that_metadata_does_not_ask_for_are_carried() {
    let operators = ElfFile::new().needs("libtorch_cuda.so").needs("libtorch.so").needs("libcudart.so.12").bytes();
    let plain = ElfFile::new().needs("libc.so.6").bytes();
    let core = ("demo/core.cpython-312-x86_64-linux-gnu.so", &plain[..]);
    let members = [core, ("demo/demo_torch_ops.so", &operators)];
    let of = |metadata: &str, members: &[(&str, &[u8])]| {
        told(&look_at("demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", metadata, members).deep).join(" ")
    };
    assert_eq!(of("", &members), "carries cuda");
    assert_eq!(of("Requires-Dist: torch>=2; extra == 'ml'", &members), "carries cuda");
    assert_eq!(of("Requires-Dist: torch>=2", &members), "requires cuda");
    // Nothing is left without them, or something needs them.
    assert_eq!(of("", &members[1..]), "requires cuda");
    let user = ElfFile::new().needs("demo_torch_ops.so").bytes();
    assert_eq!(of("", &[core, members[1], ("demo/_x.abi3.so", &user)]), "requires cuda");
    let same = ElfFile::new().needs("libtorch.so").bytes();
    assert_eq!(of("", &[("demo/_C.abi3.so", &same), members[1]]), "requires cuda");
}

#[test]
fn a_quick_look_reads_on_where_symbols_are_many_and_knows_what_registers_device_code() {
    // The names lie behind 140 KB of symbols; the rest of the file, which packs badly, pays for reading so far.
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    let noise: Vec<u8> = (0..10 << 20).map(|_| noise()).collect();
    let of = |members: &[(&str, &[u8])]| told(&look(members).quick).join(" ");
    let far = ElfFile::new().filled(&vec![1; 140_000]).needs("libamdhip64.so.7").needs("libc.so.6").filled_last(&noise);
    assert_eq!(of(&[("demo/libdemo.so", &far.bytes())]), "requires rocm");
    let symbols = [&b"\0__hipRegisterFatBinary\0"[..], &vec![1; 200_000]].concat();
    assert_eq!(of(&[("demo/libdemo.so", &ElfFile::new().filled(&symbols).bytes())]), "carries rocm");
    // What the filename binds already isn't looked into.
    let bound = look_at("demo-1.0+cu126-cp312-cp312-manylinux_2_28_x86_64.whl", "", &[("demo/_C.so", &far.bytes())]);
    assert_eq!(told(&bound.quick), ["requires cuda"]);
    assert_eq!(told(&bound.deep), ["requires cuda", "requires rocm"]);
    let bitcode =
        [("demo/runtime_cuda.bc", &b"BC\xc0\xde"[..]), ("demo/oclc_isa_version_942.bc", b"BC"), ("demo/x64.bc", b"BC")];
    assert_eq!(of(&bitcode), "carries cuda carries rocm");
}

#[test]
fn windows_libraries_tell_what_they_import_and_what_code_they_hold() {
    let of =
        |members: &[(&str, &[u8])]| told(&look_at("demo-1.0-cp312-cp312-win_amd64.whl", "", members).deep).join(" ");
    let module = windows_library(&["KERNEL32.dll", "cudart64_12.dll"], &[], Some("_C.pyd"));
    assert_eq!(of(&[("demo/_C.pyd", &module)]), "requires cuda");
    let runtime = windows_library(&["KERNEL32.dll"], &[], Some("cudart64_12.dll"));
    assert_eq!(of(&[("demo/_C.pyd", &module), ("demo/cudart64_12.dll", &runtime)]), "carries cuda");
    assert_eq!(of(&[("demo/_C.pyd", &windows_library(&["nvcuda.dll"], &[], None))]), "requires cuda");
    assert_eq!(
        of(&[("demo/_C.pyd", &windows_library(&["KERNEL32.dll"], &[".nv_fatb", ".nvFatBi"], None))]),
        "carries cuda"
    );
    assert_eq!(of(&[("demo/_C.pyd", &windows_library(&[], &[".hip_fat"], None))]), "carries rocm");
    // A quick look reads the table of sections, too, and not what is imported.
    let quick = |module: &[u8]| {
        let looked = look_at("demo-1.0-cp312-cp312-win_amd64.whl", "", &[("demo/core.dll", module)]);
        told(&looked.quick).join(" ")
    };
    assert_eq!(quick(&windows_library(&["KERNEL32.dll"], &[".text", ".nv_fatb"], None)), "carries cuda");
    assert_eq!(quick(&windows_library(&["cudart64_12.dll"], &[".text"], None)), "");
    assert_eq!(of(&[("demo/_C.pyd", &windows_library(&["KERNEL32.dll", "python312.dll"], &[".text"], None))]), "");
    let text = [&b"MZ is how this text begins, which is no program"[..], &[b'.'; 100]].concat();
    let looked = look(&[("demo/notes.bin", &text)]);
    assert_eq!((looked.deep.findings.len(), looked.deep.problems.len()), (0, 0), "{:?}", looked.deep);
    for at in 0..module.len() {
        let cut = &module[..at];
        examine(at as u64, || Ok(cut)).unwrap();
        let mut flipped = module.clone();
        flipped[at] ^= 0xff;
        examine(module.len() as u64, || Ok(&flipped[..])).unwrap();
    }
}

#[test]
fn a_quick_look_reads_what_the_heads_of_native_members_say_they_need() {
    let module = ElfFile::new().needs("libtorch_cuda.so").needs("libcudart.so.12").needs("libc.so.6").bytes();
    let of = |members: &[(&str, &[u8])]| told(&look(members).quick).join(" ");
    assert_eq!(of(&[("demo/_C.so", &module)]), "requires cuda");
    // Behind what is read, or among several builds, it is left to a deep look.
    let far = ElfFile::new().filled(&vec![1; 200_000]).needs("libcudart.so.12").needs("libc.so.6").bytes();
    assert_eq!(of(&[("demo/_C.so", &far)]), "");
    let named = ElfFile::new().needs("libcublas.so.12").needs("libc.so.6").bytes();
    assert_eq!(of(&[("demo/libdemo_cuda120.so", &named), ("demo/libdemo_cpu.so", &far)]), "carries cuda");
    let runtime = ElfFile::new().is("libcublas.so.12").bytes();
    assert_eq!(of(&[("demo/_C.so", &named), ("demo.libs/libcublas.so.12", &runtime)]), "carries cuda");
}

#[test]
fn native_code_is_known_by_how_it_begins() {
    let module = ElfFile::new().needs("libcudart.so.12").bytes();
    for name in ["demo/core.bin", "demo/LIBX.SO", "demo/data.json", "demo/libx.so.txt", "demo/x"] {
        let looked = look(&[(name, &module)]);
        assert_eq!((looked.quick.unread, told(&looked.deep)), (1, vec!["requires cuda".to_owned()]), "{name}");
    }
    assert_eq!(told(&look(&[("demo/x.py", &module)]).deep), ["requires cuda"]);
    let looked = look(&[("demo/core.bin", &[7; 500]), ("demo/a.json", &[b' '; 500])]);
    assert!(looked.quick.is_conclusive() && looked.deep.findings.is_empty());
}

#[test]
fn compressed_bundles_and_code_for_one_architecture_tell_what_they_are_for() {
    let targets =
        bundle(&["host-x86_64-unknown-linux--", "hipv4-amdgcn-amd-amdhsa--gfx942", "hip-amdgcn-amd-amdhsa--gfx1201"]);
    let body = [targets, (0..9000u32).map(|at| (at.wrapping_mul(at) >> 5) as u8).collect()].concat();
    for method in [0, 1] {
        let code = [vec![0; 4096 - 304], compressed_bundle(&body, method), vec![0; 5000]].concat();
        for len in [64, 4096, 100_000] {
            let mut device = device::DeviceCode::default();
            code.chunks(len).for_each(|piece| device.feed(piece));
            device.finish();
            assert_eq!(
                device.architectures.iter().collect::<Vec<_>>(),
                ["gfx1201", "gfx942"],
                "{method}, pieces of {len}"
            );
        }
    }
    let mut code = fat_binary(&[(2, 90, 200), (2, 80, 200), (1, 90, 64)]);
    // The first entry's code: an ELF file's header, with the flag of what runs on this architecture alone.
    let start = 16 + 64;
    code[start..start + 4].copy_from_slice(b"\x7fELF");
    code[start + 48..start + 52].copy_from_slice(&(90u32 | 0x800).to_le_bytes());
    let mut device = device::DeviceCode::default();
    device.feed(&code);
    device.finish();
    assert_eq!(device.architectures.iter().collect::<Vec<_>>(), ["compute_90", "sm_80", "sm_90a"]);
    assert_eq!(device::named("flash.sm_90a.cubin").as_deref(), Some("sm_90a"));
    assert_eq!(device::named("k_sm100f.cubin").as_deref(), Some("sm_100f"));
    assert_eq!(device::of_cubin(100 << 8 | 8, 8).as_deref(), Some("sm_100a"));
    assert_eq!(device::of_cubin(80, 7).as_deref(), Some("sm_80"));
}

#[test]
fn device_code_without_a_needed_library_is_carried_with_its_architectures() {
    let code = fat_binary(&[(2, 80, 5000), (1, 90, 100), (2, 86, 8)]);
    let member = ElfFile::new().section(".nv_fatbin").filled(&code).bytes();
    let start = member.windows(8).position(|bytes| bytes == &code[..8]).unwrap();
    assert_eq!(start % 8, 0, "as compilers align it");
    let looked = look(&[("demo/lib/libdemo.so", &member)]);
    assert_eq!(told(&looked.deep), ["carries cuda"]);
    assert_eq!(looked.deep.architectures, ["compute_90", "sm_80", "sm_86"]);
    assert!(looked.deep.bound().is_empty());

    let targets = [
        "host-x86_64-unknown-linux--",
        "hipv4-amdgcn-amd-amdhsa--gfx90a:sramecc+:xnack-",
        "hip-amdgcn-amd-amdhsa--gfx1100",
    ];
    let member = ElfFile::new().section(".hip_fatbin").filled(&bundle(&targets)).bytes();
    let looked = look(&[("demo/lib/libdemo.so", &member)]);
    assert_eq!(
        (told(&looked.deep), looked.deep.architectures),
        (vec!["carries rocm".into()], vec!["gfx1100".into(), "gfx90a".into()])
    );
    let member = ElfFile::new().section("__CLANG_OFFLOAD_BUNDLE__sycl-spir64").bytes();
    assert_eq!(told(&look(&[("demo/libdemo.so", &member)]).deep), ["carries oneapi"]);
}

#[test]
fn architectures_are_found_however_the_stream_is_cut() {
    let code = [vec![0; 4096 * 3 - 8], fat_binary(&[(2, 75, 9000), (1, 80, 64)]), vec![0; 5000]].concat();
    for len in [8, 64, 1000, 4096, 4104, 100_000] {
        let mut device = device::DeviceCode::default();
        code.chunks(len).for_each(|piece| device.feed(piece));
        device.finish();
        assert_eq!(device.architectures.iter().collect::<Vec<_>>(), ["compute_80", "sm_75"], "pieces of {len}");
    }
}

#[test]
fn metadata_binds_where_the_wheel_runs_and_not_by_an_extra() {
    let of = |platform: &str, line: &str| {
        let name = format!("demo-1.0-cp312-cp312-{platform}.whl");
        told(&look_at(&name, &format!("Requires-Dist: {line}\n"), &[]).quick).join(" ")
    };
    let linux = "manylinux_2_28_x86_64";
    assert_eq!(of(linux, "nvidia-cublas-cu12==12.4.5.8"), "requires cuda");
    assert_eq!(of(linux, "nvidia_cudnn_cu12 (>=9)"), "requires cuda");
    assert_eq!(
        of(linux, "nvidia-cublas-cu12 ; platform_system == 'Linux' and platform_machine == 'x86_64'"),
        "requires cuda"
    );
    assert_eq!(of("macosx_11_0_arm64", "nvidia-cublas-cu12 ; platform_system == 'Linux'"), "");
    assert_eq!(of(linux, "nvidia-cublas-cu12 ; extra == 'cuda'"), "");
    assert_eq!(of(linux, "nvidia-nccl-cu12 ; platform_system == 'Linux'"), "carries cuda");
    assert_eq!(of(linux, "torch==2.6.0+rocm6.2"), "requires rocm");
    assert_eq!(of(linux, "intel-sycl-rt>=2026"), "requires oneapi");
    assert_eq!(of(linux, "nvidia-ml-py>=12"), "");
    assert_eq!(of(linux, "nvidia-cublas-cu12 and nonsense"), "requires cuda", "a slip is no reason to overlook it");
}

#[test]
fn filenames_tell_by_project_local_version_and_build_tag() {
    let tagged = |name: &str, tags: &str| told(&look_at(&format!("{name}-{tags}.whl"), "", &[]).quick).join(" ");
    let of = |name: &str| tagged(name, "py3-none-manylinux_2_28_x86_64");
    assert_eq!(of("torch-2.6.0+cu126"), "requires cuda");
    assert_eq!(tagged("torch-2.6.0+cu126", "py3-none-any"), "requires cuda");
    assert_eq!(of("torch-2.6.0+rocm6.2"), "requires rocm");
    assert_eq!(of("torch-2.6.0+cpu"), "");
    assert_eq!(of("cupy_cuda12x-13.0"), "requires cuda");
    assert_eq!(of("demo-1.0-2_el9_rocm6"), "mentions rocm");
    // Tools, documents and placeholders run anywhere.
    for (name, want) in [
        ("gaudi_linter-1.0", "gaudi"),
        ("hip_cargo-0.1", "rocm"),
        ("rocm_docs_core-1.0", "rocm"),
        ("demo_ep_rocm-0.0.0", "rocm"),
    ] {
        assert_eq!(tagged(name, "py3-none-any"), format!("mentions {want}"));
        assert_eq!(of(name), format!("requires {want}"));
    }
    assert_eq!(of("habana_torch_plugin-1.24"), "requires gaudi");
    let sdist = DistributionFilename::parse("torch-2.6.0+cu126.tar.gz").unwrap();
    assert_eq!(told(&quick(&b"no archive"[..], &sdist, None).unwrap()), ["requires cuda"]);
}

#[test]
fn the_builders_notes_tell_without_a_deep_look() {
    let requires = b"libc.so.6(GLIBC_2.2.5)(64bit)\nlibcudart.so.12()(64bit)\nlibamdhip64.so.6()(64bit)\n";
    let note = ("demo-1.0.dist-info/fromager-elf-requires.txt", &requires[..]);
    let provides = ("demo-1.0.dist-info/fromager-elf-provides.txt", &b"libcudart.so.12()(64bit)\n"[..]);
    assert_eq!(told(&look(&[note]).quick), ["requires cuda", "requires rocm"]);
    assert_eq!(told(&look(&[note, provides]).quick), ["requires rocm"]);
    let variant = br#"{"variants": {"cu126": {"nvidia": {"cuda_version_lower_bound": ["12.6"]}}, "null": {}}}"#;
    assert_eq!(told(&look(&[("demo-1.0.dist-info/variant.json", variant)]).quick), ["requires cuda"]);
}

#[test]
fn what_proves_nothing_binds_nothing() {
    let opencl = ElfFile::new().needs("libOpenCL.so.1").needs("libmkl_core.so.3").section(".tgtimg").bytes();
    let members = [
        ("demo/plugin.so", &opencl[..]),
        ("demo/cuda/runtime.py", b"libcudart.so.12"),
        ("demo/tests/data/a.ptx", b"//"),
    ];
    let looked = look(&members);
    assert_eq!((told(&looked.deep), told(&looked.quick)), (vec!["mentions cuda".into()], vec!["mentions cuda".into()]));
    let pure = look(&[("demo/__init__.py", b"import ctypes; ctypes.CDLL('libcuda.so.1')")]);
    assert!(pure.quick.findings.is_empty() && pure.quick.is_conclusive());
}

#[test]
fn a_broken_or_exploding_member_is_a_problem_and_the_others_are_judged() {
    let cut = &sample(true, true, true).bytes()[..200];
    let good = ElfFile::new().needs("libamdhip64.so.6").bytes();
    let looked = look(&[("demo/cut.so", cut), ("demo/good.so", &good)]);
    assert_eq!(told(&looked.deep), ["requires rocm"]);
    assert!(
        looked.deep.problems.iter().all(|problem| problem.starts_with("demo/cut.so: ")),
        "{:?}",
        looked.deep.problems
    );
    assert!(!looked.deep.problems.is_empty());

    let bomb = ElfFile::new().filled(&vec![0; 65 << 20]).bytes();
    let looked = look(&[("demo/bomb.so", &bomb), ("demo/good.so", &good)]);
    assert_eq!((told(&looked.deep), looked.deep.unread), (vec!["requires rocm".into()], 1));
    let problem = &looked.deep.problems[0];
    assert!(problem.contains("demo/bomb.so") && problem.contains("at most 200 bytes from each"), "{problem}");
}

#[test]
fn many_findings_are_kept_in_part_and_counted() {
    let members: Vec<(String, Vec<u8>)> = (0..40)
        .map(|number| (format!("demo/m{number:02}.so"), ElfFile::new().needs("libcudart.so.12").bytes()))
        .collect();
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let looked = look(&members);
    assert_eq!((looked.deep.findings.len(), looked.deep.more_findings), (6, 34));
    let json = serde_json::to_string(&looked.deep).unwrap();
    assert!(json.len() < 2000 && json.contains(r#""accelerator":"cuda","strength":"requires""#));
    assert_eq!(serde_json::from_str::<Inspection>(&json).unwrap(), looked.deep);
}

/// Returns the names of the budgets that a deep look at members goes beyond.
fn exceeded(members: &[(String, Vec<u8>)]) -> String {
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let deep = look(&members).deep;
    assert!(deep.is_deep && deep.exceeded.iter().all(|text| deep.problems.contains(text)), "{deep:?}");
    deep.exceeded.join("; ")
}

#[test]
fn more_members_than_the_budget_are_looked_at_by_none() {
    // Stored, since packing so many takes a minute.
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    let count = budget::DEEP_MEMBERS.limit + 1;
    for number in 0..count {
        let name = format!("{number}.so");
        let numbers = [0u32, 64, 64].map(u32::to_le_bytes).concat();
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 33, 0], &numbers[..], &[name.len() as u8, 0, 0, 0]].concat();
        let at = (bytes.len() as u32).to_le_bytes();
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &at, name.as_bytes()].concat());
        bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), b"\x7fELF", &[0; 60]].concat());
    }
    let place = [directory.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
    let count = (count as u16).to_le_bytes();
    bytes.extend([&directory[..], b"PK\x05\x06\0\0\0\0", &count, &count, &place, &[0, 0]].concat());
    let name = DistributionFilename::parse("demo-1.0-py3-none-any.whl").unwrap();
    let deep = deep(&bytes[..], &name, None).unwrap();
    assert_eq!(deep.exceeded, ["more than 100000 members of a wheel in a deep look (budget deep-members)"]);
    assert!(deep.unread > 0 && deep.findings.is_empty());
}

#[test]
fn evidence_without_end_ends_the_look() {
    // Each member needs a thousand libraries that all count, of names as long as they are read.
    let long: &'static str = format!("libcudart.so.{}", "1".repeat(480)).leak();
    let names: Vec<&'static str> = (0..900).map(|number| &*format!("{number}/{long}").leak()).collect();
    let file = names.iter().fold(ElfFile::new(), |file, name| file.needs(name)).bytes();
    let members: Vec<_> = (0..60).map(|number| (format!("m/{number}.so"), file.clone())).collect();
    assert!(exceeded(&members).contains("(budget deep-evidence)"));
    assert_eq!(exceeded(&members[..2]), "");
}

#[test]
fn names_without_end_are_an_excess_and_one_name_said_often_is_none() {
    let names = (0..1100).map(|number| &*format!("lib{number}.so").leak());
    let file = names.fold(ElfFile::new(), |file, name| file.needs(name)).bytes();
    assert!(exceeded(&[("m/a.so".to_owned(), file)]).contains("(budget elf-names)"));
    let mut bytes = ElfFile::new().needs("libm.so.6").bytes();
    // The dynamic section is said to be large, and is: 70 000 entries that all name the one library.
    let table = [1u64.to_le_bytes(), 1u64.to_le_bytes()].concat().repeat(70_000);
    let at = bytes.len() as u64;
    bytes.extend(&table);
    bytes[64 + 56 + 8..][..8].copy_from_slice(&at.to_le_bytes());
    bytes[64 + 56 + 32..][..8].copy_from_slice(&(table.len() as u64).to_le_bytes());
    assert!(exceeded(&[("m/a.so".to_owned(), bytes)]).contains("(budget elf-dynamic)"));
}

#[test]
fn members_that_inflate_to_much_more_than_was_sent_end_the_look() {
    let file = ElfFile::new().filled(&vec![0; 40 << 20]).bytes();
    let members: Vec<_> = (0..3).map(|number| (format!("m/{number}.so"), file.clone())).collect();
    assert!(exceeded(&members).contains("(budget deep-bytes)"));
    assert_eq!(exceeded(&members[..1]), "");
}

#[test]
fn notes_without_end_are_an_excess() {
    let note = |number| (format!("d{number}.dist-info/fromager-elf-requires.txt"), b"libc.so.6()(64bit)\n".to_vec());
    let members: Vec<_> = (0..9).map(note).collect();
    assert!(exceeded(&members).contains("(budget build-notes)"));
    assert_eq!(exceeded(&members[1..]), "");
}

#[test]
fn architectures_without_end_are_few() {
    let codes: Vec<(u16, u32, usize)> = (10..120).map(|architecture| (2, architecture, 0)).collect();
    let kinds = [
        codes.clone(),
        codes.iter().map(|(_, architecture, _)| (2, architecture + 200, 0)).collect(),
        codes.iter().map(|(_, architecture, _)| (1, *architecture, 0)).collect(),
    ];
    let members: Vec<_> = kinds.iter().map(|code| ElfFile::new().filled(&fat_binary(code)).bytes()).collect();
    let members: Vec<(&str, &[u8])> =
        ["a.so", "b.so", "c.so"].into_iter().zip(members.iter().map(|bytes| &bytes[..])).collect();
    assert_eq!(look(&members).deep.architectures.len(), 256);
}

#[test]
fn names_are_read_as_they_are_written() {
    for accelerator in Accelerator::ALL {
        assert_eq!(accelerator.to_string().parse(), Ok(accelerator));
    }
    assert_eq!("gpu".parse::<Accelerator>(), Err(AcceleratorError("gpu".to_owned())));
    assert!(
        Strength::Mentions < Strength::Carries
            && Strength::Carries < Strength::Requires
            && Strength::Requires < Strength::Is
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let bytes = [b"\x7fELF", &bytes[..]].concat();
        examine(bytes.len() as u64, || Ok(&bytes[..])).unwrap();
    }

    #[test]
    fn no_change_makes_it_panic(at in 4usize..1200, bytes in proptest::collection::vec(any::<u8>(), 1..9), wide: bool, last: bool) {
        let code = [fat_binary(&[(2, 80, 24), (1, 90, 8)]), bundle(&["hip-amdgcn-amd-amdhsa--gfx90a"])].concat();
        let mut file = sample(wide, true, last).filled(&code).bytes();
        let at = at.min(file.len() - bytes.len());
        file[at..at + bytes.len()].copy_from_slice(&bytes);
        examine(file.len() as u64, || Ok(&file[..])).unwrap();
    }
}
