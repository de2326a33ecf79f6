"""The plug-in by itself, in fromager's environment: what it reads, what it says to caches, and what it sends. A server is a script here."""

import http.server
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest
from email import message_from_bytes
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import requests
import wcas.command  # noqa: F401 (it teaches fromager's session)
from fromager import packagesettings
from fromager.context import WorkContext
from fromager.request_session import session
from packaging.requirements import Requirement
from wcas import _lookups, _run, _secret, _store, hooks, short_circuit

SHA = "0" * 64
GLOBAL = "changelog:\n  cuda: [first, second]\n"
PACKAGE = "changelog:\n  '2.5.1': [patched]\nvariants:\n  cpu:\n    pre_built: true\n"


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WCAS_")}
        self.enterContext(mock.patch.dict(os.environ, clean, clear=True))
        self.enterContext(mock.patch.object(_secret, "_token", None))
        for of, name in ((_run, "_warned"), (_store.Server, "_lacks")):
            self.enterContext(mock.patch.object(of, name, set()))
        self.run_ = _run.Run()
        for module in (_run, _lookups, _store, hooks):
            self.enterContext(mock.patch.object(module, "RUN", self.run_))
        self.logged = self.enterContext(self.assertLogs(level=logging.DEBUG)).output
        logging.debug("assertLogs wants a line")

    def context(self, variant="cuda"):
        (self.dir / "settings").mkdir(exist_ok=True)
        (self.dir / "settings/torch.yaml").write_text(PACKAGE)
        (self.dir / "settings.yaml").write_text(GLOBAL)
        settings = packagesettings.Settings.from_files(
            settings_file=self.dir / "settings.yaml",
            settings_dir=self.dir / "settings",
            patches_dir=self.dir / "patches",
            variant=variant,
            max_jobs=None,
        )
        repos = {name: self.dir / name for name in ("patches_dir", "sdists_repo", "wheels_repo", "work_dir")}
        context = WorkContext(active_settings=settings, variant=variant, **repos)
        context.work_dir.mkdir(exist_ok=True)
        return context

    def file(self, name, text=""):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return path

    def lines(self, part):
        return [line for line in self.logged if part in line]


def graph(*own, others=()):
    def node(name, edges=()):
        edges = [{"key": f"{to}==1.0", "req_type": "toplevel", "req": to} for to in edges]
        url = f"https://index.example/{name}-1.0.tar.gz"
        return {"download_url": url, "pre_built": False, "version": "1.0", "canonicalized_name": name, "edges": edges}

    return {"": node("", own), **{f"{name}==1.0": node(name) for name in (*own, *others)}}


def order(*names, **more):
    return [{"dist": name, "version": "1.0", "source_url": f"https://index.example/{name}", **more} for name in names]


