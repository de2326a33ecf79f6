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
}

impl ElfFile {
    pub(crate) fn new() -> Self {
        let (needed, sections, filling) = (Vec::new(), Vec::new(), Vec::new());
        Self { wide: true, little: true, needed, soname: None, search_path: None, sections, names_last: false, filling }
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

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (word, header) = if self.wide { (8, 64) } else { (4, 52) };
        let (program, section) = if self.wide { (56, 64) } else { (32, 40) };
        let mut strings = vec![0];
        let mut entries: Vec<(u64, u64)> = Vec::new();
        let named = self.needed.iter().map(|name| (1, *name)).chain(self.soname.map(|name| (14, name)));
        for (tag, name) in named.chain(self.search_path.map(|path| (29, path))) {
            entries.push((tag, strings.len() as u64));
            strings.extend([name.as_bytes(), &[0]].concat());
        }
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
        let mut names = b"\0.shstrtab\0".to_vec();
        let places: Vec<u64> = self
            .sections
            .iter()
            .map(|name| {
                names.extend([name.as_bytes(), &[0]].concat());
                (names.len() - name.len() - 1) as u64
            })
            .collect();
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
            let fields = match self.wide {
                true => [kind << 32 | 4, offset, address, address, len, len, 8].to_vec(),
                false => [kind, offset, address, address, len, len, 4, 4].to_vec(),
            };
            for (index, field) in fields.iter().enumerate() {
                match (self.wide, index) {
                    (true, 0) => bytes.extend([self.number(kind, 4), self.number(4, 4)].concat()),
                    _ => bytes.extend(self.number(*field, word)),
                }
            }
        }
        bytes.extend(&self.filling);
        bytes.resize(start, 0);
        let parts: [&[u8]; 2] = if self.names_last { [&table, &strings] } else { [&strings, &table] };
        bytes.extend(parts.concat());
        bytes.extend(&names);
        let mut header = |name: u64, offset: u64, len: u64| {
            bytes.extend([self.number(name, 4), self.number(1, 4)].concat());
            for field in [0, 0, offset, len] {
                bytes.extend(self.number(field, word));
            }
            bytes.extend(self.number(0, 8));
            for field in [1, 0] {
                bytes.extend(self.number(field, word));
            }
        };
        header(0, 0, 0);
        header(1, names_at as u64, names.len() as u64);
        places.iter().for_each(|place| header(*place, 0, 0));
        bytes
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
