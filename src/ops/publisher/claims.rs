//! What a publisher wants a CI's token to say: which claims name an owner, and whether a token says what is wanted. Pure.
//!
//! A value is compared as it is, or, where it ends in `*`, by what comes before that.

use crate::error::{Error, Result};
use crate::manifest::PublisherRow;
use crate::signed::jwt::Claims;
use std::collections::BTreeMap;

/// Claims that are checked of every token, and that say nothing of whose it is.
const RESERVED: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

/// Claims whose whole value is an owner, or a thing of his. Not who started a job (`actor`, `user_id`: it may run in a stranger's
/// repository), nor the workflow that runs (`job_workflow_ref`: strangers' workflows may call it).
const OWNERS: [&str; 10] = [
    "enterprise_id",
    "namespace_id",
    "namespace_path",
    "organization",
    "organization_id",
    "organization_slug",
    "project_id",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
];
/// Claims that begin with an owner and a slash.
const PATHS: [&str; 3] = ["project_path", "repository", "workflow_ref"];
/// How the subjects begin that go on with an owner and a slash. Others are taken whole.
const SUBJECTS: [&str; 2] = ["project_path:", "repo:"];

/// Refuses claims that can't be judged, and those that would let in strangers.
pub(super) fn check(claims: &BTreeMap<String, String>) -> Result<()> {
    for (name, value) in claims {
        if RESERVED.contains(&name.as_str()) {
            return Err(Error::Refused(format!("the claim {name} is checked anyway: leave it out")));
        }
        if value.trim_end_matches('*').contains('*') || value.ends_with("**") {
            let text = format!("{name}={value}: a `*` stands for the rest of a value, at its end only");
            return Err(Error::Refused(text));
        }
    }
    if claims.iter().any(|(name, value)| names_owner(name, value)) {
        return Ok(());
    }
    let text = "anybody on a CI that many share gets tokens of its issuer, so that one claim must name whose they are: for GitHub \
                --claim repository=OWNER/NAME (or repository_owner, or their _id, which never become another's), for GitLab \
                --claim project_path=GROUP/NAME (or namespace_path), for others --claim sub=…; with a `*` only after the owner and a \
                slash";
    Err(Error::Refused(text.to_owned()))
}

fn names_owner(name: &str, value: &str) -> bool {
    let Some(first) = value.strip_suffix('*') else {
        return name == "sub" || OWNERS.contains(&name) || PATHS.contains(&name);
    };
    // `acme*` would be acme-evil's, too.
    let path = match name {
        "sub" => SUBJECTS.iter().find_map(|begin| first.strip_prefix(begin)),
        name => Some(first).filter(|_| PATHS.contains(&name)),
    };
    path.is_some_and(|path| path.find('/').is_some_and(|end| end > 0))
}

/// Tells whether a value is what is wanted.
fn fits(wanted: &str, found: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(first) => found.starts_with(first),
        None => found == wanted,
    }
}

/// Tells how a token differs from what a publisher wants, a line for each claim, with what only its owner is told.
pub(super) fn differences(publisher: &PublisherRow, claims: &Claims) -> Vec<String> {
    let settings = &publisher.settings;
    let mut found = Vec::new();
    if !claims.is_for(&settings.audience) {
        found.push(format!("aud is not {:?} alone", settings.audience));
    }
    for (name, wanted) in &settings.claims {
        match claims.text(name) {
            Some(value) if fits(wanted, &value) => {}
            Some(value) => found.push(format!("{name} is {:?}, wanted {wanted:?}", shortened(&value))),
            None => found.push(format!("{name} is not there, wanted {wanted:?}")),
        }
    }
    found
}

/// The longest value that is told.
const MAX_TOLD: usize = 200;

/// Returns the beginning of a text that may be long.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(MAX_TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(claims: &[(&str, &str)]) -> std::result::Result<(), String> {
        let claims = claims.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check(&claims).map_err(|error| error.to_string())
    }

    #[test]
    fn a_claim_names_an_owner_or_the_publisher_is_refused() {
        for good in [
            ("repository", "acme/tools"),
            ("repository", "acme/*"),
            ("repository_owner", "acme"),
            ("repository_owner_id", "42"),
            ("project_path", "acme/group/*"),
            ("sub", "repo:acme/tools:ref:refs/heads/main"),
            ("sub", "repo:acme/*"),
            ("sub", "whoever it is"),
            ("workflow_ref", "acme/tools/.github/workflows/release.yml@refs/tags/*"),
        ] {
            assert_eq!(checked(&[good]), Ok(()), "{good:?}");
            assert_eq!(checked(&[("ref", "refs/tags/v*"), good]), Ok(()), "{good:?}");
        }
        for bad in [
            ("repository", "*"),
            ("repository", "acme*"),
            ("repository", "/*"),
            ("repository_owner", "acme*"),
            ("repository_owner", "a/*"),
            ("sub", "repo:*"),
            ("sub", "repo:/*"),
            ("sub", "org/*"),
            ("sub", "*"),
            ("job_workflow_ref", "acme/tools/.github/workflows/release.yml@refs/heads/main"),
            ("user_login", "somebody"),
            ("email", "somebody@ci.example"),
            ("sub", "repo:acme*"),
            ("ref", "refs/heads/main"),
            ("environment", "release"),
            ("actor", "somebody"),
        ] {
            assert!(checked(&[bad]).unwrap_err().contains("whose they are"), "{bad:?}");
        }
        assert!(checked(&[]).unwrap_err().contains("whose they are"));
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        let owner = ("repository", "acme/tools");
        for name in RESERVED {
            assert!(checked(&[owner, (name, "x")]).unwrap_err().contains("checked anyway"), "{name}");
        }
        for value in ["*/tools", "a*c", "acme/**"] {
            assert!(checked(&[owner, ("x", value)]).unwrap_err().contains("at its end only"), "{value}");
        }
    }

    #[test]
    fn a_value_is_compared_as_it_is_or_by_its_beginning() {
        for (wanted, found, is_fit) in [
            ("main", "main", true),
            ("main", "Main", false),
            ("main", "main2", false),
            ("refs/tags/*", "refs/tags/v1", true),
            ("refs/tags/*", "refs/tags/", true),
            ("refs/tags/*", "refs/heads/refs/tags/x", false),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(fits(wanted, found), is_fit, "{wanted} {found}");
        }
    }
}
