"""Fixtures: a daemon of its own for each test, in a private directory, on a free port.

NEXADB_BIN names the program (default build/daemon/nexadb). A test fails when its daemon logs a sanitizer's report,
a failed assertion or a leak, or does not end cleanly.
"""
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NEXADB = os.environ.get("NEXADB_BIN") or str(ROOT / "build/daemon/nexadb")
SUSPICIOUS = re.compile(r"Sanitizer|runtime error:|Assertion|LeakSanitizer|lock rank")
READY_SECONDS = 30
SCRIPT_SECONDS = 120 * int(os.environ.get("NEXADB_TEST_SCALE", "1"))


def nexadb(*args, check=True, **kwargs):
    """Run a command of the program to its end."""
    done = subprocess.run([NEXADB, *map(str, args)], capture_output=True, text=True, timeout=120, **kwargs)
    assert not SUSPICIOUS.search(done.stderr), done.stderr
    if check:
        assert done.returncode == 0, done.stderr
    return done


class Answer:
    """A response: status, headers, the text and, where it is JSON, its value."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def lines(self):
        return [json.loads(line) for line in self.text.splitlines()]


class Daemon:
    """`nexadb serve` on a data directory."""

    def __init__(self, data_dir, *options):
        self.data_dir = pathlib.Path(data_dir)
        self.options = options
        self.process = None
        self.log = self.data_dir.parent / (self.data_dir.name + ".stderr")

    def start(self):
        (self.data_dir / "http.addr").unlink(missing_ok=True)
        command = [NEXADB, "serve", "--http", "127.0.0.1:0", *self.options, str(self.data_dir)]
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not (self.data_dir / "http.addr").exists():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "the daemon is not ready"
            time.sleep(0.02)
        return self

    def stop(self):
        """End it cleanly and check what it left."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        self.process = None
        log = self.log.read_text()
        assert not SUSPICIOUS.search(log), log
        assert status == 0, log

    def kill(self):
        """As a crash would."""
        self.process.kill()
        self.process.wait()
        self.process = None

    @property
    def address(self):
        return (self.data_dir / "http.addr").read_text().strip()

    @property
    def url(self):
        return "http://" + self.address

    @property
    def key(self):
        return (self.data_dir / "api.key").read_text().strip()

    def connect(self):
        return http.client.HTTPConnection(self.address, timeout=60)

    def call(self, method, path, body=None, key=True, connection=None, **headers):
        """One request; `body` of another type than str or bytes is sent as JSON. Header names with '_' for '-'."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is True:
            headers.setdefault("X-API-Key", self.key)
        elif key:
            headers["X-API-Key"] = key
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        http_connection = connection or self.connect()
        http_connection.request(method, path, body, headers)
        answer = Answer(http_connection.getresponse())
        if connection is None:
            http_connection.close()
        return answer

    def ok(self, method, path, body=None, **headers):
        """A call that must succeed; its JSON."""
        answer = self.call(method, path, body, **headers)
        assert answer.status in (200, 201), answer.text
        assert answer.json["status"] in ("success", "ok")
        return answer.json

    def refused(self, status, code, method, path, body=None, **headers):
        """A call that must be refused so, in the one shape of errors; its JSON."""
        answer = self.call(method, path, body, **headers)
        assert answer.status == status, answer.text
        assert answer.json["status"] == "error"
        assert answer.json["code"] == code, answer.text
        assert answer.json["error"].strip()
        return answer.json


@pytest.fixture
def serve(tmp_path):
    """Start daemons: serve("--option", ...) or serve(data_dir=...). Each ends with the test."""
    daemons = []

    def start(*options, data_dir=None):
        daemon = Daemon(data_dir or tmp_path / f"data{len(daemons)}", *options)
        daemons.append(daemon)
        return daemon.start()

    yield start
    for daemon in daemons:
        daemon.stop()


@pytest.fixture
def daemon(serve):
    return serve()


class Mount(Daemon):
    """`nexadb mount -f`: the database as files at `.path`, and REST beside it."""

    def __init__(self, data_dir, path, *options):
        super().__init__(data_dir, *options)
        self.path = pathlib.Path(path)
        self.killed = []

    def start(self):
        (self.data_dir / "http.addr").unlink(missing_ok=True)
        command = [NEXADB, "mount", "-f", "--http", "127.0.0.1:0", *self.options, str(self.data_dir), str(self.path)]
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not ((self.data_dir / "http.addr").exists() and self.is_answering()):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "the mount is not ready"
            time.sleep(0.02)
        self.reap()
        return self

    def kill(self):
        """As a crash would. One of its threads may stay in the kernel until the next mount takes over."""
        self.process.kill()
        while pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX":
            time.sleep(0.01)
        self.killed.append(self.process)
        self.process = None

    def reap(self):
        for process in self.killed:
            process.wait(timeout=30)
        self.killed.clear()

    def is_answering(self):
        """Not by its attributes: the kernel has those of a dead mount in its cache."""
        try:
            return os.path.ismount(self.path) and os.statvfs(self.path).f_blocks > 0
        except OSError:
            return False

    def detach(self):
        """Take away what a test that failed may have left."""
        subprocess.run(["fusermount3", "-u", "-z", "-q", str(self.path)], check=False)

    def sh(self, script, cwd="", shell="bash"):
        """Run a shell script in a directory of the mount: status, stdout, stderr."""
        return subprocess.run([shell, "-c", script], cwd=self.path / cwd, capture_output=True, text=True,
                              timeout=SCRIPT_SECONDS)

    def out(self, script, cwd=""):
        """What a script that succeeds prints."""
        done = self.sh(script, cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def last_error(self, cwd):
        return json.loads((self.path / cwd / ".errors").read_text().splitlines()[-1])


@pytest.fixture
def mounts(tmp_path):
    """Start mounts: mounts("-o", "ro", ...), mounts(data_dir=...). Each ends, and is unmounted, with the test."""
    if not os.path.exists("/dev/fuse"):
        pytest.fail("no /dev/fuse: a mount cannot be tested")
    started = []

    def start(*options, data_dir=None):
        path = tmp_path / f"mnt{len(started)}"
        path.mkdir()
        mount = Mount(data_dir or tmp_path / f"data{len(started)}", path, *options)
        started.append(mount)
        return mount.start()

    yield start
    try:
        for mount in started:
            mount.stop()
    finally:
        for mount in started:
            mount.detach()


@pytest.fixture
def mount(mounts):
    return mounts()


@pytest.fixture
def users(mount):
    """A mount with a collection `users` of three documents."""
    (mount.path / "users").mkdir()
    for name, age in (("alice", 30), ("bob", 25), ("carol", 41)):
        (mount.path / "users" / f"{name}.json").write_text(f'{{"age": {age}}}\n')
    return mount
