//! The names that give an accelerator away: libraries, sections, projects, versions. Data, and how to look it up.
//!
//! Libraries and sections of CUDA, ROCm and oneAPI were seen in about a hundred real wheels (CUDA 11-13, ROCm 5-7, oneAPI 2026); the
//! rest of the names, and all of Gaudi's, are the vendors' published ones and were met in no wheel yet. Left out on purpose: `OpenCL`
//! and `ccl`, which run on any processor; `ur_loader` (of `intel-cmplr-lib-ur`), which `intel-openmp` needs anywhere; `nvidia-ml-py`,
//! `pynvml`, `cuda-pathfinder`, `amdsmi` and `habana-pyhlml`, pure bindings that fail politely; `triton`, which compiles for several.

use super::Accelerator::{self, Cuda, Gaudi, Oneapi, Rocm};
use super::Strength::{self, Carries, Is, Requires};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Stems of libraries without `lib`; with `*` at the end, all that begin so.
const LIBRARIES: [(Accelerator, &str); 4] = [
    (
        Cuda,
        "cuda nvcuda cudart cudart_static cudadevrt cublas cublaslt nvblas cudnn* cufft cufftw curand cusolver cusolvermg cusparse \
         cusparselt nccl nvrtc nvrtc-builtins* nvjitlink nvjpeg nvjpeg2k nvtoolsext cupti nvperf_host nvperf_target nvinfer* \
         nvonnxparser nppc nppial nppicc nppidei nppif nppig nppim nppist nppisu nppitc npps nvidia-ml nvshmem* cufile \
         cufile_rdma cudss* cutensor* custatevec cutensornet nvvm nvfatbin nvptxcompiler* nvcuvid nvcomp* nvimgcodec* \
         c10_cuda torch_cuda* caffe2_nvrtc cudf cuml rmm raft cuvs cugraph cvcuda",
    ),
    (
        Rocm,
        "amdhip64 hiprtc hiprtc-builtins hipblas hipblaslt hipfft hipfftw hiprand hipsolver hipsparse hipsparselt hiptensor \
         rocblas rocfft rocrand rocsolver rocsparse rocalution roctx64 roctracer64 rocprofiler* rocm_smi64 rocm-core rccl \
         miopen* hsa-runtime64 hsakmt amd_comgr amd_smi migraphx* rocm_sysdeps* rocsysdeps* c10_hip torch_hip caffe2_nvrtc_hip",
    ),
    (
        Oneapi,
        "sycl sycl-* sycld ze_loader ze_intel_gpu mkl_sycl* onemkl_sycl* dpctlsyclinterface intel-ext-pt-gpu c10_xpu torch_xpu \
         ur_adapter_level_zero* pi_level_zero",
    ),
    (Gaudi, "synapse synapseai* synapse_* synapsemme* habana* hl_logger hl-thunk hl_gcfg hcl tpc_kernels* tpcsim*"),
];

/// Sections of device code, and of what its host code registers; with `*` at the end, all that begin so.
const SECTIONS: [(Accelerator, &str); 12] = [
    (Cuda, ".nv_fatbin"),
    // Windows has eight letters for a name.
    (Cuda, ".nv_fatb .nvFatBi"),
    (Rocm, ".hip_fat"),
    (Rocm, ".hipFatB"),
    (Cuda, ".nvFatBinSegment"),
    (Cuda, "__nv_relfatbin"),
    (Cuda, "__nv_module_id"),
    (Cuda, "__CLANG_OFFLOAD_BUNDLE__cuda*"),
    (Rocm, ".hip_fatbin*"),
    (Rocm, ".hipFatBinSegment"),
    (Rocm, "__CLANG_OFFLOAD_BUNDLE__hip*"),
    (Oneapi, "__CLANG_OFFLOAD_BUNDLE__sycl*"),
];