class Plans(Case):
    def own(self, place):
        return _run.read_plan(place).own

    def test_a_graph_tells_its_root(self):
        plan = _run.read_plan(self.file("graph.json", graph("app", others=["lib"])))
        self.assertEqual(plan.own, {"app"})
        self.assertEqual(plan.urls["lib", "1.0"], "https://index.example/lib-1.0.tar.gz")

    def test_an_order_tells_what_is_top_level_or_the_graph_beside_it_does(self):
        place = self.file("build-order.json", order("lib") + order("app", type="toplevel"))
        self.assertEqual(self.own(place), {"app"})
        place = self.file("build-order.json", order("lib", "app"))
        self.assertIsNone(self.own(place))
        self.file("graph.json", graph("app", others=["lib"]))
        self.assertEqual(self.own(place), {"app"})
        self.assertEqual(self.own(place.as_uri()), {"app"}, "URLs are read as paths are")
        # The graph of another run.
        self.file("graph.json", graph("other"))
        self.assertIsNone(self.own(place))

    def test_requirements(self):
        text = "# mine\nTorch[cuda]>=2 # it\n--pre\nflash_attn\nwin ; sys_platform == 'win32'\n"
        self.assertEqual(self.own(self.file("requirements.txt", text)), {"torch", "flash-attn"})

    def begin(self, **options):
        self.run_.begin(self.context(), options)

    def test_commands_tell_the_set(self):
        graph_file = self.file("graph.json", graph("app"))
        self.begin(graph_file=str(graph_file), force=True, cache_wheel_server_url="http://127.0.0.1:1/cuda/cache/simple/")
        self.assertEqual((self.run_.own(), self.run_.force), ({"app"}, True))
        self.assertEqual(self.run_.caches, {"http://127.0.0.1:1/cuda/cache/simple/"})
        self.file("work_dir/graph.json", graph("built"))
        self.begin(dist_name="built")
        self.assertEqual(self.run_.own(), {"built"})
        self.run_.require([Requirement("Top_Level")])
        self.assertEqual(self.run_.own(), {"top-level"})
        os.environ["WCAS_REQUIREMENTS"] = "store"
        self.assertIsNone(self.run_.is_own("top-level"))

    def test_a_named_file_goes_before_all(self):
        os.environ["WCAS_REQUIREMENTS"] = str(self.file("mine.txt", "mine"))
        self.begin(graph_file=str(self.file("graph.json", graph("app"))))
        self.run_.require([Requirement("other")])
        self.assertEqual(self.run_.own(), {"mine"})

    def test_what_can_not_be_read_is_one_warning(self):
        for _ in range(2):
            self.begin(build_order_file=str(self.dir / "none.json"))
        self.assertIsNone(self.run_.own())
        self.assertEqual(len(self.lines("WARNING")), 1)

    def test_urls_go_without_secrets(self):
        self.assertEqual(_run.public_url("https://me:secret@index.example:8443/a%20b.whl?token=secret#x"), "https://index.example:8443/a%20b.whl")
        self.assertIsNone(_run.public_url("file.tar.gz"))
        self.assertIsNone(_run.public_url("https://index.example/" + "a" * 2000))

    def test_sources_and_prebuilt_wheels_have_urls(self):
        context = self.context()
        self.run_.note_source(context, ("torch", "1.0"), self.dir, "https://me:secret@index.example/torch-1.0.tar.gz")
        self.assertEqual(self.run_.sources["torch", "1.0"], (self.dir, "https://index.example/torch-1.0.tar.gz"))
        self.begin(graph_file=str(self.file("graph.json", graph("torch"))), cache_wheel_server_url="https://wheels.example/cuda/cache/simple/")
        self.assertEqual(self.run_.wheel_url(context, ("torch", "1.0"), "torch-1.0.tar.gz"), "https://index.example/torch-1.0.tar.gz")
        self.assertIsNone(self.run_.wheel_url(context, ("torch", "1.0"), "torch-1.0-py3-none-any.whl"))
        self.run_.caches.add("https://index.example/simple/")
        self.assertIsNone(self.run_.wheel_url(context, ("torch", "1.0"), "torch-1.0.tar.gz"), "a cache is nobody's origin")


