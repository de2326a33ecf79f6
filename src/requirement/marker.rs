//! Environment markers (`; python_version < "3.12" and sys_platform == "linux"`), judged for a target.
//!
//! Judged as `packaging` 26.3 does, but a variable may be unknown, and then the answer may be, too. A library for it exists, whose
//! markers need every variable, and each stays in a table of the process for good.

use super::environment::{Environment, KnownValue};
use super::grammar;
use super::spec::contains;
use pep440_rs::{Version, VersionSpecifier};
use std::fmt;
use std::str::FromStr;

/// A marker that was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the marker is not understood at {at:?}: expected {expected}")]
pub struct MarkerError {
    pub(super) at: String,
    pub(super) expected: &'static str,
}

/// A condition on the environment that a requirement is for; without any, it holds everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marker(Option<Node>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Compare { variable: Variable, operator: &'static str, text: String, text_first: bool },
}

macro_rules! variables {
    ($($variable:ident $name:literal,)*) => {
        /// What a marker may ask for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Variable { $($variable),* }

        impl Variable {
            fn name(self) -> &'static str {
                match self { $(Self::$variable => $name),* }
            }

            /// Finds a variable, by an old name also: `os.name`, `python_implementation`.
            pub(super) fn named(text: &str) -> Option<Self> {
                match text {
                    "python_implementation" | "platform.python_implementation" => Some(Self::PlatformPythonImplementation),
                    "os.name" => Some(Self::OsName),
                    "sys.platform" => Some(Self::SysPlatform),
                    "platform.version" => Some(Self::PlatformVersion),
                    "platform.machine" => Some(Self::PlatformMachine),
                    $($name => Some(Self::$variable),)*
                    _ => None,
                }
            }
        }
    };
}
variables! {
    PythonVersion "python_version",
    PythonFullVersion "python_full_version",
    OsName "os_name",
    SysPlatform "sys_platform",
    PlatformRelease "platform_release",
    PlatformSystem "platform_system",
    PlatformVersion "platform_version",
    PlatformMachine "platform_machine",
    PlatformPythonImplementation "platform_python_implementation",
    ImplementationName "implementation_name",
    ImplementationVersion "implementation_version",
    Extra "extra",
    Extras "extras",
    DependencyGroups "dependency_groups",
}

impl Variable {
    pub(super) fn is_version(self) -> bool {
        matches!(
            self,
            Self::PythonVersion | Self::PythonFullVersion | Self::ImplementationVersion | Self::PlatformRelease
        )
    }
}

impl Marker {
    /// Returns whether the condition is no condition.
    pub fn is_always(&self) -> bool {
        self.0.is_none()
    }

    /// Returns whether the condition holds in this environment; `None` where that depends on what isn't known.
    ///
    /// No extra is asked for: a marker `extra == "x"` doesn't hold.
    pub fn evaluate(&self, environment: &Environment) -> Option<bool> {
        self.0.as_ref().map_or(Some(true), |node| node.evaluate(environment))
    }
}

impl Node {
    fn evaluate(&self, environment: &Environment) -> Option<bool> {
        match self {
            Self::All(parts) => decide(parts, environment, false),
            Self::Any(parts) => decide(parts, environment, true),
            Self::Compare { variable, operator, text, text_first } => match environment.value(*variable) {
                KnownValue::Text(value) => Some(compare(*variable, operator, text, value, *text_first)),
                KnownValue::Minor(major, minor) => {
                    among_patches(*variable, operator, text, (major, minor), *text_first)
                }
                KnownValue::Nothing => Some(*operator == "not in"),
                KnownValue::Unknown => None,
            },
        }
    }
}

/// Combines the parts: one of the deciding answer is enough, whatever is unknown beside it.
fn decide(parts: &[Node], environment: &Environment, deciding: bool) -> Option<bool> {
    let mut answer = Some(!deciding);
    for part in parts {
        match part.evaluate(environment) {
            Some(value) if value == deciding => return Some(deciding),
            Some(_) => {}
            None => answer = None,
        }
    }
    answer
}