/// Projects that are an accelerator's own, or of no use without it; with `*` at the end, all that begin so. The first one counts.
const PROJECTS: [(Accelerator, Option<Strength>, &str); 6] = [
    (Cuda, None, "nvidia-ml-py* pynvml cuda-pathfinder amdsmi habana-pyhlml cuda-cccl"),
    // NCCL joins several processors: a project that can do without asks for it as well, and loads it when there are some.
    (Cuda, Some(Carries), "nvidia-nccl*"),
    (
        Cuda,
        Some(Is),
        "nvidia-cublas* nvidia-cuda-* nvidia-cudnn* nvidia-cufft* nvidia-cufile* nvidia-curand* nvidia-cusolver* nvidia-cusparse* \
         nvidia-nvjitlink* nvidia-nvshmem* nvidia-nvtx* nvidia-nvjpeg* nvidia-npp* nvidia-nvvm* nvidia-dali-cuda* cuda-toolkit \
         tensorrt tensorrt-libs cutensor-cu*",
    ),
    (Rocm, Some(Is), "rocm rocm-sdk* _rocm_sdk*"),
    (Oneapi, Some(Is), "intel-sycl-rt dpcpp-cpp-rt onemkl-sycl*"),
    (Gaudi, Some(Requires), "habana*"),
];

/// Words in the names of projects, files and builds.
const WORDS: [(Accelerator, &str); 4] =
    [(Cuda, "cuda"), (Rocm, "rocm rocmsdk hip"), (Oneapi, "xpu sycl"), (Gaudi, "gaudi hpu habana")];

/// Parts of search paths that lead to a vendor's libraries.
const SEARCH_PATHS: [(Accelerator, &str); 5] = [
    (Cuda, "/nvidia/"),
    (Cuda, "/usr/local/cuda"),
    (Rocm, "/opt/rocm"),
    (Gaudi, "/habanalabs"),
    (Oneapi, "/opt/intel/oneapi/compiler"),
];

/// Lists as they are asked: a look asks of each library and word, and some wheels have hundreds.
struct Index {
    names: HashMap<&'static str, usize>,
    starts: Vec<(&'static str, usize)>,
}

static LIBRARY_INDEX: LazyLock<Index> = LazyLock::new(|| Index::new(LIBRARIES.iter().map(|(_, list)| *list)));
static SECTION_INDEX: LazyLock<Index> = LazyLock::new(|| Index::new(SECTIONS.iter().map(|(_, list)| *list)));
static PROJECT_INDEX: LazyLock<Index> = LazyLock::new(|| Index::new(PROJECTS.iter().map(|(_, _, list)| *list)));
static WORD_INDEX: LazyLock<Index> = LazyLock::new(|| Index::new(WORDS.iter().map(|(_, list)| *list)));

impl Index {
    fn new(lists: impl Iterator<Item = &'static str>) -> Self {
        let mut index = Self { names: HashMap::new(), starts: Vec::new() };
        for (place, list) in lists.enumerate() {
            for own in list.split(' ') {
                match own.strip_suffix('*') {
                    Some(start) => index.starts.push((start, place)),
                    None => _ = index.names.entry(own).or_insert(place),
                }
            }
        }
        index
    }

    /// Returns the place of the first list that has a name.
    fn find(&self, name: &str) -> Option<usize> {
        let start = self.starts.iter().find(|(start, _)| name.starts_with(start)).map(|(_, place)| *place);
        self.names.get(name).copied().into_iter().chain(start).min()
    }
}

/// Returns the accelerator whose library has this file name or SONAME, hash and version aside.
pub(super) fn library(name: &str) -> Option<Accelerator> {
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let end = [".so", ".dylib", ".dll", ".a", ".lib"].iter().filter_map(|end| extension(&name, end)).min()?;
    let stem = &name[..end];
    let stem = stem.strip_prefix("lib").unwrap_or(stem);
    let stem = without_hash(stem);
    // `cudart64_12.dll`, `sycl8.dll`, `libcudart.12.dylib`.
    let bare = stem.trim_end_matches(|letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '_'));
    let short = bare.strip_suffix("64").unwrap_or(bare);
    let known = |stem: &str| LIBRARY_INDEX.find(stem).map(|place| LIBRARIES[place].0);
    let short = (!name[end..].starts_with(".so")).then(|| known(bare).or_else(|| known(short))).flatten();
    known(stem).or(short)
}

