//! poetry, pypi-simple and fromager's resolver at the server.

use crate::clients::{Desk, Done, interpreter};
use crate::site::{Site, add, sha256, shared, wheels};
use crate::support::{Env, Sdist};

/// Runs a text of Python with arguments, which must work, and returns what it printed.
#[track_caller]
fn script(desk: &Desk, client: &str, text: &str, args: &[&str]) -> Option<Done> {
    let python = interpreter(client)?;
    let done = Desk::finish(desk.command(&python).arg("-c").arg(text).args(args));
    assert!(done.ok, "{client}: {}", done.said);
    Some(done)
}

#[test]
fn poetry_locks_by_digests_and_installs() {
    let Some(python) = interpreter("poetry") else { return };
    let env = Env::new();
    add(&env, "cuda", &wheels());
    let site = Site::of(env, &[]);
    let desk = Desk::new();
    desk.write(
        "pyproject.toml",
        &format!(
            "[project]\nname = \"consumer\"\nversion = \"1\"\nrequires-python = \">=3.10,<4\"\n\
             [tool.poetry]\npackage-mode = false\n\
             [[tool.poetry.source]]\nname = \"cuda\"\nurl = \"{}\"\npriority = \"primary\"\n",
            site.server.url("/cuda/simple/")
        ),
    );
    let poetry = |args: &[&str]| {
        let mut command = desk.command(&python);
        command.args(["-m", "poetry", "--no-interaction"]).args(args);
        Desk::finish(command.env("POETRY_VIRTUALENVS_IN_PROJECT", "true"))
    };
    let done = poetry(&["add", "--lock", "demo-app==2.0"]);
    assert!(done.ok, "{}", done.said);
    let lock = desk.read("poetry.lock");
    assert!(lock.contains(&sha256(&wheels()[1].bytes())) && lock.contains(&sha256(&wheels()[5].bytes())), "{lock}");
    let log = std::fs::read_to_string(site.env.path("stderr")).unwrap();
    // Sidecars and digests are on the page: no wheel is read to lock.
    assert!(log.lines().filter(|line| line.contains("/files/")).all(|line| line.contains(".metadata ")), "{log}");
    let done = poetry(&["install", "--no-root"]);
    assert!(done.ok, "{}", done.said);
    assert!(done.said.contains("demo-app (2.0)"), "{}", done.said);
    let done = poetry(&["check", "--lock"]);
    assert!(done.ok, "{}", done.said);
    site.end();
}

#[test]
fn pypi_simple_lists_and_downloads_with_digests() {
    let site = shared();
    let desk = Desk::new();
    let text = r"
import sys, pathlib
from pypi_simple import PyPISimple, ACCEPT_JSON_ONLY, ACCEPT_HTML_ONLY, ACCEPT_JSON_PREFERRED, NoSuchProjectError
for accept in [ACCEPT_JSON_ONLY, ACCEPT_HTML_ONLY, ACCEPT_JSON_PREFERRED]:
    with PyPISimple(sys.argv[1], accept=accept) as client:
        assert client.get_index_page().projects == ['demo-app', 'demo-lib', 'demo-native', 'demo-odd']
        page = client.get_project_page('Demo_Lib')
        assert page.repository_version == '1.4', page.repository_version
        assert page.last_serial
        if accept != ACCEPT_HTML_ONLY:
            assert sorted(page.versions) == ['0.1', '1.0', '2.0', '2.5', '3.0rc1', '9.0'], page.versions
        files = {file.filename: file for file in page.packages}
        assert len(files) == 6
        yanked = files['demo_lib-2.5-py3-none-any.whl']
        assert yanked.is_yanked and yanked.yanked_reason == 'bad <link> & ' + chr(34) + 'quotes' + chr(34), yanked
        one = files['demo_lib-1.0-py3-none-any.whl']
        assert one.requires_python == '>=3.8' and one.has_metadata and one.metadata_digests
        if accept != ACCEPT_HTML_ONLY:
            assert one.size and one.upload_time
        path = pathlib.Path('got.whl')
        client.download_package(one, path=path, verify=True)
        assert path.stat().st_size
        assert 'Name: demo-lib' in client.get_package_metadata(one, verify=True)
        try:
            client.get_project_page('absent')
            raise SystemExit('it is not there')
        except NoSuchProjectError:
            pass
print('well')
";
    let index = site.server.url("/cuda/simple/");
    let done = script(&desk, "simple", text, &[&index]);
    assert!(done.is_none_or(|done| done.said.ends_with("well\n")));
}

#[test]
fn fromagers_resolver_chooses_and_downloads() {
    let env = Env::new();
    add(&env, "cuda", &wheels());
    let sdist = Sdist::new("demo-app", "0.5").write_to(env.path("wheels"));
    env.ok(["import", "--collection", "cuda", sdist.to_str().unwrap()]);
    env.ok(["yank", "demo-lib==2.5", "--reason", "broken", "--collection", "cuda"]);
    let site = Site::of(env, &[]);
    let desk = Desk::new();
    let text = r"
import sys, pathlib
from packaging.requirements import Requirement
from fromager import resolver, finders, downloads
index = sys.argv[1]
def best(text, **options):
    provider = resolver.PyPIProvider(sdist_server_url=index, **options)
    found = resolver.find_all_matching_from_provider(provider, Requirement(text))
    return found[0]
url, version = best('demo-app', include_sdists=False)
assert str(version) == '3.0+cu12', version
assert '+' in url and '%2B' not in url, url
assert str(best('demo-lib')[1]) == '2.0'
assert str(best('demo-lib==3.0rc1')[1]) == '3.0rc1'
assert best('demo-native==1.0')[0].endswith('demo_native-1.0-10-py3-none-any.whl'), best('demo-native==1.0')
assert str(best('demo-app', include_wheels=False)[1]) == '0.5'
url, version = best('Demo_App==2.0')
path = downloads.download_url(destination_dir=pathlib.Path('.'), url=url)
print(path.name)
# What is absent is no server's failure.
for absent in ['demo-absent', 'demo-lib==77']:
    try:
        best(absent)
        raise SystemExit('it is not there')
    except Exception as error:
        print(type(error).__name__)
";
    let index = site.server.url("/cuda/simple/");
    let Some(done) = script(&desk, "fromager", text, &[&index]) else { return };
    assert!(done.said.contains("demo_app-2.0-py3-none-any.whl"), "{}", done.said);
    let bytes = std::fs::read(desk.path("demo_app-2.0-py3-none-any.whl")).unwrap();
    assert_eq!(sha256(&bytes), sha256(&wheels()[1].bytes()));
    for status in ["deprecated", "archived"] {
        site.env.ok(["collection", "status", "cuda", "demo-lib", status, "--reason", "told"]);
        let text = "import sys\nfrom fromager import resolver\n\
                    print(len(list(resolver.get_project_from_pypi('demo-lib', [], sys.argv[1]))))";
        assert!(script(&desk, "fromager", text, &[&index]).is_some_and(|done| done.said.contains("3\n")));
    }
    site.env.ok(["collection", "status", "cuda", "demo-lib", "quarantined", "--reason", "malware"]);
    let text = "import sys\nfrom fromager import resolver\ntry:\n    list(resolver.get_project_from_pypi('demo-lib', [], sys.argv[1]))\n\
                except ValueError as error:\n    print(error)";
    assert!(script(&desk, "fromager", text, &[&index]).is_some_and(|done| done.said.contains("quarantined")));
    site.end();
}