fn compare(variable: Variable, operator: &str, text: &str, value: &str, text_first: bool) -> bool {
    let (left, right) = if text_first { (text, value) } else { (value, text) };
    if variable.is_version()
        && let Ok(specifier) = VersionSpecifier::from_str(&format!("{operator}{right}"))
    {
        return Version::from_str(left).is_ok_and(|version| contains(&specifier, &version));
    }
    let normal = |text: &str| text.to_ascii_lowercase().replace(['_', '.'], "-");
    match operator {
        "in" => right.contains(left),
        "not in" => !right.contains(left),
        "==" | "<=" | ">=" if variable == Variable::Extra => normal(left) == normal(right),
        "!=" if variable == Variable::Extra => normal(left) != normal(right),
        "==" | "<=" | ">=" => left == right,
        "!=" => left != right,
        // Texts have no order, and a text is not smaller or larger than itself.
        _ => false,
    }
}

/// Compares a version whose patch level is unknown: the answer that all patch levels give, if they agree.
///
/// One specifier changes its answer only next to the version that it names, so few levels stand for all.
fn among_patches(
    variable: Variable,
    operator: &str,
    text: &str,
    (major, minor): (u16, u16),
    text_first: bool,
) -> Option<bool> {
    if matches!(operator, "in" | "not in") {
        return None;
    }
    let named = Version::from_str(text.trim().trim_end_matches(".*")).ok();
    let named = named.and_then(|version| version.release().get(2).copied()).unwrap_or(0);
    let mut answers = [0, named.saturating_sub(1), named, named.saturating_add(1), u64::from(u32::MAX)]
        .map(|patch| compare(variable, operator, text, &format!("{major}.{minor}.{patch}"), text_first))
        .into_iter();
    let first = answers.next()?;
    answers.all(|answer| answer == first).then_some(first)
}

impl FromStr for Marker {
    type Err = MarkerError;

    fn from_str(text: &str) -> Result<Self, MarkerError> {
        grammar::parse(text.trim()).map(Self)
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |node| node.write(f, true))
    }
}

