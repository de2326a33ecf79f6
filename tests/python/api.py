"""The Python API with the real program and a real server. Run by ``main.rs``, which makes the wheels and says where the program is.

argv: the program, a folder to work in, a folder with wheels (demo 1.0 and 2.0, other 1.0, and a bad one).
"""

from __future__ import annotations

import http.server
import os
import pathlib
import signal
import stat
import subprocess
import sys
import threading
import time
import typing
import unittest

import wcas

PROGRAM, WORK, WHEELS = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
DEMO, DEMO2, OTHER = (WHEELS / f"{stem}-py3-none-any.whl" for stem in ("demo-1.0", "demo-2.0", "other-1.0"))


class WithStore(unittest.TestCase):
    def setUp(self) -> None:
        self.work = WORK / self.id().rpartition(".")[2]
        self.work.mkdir()
        self.store = wcas.Store(self.work / "store", program=PROGRAM, timeout=120)


class Local(WithStore):
    def test_a_wheel_goes_in_and_is_found(self) -> None:
        done = self.store.import_([DEMO, str(DEMO2)], collection="cuda")
        self.assertEqual([(file.filename, file.outcome) for file in done.files], [(DEMO.name, "new"), (DEMO2.name, "new")])
        self.assertEqual((done.collection, done.refused, done.kept), ("cuda", (), ()))
        found = self.store.lookup("demo<2", collection="cuda")
        self.assertEqual((found.filename, found.project, found.version, found.remote), (DEMO.name, "demo", "1.0", None))
        self.assertEqual(found.path.read_bytes(), DEMO.read_bytes())
        again = self.store.import_(DEMO, collection="cuda")
        self.assertEqual([file.outcome for file in again.files], ["unchanged"])
        self.assertEqual([(one.name, one.distributions) for one in self.store.collections()], [("cuda", 2)])
        self.assertEqual(self.store.collection("cuda").revision, done.revision)
        self.assertEqual([(row.filename, row.state) for row in self.store.list("demo==2.0")], [(DEMO2.name, "live")])
        with self.assertRaises(wcas.NotFound):
            self.store.list("absent")

    def test_what_is_not_there_is_told_by_the_kind(self) -> None:
        with self.assertRaises(wcas.NotFound) as caught:
            self.store.lookup("demo")
        self.assertEqual(caught.exception.code, 4)
        self.assertIn("no store", str(caught.exception))
        self.store.import_(DEMO)
        for spec in ("absent", "--help", "demo==9"):
            with self.assertRaises(wcas.WcasError):
                self.store.lookup(spec)
        with self.assertRaises(wcas.Usage):
            self.store.run("import", "--no-such-option")
        with self.assertRaises(wcas.NotFound):
            self.store.collection("absent")
        with self.assertRaises(wcas.Failed):
            wcas.Store(self.store.path, program=self.work / "nothing").collections()

    def test_a_refused_file_stops_none_of_the_others(self) -> None:
        with self.assertRaises(wcas.Refused) as caught:
            self.store.import_([DEMO, WHEELS / "bad-1.0-py3-none-any.whl"])
        report = caught.exception.report
        self.assertEqual([file.filename for file in report.files], [DEMO.name])
        self.assertEqual([pathlib.Path(file.path).name for file in report.refused], ["bad-1.0-py3-none-any.whl"])
        self.assertEqual(self.store.lookup("demo").filename, DEMO.name)

    def test_promotion_copies_references(self) -> None:
        self.store.import_([DEMO, OTHER], collection="builds")
        self.store.run("collection", "create", "released")
        plan = self.store.promote("builds", "released", "demo", dry_run=True)
        self.assertEqual((plan.dry_run, plan.added), (True, (DEMO.name,)))
        done = self.store.promote("builds", "released", ["demo", "other"])
        self.assertEqual((done.dry_run, sorted(done.added), done.refused), (False, [DEMO.name, OTHER.name], ()))

    def test_a_view_is_a_tree_or_a_text(self) -> None:
        self.store.import_(DEMO, collection="cuda")
        tree = self.store.view(self.work / "tree", collection="cuda")
        self.assertEqual((tree.files, tree.is_new), (1, True))
        self.assertTrue((tree.path / "simple/demo" / DEMO.name).exists())
        self.assertFalse(self.store.view(self.work / "tree", collection="cuda").is_new)
        self.assertTrue(self.store.page(collection="cuda", format="requirements").startswith("demo==1.0 "))
        self.assertIn(DEMO.name, self.store.page(collection="cuda", at=1))

    def test_a_pull_tells_what_came_and_what_is_missing(self) -> None:
        self.store.import_([DEMO, OTHER], collection="cuda")
        self.store.view(self.work / "tree", collection="cuda", link="copy")
        handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        root = str(self.work / "tree")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: handler(*args, directory=root))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        mine = wcas.Store(self.work / "mine", program=PROGRAM, timeout=120)
        mine.run("remote", "add", "up", f"http://127.0.0.1:{server.server_port}/simple/")
        wanted = self.work / "requirements.txt"
        wanted.write_text("demo==1.0\nabsent\n")
        with self.assertRaises(wcas.Refused) as caught:
            mine.pull(requirements=wanted)
        report = caught.exception.report
        self.assertEqual([(file.filename, file.remote) for file in report.files], [(DEMO.name, "up")])
        self.assertEqual([row.requirement for row in report.missing], ["absent"])
        self.assertEqual(mine.pull("other").files[0].outcome, "new")
        self.assertEqual(mine.lookup("other").remote, None)

    def test_a_call_ends_in_time_and_the_program_with_it(self) -> None:
        slow = self.work / "slow"
        slow.write_text(f"#!/bin/sh\necho $$ > {self.work}/pid\nexec sleep 600\n")
        slow.chmod(slow.stat().st_mode | stat.S_IXUSR)
        with self.assertRaises(wcas.TimedOut):
            wcas.Store(self.store.path, program=slow, timeout=0.5).collections()
        pid = self.work / "pid"
        if pid.exists():
            with self.assertRaises(ProcessLookupError):
                os.kill(int(pid.read_text()), 0)

    def test_a_busy_store_is_told(self) -> None:
        self.store.import_(DEMO)
        busy = self.work / "busy"
        busy.write_text("#!/bin/sh\necho 'wcas: another process is at it' >&2\nexit 5\n")
        busy.chmod(0o755)
        with self.assertRaises(wcas.Busy) as caught:
            wcas.Store(self.store.path, program=busy).collections()
        self.assertEqual(str(caught.exception), "wcas: another process is at it")


