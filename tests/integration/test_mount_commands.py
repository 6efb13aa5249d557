"""mount and umount as commands: in the background, one of a kind, taken over after a crash."""
import os
import signal
import subprocess
import time

import pytest

from conftest import NEXADB, SUSPICIOUS, Daemon, nexadb


def is_running(pid):
    """Also false for a process that ended and that nobody waited for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Mounted(Daemon):
    """A mount in the background: its REST is used as that of `serve`."""

    def __init__(self, base):
        super().__init__(base / "data")
        self.mountpoint = base / "mnt"
        self.mountpoint.mkdir()

    def mount(self, *options, check=True):
        return nexadb("mount", "--http", "127.0.0.1:0", *options, self.data_dir, self.mountpoint, check=check)

    def umount(self, check=True):
        return nexadb("umount", self.mountpoint, check=check)

    @property
    def pid(self):
        return int((self.data_dir / "nexadb.pid").read_text())


@pytest.fixture
def mounted(tmp_path):
    it = Mounted(tmp_path)
    it.mount()
    yield it
    if os.path.ismount(it.mountpoint):
        it.umount()
    log = (it.data_dir / "nexadb.log").read_text()
    assert not SUSPICIOUS.search(log), log


def test_mount_returns_ready_and_umount_when_all_is_over(mounted):
    pid = mounted.pid
    mounted.ok("POST", "/collections/c", {"_id": "a", "n": 1})
    assert (mounted.mountpoint / "c/a.json").read_text().split() == ["{", '"n":', "1", "}"]
    (mounted.mountpoint / "c/b.json").write_text('{"n": 2}\n')
    assert mounted.ok("GET", "/collections/c/b")["document"] == {"_id": "b", "n": 2}
    mounted.umount()
    assert not is_running(pid)
    assert not os.path.ismount(mounted.mountpoint)
    assert nexadb("count", mounted.data_dir, "c").stdout == "2\n"


def test_a_write_that_is_answered_is_seen_through_the_mount(mounted):
    connection = mounted.connect()
    for i in range(100):
        assert mounted.call("PUT", "/collections/c/x?replace=true", {"i": i}, connection=connection).status in (200, 201)
        assert f'"i": {i}\n' in (mounted.mountpoint / "c/x.json").read_text()


def test_a_second_mount_names_the_first(mounted, tmp_path):
    done = mounted.mount(check=False)
    assert done.returncode == 1 and str(mounted.pid) in done.stderr and "in use" in done.stderr
    other = nexadb("mount", "--http", "off", tmp_path / "other", mounted.mountpoint, check=False)
    assert other.returncode == 1 and str(mounted.mountpoint) in other.stderr


def test_umount_of_a_mount_in_use_is_refused(mounted):
    with open(mounted.mountpoint / "plain.txt", "w"):
        done = mounted.umount(check=False)
        assert done.returncode == 1 and "in use" in done.stderr
    assert mounted.call("GET", "/status").status == 200


def test_sigterm_unmounts(mounted):
    os.kill(mounted.pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while os.path.ismount(mounted.mountpoint):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_mount_left_by_a_crash_is_taken_over(mounted):
    mounted.ok("POST", "/collections/c", {"_id": 1})
    pid = mounted.pid
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    mounted.mount()
    assert os.listdir(mounted.mountpoint / "c") == ["1.json"]


def test_what_cannot_be_mounted_is_said(tmp_path):
    for args in ([tmp_path / "d", tmp_path / "none"], [tmp_path / "d", tmp_path]):
        done = nexadb("mount", "--http", "off", *args, check=False)
        assert done.returncode == 1 and str(tmp_path) in done.stderr
    done = subprocess.run([NEXADB, "mount", "--http", "off", "-o", "nonsense", tmp_path / "e", tmp_path / "mnt"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