/// Finds an extension that ends the name, or that only a version follows.
fn extension(name: &str, extension: &str) -> Option<usize> {
    let at = name.find(extension)?;
    let rest = &name[at + extension.len()..];
    (rest.is_empty() || rest.starts_with('.')).then_some(at)
}

/// Takes away the hash that repair tools put into the names of bundled libraries: `libcudart-41118559`, `libcudart.41118559`.
fn without_hash(stem: &str) -> &str {
    let Some((short, hash)) = stem.rsplit_once(['-', '.']) else { return stem };
    let is_hash = hash.len() >= 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { short } else { stem }
}

/// Returns the framework whose own library this is, by the start of its projects' names: what needs it are operators for it, of no use
/// without.
pub(super) fn framework(library: &str) -> Option<&'static str> {
    let stem = library.split(".so").next().unwrap_or(library);
    match stem {
        "libtorch" | "libtorch_cpu" | "libtorch_python" | "libc10" => Some("torch"),
        "libtensorflow_framework" | "libtensorflow_cc" => Some("tensorflow"),
        _ => None,
    }
}

/// Tells whether a file's name says, as a word of its own, that it is for a framework: `demo_torch_ops.so`.
pub(super) fn is_named_after_framework(file: &str) -> bool {
    framework(file).is_none() && words(file).any(|word| matches!(word, "torch" | "pytorch" | "tensorflow" | "tf"))
}

/// Returns the accelerator that a section of this name belongs to.
pub(super) fn section(name: &str) -> Option<Accelerator> {
    SECTION_INDEX.find(name).map(|place| SECTIONS[place].0)
}

/// Returns what a project of this normalised name is bound to.
pub(super) fn project(name: &str) -> Option<(Accelerator, Strength)> {
    if let Some((accelerator, strength, _)) = PROJECT_INDEX.find(name).map(|place| PROJECTS[place]) {
        return strength.map(|strength| (accelerator, strength));
    }
    name.split('-').find_map(word).map(|accelerator| (accelerator, Requires))
}

/// Returns where a file's name says, as a word of its own, that it is for an accelerator: `_cuda`, `ops_hip`.
pub(super) fn is_named_after(file: &str) -> bool {
    words(file).any(|one| word(one).is_some())
}

/// Returns the accelerator that a word names: `cuda`, `cuda12x`, `cu126`, `rocm6`, `xpu`.
pub(super) fn word(word: &str) -> Option<Accelerator> {
    let word = word.to_ascii_lowercase();
    let digits = word.strip_prefix("cu").unwrap_or_default();
    let digits = digits.strip_suffix('x').unwrap_or(digits);
    if (2..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Cuda);
    }
    let stem = word.strip_suffix('x').unwrap_or(&word);
    let stem = stem.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    WORD_INDEX.find(if stem.is_empty() { &word } else { stem }).map(|place| WORDS[place].0)
}

/// Returns the accelerator that the segments of a local version name: `cu126`, `rocm6.2`, `cu12torch2.5`, `xpu`.
pub(super) fn local_version(text: &str) -> Option<Accelerator> {
    text.split(['.', '-', '_']).find_map(|segment| {
        let start = segment.strip_prefix("cu").and_then(|rest| rest.get(..2));
        let is_cuda = start.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        if is_cuda { Some(Cuda) } else { word(segment) }
    })
}

/// Returns the accelerator that a file of LLVM bitcode with this stem is for: the vendors' libraries of functions (`libdevice.10`,
/// `ockl`, `oclc_isa_version_942`), or one called after it (`runtime_cuda`, `runtime_amdgpu`).
pub(super) fn bitcode(stem: &str) -> Option<Accelerator> {
    let mut parts = stem.split(['_', '-', '.']);
    let known = |part: &str| match part {
        "libdevice" | "nvptx" | "nvptx64" => Some(Cuda),
        "amdgpu" | "amdgcn" | "ockl" | "ocml" | "oclc" | "asanrtl" => Some(Rocm),
        _ => word(part),
    };
    parts.find_map(known)
}

