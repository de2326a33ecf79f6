//! A wheel's tags in words: "CPython 3.12, Linux x86-64 with glibc 2.17 or later". Pure. What isn't known stands as it is written.

/// Describes tags as a filename has them (`cp312-cp312-manylinux_2_17_x86_64`); nothing for an sdist.
pub(super) fn in_words(tags: &str) -> Option<String> {
    let mut parts = tags.split('-');
    let (python, abi, platform) = (parts.next()?, parts.next()?, parts.next()?);
    let mut words = vec![pythons(python, abi)];
    let mut platforms: Vec<String> = platform.split('.').map(platform_words).collect();
    // Old and new names of one platform say the same.
    platforms.sort();
    platforms.dedup();
    words.push(platforms.join(" or "));
    Some(words.join(", "))
}

/// Describes tags as a column of a table has them: the interpreter, and the platform without the versions that it needs; with what puts
/// columns in order. An sdist has none.
pub(super) fn in_brief(tags: &str) -> Option<(Vec<u32>, String, String)> {
    let mut parts = tags.split('-');
    let (python, abi, platform) = (parts.next()?, parts.next()?, parts.next()?);
    let python_words = match pythons(python, abi) {
        words if abi.split('.').any(|abi| abi == "abi3") => words.replace(" or later (stable ABI)", "+"),
        words => words,
    };
    // 3.12 comes after 3.9.
    let numbers = python_words.split(|letter: char| !letter.is_ascii_digit()).filter_map(|digits| digits.parse().ok());
    let mut platforms: Vec<String> = platform.split('.').map(family).collect();
    platforms.sort();
    platforms.dedup();
    Some((numbers.collect(), python_words, platforms.join(" or ")))
}

/// Returns a platform's words without the version that it needs.
fn family(tag: &str) -> String {
    let words = platform_words(tag);
    match words.split_once(" with musl") {
        Some((system, _)) => format!("{system}, musl"),
        None => match words.split_once(" or later ") {
            Some((_, rest)) => format!("macOS {}", rest.trim_start_matches("on ")),
            None => words.split(" with ").next().unwrap_or(&words).to_owned(),
        },
    }
}

fn pythons(python: &str, abi: &str) -> String {
    let names: Vec<String> = python.split('.').map(python_words).collect();
    let mut text = match &names[..] {
        [two, three] if two == "Python 2" && three == "Python 3" => "Python 2 and 3".to_owned(),
        _ => names.join(" or "),
    };
    if abi.split('.').any(|abi| abi == "abi3") {
        text.push_str(" or later (stable ABI)");
    } else if abi.split('.').any(is_free_threaded) {
        text.push_str(", free-threaded");
    }
    text
}

fn is_free_threaded(abi: &str) -> bool {
    abi.strip_prefix("cp")
        .and_then(|rest| rest.strip_suffix('t'))
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn python_words(tag: &str) -> String {
    let named = [("cp", "CPython"), ("pp", "PyPy"), ("py", "Python"), ("graalpy", "GraalPy")];
    let found = named.iter().find_map(|(prefix, name)| {
        let digits = tag.strip_prefix(prefix).filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))?;
        let (major, minor) = digits.split_at_checked(1)?;
        Some(if minor.is_empty() { format!("{name} {major}") } else { format!("{name} {major}.{minor}") })
    });
    found.unwrap_or_else(|| tag.to_owned())
}

fn platform_words(tag: &str) -> String {
    let known = match tag {
        "any" => Some("any platform".to_owned()),
        "win32" => Some("Windows 32-bit".to_owned()),
        "win_amd64" => Some("Windows x86-64".to_owned()),
        "win_arm64" => Some("Windows ARM64".to_owned()),
        _ => linux(tag).or_else(|| macos(tag)),
    };
    known.unwrap_or_else(|| tag.to_owned())
}