class Served(WithStore):
    def setUp(self) -> None:
        super().setUp()
        self.store.import_([DEMO, DEMO2], collection="cuda")
        self.store.run("collection", "create", "cpu")
        command = [PROGRAM, "--store", str(self.store.path), "serve", "--listen", "127.0.0.1:0", *self.options()]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.end)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def options(self) -> list[str]:
        return ["--anonymous", "nothing"] if "token" in self.id() else []

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)

    def token(self, *words: str) -> str:
        return typing.cast(str, self.store.run("token", "create", *words)["secret"])

    def test_an_index_is_read(self) -> None:
        server = wcas.Server(self.url)
        self.assertEqual(server.collections(), ["cpu", "cuda"])
        self.assertEqual((server.projects("cuda"), server.projects("cpu")), (["demo"], []))
        self.assertEqual(sorted(file.filename for file in server.list("cuda", "Demo")), [DEMO.name, DEMO2.name])
        file = server.lookup("cuda", "demo", "1.0")
        self.assertEqual((file.filename, file.size, file.yanked), (DEMO.name, DEMO.stat().st_size, None))
        self.assertEqual(server.lookup("cuda", "demo", filename=DEMO2.name).filename, DEMO2.name)
        path = server.download(file, self.work)
        self.assertEqual(path.read_bytes(), DEMO.read_bytes())
        for absent in (("cuda", "absent", None), ("cuda", "demo", "9"), ("absent", "demo", None)):
            with self.assertRaises(wcas.NotFound):
                server.lookup(*absent)
        with self.assertRaises(wcas.Denied):
            server.upload("cuda", OTHER)

    def test_a_token_uploads_and_its_lack_is_told(self) -> None:
        with self.assertRaises(wcas.Denied):
            wcas.Server(self.url).projects("cuda")
        server = wcas.Server(self.url.rstrip("/"), self.token("--collection", "cuda", "--scope", "upload"))
        self.assertEqual(server.collections(), ["cuda"])
        first = server.upload("cuda", OTHER)
        self.assertEqual((first.filename, first.is_kept, first.was_there), (OTHER.name, False, False))
        self.assertTrue(server.upload("cuda", OTHER).was_there)
        self.assertEqual(server.projects("cuda"), ["demo", "other"])
        changed = self.work / OTHER.name
        changed.write_bytes((WHEELS / "changed" / OTHER.name).read_bytes())
        with self.assertRaises(wcas.Refused) as caught:
            server.upload("cuda", changed)
        self.assertIn("already exists", str(caught.exception))
        self.assertTrue(server.upload("cuda", changed, on_conflict="keep").is_kept)
        with self.assertRaises(wcas.Denied):
            server.upload("cpu", OTHER)
        with self.assertRaises(wcas.Usage):
            server.upload("cuda", WHEELS / "notes.txt")

    def test_a_token_goes_to_no_other_server(self) -> None:
        heard: list[typing.Optional[str]] = []

        class Other(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                heard.append(self.headers.get("Authorization"))
                if self.path == "/away/":
                    self.send_response(302)
                    self.send_header("Location", f"http://127.0.0.2:{self.server.server_port}/there/")  # type: ignore[attr-defined]
                else:
                    self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        other = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Other)
        threading.Thread(target=other.serve_forever, daemon=True).start()
        self.addCleanup(other.server_close)
        self.addCleanup(other.shutdown)
        root = f"http://127.0.0.1:{other.server_port}/"
        server = wcas.Server(root, "secret")
        foreign = wcas.IndexFile("demo-1.0-py3-none-any.whl", f"http://127.0.0.2:{other.server_port}/file")
        server.download(foreign, self.work)
        server.download(wcas.IndexFile("demo-1.0-py3-none-any.whl", f"{root}away/"), self.work)
        self.assertEqual([bool(one) for one in heard], [False, True, False])

    def test_a_server_that_lies_or_is_silent_is_told(self) -> None:
        server = wcas.Server(self.url)
        file = server.lookup("cuda", "demo", "1.0")
        wrong = wcas.IndexFile(file.filename, file.url, sha256="0" * 64)
        with self.assertRaises(wcas.Failed):
            server.download(wrong, self.work)
        for name in ("../evil.whl", "", "..", "a/b"):
            with self.assertRaises(wcas.Refused):
                server.download(wcas.IndexFile(name, file.url), self.work)
        self.assertEqual([path.name for path in self.work.iterdir()], ["store"])
        with self.assertRaises(wcas.Refused):
            server.download(wcas.IndexFile("passwd", "file:///etc/passwd"), self.work)
        for url in ("file:///etc/", "https://user:secret@index.example/", "index.example"):
            with self.assertRaises(wcas.Usage) as caught:
                wcas.Server(url)
            self.assertNotIn("secret", str(caught.exception))
        silent = wcas.Server("http://127.0.0.1:1/", timeout=2)
        with self.assertRaises(wcas.Failed):
            silent.collections()
        import socket

        with socket.create_server(("127.0.0.1", 0)) as listener:
            begun = time.monotonic()
            with self.assertRaises(wcas.TimedOut):
                wcas.Server(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.3).collections()
            self.assertGreaterEqual(time.monotonic() - begun, 0.3)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
