//! The machine that a marker is judged for: its variables as a target's interpreter and platform tag give them.
//!
//! What the tags don't say (a kernel's release, the patch level of the interpreter) stays unknown.

use super::marker::Variable;

/// The values of a target's marker variables, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    python: Option<(u16, u16)>,
    python_version: Option<String>,
    platform: Option<Platform>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Platform {
    sys_platform: &'static str,
    os_name: &'static str,
    system: &'static str,
    machine: Option<String>,
}

/// What is known of a variable's value.
pub(super) enum KnownValue<'a> {
    Text(&'a str),
    /// A version of this major and minor number, of an unknown patch level.
    Minor(u16, u16),
    /// No extra and no dependency group is asked for where a file lists requirements.
    Nothing,
    Unknown,
}

impl Environment {
    /// Makes the environment of a CPython version and a platform tag such as `manylinux_2_28_x86_64`, either of which may be left open.
    ///
    /// A platform other than Linux, macOS and Windows, or `any`, is as good as left open.
    pub fn for_target(python: Option<(u16, u16)>, platform: Option<&str>) -> Self {
        Self {
            python,
            python_version: python.map(|(major, minor)| format!("{major}.{minor}")),
            platform: platform.and_then(Platform::of_tag),
        }
    }

    pub(super) fn value(&self, variable: Variable) -> KnownValue<'_> {
        let platform = self.platform.as_ref();
        let text = match variable {
            Variable::PythonVersion => self.python_version.as_deref(),
            Variable::PythonFullVersion | Variable::ImplementationVersion => {
                return self.python.map_or(KnownValue::Unknown, |(major, minor)| KnownValue::Minor(major, minor));
            }
            Variable::ImplementationName => self.python.map(|_| "cpython"),
            Variable::PlatformPythonImplementation => self.python.map(|_| "CPython"),
            Variable::OsName => platform.map(|platform| platform.os_name),
            Variable::SysPlatform => platform.map(|platform| platform.sys_platform),
            Variable::PlatformSystem => platform.map(|platform| platform.system),
            Variable::PlatformMachine => platform.and_then(|platform| platform.machine.as_deref()),
            Variable::PlatformRelease | Variable::PlatformVersion => None,
            Variable::Extra => Some(""),
            Variable::Extras | Variable::DependencyGroups => return KnownValue::Nothing,
        };
        text.map_or(KnownValue::Unknown, KnownValue::Text)
    }
}

impl Platform {
    fn of_tag(tag: &str) -> Option<Self> {
        let tag = tag.to_ascii_lowercase().replace(['-', '.'], "_");
        let new = |sys_platform, os_name, system, machine: Option<&str>| {
            Some(Self { sys_platform, os_name, system, machine: machine.map(str::to_owned) })
        };
        // Old names (`manylinux2014_x86_64`) have their number before the first underscore, new ones behind it.
        if ["linux_", "manylinux", "musllinux"].iter().any(|start| tag.starts_with(start)) {
            return new("linux", "posix", "Linux", Some(architecture(&tag)).filter(|text| !text.is_empty()));
        }
        if tag.starts_with("macosx_") {
            // A universal binary runs on either machine, so that it doesn't say which this is.
            let machine = architecture(&tag);
            return new("darwin", "posix", "Darwin", Some(machine).filter(|text| matches!(*text, "arm64" | "x86_64")));
        }
        match tag.as_str() {
            "win32" => new("win32", "nt", "Windows", Some("x86")),
            "win_amd64" => new("win32", "nt", "Windows", Some("AMD64")),
            "win_arm64" => new("win32", "nt", "Windows", Some("ARM64")),
            _ => None,
        }
    }
}

/// Returns what follows the family and its numbers: `manylinux_2_28_x86_64` is for `x86_64`.
fn architecture(tag: &str) -> &str {
    let mut rest = tag.split_once('_').map_or("", |(_, rest)| rest);
    while let Some((number, behind)) = rest.split_once('_')
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        rest = behind;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(environment: &Environment, variable: Variable) -> &str {
        match environment.value(variable) {
            KnownValue::Text(text) => text,
            _ => "?",
        }
    }

    #[test]
    fn a_platform_tag_gives_the_values_that_python_has_there() {
        for (tag, expected) in [
            ("manylinux_2_28_x86_64", ["linux", "posix", "Linux", "x86_64"]),
            ("manylinux2014_aarch64", ["linux", "posix", "Linux", "aarch64"]),
            ("manylinux1_i686", ["linux", "posix", "Linux", "i686"]),
            ("musllinux_1_2_ppc64le", ["linux", "posix", "Linux", "ppc64le"]),
            ("linux_x86_64", ["linux", "posix", "Linux", "x86_64"]),
            ("linux-x86_64", ["linux", "posix", "Linux", "x86_64"]),
            ("macosx_14_0_arm64", ["darwin", "posix", "Darwin", "arm64"]),
            ("macosx-10.9-x86_64", ["darwin", "posix", "Darwin", "x86_64"]),
            ("macosx_11_0_universal2", ["darwin", "posix", "Darwin", "?"]),
            ("win_amd64", ["win32", "nt", "Windows", "AMD64"]),
            ("win32", ["win32", "nt", "Windows", "x86"]),
            ("any", ["?"; 4]),
            ("plan9_amd64", ["?"; 4]),
        ] {
            let environment = Environment::for_target(None, Some(tag));
            let variables =
                [Variable::SysPlatform, Variable::OsName, Variable::PlatformSystem, Variable::PlatformMachine];
            assert_eq!(variables.map(|variable| text(&environment, variable)), expected, "{tag}");
        }
    }
}
