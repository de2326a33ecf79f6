//! HTML pages: PEP 503 with what PEP 592, 629, 658, 714, 740 and 792 add.
//!
//! An anchor's text is the bare name without spaces around it, for some clients compare it as it is. `data-size` and
//! `data-upload-time` are no standard, but uv reads them. There is no `<base>`: pip and uv fail on a relative one.

use super::{API_VERSION, File, Page, UploadTime};
use std::io::{Result, Write};

/// Writes the page of a project: an anchor a file.
pub fn project(out: &mut dyn Write, page: &Page<'_>) -> Result<()> {
    files(out, "Links for ", page)
}

/// Writes the page of a whole collection: an anchor a file, as `pip install --find-links` and `uv` read it.
pub fn collection(out: &mut dyn Write, page: &Page<'_>) -> Result<()> {
    files(out, "Collection ", page)
}

/// Writes the root page: an anchor a project, leading to `name/`. The names are normalised.
pub fn root(out: &mut dyn Write, serial: Option<u64>, projects: &[impl AsRef<str>]) -> Result<()> {
    head(out, "Simple index", "")?;
    body(out, "Simple index", "")?;
    for name in projects.iter().map(AsRef::as_ref) {
        out.write_all(b"<a href=\"")?;
        escape(out, name)?;
        out.write_all(b"/\">")?;
        escape(out, name)?;
        out.write_all(b"</a><br>\n")?;
    }
    end(out, serial)
}

fn files(out: &mut dyn Write, title: &str, page: &Page<'_>) -> Result<()> {
    head(out, title, page.name)?;
    if let Some(project) = page.status {
        meta(out, "pypi:project-status", project.status.as_str())?;
        project.reason.map_or(Ok(()), |reason| meta(out, "pypi:project-status-reason", reason))?;
    }
    body(out, title, page.name)?;
    page.offered().iter().try_for_each(|file| anchor(out, file))?;
    end(out, page.serial)
}

fn anchor(out: &mut dyn Write, file: &File<'_>) -> Result<()> {
    out.write_all(b"<a href=\"")?;
    escape(out, &file.url)?;
    file.sha256.map_or(Ok(()), |sha256| write!(out, "#sha256={sha256}"))?;
    out.write_all(b"\"")?;
    file.size.map_or(Ok(()), |size| write!(out, " data-size=\"{size}\""))?;
    file.upload_time.map_or(Ok(()), |time| write!(out, " data-upload-time=\"{}\"", UploadTime(time)))?;
    if let Some(specifiers) = file.requires_python {
        attribute(out, " data-requires-python", specifiers)?;
    }
    // The second name is what PEP 658 said before PEP 714; old clients know only that one.
    match file.sidecar.map(|sidecar| sidecar.sha256) {
        Some(Some(sha256)) => {
            write!(out, " data-core-metadata=\"sha256={sha256}\" data-dist-info-metadata=\"sha256={sha256}\"")?;
        }
        Some(None) => out.write_all(b" data-core-metadata=\"true\" data-dist-info-metadata=\"true\"")?,
        None => {}
    }
    if let Some(reason) = file.yanked {
        attribute(out, " data-yanked", reason)?;
    }
    if let Some(url) = file.secure_provenance() {
        attribute(out, " data-provenance", url)?;
    }
    out.write_all(b">")?;
    escape(out, file.filename)?;
    out.write_all(b"</a><br>\n")
}

fn head(out: &mut dyn Write, title: &str, name: &str) -> Result<()> {
    out.write_all(b"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")?;
    meta(out, "pypi:repository-version", API_VERSION)?;
    out.write_all(b"<title>")?;
    escape(out, title)?;
    escape(out, name)?;
    out.write_all(b"</title>\n")
}

fn body(out: &mut dyn Write, title: &str, name: &str) -> Result<()> {
    out.write_all(b"</head>\n<body>\n<h1>")?;
    escape(out, title)?;
    escape(out, name)?;
    out.write_all(b"</h1>\n")
}

fn end(out: &mut dyn Write, serial: Option<u64>) -> Result<()> {
    out.write_all(b"</body>\n</html>\n")?;
    // Mirroring tools look for this comment.
    serial.map_or(Ok(()), |serial| writeln!(out, "<!--SERIAL {serial}-->"))
}

fn meta(out: &mut dyn Write, name: &str, content: &str) -> Result<()> {
    attribute(out, "<meta name", name)?;
    attribute(out, " content", content)?;
    out.write_all(b">\n")
}

fn attribute(out: &mut dyn Write, name: &str, value: &str) -> Result<()> {
    out.write_all(name.as_bytes())?;
    out.write_all(b"=\"")?;
    escape(out, value)?;
    out.write_all(b"\"")
}

