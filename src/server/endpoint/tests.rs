use super::*;
use proptest::prelude::*;

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn of(text: &str) -> ViewName {
    view(text).unwrap()
}

fn cache_of(rules: &str) -> CacheView {
    let rules = if rules.is_empty() { CacheRules::default() } else { rules.parse().unwrap() };
    CacheView { view: of("cuda"), offering: Offering::Cache, rules }
}

fn moved(path: &str) -> String {
    match parse(path) {
        Err(PathRefusal::Moved(location)) => location,
        other => panic!("{path}: {other:?}"),
    }
}

fn address(view: Option<&str>, sha256: Option<&str>, filename: &str, is_metadata: bool) -> Endpoint {
    let sha256 = sha256.map(|digest| digest.parse().unwrap());
    Endpoint::File(FileAddress { view: view.map(of), sha256, filename: filename.to_owned(), is_metadata })
}

/// What a client goes to after a redirect.
fn followed(path: &str) -> String {
    let base = url::Url::parse("http://index.example/behind/a/proxy").unwrap();
    let from = base.join(&format!("/behind{path}")).unwrap();
    from.join(&moved(path)).unwrap().path().strip_prefix("/behind").unwrap().to_owned()
}

#[test]
fn each_endpoint_has_its_path() {
    let torch = || "torch".parse().unwrap();
    for (path, endpoint) in [
        ("/", Endpoint::Home),
        ("/healthz", Endpoint::Health),
        ("/metrics", Endpoint::Metrics),
        ("/cuda/projects/torch/a+b.whl/", Endpoint::FilePage(of("cuda"), torch(), "a+b.whl".to_owned())),
        ("/_/oidc/audience", Endpoint::Audience),
        ("/_/oidc/mint-token", Endpoint::MintToken),
        ("/_/oidc/burn-token", Endpoint::BurnToken),
        ("/_/sign-in/", Endpoint::Account(Account::SignIn)),
        ("/_/sign-out/", Endpoint::Account(Account::SignOut)),
        ("/cuda/actions/yank/", Endpoint::Action(of("cuda"), Verb::Yank)),
        ("/actions/actions/undo/", Endpoint::Action(of("actions"), Verb::Undo)),
        ("/-/style.css", Endpoint::Asset("style.css".to_owned())),
        ("/_/remotes/", Endpoint::Section(Section::Remotes)),
        ("/_/health/", Endpoint::Section(Section::Health)),
        ("/cuda/", Endpoint::Collection(of("cuda"))),
        ("/cuda@41/", Endpoint::Collection(of("cuda@41"))),
        ("/cuda%4041/", Endpoint::Collection(of("cuda@41"))),
        ("/cuda/simple/", Endpoint::Root(of("cuda"))),
        ("/cuda@release-1/simple/", Endpoint::Root(of("cuda@release-1"))),
        ("/cuda/simple/torch/", Endpoint::Project(of("cuda"), torch())),
        ("/cuda/simple/t%6Frch/", Endpoint::Project(of("cuda"), torch())),
        ("/cuda/projects/torch/", Endpoint::ProjectPage(of("cuda"), torch())),
        ("/cuda/legacy/", Endpoint::Legacy(of("cuda"))),
        ("/cuda/revision.txt", Endpoint::Revision(of("cuda"), false)),
        ("/cuda@41/revision.txt.sig", Endpoint::Revision(of("cuda@41"), true)),
        ("/cuda/pypi/Torch/json", Endpoint::Mirror(of("cuda"), torch(), None)),
        ("/cuda/pypi/torch/2.0/json", Endpoint::Mirror(of("cuda"), torch(), Some("2".parse().unwrap()))),
        ("/cuda/changes.atom", Endpoint::Changes(of("cuda"))),
        ("/files/", Endpoint::Collection(of("files"))),
        ("/metrics/simple/", Endpoint::Root(of("metrics"))),
        ("/cache/simple/", Endpoint::Root(of("cache"))),
        ("/cuda/cache/simple/", Endpoint::CacheRoot(cache_of(""))),
        ("/cuda/cache/simple/torch/", Endpoint::CacheProject(cache_of(""), torch())),
        (
            "/cuda/build/simple/torch/",
            Endpoint::CacheProject(CacheView { offering: Offering::Build, ..cache_of("") }, torch()),
        ),
        ("/build/simple/", Endpoint::Root(of("build"))),
        (
            "/cuda/cache/max-build=3&suffix=_el9/simple/torch/",
            Endpoint::CacheProject(cache_of("max-build=3&suffix=_el9"), torch()),
        ),
    ] {
        assert_eq!(parse(path), Ok(endpoint), "{path}");
    }
}

