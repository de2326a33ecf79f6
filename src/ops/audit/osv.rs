//! Records of known vulnerabilities as OSV has them, and which versions they mean.
//!
//! Format: <https://ossf.github.io/osv-schema/>. Of a record only what PyPI's ecosystem needs is read; what was withdrawn says nothing.

use crate::name::ProjectName;
use pep440_rs::Version;
use serde::Deserialize;

/// A record.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Advisory {
    pub(super) id: String,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    severity: Vec<Score>,
    #[serde(default)]
    affected: Vec<Affected>,
    #[serde(default)]
    database_specific: Option<serde_json::Value>,
    /// How bad it is, in a word.
    #[serde(skip)]
    word: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Score {
    score: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Affected {
    #[serde(default)]
    package: Option<Package>,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
    /// The versions, read once; see [`Advisory::prepared`].
    #[serde(skip)]
    listed: Vec<Version>,
}

#[derive(Debug, Clone, Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Debug, Clone, Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
}

impl Affected {
    /// Returns the project, where it is one of PyPI's.
    fn project(&self) -> Option<ProjectName> {
        let package = self.package.as_ref()?;
        // A suffix after a colon names a part of an ecosystem.
        let ecosystem = package.ecosystem.split(':').next().unwrap_or_default();
        if ecosystem == "PyPI" { package.name.parse().ok() } else { None }
    }

    fn is_affected(&self, version: &Version) -> bool {
        let is_listed = || self.listed.iter().any(|own| is(version, own));
        is_listed() || self.ranges.iter().any(|range| range.has(version))
    }
}

/// Tells whether a version is one that a record names. A build of it (`2.5.1+cu126`) is it, too: nothing says that it was mended.
fn is(version: &Version, named: &Version) -> bool {
    if named.is_local() { version == named } else { version.clone().without_local() == *named }
}

impl Range {
    /// Goes through the events by version, as OSV's own evaluation does.
    fn has(&self, version: &Version) -> bool {
        if self.kind != "ECOSYSTEM" && self.kind != "SEMVER" {
            return false;
        }
        let parsed = |text: &Option<String>| text.as_deref()?.parse::<Version>().ok();
        let mut events: Vec<(Version, u8)> = Vec::new();
        for event in &self.events {
            // "0" is before every version, pre-releases of 0 too.
            if event.introduced.as_deref() == Some("0") {
                events.push(("0.dev0".parse().unwrap_or_else(|_| Version::new([0])), 0));
            } else {
                events.extend(parsed(&event.introduced).map(|at| (at, 0)));
            }
            events.extend(parsed(&event.fixed).map(|at| (at, 1)));
            events.extend(parsed(&event.last_affected).map(|at| (at, 2)));
        }
        events.sort();
        let public = version.clone().without_local();
        events.iter().fold(false, |is_affected, (at, kind)| {
            let own = if at.is_local() { version } else { &public };
            match kind {
                0 if own >= at => true,
                1 if own >= at => false,
                2 if own > at => false,
                _ => is_affected,
            }
        })
    }
}