fn linux(tag: &str) -> Option<String> {
    let old = [("manylinux1_", "2.5"), ("manylinux2010_", "2.12"), ("manylinux2014_", "2.17")];
    if let Some((version, arch)) = old.iter().find_map(|(prefix, version)| Some((version, tag.strip_prefix(prefix)?))) {
        return Some(format!("Linux {} with glibc {version} or later", arch_words(arch)));
    }
    for (prefix, libc) in [("manylinux_", "glibc"), ("musllinux_", "musl")] {
        if let Some(rest) = tag.strip_prefix(prefix) {
            let (major, minor, arch) = version(rest)?;
            return Some(format!("Linux {} with {libc} {major}.{minor} or later", arch_words(arch)));
        }
    }
    tag.strip_prefix("linux_").map(|arch| format!("Linux {}", arch_words(arch)))
}

fn macos(tag: &str) -> Option<String> {
    let (major, minor, arch) = version(tag.strip_prefix("macosx_")?)?;
    let arch = match arch {
        "universal2" => "(Intel and Apple silicon)".to_owned(),
        "arm64" => "on Apple silicon".to_owned(),
        other => format!("on {}", arch_words(other)),
    };
    Some(format!("macOS {major}.{minor} or later {arch}"))
}

/// Takes `2_17_x86_64` apart.
fn version(text: &str) -> Option<(&str, &str, &str)> {
    let (major, rest) = text.split_once('_')?;
    let (minor, arch) = rest.split_once('_')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(major) && is_number(minor)).then_some((major, minor, arch))
}

fn arch_words(arch: &str) -> &str {
    match arch {
        "x86_64" => "x86-64",
        "i686" => "x86 32-bit",
        "aarch64" | "arm64" => "ARM64",
        "ppc64le" => "POWER LE",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{in_brief, in_words};

    #[test]
    fn columns_have_no_versions_of_platforms_and_are_in_order() {
        let brief = |tags: &str| in_brief(tags).map(|(_, python, platform)| format!("{python}, {platform}"));
        for (tags, words) in [
            ("py3-none-any", "Python 3, any platform"),
            ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", "CPython 3.12, Linux x86-64"),
            ("cp39-abi3-musllinux_1_2_aarch64", "CPython 3.9+, Linux ARM64, musl"),
            ("cp313-cp313t-macosx_11_0_arm64", "CPython 3.13, free-threaded, macOS Apple silicon"),
            ("cp310-cp310-macosx_10_9_universal2", "CPython 3.10, macOS (Intel and Apple silicon)"),
            ("cp312-cp312-win_amd64", "CPython 3.12, Windows x86-64"),
            ("x-none-plan9", "x, plan9"),
        ] {
            assert_eq!(brief(tags).as_deref(), Some(words), "{tags}");
        }
        assert!(in_brief("cp39-cp39-any") < in_brief("cp312-cp312-any"));
        assert_eq!(in_brief(""), None);
    }

    #[test]
    fn tags_are_told_in_words_and_unknown_ones_as_they_are() {
        for (tags, words) in [
            ("py3-none-any", "Python 3, any platform"),
            ("py2.py3-none-any", "Python 2 and 3, any platform"),
            (
                "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64",
                "CPython 3.12, Linux x86-64 with glibc 2.17 or later",
            ),
            (
                "cp39-abi3-musllinux_1_2_aarch64",
                "CPython 3.9 or later (stable ABI), Linux ARM64 with musl 1.2 or later",
            ),
            ("cp313-cp313t-macosx_11_0_arm64", "CPython 3.13, free-threaded, macOS 11.0 or later on Apple silicon"),
            ("cp310-cp310-macosx_10_9_universal2", "CPython 3.10, macOS 10.9 or later (Intel and Apple silicon)"),
            ("pp310-pypy310_pp73-win_amd64", "PyPy 3.10, Windows x86-64"),
            ("cp312-cp312-linux_x86_64", "CPython 3.12, Linux x86-64"),
            ("ip27-none-plan9", "ip27, plan9"),
            ("cp312-cp312-manylinux_x_y", "CPython 3.12, manylinux_x_y"),
            ("cp-none-any", "cp, any platform"),
        ] {
            assert_eq!(in_words(tags).as_deref(), Some(words), "{tags}");
        }
        assert_eq!(in_words(""), None);
    }
}