#[test]
fn rules_may_name_as_many_projects_as_a_path_has_room_for() {
    let names = (0..250).map(|number| format!("project-{number}")).collect::<Vec<_>>().join(",");
    let rules = format!("own-projects={names}");
    let found = parse(&format!("/cuda/cache/{rules}/simple/torch/"));
    assert_eq!(found, Ok(Endpoint::CacheProject(cache_of(&rules), "torch".parse().unwrap())));
    let long = "x".repeat(300);
    for path in
        [format!("/cuda/{rules}/simple/torch/"), format!("/cuda/simple/{long}/"), format!("/cuda/cache/{long}/")]
    {
        assert_eq!(parse(&path), Err(PathRefusal::NotFound), "{path}");
    }
    assert_eq!(
        parse(&format!("/cuda/cache/own-projects={}/simple/torch/", "x,".repeat(2100))),
        Err(PathRefusal::NotFound)
    );
}

#[test]
fn a_revision_is_a_part_of_the_name() {
    assert_eq!(of("cuda@41"), ViewName { name: "cuda".parse().unwrap(), at: Some("41".to_owned()) });
    assert_eq!(of("cuda@41").to_string(), "cuda@41");
    for bad in ["/cuda@/", "/@41/", "/cuda@-1/", "/cuda@1@2/", "/cuda@A/", "/cuda@a%2Fb/", "/Cuda/", "/cuda@../"] {
        assert_eq!(parse(bad), Err(PathRefusal::NotFound), "{bad}");
    }
}

#[test]
fn a1_a_page_without_its_slash_is_moved_behind_any_prefix() {
    for (path, to) in [
        ("/cuda", "/cuda/"),
        ("/c%75da@4", "/cuda@4/"),
        ("/cuda/simple", "/cuda/simple/"),
        ("/cuda/legacy", "/cuda/legacy/"),
        ("/cuda/simple/torch", "/cuda/simple/torch/"),
        ("/cuda/projects/torch", "/cuda/projects/torch/"),
        ("/cuda/projects/torch/a:b+c.whl", "/cuda/projects/torch/a%3Ab%2Bc.whl/"),
        ("/cuda/projects", "/cuda/"),
        ("/_/history", "/_/history/"),
        ("/cuda/projects/", "/cuda/"),
        ("/cuda/cache/simple", "/cuda/cache/simple/"),
        ("/cuda/cache/local=any/simple/torch", "/cuda/cache/local=any/simple/torch/"),
    ] {
        assert_eq!(followed(path), to, "{path}");
        assert!(parse(to).is_ok(), "one redirect is enough: {to}");
    }
}

#[test]
fn a2_a_project_is_moved_to_its_normalised_name() {
    for name in ["Foo_Bar", "foo..bar", "FOO-BAR", "foo%5Fbar", "f%4Fo_%42ar", "foo-_.bar"] {
        for page in ["simple", "projects", "cache/simple"] {
            let to = format!("/cuda/{page}/foo-bar/");
            assert_eq!(followed(&format!("/cuda/{page}/{name}/")), to, "{name}");
            assert_eq!(followed(&format!("/cuda/{page}/{name}")), to, "at once, without the slash, too: {name}");
        }
    }
}

#[test]
fn a2_a_name_with_other_characters_is_no_project() {
    for name in ["foo%20bar", "foo+bar", "f%C3%B6", "-foo", "foo-", "_", "foo@1", "foo%00", "foo:bar", "~", "%", "%4"] {
        for end in ["", "/"] {
            assert_eq!(parse(&format!("/cuda/simple/{name}{end}")), Err(PathRefusal::NotFound), "{name}{end}");
        }
    }
}

#[test]
fn a7_a_filename_is_one_segment_whether_its_plus_is_encoded_or_not() {
    let name = "torch-1!2.5.1+cu121-cp312-cp312-linux_x86_64.whl";
    for written in [name.to_owned(), name.replace('+', "%2B"), name.replace('+', "%2b").replace('!', "%21")] {
        for (suffix, is_metadata) in [("", false), (".metadata", true), ("%2Emetadata", true)] {
            let path = format!("/files/{DIGEST}/{written}{suffix}");
            assert_eq!(parse(&path), Ok(address(None, Some(DIGEST), name, is_metadata)), "{path}");
            let path = format!("/cuda@3/files/{DIGEST}/{written}{suffix}");
            assert_eq!(parse(&path), Ok(address(Some("cuda@3"), Some(DIGEST), name, is_metadata)), "{path}");
            let path = format!("/cuda/files/unhashed/{written}{suffix}");
            assert_eq!(parse(&path), Ok(address(Some("cuda"), None, name, is_metadata)), "{path}");
        }
    }
    let twice = format!("/files/{DIGEST}/a%252Bb.whl");
    assert_eq!(parse(&twice), Ok(address(None, Some(DIGEST), "a%2Bb.whl", false)), "decoded once");
}

