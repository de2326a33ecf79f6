//! What an upload's query says of it, which no form of the public index knows.

use crate::catalog::ownership::OwnProjects;
use crate::intake::Made;
use crate::manifest::VariantRequirement;
use crate::name::ProjectName;

/// The longest URL of a source that is kept.
const MAX_URL_BYTES: usize = 2048;

/// What happens where the collection has other bytes under the same name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Conflict {
    /// The upload is refused, as clients of the public index expect.
    #[default]
    Refuse,
    /// What is there is kept, and that is right: two builders made the same.
    Keep,
    /// The upload takes its place.
    Replace,
}

/// What an upload's query says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) conflict: Conflict,
    /// Whether the project is the variant's own, by the run that made the file; `None`: the store's rules say it.
    pub(super) is_own: Option<bool>,
    pub(super) made: Made,
}

impl Wishes {
    /// Reads a query; what it doesn't know it leaves alone. The error is what a client is told.
    pub(super) fn of_query(query: Option<&str>) -> Result<Self, String> {
        let mut wishes = Self::default();
        for (key, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match (&*key, &*value) {
                ("on_conflict", "refuse") => wishes.conflict = Conflict::Refuse,
                ("on_conflict", "keep") => wishes.conflict = Conflict::Keep,
                ("on_conflict", "replace") => wishes.conflict = Conflict::Replace,
                ("on_conflict", other) => {
                    return Err(format!("on_conflict={other} means nothing: expected refuse, keep or replace"));
                }
                ("own", answer) => wishes.is_own = Some(yes("own", answer)?),
                ("prebuilt", answer) => wishes.made.is_prebuilt = yes("prebuilt", answer)?,
                ("source_url", url) => wishes.made.source_url = Some(source_url(url)?),
                _ => {}
            }
        }
        Ok(wishes)
    }

    /// Tells whether a builder speaks: people's clients know none of this but `replace`.
    pub(super) fn is_builders(&self) -> bool {
        self.is_own.is_some() || self.made.is_prebuilt || self.conflict == Conflict::Keep
    }

    /// Returns the projects that the run counts as the variant's own, as far as it told.
    pub(super) fn own(&self, project: &ProjectName) -> OwnProjects {
        match self.is_own {
            None => OwnProjects::Stored,
            Some(false) => OwnProjects::Named(Vec::new()),
            Some(true) => {
                let requirement = format!("{project}, as the run that built it says");
                OwnProjects::Named(vec![VariantRequirement { project: project.clone(), requirement }])
            }
        }
    }
}

fn yes(key: &str, answer: &str) -> Result<bool, String> {
    match answer {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(format!("{key}={other} means nothing: expected yes or no")),
    }
}

/// Takes a URL without what may be a secret in it: user, password and query.
fn source_url(text: &str) -> Result<String, String> {
    let wrong = || "source_url is no URL, or a very long one".to_owned();
    let mut url = url::Url::parse(text).map_err(|_| wrong())?;
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.set_query(None);
    let text = url.to_string();
    if text.len() <= MAX_URL_BYTES { Ok(text) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_no_form_knows() {
        let of = |query: &str| Wishes::of_query(Some(query)).unwrap();
        assert_eq!(Wishes::of_query(None), Ok(Wishes::default()));
        assert_eq!(of("own=yes").is_own, Some(true));
        assert_eq!(of("own=no&x=1").is_own, Some(false));
        assert_eq!(of("on_conflict=keep").conflict, Conflict::Keep);
        let made = of("prebuilt=yes&source_url=https%3A%2F%2Fme%3Asecret%40index.example%2Fa.whl%3Fsig%3D1%23x").made;
        assert_eq!(made.source_url.as_deref(), Some("https://index.example/a.whl#x"));
        assert!(made.is_prebuilt);
        for query in ["own=1", "on_conflict=", "prebuilt=maybe", "source_url=wheel", "source_url="] {
            assert!(Wishes::of_query(Some(query)).is_err(), "{query}");
        }
    }
}
