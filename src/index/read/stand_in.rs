//! A reader that knows just enough of a page for the tests of `remote`, until the real one is there.

use super::{ListedFile, ListedPage, PageError, Syntax};
use crate::wheel::DistributionFilename;
use url::Url;

/// Reads a page.
pub fn page(body: &[u8], content_type: Option<&str>, base: &Url) -> Result<ListedPage, PageError> {
    let text = String::from_utf8_lossy(body);
    if content_type.is_some_and(|kind| kind.contains("json")) {
        return serde_json::from_str::<serde_json::Value>(&text)
            .map(|_| ListedPage { syntax: Some(Syntax::Json), ..ListedPage::default() })
            .map_err(|error| PageError::Json(error.to_string()));
    }
    if !text.to_ascii_lowercase().contains("<a ") && !text.trim().is_empty() {
        return Err(PageError::Foreign("a page without links".to_owned()));
    }
    let mut listed = ListedPage { syntax: Some(Syntax::Html), ..ListedPage::default() };
    for part in text.split("href=\"").skip(1) {
        let Ok(mut url) = base.join(part.split('"').next().unwrap_or_default()) else { continue };
        let sha256 = url.fragment().and_then(|text| text.strip_prefix("sha256=")).and_then(|text| text.parse().ok());
        url.set_fragment(None);
        let last = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default().to_owned();
        match (DistributionFilename::parse(&last), url.path().trim_end_matches('/').rsplit('/').next()) {
            (Ok(name), _) => listed.files.push(ListedFile {
                name,
                url,
                sha256,
                size: None,
                requires_python: None,
                yanked: None,
                sidecar: None,
                uploaded_at: None,
            }),
            (Err(_), Some(name)) => listed.projects.extend(name.parse().ok()),
            _ => {}
        }
    }
    Ok(listed)
}
