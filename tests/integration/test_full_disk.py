"""A full disk: a clear error, nothing lost, reading goes on, removing works, and so does writing once there is room."""
import errno
import json
import os
import pathlib
import random
import subprocess
import time

import pytest

from conftest import NEXADB

TEXT = random.Random(7).randbytes(1 << 20).hex()


def document(i, size=900):
    at = i * 61 % (len(TEXT) - size)
    return json.dumps({"n": i, "text": TEXT[at:at + size]})


@pytest.fixture
def small_disk(tmp_path):
    """small_disk("8m"): a directory on a file system of that size."""
    disks = []

    def make(size, kind="tmpfs"):
        path = tmp_path / f"disk{len(disks)}"
        path.mkdir()
        if kind == "tmpfs":
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)], check=True)
        else:
            image = tmp_path / f"image{len(disks)}"
            subprocess.run(["truncate", "-s", size, str(image)], check=True)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
            done = subprocess.run(["mount", "-o", "loop", str(image), str(path)], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip("no loop devices here: " + done.stderr.strip())
        disks.append(path)
        return path

    yield make
    for path in disks:
        subprocess.run(["umount", "-l", str(path)], check=True)


def data_in(disk):
    """A data directory there; the daemon's messages go elsewhere, beside the link to it."""
    (disk / "data").mkdir()
    link = disk.parent / (disk.name + "-data")
    link.symlink_to(disk / "data")
    return link


def fill(mount, collection, start=0):
    """Write documents until one is refused; how many were not."""
    for i in range(start, start + 100000):
        try:
            (mount.path / collection / f"{i}.json").write_text(document(i))
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
            return i - start
    raise AssertionError("the disk never gets full")


def eventually(action, seconds=15):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return action()
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
            assert time.monotonic() < deadline, "writes do not go on"
            time.sleep(0.05)


@pytest.mark.parametrize("kind,size", [("tmpfs", "4m"), ("ext4", "12m")])
def test_a_full_disk_loses_nothing_can_be_emptied_and_goes_on(mounts, small_disk, kind, size):
    mount = mounts(data_dir=data_in(small_disk(size, kind)))
    for name in ("c", "keep"):
        (mount.path / name).mkdir()
    (mount.path / "keep/a.json").write_text('{"a": 1}\n')
    (mount.path / "keep/notes.txt").write_text("plain\n")
    count = fill(mount, "c")
    assert count > 500

    for i in range(200):
        refused = mount.call("POST", "/collections/keep", {"_id": f"r{i}", "text": TEXT[i * 1000:i * 1000 + 60000]})
        if refused.status == 507:
            break
    assert refused.status == 507 and refused.json["code"] == "disk_full", refused.text

    names = os.listdir(mount.path / "c")
    assert set(f"{i}.json" for i in range(count)) <= set(names)
    for i in range(count):
        assert (mount.path / f"c/{i}.json").read_text() == document(i)
    assert mount.out('echo \'{"n": {"$lt": 3}}\' > .query; cat .query', "c").count("\n") == 3
    assert mount.ok("POST", "/collections/c/count", {"filter": {"n": 5}})["count"] == 1

    mount.ok("DELETE", "/collections/c/0")
    (mount.path / "c/1.json").unlink()
    mount.out("rm notes.txt", "keep")
    assert mount.ok("POST", "/collections/c/delete", {"filter": {"n": {"$lt": 50}}, "multi": True})["deleted"] == 48
    mount.out("rm -r c")
    assert sorted(os.listdir(mount.path)) == ["keep"]
    eventually(lambda: (mount.path / "keep/b.json").write_text(document(1)))

    (mount.path / "d").mkdir()
    again = 0
    deadline = time.monotonic() + 20
    while again < count // 5:
        again += fill(mount, "d", again)
        assert time.monotonic() < deadline, f"{again} documents fit where {count} did"
        time.sleep(0.05)
    assert (mount.path / "keep/a.json").read_text() == '{"a": 1}\n'


def test_a_full_disk_is_opened_again_and_emptied(mounts, small_disk):
    disk = small_disk("4m")
    mount = mounts(data_dir=data_in(disk))
    (mount.path / "c").mkdir()
    count = fill(mount, "c")
    mount.kill()
    mount.start()
    assert len(os.listdir(mount.path / "c")) >= count
    for i in range(count):
        assert (mount.path / f"c/{i}.json").read_text() == document(i)
    mount.out("rm -r c")
    eventually(lambda: (mount.path / "new").mkdir())
    eventually(lambda: (mount.path / "new/a.json").write_text(document(1)))


def test_what_another_program_filled_the_disk_with_is_waited_for(mounts, small_disk):
    disk = small_disk("16m")
    mount = mounts(data_dir=data_in(disk))
    (mount.path / "c").mkdir()
    for i in range(50):
        (mount.path / f"c/{i}.json").write_text(document(i))
    with open(disk / "other", "wb", buffering=0) as other, pytest.raises(OSError):
        while True:
            other.write(bytes(4096))
    fill(mount, "c", 50)
    for i in range(50):
        (mount.path / f"c/{i}.json").unlink()
    (disk / "other").unlink()
    eventually(lambda: (mount.path / "c/new.json").write_text(document(1)))


def test_a_full_disk_does_not_fill_the_log(mounts, small_disk):
    mount = mounts(data_dir=data_in(small_disk("4m")))
    (mount.path / "c").mkdir()
    fill(mount, "c")
    for i in range(500):
        mount.call("POST", "/collections/c", {"text": TEXT[:30000], "n": i})
    assert mount.log.read_text().count("\n") < 60, mount.log.read_text()


@pytest.mark.parametrize("size", ["1m", "16m"])
def test_a_small_disk_holds_a_database(mounts, small_disk, size):
    mount = mounts(data_dir=data_in(small_disk(size)))
    (mount.path / "c").mkdir()
    for i in range(100):
        (mount.path / f"c/{i}.json").write_text(document(i))
    assert mount.ok("POST", "/collections/c/count", {})["count"] == 100


def test_a_disk_that_is_too_small_is_said(tmp_path, small_disk):
    disk = small_disk("16k")
    (tmp_path / "mnt").mkdir()
    done = subprocess.run([NEXADB, "mount", "--http", "off", str(disk / "data"), str(tmp_path / "mnt")],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"'{disk}/data" in done.stderr and any(
        words in done.stderr for words in ("KiB free", "is full", "No space left on device")), done.stderr
    assert not os.path.ismount(pathlib.Path(tmp_path / "mnt"))