class Lookups(Case):
    def header(self, url):
        return session.prepare_request(requests.Request("GET", url)).headers.get("X-Wcas-Rules")

    def test_rules_are_the_runs(self):
        self.run_.context = self.context()
        self.run_.require([Requirement("torch")])
        self.assertEqual(_lookups.rules_for("torch"), "own=yes&prebuilt=no&builds=2.5.1:3,*:2")
        self.assertEqual(_lookups.rules_for("numpy"), "own=no&prebuilt=no&builds=*:2")
        self.run_.context = self.context("cpu")
        self.assertEqual(_lookups.rules_for("torch"), "own=yes&prebuilt=yes")
        os.environ["WCAS_REQUIREMENTS"] = "store"
        self.assertEqual(_lookups.rules_for("numpy"), "prebuilt=no&builds=*:0")

    def test_build_environments_are_given_the_runs_own_projects_in_their_url(self):
        context = self.context()

        def index(url):
            context.wheel_server_url = url
            arguments = context.pip_wheel_server_args
            self.assertEqual(arguments[0], "--index-url")
            return arguments[1]

        cache = "https://wheels.example/cuda/cache/"
        self.run_.caches = {f"{cache}simple/"}
        self.assertEqual(index(f"{cache}simple/"), f"{cache}simple/", "nothing is known of the run")
        self.run_.require([Requirement("torch"), Requirement("Flash_Attn>=2")])
        self.assertEqual(index(f"{cache}simple/"), f"{cache}own-projects=flash-attn,torch/simple/")
        self.assertEqual(index(f"{cache}max-build=3/simple"), f"{cache}max-build=3&own-projects=flash-attn,torch/simple/")
        for url in (f"{cache}own-projects=torch/simple/", "https://wheels.example/cuda/simple/", "https://index.example/cuda/cache/simple/"):
            self.assertEqual(index(url), url)
        os.environ["WCAS_REQUIREMENTS"] = "store"
        self.assertEqual(index(f"{cache}simple/"), f"{cache}simple/")
        del os.environ["WCAS_REQUIREMENTS"]
        self.run_.require([])
        self.assertEqual(index(f"{cache}simple/"), f"{cache}own-projects=/simple/")
        self.run_.require([Requirement(f"project-{number}") for number in range(1000)])
        self.assertEqual(index(f"{cache}simple/"), f"{cache}simple/")
        self.assertIn("1000 own projects are too many for a URL", self.logged[-1])

    def test_they_go_to_the_cache_and_nowhere_else(self):
        self.run_.context = self.context()
        self.run_.caches = {"https://wheels.example/cuda/cache/simple/"}
        rules = "prebuilt=no&builds=2.5.1:3,*:2"
        for path in ("simple/torch/", "simple/Torch", "files=any&local=own/simple/torch/", f"files/{SHA}/torch-1.0-py3-none-any.whl.metadata"):
            self.assertEqual(self.header(f"https://wheels.example/cuda/cache/{path}"), rules, path)
        for url in ("wheels.example/cuda/simple/torch/", "index.example/cuda/cache/simple/torch/", "wheels.example/cuda/cache/simple/"):
            self.assertIsNone(self.header(f"https://{url}"), url)
        os.environ["WCAS_URL"] = "https://index.example/"
        self.assertIsNone(self.header("https://wheels.example/cuda/cache/simple/torch/"))
        self.assertEqual(self.header("https://index.example/cuda/cache/simple/torch/"), rules)

    def test_a_fromager_without_settings_asks_without_rules(self):
        self.run_.context = mock.Mock(package_build_info=mock.Mock(side_effect=AttributeError("gone")))
        self.run_.caches = {"https://wheels.example/cuda/cache/simple/"}
        for _ in range(2):
            self.assertIsNone(self.header("https://wheels.example/cuda/cache/simple/torch/"))
        self.assertEqual(len(self.lines("WARNING")), 1)