impl Advisory {
    /// Reads a record; `None`: it was withdrawn, or is of no project of PyPI.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        let mut advisory: Self = serde_json::from_slice(bytes)?;
        advisory.affected.retain(|affected| affected.project().is_some());
        // Of all that a database says besides, one word counts.
        advisory.word =
            advisory.database_specific.take().and_then(|said| Some(said.get("severity")?.as_str()?.to_lowercase()));
        // It is told in a line.
        advisory.details = advisory.details.filter(|_| advisory.summary.is_none());
        Ok(Some(advisory).filter(|own| own.withdrawn.is_none() && !own.affected.is_empty()))
    }

    /// Reads the versions that it lists, for who asks of many: what is no version is none of ours.
    pub(super) fn prepared(mut self) -> Self {
        for affected in &mut self.affected {
            let versions = std::mem::take(&mut affected.versions);
            affected.listed = versions.iter().filter_map(|text| text.parse().ok()).collect();
        }
        self
    }

    /// Returns the projects that it is about.
    pub(super) fn projects(&self) -> impl Iterator<Item = ProjectName> {
        self.affected.iter().filter_map(Affected::project)
    }

    /// Tells whether it means a version of a project.
    pub(super) fn means(&self, project: &ProjectName, version: &Version) -> bool {
        let of_it = self.affected.iter().filter(|affected| affected.project().as_ref() == Some(project));
        of_it.into_iter().any(|affected| affected.is_affected(version))
    }

    /// Returns the versions after this one that are said to be mended, the lowest first.
    pub(super) fn fixed_after(&self, project: &ProjectName, version: &Version) -> Vec<String> {
        let of_it = self.affected.iter().filter(|affected| affected.project().as_ref() == Some(project));
        let ranges = of_it.flat_map(|affected| &affected.ranges).filter(|range| range.kind != "GIT");
        let fixed = ranges.flat_map(|range| &range.events).filter_map(|event| event.fixed.as_deref()?.parse().ok());
        let mut fixed: Vec<Version> = fixed.filter(|fixed: &Version| fixed > version).collect();
        fixed.sort();
        fixed.dedup();
        fixed.iter().map(ToString::to_string).collect()
    }

    /// Returns how bad it is said to be: a word, or else CVSS's vector.
    pub(super) fn severity(&self) -> Option<String> {
        self.word.clone().or_else(|| self.severity.first().map(|score| score.score.clone()))
    }

    /// Returns what it is about, in a line.
    pub(super) fn line(&self) -> String {
        let text = self.summary.as_deref().or(self.details.as_deref()).unwrap_or_default();
        let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
        line.chars().take(200).collect()
    }

    /// Tells whether two records are of one vulnerability.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let mut names = std::iter::once(&self.id).chain(&self.aliases);
        names.any(|name| other.has_name(name))
    }

    /// Tells whether it is known by this name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        std::iter::once(&self.id).chain(&self.aliases).any(|own| own.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn advisory(affected: serde_json::Value) -> Option<Advisory> {
        let record = json!({"id": "PYSEC-1", "aliases": ["CVE-1"], "affected": [affected]});
        Advisory::parse(record.to_string().as_bytes()).unwrap().map(Advisory::prepared)
    }

    fn ranged(events: serde_json::Value) -> Advisory {
        let range = json!([{"type": "ECOSYSTEM", "events": events}]);
        advisory(json!({"package": {"ecosystem": "PyPI", "name": "Demo.Pkg"}, "ranges": range})).unwrap()
    }

    fn means(advisory: &Advisory, version: &str) -> bool {
        advisory.means(&"demo-pkg".parse().unwrap(), &version.parse().unwrap())
    }

    #[test]
    fn events_are_read_by_version_and_not_by_place() {
        let own = ranged(json!([{"fixed": "1.5"}, {"introduced": "2.0"}, {"introduced": "0"}, {"fixed": "2.3.1"}]));
        for (version, is_meant) in [
            ("0.0.1", true),
            ("0", true),
            ("1.4.9", true),
            ("1.5", false),
            ("1.5rc1", true),
            ("1.9", false),
            ("2.0", true),
            ("2.0rc1", false),
            ("2.3", true),
            ("2.3.1", false),
            ("2.3+cu126", true),
            ("2.3.1+cu126", false),
            ("3", false),
        ] {
            assert_eq!(means(&own, version), is_meant, "{version}");
        }
        assert_eq!(own.fixed_after(&"demo-pkg".parse().unwrap(), &"1.0".parse().unwrap()), ["1.5", "2.3.1"]);
        assert_eq!(own.fixed_after(&"demo-pkg".parse().unwrap(), &"2.0".parse().unwrap()), ["2.3.1"]);
    }

    #[test]
    fn the_last_affected_version_is_affected_and_so_are_its_builds() {
        let own = ranged(json!([{"introduced": "1.0"}, {"last_affected": "1.2"}]));
        for (version, is_meant) in [("0.9", false), ("1.0", true), ("1.2", true), ("1.2+rocm6", true), ("1.2.1", false)]
        {
            assert_eq!(means(&own, version), is_meant, "{version}");
        }
    }

    #[test]
    fn listed_versions_are_meant_however_they_are_written() {
        let own = advisory(json!({"package": {"ecosystem": "PyPI", "name": "demo-pkg"}, "versions": ["1.0.0", "odd"]}));
        let own = own.unwrap();
        assert!(means(&own, "1.0") && means(&own, "1.0+cpu") && !means(&own, "1.0.1"));
        assert!(!own.means(&"other".parse().unwrap(), &"1.0".parse().unwrap()));
    }

    #[test]
    fn records_of_others_and_withdrawn_ones_say_nothing() {
        assert!(advisory(json!({"package": {"ecosystem": "npm", "name": "demo-pkg"}, "versions": ["1.0"]})).is_none());
        let git = json!([{"type": "GIT", "events": [{"introduced": "0"}]}]);
        let git = advisory(json!({"package": {"ecosystem": "PyPI", "name": "demo-pkg"}, "ranges": git})).unwrap();
        assert!(!means(&git, "1.0"));
        let withdrawn = json!({"id": "A", "withdrawn": "2024-01-01T00:00:00Z",
            "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}}]});
        assert!(Advisory::parse(withdrawn.to_string().as_bytes()).unwrap().is_none());
        for bad in ["", "[]", "{}", "{\"id\": 1}"] {
            assert!(Advisory::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