impl Node {
    fn write(&self, f: &mut fmt::Formatter<'_>, outermost: bool) -> fmt::Result {
        let (parts, word) = match self {
            Self::All(parts) => (parts, " and "),
            Self::Any(parts) => (parts, " or "),
            Self::Compare { variable, operator, text, text_first } => {
                let (name, quote) = (variable.name(), if text.contains('"') { '\'' } else { '"' });
                return if *text_first {
                    write!(f, "{quote}{text}{quote} {operator} {name}")
                } else {
                    write!(f, "{name} {operator} {quote}{text}{quote}")
                };
            }
        };
        if !outermost {
            f.write_str("(")?;
        }
        for (n, part) in parts.iter().enumerate() {
            f.write_str(if n == 0 { "" } else { word })?;
            part.write(f, false)?;
        }
        f.write_str(if outermost { "" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(text: &str) -> Option<bool> {
        let environment = Environment::for_target(Some((3, 12)), Some("manylinux_2_28_x86_64"));
        marker(text).evaluate(&environment)
    }

    fn marker(text: &str) -> Marker {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_marker_is_judged_for_the_target() {
        for (text, answer) in [
            ("", true),
            ("python_version >= '3.9'", true),
            ("python_version < '3.9'", false),
            ("python_version > '3'", true),
            ("python_version == '3.*'", true),
            ("python_version ~= '3.10'", true),
            ("python_version in '3.11 3.12'", true),
            ("python_version not in '3.11 3.12'", false),
            ("'3.9' <= python_version", true),
            ("'3.12' == python_version", true),
            ("'linux' in sys_platform", true),
            ("sys_platform == 'linux' and platform_machine != 'aarch64'", true),
            ("sys_platform == 'win32' or os_name == 'nt'", false),
            ("os.name == 'posix' and sys.platform == \"linux\"", true),
            ("python_implementation == 'CPython' and implementation_name == 'cpython'", true),
            ("(sys_platform == 'win32' or platform_system == 'Linux') and platform_machine == 'x86_64'", true),
            // `and` binds more than `or`.
            ("sys_platform == 'linux' or sys_platform == 'win32' and os_name == 'nt'", true),
            ("extra == 'test'", false),
            ("extra != 'test'", true),
            ("'test' in extras", false),
            ("'test' not in dependency_groups", true),
            // Texts have no order.
            ("sys_platform > 'a'", false),
            ("sys_platform >= 'linux'", true),
        ] {
            assert_eq!(judge(text), Some(answer), "{text}");
        }
    }

    #[test]
    fn what_the_target_does_not_say_is_unknown_unless_the_rest_decides() {
        for (text, answer) in [
            ("platform_release >= '5'", None),
            ("platform_version == 'x'", None),
            ("platform_release >= '5' and sys_platform == 'win32'", Some(false)),
            ("platform_release >= '5' or sys_platform == 'linux'", Some(true)),
            ("platform_release >= '5' and sys_platform == 'linux'", None),
            ("python_full_version >= '3.9.1'", Some(true)),
            ("python_full_version < '3.12'", Some(false)),
            ("python_full_version >= '3.12'", Some(true)),
            ("python_full_version >= '3.12.1'", None),
            ("python_full_version != '3.12.4'", None),
            ("python_full_version == '3.12.*'", Some(true)),
            ("'3.12.3' < python_full_version", None),
            ("implementation_version < '3.13'", Some(true)),
        ] {
            assert_eq!(judge(text), answer, "{text}");
        }
        let open = Environment::default();
        assert_eq!(marker("python_version >= '3'").evaluate(&open), None);
        assert_eq!(marker("extra == 'a'").evaluate(&open), Some(false));
    }

    #[test]
    fn a_marker_prints_as_it_reads_back() {
        for (text, printed) in [
            ("os.name=='posix'", "os_name == \"posix\""),
            ("'a'in sys_platform", "\"a\" in sys_platform"),
            ("python_version not  in '3.8'", "python_version not in \"3.8\""),
            ("sys_platform == 'a\"b'", "sys_platform == 'a\"b'"),
            (
                "(os_name=='a' or os_name=='b')and(os_name=='c')or os_name=='d'",
                "((os_name == \"a\" or os_name == \"b\") and os_name == \"c\") or os_name == \"d\"",
            ),
        ] {
            assert_eq!(marker(text).to_string(), printed);
            assert_eq!(marker(printed), marker(text));
        }
    }

    #[test]
    fn what_is_no_marker_is_refused_with_the_place_and_what_was_expected() {
        for (text, word) in [
            ("python_version", "expected one of =="),
            ("python_version = '3'", "\"= '3'\""),
            ("python_version >= 3", "\"3\""),
            ("python_version >= '3", "closing quote"),
            ("frob == '3'", "a variable such as"),
            ("python_version >= '3' os_name == 'nt'", "'and', 'or' or the end"),
            ("(os_name == 'nt'", "')'"),
            ("os_name not 'nt'", "'in' after 'not'"),
            ("'a' == 'b'", "a variable compared"),
            ("os_name == sys_platform", "a variable compared"),
            ("os_name ~= '1'", "between versions"),
            ("python_version ~= 'x'", "between versions"),
            ("extras == 'a'", "in extras"),
            (&format!("{}os_name == 'nt'", "(".repeat(100_000)), "at most 50"),
            ("and", "a variable such as"),
        ] {
            let error = text.parse::<Marker>().expect_err(text).to_string();
            assert!(error.contains(word), "{text:?}: {error}");
        }
    }
}