class Uploads(Case):
    """A server answers what the test says, by the form's action; the last answer again and again."""

    def setUp(self):
        super().setUp()
        self.answers = {"file_reference": [(404, "")], "file_upload": [(200, "OK")]}
        self.heard = []
        case = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                form = message_from_bytes(b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
                fields = {part.get_param("name", header="Content-Disposition"): part.get_payload(decode=True) for part in form.get_payload()}
                url = urlsplit(self.path)
                action = fields[":action"].decode()
                case.heard.append((action, url.path, dict(parse_qsl(url.query)), fields, self.headers))
                answers = case.answers[action]
                status, text = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                case.put.append((self.path, body, dict(self.headers)))
                self.send_response(case.bucket)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.put, self.bucket = [], 200
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        os.environ["WCAS_URL"] = f"http://127.0.0.1:{server.server_port}"
        os.environ["no_proxy"] = "127.0.0.1"
        self.enterContext(mock.patch.object(_store, "UPLOAD_PAUSE", 0.01))
        self.run_.context = self.context()
        self.wheel = self.file("torch-2.5.1-3-cp312-cp312-linux_x86_64.whl", "wheel")

    def take(self, path=None, **known):
        hooks._take(self.run_.context, path or self.wheel, **known)

    def actions(self):
        return [action for action, *_ in self.heard]

    def test_what_is_there_is_not_sent(self):
        self.answers["file_reference"] = [(200, "it is there")]
        os.environ["WCAS_TOKEN"] = "secret"
        self.run_.require([Requirement("torch")])
        self.take()
        [(action, path, query, fields, headers)] = self.heard
        self.assertEqual((action, path, query), ("file_reference", "/cuda/legacy/", {"own": "yes", "on_conflict": "keep"}))
        self.assertEqual(set(fields), {":action", "filename", "name", "version", "sha256_digest"})
        self.assertEqual((fields["filename"], fields["version"]), (self.wheel.name.encode(), b"2.5.1"))
        self.assertEqual(headers["Authorization"], "Basic X190b2tlbl9fOnNlY3JldA==")

    def test_a_large_file_goes_into_the_bucket_where_the_server_says_so(self):
        offer = {"url": f"{os.environ['WCAS_URL']}/bucket/x?signed=1", "headers": {"x-amz-checksum-sha256": "abc"}, "size": 5, "expires_in": 900}
        offers = (202, json.dumps({"put": offer}))
        os.environ["WCAS_TOKEN"] = "secret"
        with mock.patch.object(_store, "DIRECT_BYTES", 5):
            self.answers["file_reference"] = [offers, (200, f"{self.wheel.name} is there")]
            self.take()
            self.assertEqual(self.actions(), ["file_reference"] * 2)
            fields = self.heard[0][3]
            self.assertEqual((fields["direct"], fields["size"]), (b"yes", b"5"))
            [(path, body, headers)] = self.put
            self.assertEqual((path, body), ("/bucket/x?signed=1", b"wheel"))
            self.assertEqual((headers["x-amz-checksum-sha256"], headers.get("Authorization")), ("abc", None))
            # A bucket that doesn't take it, and a server that doesn't find it, get the file sent.
            for self.bucket, count in ((503, 1), (200, 2)):
                self.answers["file_reference"] = [offers]
                self.heard.clear()
                self.take()
                self.assertEqual(self.actions(), ["file_reference"] * count + ["file_upload"])

    def test_the_token_is_kept_from_what_this_process_starts(self):
        secret = "wcas_" + "ab" * 32
        script = (
            "import os, subprocess, sys; from wcas import _lookups; seen = [open('/proc/self/environ').read(), str(dict(os.environ))];"
            "seen.append(subprocess.run(['env'], capture_output=True, text=True).stdout); print(_lookups.authorization(), file=sys.stderr);"
            "print(any('wcas_ab' in text or 'WCAS_TOKEN=w' in text for text in seen))"
        )
        environment = {**os.environ, "WCAS_TOKEN": secret, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        self.assertEqual(done.stdout, "False\n", done.stderr)
        self.assertIn("Basic ", done.stderr)
        os.environ["WCAS_TOKEN"] = "later"
        self.assertEqual((_secret.token(), os.environ.get("WCAS_TOKEN"), _secret.token()), ("later", None, "later"))

    def test_what_is_not_there_is_sent_with_all_that_is_known(self):
        for status in (400, 404, 405, 410):
            self.answers["file_reference"] = [(status, "no")]
            self.heard.clear()
            self.take(is_prebuilt=True, source_url="https://index.example/a b.whl")
            [_, (action, _, query, fields, _)] = self.heard
            self.assertEqual((action, fields["content"], fields["filetype"]), ("file_upload", b"wheel", b"bdist_wheel"))
            self.assertEqual(query, {"prebuilt": "yes", "source_url": "https://index.example/a b.whl", "on_conflict": "keep"})
        self.assertEqual(self.lines("WARNING"), [])

    def test_other_projects_are_not_own(self):
        self.run_.require([Requirement("vllm")])
        self.take()
        self.assertEqual({query["own"] for _, _, query, *_ in self.heard}, {"no"})

    def test_an_equal_build_is_kept_and_told(self):
        self.answers["file_upload"] = [(200, f"kept what is there as '{self.wheel.name}', with sha256 digest '{SHA}'")]
        self.take()
        [line] = self.lines("equal build")
        self.assertTrue(line.endswith(f"wcas: {self.wheel.name}: an equal build is there and kept (sha256 {SHA})"), line)
        self.assertTrue(line.startswith("INFO"), line)

    def test_force_replaces_where_the_token_may(self):
        self.run_.force = True
        self.take()
        self.assertEqual({query["on_conflict"] for _, _, query, *_ in self.heard}, {"replace"})
        # It may not: heard once, before a byte of the file went out, and remembered.
        self.heard.clear()
        self.answers["file_reference"] = [(403, "no"), (404, "")]
        for _ in range(2):
            self.take()
        asked = [query["on_conflict"] for _, _, query, *_ in self.heard]
        self.assertEqual(asked, ["replace", "keep", "keep", "keep", "keep"])
        self.assertEqual(len(self.lines("WARNING")), 1)

    def test_an_older_server_is_asked_for_less(self):
        old = (400, "on_conflict=keep means nothing: expected refuse or replace")
        self.answers["file_reference"] = [old, (400, 'the form\'s :action "file_reference" is not known here')]
        for _ in range(2):
            self.take()
        self.assertEqual(self.actions(), ["file_reference"] * 2 + ["file_upload", "file_reference", "file_upload"])
        self.assertEqual(self.heard[-1][2], {})
        self.assertEqual(len(self.lines("WARNING")), 1)

    def test_a_refusal_is_a_warning_or_the_end(self):
        self.answers["file_upload"] = [(400, "torch is bound to cuda")]
        self.take()
        [line] = self.lines("WARNING")
        self.assertIn("is not stored", line)
        self.assertIn("torch is bound to cuda", line)
        os.environ["WCAS_STRICT"] = "1"
        with self.assertRaises(_store.StoreError):
            self.take()
        # A source that is none for the store is no reason to end.
        self.take(self.file("torch-2.5.1.tar.gz"))

    def test_a_reference_that_is_refused_is_enough(self):
        self.answers["file_reference"] = [(400, f"{self.wheel.name}: it is bound to rocm")]
        self.take()
        self.assertEqual(self.actions(), ["file_reference"])
        self.assertIn("it is bound to rocm", self.lines("WARNING")[0])

    def test_a_servers_warning_is_one_here(self):
        self.answers["file_reference"] = [(200, f"{self.wheel.name} is there in cuda; warning: it names no accelerator")]
        self.take()
        self.assertIn("it names no accelerator", self.lines("WARNING")[0])

    def test_a_passing_failure_is_tried_again_and_a_lasting_one_is_not(self):
        self.answers["file_upload"] = [(503, "busy"), (503, "busy"), (200, "OK")]
        self.take()
        self.assertEqual(self.actions(), ["file_reference"] + ["file_upload"] * 3)
        self.heard.clear()
        self.answers["file_reference"] = [(401, "who are you")]
        self.take()
        self.assertEqual(self.actions(), ["file_reference"], "gigabytes aren't sent to hear that again")

    def built(self, source="torch-2.5.1.tar.gz"):
        self.heard.clear()
        self.run_.note_source(self.run_.context, ("torch", "2.5.1"), self.file(source), "https://me:secret@index.example/torch.tar.gz")
        repacked = self.file("builds/torch-2.5.1.tar.gz", "other bytes")
        hooks.post_build(self.run_.context, Requirement("torch"), "torch", "2.5.1", repacked, self.wheel)
        return [(fields["filetype"], query.get("source_url")) for action, _, query, fields, _ in self.heard if action == "file_upload"]

    def test_the_source_of_a_build_goes_with_it(self):
        url = "https://index.example/torch.tar.gz"
        self.assertEqual(self.built(), [(b"bdist_wheel", url), (b"sdist", url)])
        self.assertEqual(self.heard[-1][3]["content"], b"", "the one that was fetched")
        self.assertEqual(len(self.built("v2.5.1.zip")), 1)
        os.environ["WCAS_SDISTS"] = "0"
        self.assertEqual(len(self.built()), 1)

    def bootstrapped(self, wheel, sdist):
        self.heard.clear()
        hooks.post_bootstrap(self.run_.context, Requirement("torch"), "torch", "2.5.1", sdist, wheel)
        return [(fields["filetype"], query.get("prebuilt")) for action, _, query, fields, _ in self.heard if action == "file_upload"]

    def test_bootstrap_tells_builds_hits_and_prebuilt_wheels_apart(self):
        self.run_.note_source(self.run_.context, ("torch", "2.5.1"), self.file("torch-2.5.1.tar.gz"), "https://index.example/torch")
        self.assertEqual(self.bootstrapped(self.wheel, self.dir / "builds/torch-2.5.1.tar.gz"), [(b"bdist_wheel", None), (b"sdist", None)])
        self.assertEqual(self.bootstrapped(self.wheel, None), [(b"bdist_wheel", None)])
        self.assertEqual(self.bootstrapped(None, self.wheel), [])
        # What can't be built in test mode is taken pre-built, whatever the settings say.
        fallback = self.file("wheels_repo/prebuilt/torch-2.5.1-py3-none-any.whl")
        self.assertEqual(self.bootstrapped(fallback, None), [(b"bdist_wheel", "yes")])
        self.run_.context = self.context("cpu")
        self.assertEqual(self.bootstrapped(self.wheel, None), [(b"bdist_wheel", "yes")])


class Imports(Case):
    def program(self, text):
        path = self.file("program", f'#!/bin/sh\necho "$@" >>{self.dir}/asked\n{text}\n')
        path.chmod(0o755)
        os.environ.update(WCAS_PROGRAM=str(path), WCAS_STORE=str(self.dir))
        self.run_.context = self.context()
        self.run_.require([Requirement("torch")])

    def take(self, **known):
        (self.dir / "asked").unlink(missing_ok=True)
        hooks._take(self.run_.context, self.file("torch-2.5.1-py3-none-any.whl"), **known)
        return (self.dir / "asked").read_text().splitlines()

    def test_the_program_is_told_all_that_is_known(self):
        kept = json.dumps({"kept": [{"path": "p", "filename": "torch.whl", "collection": "cuda", "sha256": SHA, "reason": "r"}]})
        self.program(f"echo '{kept}'")
        [asked] = self.take(is_prebuilt=True, source_url="https://index.example/torch.whl")
        told = "--on-conflict=keep --pre-built --source-url=https://index.example/torch.whl"
        self.assertRegex(asked, f"^--json import --variant=cuda --requirements=.* {told} -- ")
        self.assertEqual(self.lines("equal build"), [f"INFO:wcas._store:wcas: torch.whl: an equal build is there and kept (sha256 {SHA})"])
        self.run_.force = True
        [asked] = self.take()
        self.assertIn("--on-conflict=replace --", asked)

    def test_an_older_program_is_asked_for_less(self):
        self.program("case \"$*\" in *--on-conflict*) echo \"error: unexpected argument '--on-conflict' found\" >&2; exit 2; esac; echo '{}'")
        for _ in range(2):
            _, asked = self.take(source_url="https://index.example/torch.tar.gz")
            self.assertRegex(asked, "^--json import --variant=cuda --requirements=[^ ]* --keep-existing -- ")
        self.assertEqual(len(self.lines("WARNING")), 1)
        self.assertEqual(self.lines("not stored"), [])


class ShortCircuit(Case):
    def test_this_step_is_known_and_another_is_left_alone(self):
        from fromager.bootstrapper._prepare_source import PrepareSource

        step = PrepareSource.run
        self.enterContext(mock.patch.object(PrepareSource, "run", step))
        short_circuit.install.__wrapped__()
        self.assertIsNot(PrepareSource.run, step)
        PrepareSource.run = step
        with mock.patch.object(short_circuit, "KNOWN", {"another": "0.1"}):
            short_circuit.install.__wrapped__()
        self.assertIs(PrepareSource.run, step)
        [line] = self.lines("WARNING")
        self.assertIn("WCAS_SHORT_CIRCUIT=1 is not for fromager", line)


if __name__ == "__main__":
    unittest.main()
