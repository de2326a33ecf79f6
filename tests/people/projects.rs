//! What a project's page says: of itself, its builds, what it needs and who needs it.

use crate::site::Site;
use crate::words::has;

#[test]
fn a_project_tells_what_its_newest_metadata_says() {
    let site = Site::full();
    let page = site.page("/cuda/projects/atlas/");
    has(
        &page,
        &["Maps of tensors", "Licence Apache-2.0 OR MIT", "Python >=3.9", "Keywords maps, tensors", "2 classifiers"],
    );
    has(&page, &["As the METADATA of version 2.0+cu126 says it", "Odd javascript:alert(3)"]);
    assert!(page.contains("<a href=\"https://code.example/atlas\" rel=\"noreferrer noopener nofollow\">Source</a>"));
    has(&site.page("/cuda/projects/torch/"), &["Description A test distribution."]);
}

#[test]
fn a_description_is_shown_without_what_it_could_do() {
    let site = Site::full();
    let page = site.page("/cuda/projects/atlas/");
    has(&page, &["Description", "Atlas", "Maps of tensors", "☑ done", "A quotation.", "End."]);
    assert!(page.contains("<h3>Atlas</h3>") && page.contains("<h4>Install</h4>") && page.contains("<h5>Features</h5>"));
    for gone in ["<img", "<script", "onerror", "alert(1)", "alert(2)", "spy.example"] {
        assert!(!page.contains(gone), "{gone}");
    }
    assert!(page.contains("<a href=\"https://x.example/logo.png\""), "a picture is a link");
    assert!(!page.contains("href=\"javascript:"), "a script is no link");
}

#[test]
fn builds_are_a_table_of_versions_by_what_they_are_for() {
    let site = Site::full();
    let page = site.page("/cuda/projects/atlas/");
    let table = &page[page.find("<table class=\"matrix\"").unwrap()..];
    let table = &table[..table.find("</table>").unwrap()];
    for column in [
        "CPython 3.12<br>Linux x86-64<br>CUDA</th>",
        "CPython 3.12<br>Linux x86-64</th>",
        "CPython 3.13<br>Linux x86-64</th>",
        "CPython 3.12<br>macOS Apple silicon</th>",
        "CPython 3.12<br>Linux x86-64, musl</th>",
        "Python 3<br>any platform</th>",
        "<th scope=\"col\">Source</th>",
    ] {
        assert!(table.contains(column), "{column}: {table}");
    }
    let row = |version: &str| {
        let at = table.find(&format!("<th scope=\"row\">{version}</th>")).unwrap();
        table[at..].split("</tr>").next().unwrap()
    };
    assert!(
        row("2.0").contains(">here<") && row("2.0").matches(">here<").count() == 6 && row("2.0").contains("+cu126"),
        "{}",
        row("2.0")
    );
    let elsewhere = "href=\"../../../rocm/projects/atlas/atlas-2.1-cp312-cp312-musllinux_1_2_x86_64.whl/\"";
    assert!(row("2.1").contains(elsewhere), "{}", row("2.1"));
    assert!(row("1.1").contains(">blocked<") && row("1.1").contains("build 3"), "{}", row("1.1"));
    assert!(row("1.0").contains(">yanked<"), "{}", row("1.0"));
    has(&page, &["here the store has it", "blocked it must not come back", "–: no such build is known"]);
    has(&site.page("/cuda/projects/einops/"), &["remote only a remote has it"]);
}

#[test]
fn what_a_project_needs_is_judged_by_what_is_here() {
    let site = Site::full();
    let page = site.page("/cuda/projects/atlas/");
    has(
        &page,
        &["numpy here 2.1.3 >=2 everywhere", "idna wrong version 3.10 is the newest ==99 sys_platform == \"linux\""],
    );
    has(&page, &["none-such[fast] missing only with an extra <2 extra == \"all\"", "from an address"]);
    has(&page, &["not a requirement not understood"]);
    assert!(page.contains("href=\"../numpy/\"") && !page.contains("href=\"../none-such/\""));
    // Nobody was asked for it, so that it counts only when its page was seen.
    has(&page, &["Remotes are not asked for this page"]);
}

#[test]
fn who_needs_a_project_is_told() {
    let site = Site::full();
    let page = site.page("/cuda/projects/atlas/");
    has(
        &page,
        &[
            "Needed by",
            "guide 1.0 atlas>=1; python_version >= '3.9'",
            "tour 0.3 atlas ; extra == 'maps' only with an extra",
        ],
    );
    has(&site.page("/cuda/projects/guide/"), &["No project here, as far as its newest version says."]);
    // What another process adds is there at the next look.
    crate::support::Wheel::new("later", "1.0").requires("guide").write_to(site.env.path("later"));
    site.env.ok(["import", "later", "--collection", "cuda"]);
    has(&site.page("/cuda/projects/guide/"), &["later 1.0 guide"]);
    let old = site.page("/cuda@release/projects/torch/");
    has(&old, &["Needed by", "No project here"]);
}
