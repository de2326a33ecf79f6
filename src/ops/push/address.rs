//! Where files of a remote are uploaded to.

use crate::manifest::RemoteSettings;
use url::Url;

/// Returns where a remote takes uploads: where its owner says, else where a wcas at its URL does.
pub(in crate::ops) fn upload_url(settings: &RemoteSettings) -> Option<Url> {
    match &settings.upload_url {
        Some(url) => url.parse().ok(),
        None => beside_pages(&settings.url, "legacy/"),
    }
}

/// Takes `…/NAME/simple/` or `…/NAME/cache/simple/` for the pages of a wcas, and returns what it has at `…/NAME/` and a path.
pub(in crate::ops) fn beside_pages(pages: &str, path: &str) -> Option<Url> {
    let pages: Url = pages.parse().ok()?;
    let mut parts: Vec<&str> = pages.path_segments()?.filter(|part| !part.is_empty()).collect();
    if parts.pop() != Some("simple") {
        return None;
    }
    if parts.len() > 1 && parts.last() == Some(&"cache") {
        parts.pop();
    }
    // An index without a name in its path is no wcas's, and nobody knows where it takes files.
    parts.last()?;
    let path = format!("/{}/{path}", parts.join("/"));
    let mut url = pages;
    url.set_path(&path);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wcas_takes_files_beside_its_pages_and_others_must_be_told() {
        let derived = |url: &str, upload_url: Option<&str>| {
            let upload_url = upload_url.map(str::to_owned);
            let settings = RemoteSettings { url: url.to_owned(), upload_url, ..RemoteSettings::default() };
            upload_url_text(&settings)
        };
        for (pages, uploads) in [
            ("https://cache.example/cuda/simple/", Some("https://cache.example/cuda/legacy/")),
            ("https://cache.example/cuda/simple", Some("https://cache.example/cuda/legacy/")),
            ("https://cache.example:8443/w/cuda/cache/simple/", Some("https://cache.example:8443/w/cuda/legacy/")),
            ("https://cache.example/cache/simple/", Some("https://cache.example/cache/legacy/")),
            ("https://index.example/simple/", None),
            ("https://index.example/root/dev/+simple/", None),
            ("https://index.example/", None),
        ] {
            assert_eq!(derived(pages, None).as_deref(), uploads, "{pages}");
        }
        let told = derived("https://cache.example/cuda/simple/", Some("https://up.example/legacy/"));
        assert_eq!(told.as_deref(), Some("https://up.example/legacy/"));
    }

    fn upload_url_text(settings: &RemoteSettings) -> Option<String> {
        upload_url(settings).map(String::from)
    }
}
