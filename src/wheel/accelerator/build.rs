//! Builds tiny ELF files for tests, in both classes and byte orders, with the names before or after the table that refers to them.

/// An ELF file to be built.
#[derive(Debug, Clone)]
pub(crate) struct ElfFile {
    pub(crate) wide: bool,
    pub(crate) little: bool,
    pub(crate) needed: Vec<&'static str>,
    pub(crate) soname: Option<&'static str>,
    pub(crate) search_path: Option<&'static str>,
    pub(crate) sections: Vec<&'static str>,
    pub(crate) names_last: bool,
    /// Bytes between the headers and the rest.
    pub(crate) filling: Vec<u8>,
    /// Bytes behind all of it.
    pub(crate) last: Vec<u8>,
}

impl ElfFile {
    pub(crate) fn new() -> Self {
        let (needed, sections, filling) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            wide: true,
            little: true,
            needed,
            soname: None,
            search_path: None,
            sections,
            names_last: false,
            filling,
            last: Vec::new(),
        }
    }

    pub(crate) fn needs(mut self, library: &'static str) -> Self {
        self.needed.push(library);
        self
    }

    pub(crate) fn is(mut self, soname: &'static str) -> Self {
        self.soname = Some(soname);
        self
    }

    pub(crate) fn section(mut self, name: &'static str) -> Self {
        self.sections.push(name);
        self
    }

    pub(crate) fn filled(mut self, bytes: &[u8]) -> Self {
        self.filling.extend_from_slice(bytes);
        self
    }

    pub(crate) fn filled_last(mut self, bytes: &[u8]) -> Self {
        self.last = bytes.to_vec();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (word, header) = (self.word(), if self.wide { 64 } else { 52 });
        let (program, section) = if self.wide { (56, 64) } else { (32, 40) };
        let (strings, mut entries) = self.dynamic();
        let start = (header + 2 * program + self.filling.len()).next_multiple_of(8);
        let table_len = (entries.len() + 3) * 2 * word;
        let (strings_at, table_at) = match self.names_last {
            true => (start + table_len, start),
            false => (start, start + strings.len()),
        };
        let base = 0x1000u64; // where the file is loaded
        entries.extend([(5, base + strings_at as u64), (10, strings.len() as u64), (0, 0)]);
        let table: Vec<u8> = entries
            .iter()
            .flat_map(|(tag, value)| [self.number(*tag, word), self.number(*value, word)].concat())
            .collect();
        let (names, places) = self.section_names();
        let names_at = start + strings.len() + table.len();
        let sections_at = names_at + names.len();
        let count = self.sections.len() + 2;
        let mut bytes =
            vec![0x7f, b'E', b'L', b'F', if self.wide { 2 } else { 1 }, if self.little { 1 } else { 2 }, 1, 0];
        bytes.resize(16, 0);
        for field in [3, 62] {
            bytes.extend(self.number(field, 2));
        }
        bytes.extend(self.number(1, 4));
        for field in [0, header as u64, sections_at as u64] {
            bytes.extend(self.number(field, word));
        }
        bytes.extend(self.number(0, 4));
        for field in [header, program, 2, section, count, 1] {
            bytes.extend(self.number(field as u64, 2));
        }
        let whole = (sections_at + count * section) as u64;
        for (kind, offset, address, len) in [(1, 0, base, whole), (2, table_at as u64, 0, table.len() as u64)] {
            bytes.extend(self.program_header(kind, offset, address, len));
        }
        bytes.extend(&self.filling);
        bytes.resize(start, 0);
        let parts: [&[u8]; 2] = if self.names_last { [&table, &strings] } else { [&strings, &table] };
        bytes.extend(parts.concat());
        bytes.extend(&names);
        bytes.extend(self.section_header(0, 0, 0));
        bytes.extend(self.section_header(1, names_at as u64, names.len() as u64));
        bytes.extend(places.iter().flat_map(|place| self.section_header(*place, 0, 0)));
        bytes.extend(&self.last);
        bytes
    }

    /// Returns the strings of the dynamic table, and its entries that refer to them.
    fn dynamic(&self) -> (Vec<u8>, Vec<(u64, u64)>) {
        let (mut strings, mut entries) = (vec![0], Vec::new());
        let named = self.needed.iter().map(|name| (1, *name)).chain(self.soname.map(|name| (14, name)));
        for (tag, name) in named.chain(self.search_path.map(|path| (29, path))) {
            entries.push((tag, strings.len() as u64));
            strings.extend([name.as_bytes(), &[0]].concat());
        }
        (strings, entries)
    }

    /// Returns the names of the sections, and where in them each begins.
    fn section_names(&self) -> (Vec<u8>, Vec<u64>) {
        let (mut names, mut places) = (b"\0.shstrtab\0".to_vec(), Vec::new());
        for name in &self.sections {
            places.push(names.len() as u64);
            names.extend([name.as_bytes(), &[0]].concat());
        }
        (names, places)
    }

    fn program_header(&self, kind: u64, offset: u64, address: u64, len: u64) -> Vec<u8> {
        let places = [offset, address, address, len, len];
        let places = places.into_iter().flat_map(|field| self.number(field, self.word()));
        let head = self.number(kind, 4);
        match self.wide {
            true => head.into_iter().chain(self.number(4, 4)).chain(places).chain(self.number(8, 8)).collect(),
            false => head.into_iter().chain(places).chain(self.number(4, 4)).chain(self.number(4, 4)).collect(),
        }
    }

    fn section_header(&self, name: u64, offset: u64, len: u64) -> Vec<u8> {
        let words =
            |fields: &[u64]| -> Vec<u8> { fields.iter().flat_map(|field| self.number(*field, self.word())).collect() };
        let head = [self.number(name, 4), self.number(1, 4)].concat();
        [head, words(&[0, 0, offset, len]), self.number(0, 8), words(&[1, 0])].concat()
    }

    fn word(&self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    fn number(&self, number: u64, bytes: usize) -> Vec<u8> {
        if self.little { number.to_le_bytes()[..bytes].to_vec() } else { number.to_be_bytes()[8 - bytes..].to_vec() }
    }
}