/// Writes text so that it means itself between tags and in a quoted attribute.
fn escape(out: &mut dyn Write, text: &str) -> Result<()> {
    let mut rest = text;
    // All that is looked for is ASCII, so bytes cut the text between characters.
    while let Some(at) =
        rest.bytes().position(|byte| byte < b' ' || matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'' | 0x7f))
    {
        out.write_all(&rest.as_bytes()[..at])?;
        match rest.as_bytes()[at] {
            b'&' => out.write_all(b"&amp;")?,
            b'<' => out.write_all(b"&lt;")?,
            b'>' => out.write_all(b"&gt;")?,
            b'"' => out.write_all(b"&quot;")?,
            b'\'' => out.write_all(b"&#39;")?,
            // Parsers turn a raw CR into LF, and an anchor is one line.
            byte @ (b'\t' | b'\n' | b'\r') => write!(out, "&#{byte};")?,
            // HTML has no way to say the other controls.
            _ => out.write_all("\u{fffd}".as_bytes())?,
        }
        rest = &rest[at + 1..];
    }
    out.write_all(rest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{HOSTILE, file, text};
    use super::super::{ProjectStatus, Status};
    use super::*;
    use crate::digest::Sha256;
    use crate::index::read::Sidecar;

    #[test]
    fn a_project_page_has_one_anchor_a_file_with_all_that_is_known() {
        let mut full = file("demo-1.0+cu1-py3-none-any.whl", "demo", "1.0+cu1");
        full.requires_python = Some(">=3.9,<4");
        full.yanked = Some("");
        full.sidecar = Some(Sidecar { sha256: Some(Sha256::from_bytes([0x0f; 32])) });
        let files = [full, file("demo-2.0.tar.gz", "demo", "2.0")];
        let (wheel, metadata) = ("ab".repeat(32), "0f".repeat(32));
        let expected = format!(
            r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="pypi:repository-version" content="1.4">
<title>Links for demo</title>
</head>
<body>
<h1>Links for demo</h1>
<a href="../../files/demo-1.0+cu1-py3-none-any.whl#sha256={wheel}" data-size="1234" data-upload-time="2024-12-31T23:59:59Z" data-requires-python="&gt;=3.9,&lt;4" data-core-metadata="sha256={metadata}" data-dist-info-metadata="sha256={metadata}" data-yanked="">demo-1.0+cu1-py3-none-any.whl</a><br>
<a href="../../files/demo-2.0.tar.gz#sha256={wheel}" data-size="1234" data-upload-time="2024-12-31T23:59:59Z">demo-2.0.tar.gz</a><br>
</body>
</html>
"#
        );
        assert_eq!(text(|out| project(out, &Page::new("demo", &files))), expected);
    }

    #[test]
    fn f1_provenance_is_told_only_as_an_https_url() {
        for (url, expected) in [
            ("https://index.example/a?b=\"&c", Some(" data-provenance=\"https://index.example/a?b=&quot;&amp;c\">")),
            ("http://index.example/a", None),
            ("/integrity/a", None),
        ] {
            let files = [File { provenance: Some(url), ..file("demo-1.0.zip", "demo", "1.0") }];
            let page = text(|out| project(out, &Page::new("demo", &files)));
            assert_eq!(page.contains("data-provenance"), expected.is_some(), "{page}");
            assert!(expected.is_none_or(|expected| page.contains(expected)), "{page}");
        }
    }

    #[test]
    fn the_root_page_has_one_anchor_a_project() {
        let page = text(|out| root(out, Some(41), &["demo", "flask-restful"]));
        assert!(page.contains(
            "</h1>\n<a href=\"demo/\">demo</a><br>\n<a href=\"flask-restful/\">flask-restful</a><br>\n</body>"
        ));
        assert_eq!(page.matches("<a ").count(), 2);
        assert!(page.ends_with("</html>\n<!--SERIAL 41-->\n"));
    }

    #[test]
    fn text_from_outside_stays_text() {
        let mut hostile = file("demo-1.0.zip", "demo", "1.0");
        (hostile.requires_python, hostile.yanked) = (Some(HOSTILE), Some(HOSTILE));
        let status = Some(ProjectStatus { status: Status::Archived, reason: Some(HOSTILE) });
        let files = [hostile];
        let page = text(|out| collection(out, &Page { status, ..Page::new(HOSTILE, &files) }));
        let escaped = "&quot;&lt;b&gt;&amp;&#39;&#10;&#13;\u{fffd}é";
        assert!(
            page.contains(&format!(" data-requires-python=\"{escaped}\" data-yanked=\"{escaped}\">demo-1.0.zip</a>"))
        );
        assert!(page.contains(&format!("<title>Collection {escaped}</title>")));
        assert!(page.contains("<meta name=\"pypi:project-status\" content=\"archived\">"));
        assert!(page.contains(&format!("<meta name=\"pypi:project-status-reason\" content=\"{escaped}\">")));
        assert!(!page.contains("<b>") && !page.contains(['\'', '\r', '\0']));
    }

    #[test]
    fn a_page_in_quarantine_offers_no_file() {
        let files = [file("demo-1.0.zip", "demo", "1.0")];
        let status = Some(ProjectStatus { status: Status::Quarantined, reason: None });
        let page = text(|out| project(out, &Page { status, ..Page::new("demo", &files) }));
        assert!(page.contains("content=\"quarantined\"") && !page.contains("<a "));
    }
}
