"""Watchers on the mount hear of what REST changes, as if it had been done through the mount."""
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

import pytest

from conftest import NEXADB, Mount


class Watcher:
    """inotifywait on some paths; `heard()` is what it has printed so far, as (event, path)."""

    def __init__(self, *paths, recursive=False, prefix=(), events="create,modify,close_write,moved_to,moved_from,delete,delete_self"):
        command = [*prefix, "inotifywait", "-m", *(["-r"] if recursive else []), "-e", events, "--format", "%e|%w%f", *map(str, paths)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:  # not before every watch is in place
            if "Watches established" in line:
                break
        self.lines = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            event, _, path = line.rstrip("\n").partition("|")
            self.lines.append((event.replace(",CLOSE", ""), pathlib.Path(path).name))

    def heard(self):
        return list(self.lines)

    def wait_for(self, *wanted, seconds=10):
        """Until each of them has been heard."""
        deadline = time.monotonic() + seconds
        while not set(wanted) <= set(self.lines):
            assert time.monotonic() < deadline, (wanted, self.lines)
            time.sleep(0.01)

    def close(self):
        if self.process.returncode is not None:
            return
        self.process.terminate()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def watch():
    watchers = []

    def start(*paths, **options):
        watchers.append(Watcher(*paths, **options))
        return watchers[-1]

    yield start
    for watcher in watchers:
        watcher.close()


CREATED = ["CREATE", "MODIFY", "CLOSE_WRITE"]
MODIFIED = ["MODIFY", "CLOSE_WRITE"]


def events_of(watcher, name):
    return [event for event, which in watcher.heard() if which == name]


def errors(mount, folder):
    return (mount.path / folder / ".errors").read_text()


def test_an_insert_is_a_creation(users, watch):
    watcher = watch(users.path / "users")
    users.ok("POST", "/collections/users", {"_id": "dave", "age": 3})
    watcher.wait_for(("CLOSE_WRITE", "dave.json"))
    assert events_of(watcher, "dave.json") == CREATED
    assert (users.path / "users/dave.json").read_text() == '{\n  "age": 3\n}\n'


def test_a_change_is_a_modification_and_touches_nothing(users, watch):
    path = users.path / "users/alice.json"
    assert "30" in path.read_text()
    watcher = watch(users.path / "users")
    users.ok("PUT", "/collections/users/alice?replace=true", {"age": 31, "more": "x" * 5000})
    before = os.stat(path)
    watcher.wait_for(("CLOSE_WRITE", "alice.json"))
    after = os.stat(path)
    assert events_of(watcher, "alice.json") == MODIFIED
    assert (before.st_mtime_ns, before.st_ctime_ns, before.st_size, before.st_ino) == (
        after.st_mtime_ns, after.st_ctime_ns, after.st_size, after.st_ino)
    assert len(path.read_bytes()) == after.st_size > 5000
    assert errors(users, "users") == ""


def test_an_update_of_many_is_heard_for_each(users, watch):
    watcher = watch(users.path / "users")
    users.ok("POST", "/collections/users/update", {"filter": {"age": {"$lt": 40}}, "update": {"$inc": {"age": 1}}, "multi": True})
    watcher.wait_for(("CLOSE_WRITE", "alice.json"), ("CLOSE_WRITE", "bob.json"))
    assert events_of(watcher, "carol.json") == []


def test_a_deletion_is_heard_by_directory_and_file(users, watch):
    by_directory, by_file = watch(users.path / "users"), watch(users.path / "users/alice.json")
    users.ok("DELETE", "/collections/users/alice")
    by_directory.wait_for(("DELETE", "alice.json"))
    by_file.wait_for(("DELETE_SELF", "alice.json"))
    assert not (users.path / "users/alice.json").exists()


def test_a_file_that_is_watched_hears_of_its_change(users, watch):
    watcher = watch(users.path / "users/bob.json")
    users.ok("PATCH", "/collections/users/bob", {"$set": {"age": 1}})
    users.ok("PATCH", "/collections/users/alice", {"$set": {"age": 1}})
    watcher.wait_for(("CLOSE_WRITE", "bob.json"))
    assert [event for event, _ in watcher.heard()] == MODIFIED


def test_collections_come_and_go(users, watch):
    watcher = watch(users.path)
    users.ok("POST", "/collections/new", {"_id": "q"})
    watcher.wait_for(("CREATE,ISDIR", "new"))
    inner = watch(users.path / "new")
    users.ok("POST", "/collections/new", {"_id": "r"})
    inner.wait_for(("CLOSE_WRITE", "r.json"))
    users.ok("DELETE", "/collections/new")
    watcher.wait_for(("DELETE,ISDIR", "new"))
    inner.wait_for(("DELETE_SELF", "new"))
    assert not (users.path / "new").exists()


def test_an_update_by_a_magic_file_is_heard_too(users, watch):
    watcher = watch(users.path / "users")
    users.out("""echo '{"filter":{"_id":"bob"},"update":{"$set":{"n":1}}}' > .update; cat .update""", "users")
    watcher.wait_for(("CLOSE_WRITE", "bob.json"))


def test_what_others_remember_of_a_name_does_not_matter(users, watch):
    """Names that were looked up before and after the change, missing ones and deleted ones."""
    watcher = watch(users.path / "users")
    for n in range(10):
        path = users.path / f"users/n{n}.json"
        assert not path.exists()
        users.ok("PUT", f"/collections/users/n{n}?replace=true", {"n": n})
        assert path.exists()
        watcher.wait_for(("CLOSE_WRITE", path.name))
        assert f'"n": {n}\n' in path.read_text()
        users.ok("DELETE", f"/collections/users/n{n}")
        assert not path.exists()
        watcher.wait_for(("DELETE", path.name))
        assert not path.exists()


def test_a_burst_is_coalesced_and_paced(mounts, watch):
    mount = mounts("-o", "inotify=20")
    (mount.path / "c").mkdir()
    watcher = watch(mount.path / "c")
    mount.ok("POST", "/collections/c/bulk", {"documents": [{"_id": f"d{n}", "n": 0} for n in range(30)]})
    began = time.monotonic()
    for n in range(1, 50):
        mount.ok("PUT", "/collections/c/d29?durability=buffered&replace=true", {"n": n})
    watcher.wait_for(*(("CLOSE_WRITE", f"d{n}.json") for n in range(30)))
    assert time.monotonic() - began > 1.0  # 30 at 20 a second
    assert len(events_of(watcher, "d29.json")) < 20
    assert '"n": 49' in (mount.path / "c/d29.json").read_text()


@pytest.mark.parametrize("option", ["inotify=off", "noinotify"])
def test_it_can_be_switched_off(mounts, watch, option):
    mount = mounts("-o", option)
    (mount.path / "c").mkdir()
    watcher = watch(mount.path / "c")
    mount.ok("POST", "/collections/c", {"_id": "a"})
    (mount.path / "c/b.json").write_text("{}")
    watcher.wait_for(("CLOSE_WRITE", "b.json"))
    time.sleep(0.2)
    assert events_of(watcher, "a.json") == []


AS_USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class UsersMount(Mount):
    """A mount of an ordinary user, by fusermount3, in a mount namespace where everybody may open /dev/fuse."""

    def start(self):
        script = ("mknod -m 666 $1/fuse c 10 229 && mount --bind $1/fuse /dev/fuse && shift && exec \"$@\"")
        home = self.path.parent
        shutil.copy(NEXADB, home / "nexadb")
        self.path.mkdir()
        for path in (self.path, home):
            os.chown(path, 65534, 65534)
        command = ["unshare", "--mount", "sh", "-c", script, "sh", home, *AS_USER, home / "nexadb", "mount", "-f", "--http",
                   "127.0.0.1:0", self.data_dir, self.path]
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
        self.inside = ["nsenter", "--mount", "--target", str(self.process.pid), *AS_USER]
        deadline = time.monotonic() + 30
        while not (self.data_dir / "http.addr").exists() or not self.is_mounted_inside():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "the mount is not ready"
            time.sleep(0.02)
        return self

    def is_mounted_inside(self):
        return subprocess.run([*self.inside, "mountpoint", "-q", str(self.path)], check=False).returncode == 0


def test_an_ordinary_user_hears_it_too(watch):
    if os.geteuid() != 0:
        pytest.fail("needs root, to become another user")
    home = pathlib.Path(tempfile.mkdtemp(prefix="nexadb-user-"))
    mount = UsersMount(home / "data", home / "mnt").start()
    try:
        subprocess.run([*mount.inside, "mkdir", str(mount.path / "c")], check=True)
        watcher = watch(mount.path / "c", prefix=mount.inside)
        mount.ok("POST", "/collections/c", {"_id": "a"})
        watcher.wait_for(("CLOSE_WRITE", "a.json"))
        mount.ok("DELETE", "/collections/c/a")
        watcher.wait_for(("DELETE", "a.json"))
        watcher.close()
    finally:
        mount.stop()
        shutil.rmtree(home)


def test_nothing_of_another_file_system_is_touched(users, watch, tmp_path):
    """A file that is mounted over a document, and one over the collection's directory."""
    if os.geteuid() != 0:
        pytest.fail("needs root, to mount")
    other = tmp_path / "other.json"
    other.write_text("not the store's")
    watcher = watch(users.path / "users")
    subprocess.run(["mount", "--bind", other, users.path / "users/alice.json"], check=True)
    try:
        users.ok("PATCH", "/collections/users/alice", {"$set": {"age": 1}})
        users.ok("PATCH", "/collections/users/bob", {"$set": {"age": 1}})
        watcher.wait_for(("CLOSE_WRITE", "bob.json"))
    finally:
        subprocess.run(["umount", users.path / "users/alice.json"], check=True)
    assert other.read_text() == "not the store's"


def test_a_storm_of_writes_under_listings_and_removals(users, watch):
    """No deadlock, no stale read, and an unmount that ends in the middle of it."""
    folder = users.path / "users"
    watcher = watch(users.path, recursive=True)
    stop = threading.Event()

    def tools():
        while not stop.is_set():
            subprocess.run(f"ls -lR {folder} >/dev/null; find {folder} -name '*7*' | head -3 >/dev/null; rm -rf {folder}/t*", shell=True,
                           stderr=subprocess.DEVNULL, check=False)

    def write(n):
        connection = users.connect()
        for k in range(25):
            name = f"{'t' if k % 2 else 'd'}{n}-{k}"
            users.call("PUT", f"/collections/users/{name}?replace=true&durability=buffered", {"n": k}, connection=connection)
            if k % 3 == 0:
                assert f'"n": {k}\n' in (folder / f"{name}.json").read_text() if not k % 2 else True
            if k % 5 == 4:
                users.call("DELETE", f"/collections/users/{name}?durability=buffered", connection=connection)
        connection.close()

    threads = [threading.Thread(target=tools) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            list(pool.map(write, range(40)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert any(event == "CREATE" for event, _ in watcher.heard())
    stored = [json.loads(line)["_id"] for line in (folder / ".export.ndjson").read_text().splitlines()]
    assert sorted(os.listdir(folder)) == sorted(f"{name}.json" for name in stored)