/// Makes a fat binary of CUDA: entries of a kind (1 PTX, 2 machine code), an architecture and so many bytes.
pub(crate) fn fat_binary(entries: &[(u16, u32, usize)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, architecture, payload) in entries {
        body.extend(kind.to_le_bytes());
        body.extend(0x0101u16.to_le_bytes());
        body.extend(64u32.to_le_bytes());
        body.extend((*payload as u64).to_le_bytes());
        body.extend([0; 12]);
        body.extend(architecture.to_le_bytes());
        body.resize(body.len() + 32 + payload, 0);
    }
    [&b"\x50\xed\x55\xba\x01\0\x10\0"[..], &(body.len() as u64).to_le_bytes(), &body].concat()
}

/// Makes an offload bundle of clang with these targets.
pub(crate) fn bundle(targets: &[&str]) -> Vec<u8> {
    let mut bytes = [&b"__CLANG_OFFLOAD_BUNDLE__"[..], &(targets.len() as u64).to_le_bytes()].concat();
    for target in targets {
        bytes.extend([4096u64.to_le_bytes(), 0u64.to_le_bytes(), (target.len() as u64).to_le_bytes()].concat());
        bytes.extend(target.as_bytes());
    }
    bytes
}

/// Makes a Windows library with these imports and sections, and its own name.
pub(crate) fn windows_library(imports: &[&str], sections: &[&str], own: Option<&str>) -> Vec<u8> {
    const LOADED: u32 = 0x1000;
    const START: usize = 0x400;
    // One section has all: descriptors of imports, the directory of exports, the names.
    let table = 20 * (imports.len() + 1);
    let (mut names, mut descriptors) = (Vec::new(), Vec::new());
    let mut name = |text: &str| {
        let at = LOADED + (table + 40 + names.len()) as u32;
        names.extend([text.as_bytes(), &[0]].concat());
        at
    };
    for import in imports {
        descriptors.extend([&[0; 12][..], &name(import).to_le_bytes(), &[1, 0, 0, 0]].concat());
    }
    descriptors.resize(table, 0);
    let exports = own.map(|own| [&[0; 12][..], &name(own).to_le_bytes(), &[0; 24]].concat()).unwrap_or_default();
    let exports_at = if own.is_some() { LOADED + table as u32 } else { 0 };
    let mut body = [descriptors, exports].concat();
    body.resize(table + 40, 0);
    body.extend(&names);
    let mut bytes = vec![0; START];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, b"MZ");
    put(0x3c, &0x80u32.to_le_bytes());
    put(0x80, b"PE\0\0\x64\x86");
    put(0x86, &(sections.len() as u16 + 1).to_le_bytes());
    put(0x94, &240u16.to_le_bytes());
    put(0x98, &0x20bu16.to_le_bytes());
    put(0x98 + 112, &exports_at.to_le_bytes());
    put(0x98 + 120, &[LOADED, table as u32].map(u32::to_le_bytes).concat());
    for (index, name) in [".rdata"].iter().chain(sections).enumerate() {
        let at = 0x98 + 240 + 40 * index;
        put(at, name.as_bytes());
        if index == 0 {
            put(at + 12, &LOADED.to_le_bytes());
            put(at + 16, &[body.len() as u32, START as u32].map(u32::to_le_bytes).concat());
        }
    }
    bytes.extend(body);
    bytes
}

/// Packs an offload bundle as clang does since version 2 of it: by zlib (0) or zstd (1).
pub(crate) fn compressed_bundle(bundle: &[u8], method: u16) -> Vec<u8> {
    let packed = match method {
        0 => {
            let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            std::io::Write::write_all(&mut zlib, bundle).unwrap();
            zlib.finish().unwrap()
        }
        _ => zstd::bulk::compress(bundle, 3).unwrap(),
    };
    let sizes = [24 + packed.len() as u32, bundle.len() as u32].map(u32::to_le_bytes).concat();
    [&b"CCOB"[..], &2u16.to_le_bytes(), &method.to_le_bytes(), &sizes, &[7; 8], &packed].concat()
}
