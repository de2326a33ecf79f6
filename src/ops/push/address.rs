//! Where files of a remote are uploaded to.

use crate::manifest::RemoteSettings;
use crate::remote::beside_pages;
use url::Url;

/// Returns where a remote takes uploads: where its owner says, else where a wcas at its URL does.
pub(crate) fn upload_url(settings: &RemoteSettings) -> Option<Url> {
    match &settings.upload_url {
        Some(url) => url.parse().ok(),
        None => beside_pages(&settings.url, "legacy/"),
    }
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