/// Returns the accelerator whose folders a library search path names.
pub(super) fn search_path(path: &str) -> Option<Accelerator> {
    SEARCH_PATHS.iter().find(|(_, part)| path.contains(part)).map(|(own, _)| *own)
}

/// Returns the words of a shared library's file name, without its extensions.
pub(super) fn words(file: &str) -> impl Iterator<Item = &str> {
    let stem = [".so", ".dll", ".dylib", ".pyd"].iter().filter_map(|end| file.find(end)).min();
    file[..stem.unwrap_or(file.len())].split(['_', '-', '.']).map(|word| word.strip_prefix("lib").unwrap_or(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_known_with_any_version_hash_and_case() {
        for name in [
            "libcudart.so.12",
            "libcudart.41118559.so.12",
            "libcudart-41118559.so.12.4.127",
            "libcuda.so.1",
            "libcublasLt.so.11",
            "libnvrtc-builtins.so.12.4",
            "libcudnn_ops_infer.so.8",
            "a/b/libtorch_cuda_cu.so",
            "cudart64_12.dll",
            "nvrtc64_120_0.dll",
            "c10_cuda.dll",
            "libcudart_static.a",
            "libcupti.so.2025.1.1",
            "libcudart.12.dylib",
        ] {
            assert_eq!(library(name), Some(Cuda), "{name}");
        }
        for name in ["libamdhip64.so.6", "libMIOpen.so.1", "libhsa-runtime64.so.1", "libhipblas.so", "amdhip64.dll"] {
            assert_eq!(library(name), Some(Rocm), "{name}");
        }
        assert_eq!(library("libsycl.so.9"), Some(Oneapi));
        assert_eq!(library("sycl8.dll"), Some(Oneapi));
        assert_eq!(library("libSynapse.so"), Some(Gaudi));
        for name in [
            "libOpenCL.so.1",
            "libur_loader.so.0",
            "libtorch_cpu.so",
            "libc10.so",
            "cuda.cpython-312-x86_64-linux-gnu.so.py",
            "libcudart.sow",
            "libnvme.so",
            "libc.so.6",
            "cuda.py",
            "libhipster.so",
            "",
            ".so",
            "libmkl_core.so.3",
            "nccl.cpython-312-x86_64-linux-gnu.sox",
        ] {
            assert_eq!(library(name), None, "{name}");
        }
    }

    #[test]
    fn projects_are_known_by_their_own_names_or_by_a_word() {
        assert_eq!(project("nvidia-cublas-cu12"), Some((Cuda, Is)));
        assert_eq!(project("nvidia-nccl-cu12"), Some((Cuda, Carries)));
        assert_eq!(project("cupy-cuda12x"), Some((Cuda, Requires)));
        assert_eq!(project("jax-rocm60-plugin"), Some((Rocm, Requires)));
        assert_eq!(project("rmm-cu12"), Some((Cuda, Requires)));
        assert_eq!(project("habana-torch-plugin"), Some((Gaudi, Requires)));
        for name in
            ["nvidia-ml-py", "cuda-pathfinder", "numpy", "cu", "cubes", "xgboost-cpu", "hipaa", "torch", "triton"]
        {
            assert_eq!(project(name), None, "{name}");
        }
    }

    #[test]
    fn local_versions_and_builds_name_accelerators() {
        for (text, want) in [
            ("cu126", Some(Cuda)),
            ("rocm6.2", Some(Rocm)),
            ("cu12torch2.5cxx11abifalse", Some(Cuda)),
            ("cpu", None),
            ("xpu", Some(Oneapi)),
            ("gaudi", Some(Gaudi)),
            ("git1a2b3c", None),
            ("el9.rocm6", Some(Rocm)),
            ("computecanada", None),
            ("12", None),
        ] {
            assert_eq!(local_version(text), want, "{text}");
        }
    }
}
