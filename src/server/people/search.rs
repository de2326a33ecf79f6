//! The projects of a view that a person looks for, a page at a time. Pure.

use crate::name::ProjectName;

/// So many projects are on a page.
pub(super) const PAGE: usize = 100;

/// What a person asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SearchQuery {
    /// The words, as they were written.
    pub(super) text: String,
    /// The page, from 0.
    pub(super) page: usize,
}

impl SearchQuery {
    /// Reads a query.
    pub(super) fn read(query: Option<&str>) -> Self {
        let mut asked = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or("").as_bytes()) {
            match &*name {
                "q" => asked.text = value.trim().chars().take(100).collect(),
                "page" => asked.page = value.parse::<usize>().unwrap_or(1).saturating_sub(1),
                _ => {}
            }
        }
        asked
    }

    /// Returns the query that asks for the same at another page.
    pub(super) fn at(&self, page: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if !self.text.is_empty() {
            query.append_pair("q", &self.text);
        }
        if page > 0 {
            query.append_pair("page", &(page + 1).to_string());
        }
        format!("?{}", query.finish())
    }

    /// Returns the projects that are meant: the same name, those that begin so, those that contain it.
    pub(super) fn of<'a>(&self, projects: &'a [ProjectName]) -> Vec<&'a ProjectName> {
        let wanted = normalised(&self.text);
        let rank = |project: &ProjectName| match project.as_str().find(&wanted)? {
            0 if project.as_str().len() == wanted.len() => Some(0),
            0 => Some(1),
            _ => Some(2),
        };
        let mut found: Vec<(i32, &ProjectName)> =
            projects.iter().filter_map(|project| Some((rank(project)?, project))).collect();
        if !wanted.is_empty() {
            // They came in order, which a stable sort keeps.
            found.sort_by_key(|(rank, _)| *rank);
        }
        found.into_iter().map(|(_, project)| project).collect()
    }

    /// Returns the name of a project that is spelled like this, maybe one that only a remote has.
    pub(super) fn name(&self) -> Option<ProjectName> {
        normalised(&self.text).parse().ok()
    }
}

/// Writes a part of a name as normalised names have it (PEP 503).
pub(super) fn normalised(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for letter in text.chars().map(|letter| letter.to_ascii_lowercase()) {
        match letter {
            '-' | '_' | '.' | ' ' if name.ends_with('-') => {}
            '-' | '_' | '.' | ' ' => name.push('-'),
            letter => name.push(letter),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, projects: &[&str]) -> String {
        let projects: Vec<ProjectName> = projects.iter().map(|name| name.parse().unwrap()).collect();
        let asked = SearchQuery { text: text.to_owned(), page: 0 };
        asked.of(&projects).iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_nearest_name_comes_first_however_it_is_spelled() {
        let projects = ["a-torch", "torch", "torch-scatter", "vision"];
        assert_eq!(found("Torch", &projects), "torch torch-scatter a-torch");
        assert_eq!(found("torch__scatter", &projects), "torch-scatter");
        assert_eq!(found("", &projects), "a-torch torch torch-scatter vision");
        assert_eq!(found("<script>", &projects), "");
    }

    #[test]
    fn a_query_is_read_and_written() {
        let asked = SearchQuery::read(Some("q=+a%26b%3D+&page=3&x=1"));
        assert_eq!(asked, SearchQuery { text: "a&b=".to_owned(), page: 2 });
        assert_eq!((asked.at(3), asked.at(0)), ("?q=a%26b%3D&page=4".to_owned(), "?q=a%26b%3D".to_owned()));
        for odd in ["page=0", "page=-1", "page=x", "", "page=99999999999999999999999"] {
            assert_eq!(SearchQuery::read(Some(odd)), SearchQuery::default(), "{odd}");
        }
        assert_eq!(SearchQuery::default().at(0), "?");
    }
}