#[test]
fn a_file_has_one_url() {
    let upper = DIGEST.to_uppercase();
    for path in [
        format!("/files/{upper}/a.whl"),
        format!("/cuda/files/{upper}/a.whl"),
        format!("/files/{}/a.whl", &DIGEST[1..]),
        format!("/files/{DIGEST}0/a.whl"),
        format!("/files/{DIGEST}/a.whl/"),
        format!("/files/{DIGEST}/"),
        format!("/files/{DIGEST}"),
        format!("/cuda/cache/files/{DIGEST}/a.whl"),
        format!("/cuda/cache/max-build=x/files/{DIGEST}/a.whl"),
        format!("/files/{DIGEST}/a/b.whl"),
        "/files/unhashed/a.whl".to_owned(),
        "/cuda/files/a.whl".to_owned(),
    ] {
        let is_page = matches!(parse(&path), Ok(Endpoint::File(_)));
        assert!(!is_page, "{path}");
    }
}

#[test]
fn v2_the_document_about_variants_is_found_by_its_name_and_by_its_digest() {
    let name = "demo-1.0-variants.json";
    let found = Endpoint::Variants(of("cuda"), None, name.to_owned());
    assert_eq!(parse(&format!("/cuda/{name}")), Ok(found));
    let found = Endpoint::Variants(of("cuda"), Some(DIGEST.parse().unwrap()), name.to_owned());
    assert_eq!(parse(&format!("/cuda/variants/{DIGEST}/{name}")), Ok(found));
    for bad in [format!("/cuda/{name}/"), "/cuda/demo.json".to_owned(), format!("/cuda/variants/{DIGEST}/a.whl")] {
        assert_eq!(parse(&bad), Err(PathRefusal::NotFound), "{bad}");
    }
}

#[test]
fn g7_an_upload_needs_no_slash_and_is_never_sent_elsewhere() {
    for end in ["", "/"] {
        assert_eq!(parse_upload(&format!("/search{end}")), Ok(Endpoint::Collection(of("search"))));
        assert_eq!(parse_upload(&format!("/cuda{end}")), Ok(Endpoint::Collection(of("cuda"))));
        assert_eq!(parse_upload(&format!("/cuda/simple{end}")), Ok(Endpoint::Root(of("cuda"))));
        assert_eq!(parse_upload(&format!("/cuda/legacy{end}")), Ok(Endpoint::Legacy(of("cuda"))));
        let page = Endpoint::Project(of("cuda"), "torch".parse().unwrap());
        assert_eq!(parse_upload(&format!("/cuda/simple/torch{end}")), Ok(page), "which then takes no upload");
    }
}

#[test]
fn a10_nothing_in_any_place_of_a_path_leads_outside() {
    let long = "a".repeat(265);
    let bad = [
        "..",
        ".",
        "%2e%2e",
        "%2E.",
        "%2e",
        "%2F",
        "..%2F..",
        "a%2Fb",
        "a\\b",
        "%5C",
        "%00",
        "a%00",
        "%0A",
        "a%7F",
        "",
        "%ff",
        "%C3%28",
        "%c0%ae%c0%ae",
        "%u002e",
        "%2",
        &long,
    ];
    let paths = [
        "/X",
        "/X/simple/",
        "/cuda/X/",
        "/cuda/simple/X/",
        "/cuda/projects/X/",
        "/cuda@X/simple/",
        "/-/X",
        "/cuda/cache/X/simple/a/",
        "/cuda/cache/simple/X/",
    ];
    let file_paths = [format!("/files/{DIGEST}/X"), format!("/cuda/files/{DIGEST}/X"), "/files/X/a.whl".to_owned()];
    for path in paths.iter().map(|path| (*path).to_owned()).chain(file_paths) {
        for segment in bad {
            let path = path.replace('X', segment);
            let is_home = path.len() == 1 || path == "/-/";
            assert!(is_home || parse(&path) == Err(PathRefusal::NotFound), "{path}: {:?}", parse(&path));
        }
    }
    for path in ["", "*", "cuda/", "//", "//cuda/", "/cuda//simple/", "/cuda/simple//", "http://index.example/"] {
        assert_eq!(parse(path), Err(PathRefusal::NotFound), "{path}");
    }
    assert_eq!(parse(&format!("/cuda/simple/{}/", "a/".repeat(3000))), Err(PathRefusal::NotFound));
}

proptest! {
    #[test]
    fn any_path_has_an_answer_and_a_redirect_leads_to_one_that_has_no_other(
        path in "(/|/(cuda|files|[a-zA-Z0-9@%._-]{1,8}))(/(simple|files|projects|\\.\\.|%2e|[ -~]{0,6}|.{0,4})){0,4}/?"
    ) {
        if let Err(PathRefusal::Moved(to)) = parse(&path) {
            prop_assert!(to.is_ascii() && !to.contains("//") && !to.starts_with('/'), "{to}");
            let to = followed(&path);
            prop_assert!(parse(&to).is_ok(), "{path} to {to}");
        }
    }

    #[test]
    fn what_a_path_names_is_never_more_than_one_segment(raw in "(%[0-9a-fA-F]{2}|[ -~]){1,12}") {
        if let Ok(Endpoint::File(FileAddress { filename, .. })) = parse(&format!("/files/{DIGEST}/{raw}")) {
            prop_assert!(!filename.contains(['/', '\\', '\0']) && filename != ".." && filename != ".");
        }
    }
}
