//! Pages as real servers write them, shortened.

use crate::{DIGEST, told, url};
use wcas::index::read::{ListedPage, page};
use wcas::name::ProjectName;

fn at(base: &str, text: &str) -> ListedPage {
    page(text.as_bytes(), Some("text/html"), &url(base)).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn m2_pypiserver_pages_are_read() {
    let project = format!(
        r#"<!DOCTYPE html>
        <html>
            <head>
                <title>Links for demo</title>
            </head>
            <body>
                <h1>Links for demo</h1>
                     <a href="/packages/demo-1.0-py3-none-any.whl#sha256={DIGEST}">demo-1.0-py3-none-any.whl</a><br>
                     <a href="/packages/demo-1.0.tar.gz#md5=900150983cd24fb0d6963f7d28e17f72">demo-1.0.tar.gz</a><br>
            </body>
        </html>"#
    );
    assert_eq!(
        told(&at("http://127.0.0.1:8080/simple/demo/", &project)),
        "demo-1.0-py3-none-any.whl http://127.0.0.1:8080/packages/demo-1.0-py3-none-any.whl sha256=01234567\n\
         demo-1.0.tar.gz http://127.0.0.1:8080/packages/demo-1.0.tar.gz\n\
         problem 1 files have a digest, but none by SHA-256\n"
    );
    let root = r#"<!DOCTYPE html><html><head><title>Simple Index</title></head><body><h1>Simple Index</h1>
        <a href="demo/">demo</a><br>
        <a href="Zope.Interface/">zope-interface</a><br></body></html>"#;
    assert_eq!(told(&at("http://127.0.0.1:8080/simple/", root)), "project demo\nproject zope-interface\n");
}

#[test]
fn m2_devpi_pages_are_read() {
    let text = format!(
        r#"<!DOCTYPE html><html><head><title>root/dev: links for demo</title></head><body><h1>root/dev: links for demo</h1>
<form action="/root/dev/+simple/demo/refresh" method="post"><input type="submit" value="Refresh"/></form>
root/dev <a href="../../+f/012/3456789abcdef0/demo-1.0-py3-none-any.whl#sha256={DIGEST}" data-requires-python="&gt;=3.8" data-yanked="">demo-1.0-py3-none-any.whl</a><br/>
</body></html>"#
    );
    assert_eq!(
        told(&at("http://127.0.0.1:3141/root/dev/+simple/demo", &text)),
        "demo-1.0-py3-none-any.whl http://127.0.0.1:3141/root/%2Bf/012/3456789abcdef0/demo-1.0-py3-none-any.whl sha256=01234567 python=>=3.8 yanked=\n"
    );
    let root = r#"<!DOCTYPE html><html><head><title>root/dev: simple list (including inherited indices)</title></head><body>
        <h1>root/dev: simple list</h1><a href="demo">demo</a><br/><a href="other/">other</a><br/></body></html>"#;
    for base in ["http://127.0.0.1:3141/root/dev/+simple/", "http://127.0.0.1:3141/root/dev/+simple"] {
        let root = if base.ends_with('/') { root.to_owned() } else { root.replace("href=\"", "href=\"+simple/") };
        assert_eq!(told(&at(base, &root)), "project demo\nproject other\n");
    }
}

#[test]
fn m2_directory_listings_are_read() {
    let nginx = r#"<html>
<head><title>Index of /wheels/</title></head>
<body>
<h1>Index of /wheels/</h1><hr><pre><a href="../">../</a>
<a href="demo/">demo/</a>                                                  23-Nov-2026 10:00       -
<a href="a-name-that-is-longer-than-fifty-letters-and-then-cut/">a-name-that-is-longer-than-fifty-letters-and-th..&gt;</a> 23-Nov-2026 10:00 -
<a href="SHA256SUMS.txt">SHA256SUMS.txt</a>                                    23-Nov-2026 10:00     123
<a href="torch-2.5.1%2Bcu121-cp312-cp312-linux_x86_64.whl">torch-2.5.1+cu121-cp312-cp312-linux_x86_64.whl</a> 23-Nov-2026 10:00  1234
</pre><hr></body>
</html>"#;
    assert_eq!(
        told(&at("https://files.example/wheels/", nginx)),
        "torch-2.5.1+cu121-cp312-cp312-linux_x86_64.whl https://files.example/wheels/torch-2.5.1%2Bcu121-cp312-cp312-linux_x86_64.whl\n\
         project demo\nproject a-name-that-is-longer-than-fifty-letters-and-then-cut\n"
    );
    let apache = r#"<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html><head><title>Index of /wheels</title></head><body><h1>Index of /wheels</h1>
<table><tr><th valign="top"><img src="/icons/blank.gif" alt="[ICO]"></th><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><img src="/icons/back.gif" alt="[PARENTDIR]"></td><td><a href="/">Parent Directory</a></td></tr>
<tr><td><img src="/icons/folder.gif" alt="[DIR]"></td><td><a href="demo/">demo/</a></td></tr>
<tr><td><img src="/icons/compressed.gif" alt="[   ]"></td><td><a href="demo-1.0.tar.gz">demo-1.0.tar.gz</a></td></tr>
</table><address>Apache/2.4 Server</address></body></html>"#;
    assert_eq!(
        told(&at("https://files.example/wheels/", apache)),
        "demo-1.0.tar.gz https://files.example/wheels/demo-1.0.tar.gz\nproject demo\n"
    );
}

#[test]
fn m2_pages_of_artifact_servers_are_read() {
    let artifactory = format!(
        r#"<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0"><title>Links for demo</title></head><body><h1>Links for demo</h1>
<a data-requires-python="&gt;=3.8" href="../../packages/packages/ab/cd/demo-1.0-py3-none-any.whl#sha256={DIGEST}" rel="internal">demo-1.0-py3-none-any.whl</a><br />
</body></html>"#
    );
    assert_eq!(
        told(&at("https://repo.example/artifactory/api/pypi/local/simple/demo/", &artifactory)),
        "demo-1.0-py3-none-any.whl https://repo.example/artifactory/api/pypi/local/packages/packages/ab/cd/demo-1.0-py3-none-any.whl sha256=01234567 python=>=3.8\n"
    );
    let nexus = format!(
        "<html lang=\"en\">\n<head><title>Links for demo</title>\n  <meta name=\"api-version\" value=\"2\"/>\n</head>\n<body>\n<h1>Links for demo</h1>\n\
         <a href=\"../../packages/demo/1.0/demo-1.0.tar.gz#sha256={DIGEST}\" rel=\"internal\" data-requires-python=\"&gt;=3.8\" >demo-1.0.tar.gz</a><br/>\n</body></html>"
    );
    assert_eq!(
        told(&at("https://repo.example/repository/pypi/simple/demo/", &nexus)),
        "demo-1.0.tar.gz https://repo.example/repository/pypi/packages/demo/1.0/demo-1.0.tar.gz sha256=01234567 python=>=3.8\n"
    );
}

#[test]
fn m2_a_flat_page_has_files_of_many_projects() {
    let text = "<html><body><a href='https://files.example/whl/demo-1.0.zip'>demo</a>\n<a href=other_one-2.0-py3-none-any.whl>o</a>\
        <a href='Other.One-1.0.tar.gz'>o</a></body></html>";
    let page = at("https://files.example/find-links.html", text);
    let other: ProjectName = "Other-One".parse().unwrap();
    let names: Vec<_> = page.files_of(&other).map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["other_one-2.0-py3-none-any.whl", "Other.One-1.0.tar.gz"]);
    assert_eq!(page.files.len(), 3);
}

#[test]
fn m2_a_root_page_names_the_projects_below_it_and_nothing_else() {
    let text = "<title>Simple index</title><a href='/simple/demo/'>Demo</a><a href='Flask_RESTful'><b>flask</b>-restful</a>\
        <a href='https://index.example/simple/ten/'>ten</a><a href='/about/'>about</a><a href='https://other.example/simple/x/'>x</a>\
        <a href='y/'>not y</a><a href='a/b/'>b</a><a href='z/?page=2'>z</a><a href='last/'>last";
    let page = at("https://index.example/simple/", text);
    assert_eq!(told(&page), "project demo\nproject flask-restful\nproject ten\nproject last\n");
}
