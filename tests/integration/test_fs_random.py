"""Random operations on the mount: one file against its bytes, a tree against a native one, many processes at once.

Seeds are printed; NEXADB_TEST_SEED repeats one, NEXADB_TEST_SCALE makes the runs longer.
"""
import itertools
import json
import mmap
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import pytest
from conftest import nexadb
from twins import EXCHANGE, KEEP_SIZE, NOREPLACE, PUNCH_HOLE, ROOT, ZERO_RANGE, Twins, fallocate

SCALE = float(os.environ.get("NEXADB_TEST_SCALE", "1"))
OPTIONS = ("-o", "xattr,allow_other,default_permissions,suid,dev")


@pytest.fixture
def rng():
    seed = int(os.environ.get("NEXADB_TEST_SEED") or random.randrange(1 << 32))
    print("NEXADB_TEST_SEED =", seed)
    return random.Random(seed)


# --- one file -------------------------------------------------------------------------------------

class Shadow:
    """A file and what its bytes must be."""

    LIMIT = 400_000

    def __init__(self, path, rng):
        self.path, self.rng = path, rng
        self.bytes = bytearray()
        self.log = []
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT)

    def close(self):
        os.close(self.fd)

    def range(self, limit):
        """Often at the edges of pages, chunks and the end."""
        rng = self.rng
        at = rng.choice((rng.randrange(limit), rng.randrange(limit) // 32768 * 32768, len(self.bytes), rng.randrange(limit) // 4096 * 4096))
        length = rng.choice((rng.randrange(1, 100), rng.randrange(1, 3000), rng.randrange(1, 100_000), 4096, 32768, 65536))
        return min(at, limit - 1), max(1, min(length, limit - at))

    def put(self, at, data):
        if at > len(self.bytes):
            self.bytes.extend(bytes(at - len(self.bytes)))
        self.bytes[at:at + len(data)] = data

    def write(self):
        at, length = self.range(self.LIMIT)
        data = self.rng.randbytes(length)
        assert os.pwrite(self.fd, data, at) == length
        self.put(at, data)
        return at, length

    def append(self):
        data = self.rng.randbytes(self.rng.choice((1, 100, 700, 2048, 5000)))
        if len(self.bytes) + len(data) <= self.LIMIT:
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            os.write(fd, data)
            os.close(fd)
            self.put(len(self.bytes), data)
        return len(data)

    def truncate(self):
        size = self.rng.choice((0, self.range(self.LIMIT)[0], self.range(self.LIMIT)[0], len(self.bytes) + self.rng.randrange(2000)))
        os.ftruncate(self.fd, size) if self.rng.random() < 0.5 else os.truncate(self.path, size)
        if size < len(self.bytes):
            del self.bytes[size:]
        else:
            self.put(size, b"")
        return size

    def rewrite(self):
        fd = os.open(self.path, os.O_WRONLY | os.O_TRUNC)
        data = self.rng.randbytes(self.rng.choice((0, 10, 2000, 2100, 70_000)))
        os.write(fd, data)
        os.close(fd)
        self.bytes[:] = data
        return len(data)

    def zero(self, mode, at, end):
        if not mode & KEEP_SIZE and end > len(self.bytes):
            self.put(end, b"")
        end = min(end, len(self.bytes))
        if end > at:
            self.bytes[at:end] = bytes(end - at)

    def allocate(self):
        mode = self.rng.choice((0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE))
        at, length = self.range(self.LIMIT)
        fallocate(self.fd, mode, at, length)
        if mode & (PUNCH_HOLE | ZERO_RANGE):
            self.zero(mode, at, at + length)
        elif not mode & KEEP_SIZE and at + length > len(self.bytes):
            self.put(at + length, b"")
        return mode, at, length

    def map(self):
        if not self.bytes:
            return None
        at, length = self.range(len(self.bytes))
        shared = self.rng.random() < 0.7
        data = self.rng.randbytes(length)
        with mmap.mmap(self.fd, len(self.bytes), mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE) as area:
            assert area[at:at + length] == self.bytes[at:at + length]
            area[at:at + length] = data
            if shared and self.rng.random() < 0.5:
                area.flush()
        if shared:
            self.put(at, data)
        return at, length, shared

    def read(self):
        at, length = self.range(self.LIMIT)
        assert os.pread(self.fd, length, at) == self.bytes[at:at + length]
        return at, length

    def read_directly(self):
        at = self.rng.randrange(self.LIMIT) // 4096 * 4096
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECT)
        with mmap.mmap(-1, 131072) as area:
            got = os.preadv(fd, [area], at)
            assert area[:got] == self.bytes[at:at + 131072]
        os.close(fd)
        return at

    def copy(self):
        half = len(self.bytes) // 2
        if half == 0:
            return None
        length = self.rng.randrange(1, half + 1)
        copied = os.copy_file_range(self.fd, self.fd, length, 0, half)
        assert copied > 0
        self.put(half, bytes(self.bytes[:copied]))
        return half, copied

    def holes(self):
        """What is a hole is zeros; what is not zeros is data."""
        at, size = 0, len(self.bytes)
        os.fsync(self.fd)
        while at < size:
            hole = os.lseek(self.fd, at, os.SEEK_HOLE)
            assert at <= hole <= size
            try:
                at = os.lseek(self.fd, hole, os.SEEK_DATA)
            except OSError:
                at = size
            assert not any(self.bytes[hole:at])
        return None

    def reopen(self):
        os.close(self.fd)
        self.fd = os.open(self.path, os.O_RDWR)

    def forget(self):
        """The next read asks the daemon."""
        os.fsync(self.fd)
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def step(self):
        name = self.rng.choice(("write", "write", "append", "append", "truncate", "rewrite", "allocate", "allocate", "map", "read",
                                "read_directly", "copy", "holes", "reopen", "forget"))
        self.log = self.log[-30:] + [name]
        self.log[-1] = (name, getattr(self, name)())
        self.check()

    def check(self):
        assert os.fstat(self.fd).st_size == len(self.bytes), self.log
        got = os.pread(self.fd, self.LIMIT + 10_000, 0)
        if got != self.bytes:
            wrong = next(i for i, (a, b) in enumerate(zip(got, self.bytes)) if a != b)
            raise AssertionError((wrong, self.log))


def test_a_file_holds_the_bytes_that_were_put_there(mounts, rng):
    mount = mounts(*OPTIONS)
    shadow = Shadow(mount.path / "file", rng)
    for n in range(int(500 * SCALE)):
        shadow.step()
        if n % 125 == 124:
            shadow.close()
            mount.stop() if rng.random() < 0.5 else mount.kill()
            mount.start()
            shadow.fd = os.open(shadow.path, os.O_RDWR)
            shadow.check()
    shadow.close()
    mount.stop()
    nexadb("check", mount.data_dir)


# --- a tree ---------------------------------------------------------------------------------------

class Walk:
    """Random steps for twins. Names are few, so that they meet. Documents are JSON, and get no links: else they would
    not be alike."""

    FOLDERS = (".", "a", "b", "a/c", "a/.git")
    PLAIN = ("f", "g", "h.txt", ".hidden")
    DOCUMENTS = ("x.json", "y.json")

    def __init__(self, rng):
        self.rng = rng
        self.numbers = itertools.count()

    def folder(self):
        return self.rng.choice(self.FOLDERS)

    def plain(self):
        return os.path.join(self.folder(), self.rng.choice(self.PLAIN))

    def document(self):
        return os.path.join(self.rng.choice(("a", "b", "a/c")), self.rng.choice(self.DOCUMENTS))

    def any(self):
        return self.rng.choice((self.plain, self.plain, self.document, self.folder))()

    def text(self):
        return json.dumps({"n": next(self.numbers), "pad": "x" * self.rng.choice((0, 5, 3000, 50_000))}).encode()

    def save_document(self):
        name = self.document()
        if self.rng.random() < 0.5:
            return [(ROOT, "save", name, self.text())]
        temporary = os.path.join(os.path.dirname(name), "saving")
        return [(ROOT, "open", "@d", temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o640), (ROOT, "write", "@d", self.text()),
                (ROOT, "setxattr", "@d", "user.saved", b"1"), (ROOT, "close", "@d"), (ROOT, "rename", temporary, name)]

    def write_plain(self):
        size = self.rng.choice((1, 100, 2047, 3000, 40_000))
        return [(ROOT, "open", "@p", self.plain(), os.O_CREAT | os.O_RDWR, 0o600), (ROOT, "pwrite", "@p", self.rng.randbytes(size), self.rng.choice((0, 10, 5000, 70_000))),
                (ROOT, "close", "@p")]

    def change(self):
        name, rng = self.any(), self.rng
        return [rng.choice(((ROOT, "chmod", name, rng.randrange(0o1000)), (ROOT, "lchown", name, rng.randrange(3), rng.randrange(3)),
                            (ROOT, "utimens", name, (rng.randrange(9), 1), (rng.randrange(9), 2)),
                            (ROOT, "setxattr", name, f"user.{rng.randrange(3)}", rng.randbytes(rng.randrange(20))),
                            (ROOT, "removexattr", name, f"user.{rng.randrange(3)}"), (ROOT, "listxattr", name),
                            (ROOT, "truncate", self.plain(), rng.randrange(1, 90_000))))]

    def names(self):
        rng = self.rng
        return [rng.choice(((ROOT, "mkdir", self.folder(), 0o755), (ROOT, "rmdir", self.folder()), (ROOT, "unlink", self.any()),
                            (ROOT, "link", self.plain(), self.plain()), (ROOT, "symlink", self.plain(), self.plain()), (ROOT, "mkfifo", self.plain(), 0o600),
                            (ROOT, "renameat2", self.plain(), self.plain(), rng.choice((0, NOREPLACE, EXCHANGE))),
                            (ROOT, "renameat2", self.document(), self.document(), rng.choice((0, NOREPLACE, EXCHANGE))),
                            (ROOT, "renameat2", rng.choice(self.FOLDERS[:4]), rng.choice(self.FOLDERS[:4]), rng.choice((0, EXCHANGE))),
                            (ROOT, "rename", self.document(), os.path.join(self.folder(), "was-document"))))]

    def open_and_remove(self):
        name = self.plain()
        return [(ROOT, "open", "@o", name, os.O_RDWR), (ROOT, "unlink", name), (ROOT, "fstat", "@o"), (ROOT, "pwrite", "@o", b"late", 3),
                (ROOT, "pread", "@o", 100, 0), (ROOT, "close", "@o")]

    def steps(self, count):
        steps = [(ROOT, "mkdir", name, 0o755) for name in self.FOLDERS[1:]]
        while len(steps) < count:
            steps += self.rng.choice((self.save_document, self.write_plain, self.change, self.change, self.names, self.names, self.open_and_remove))()
        return steps


def test_a_tree_is_like_a_native_one(mounts, rng):
    """With the daemon ended, or killed, between the steps: what was done stays, to the times."""
    mount = mounts(*OPTIONS)
    native = tempfile.mkdtemp(dir="/dev/shm")
    try:
        os.chmod(native, 0o755)
        (mount.path / "top").mkdir()
        twins = Twins(mount.path / "top", native)
        walk = Walk(rng)
        for n in range(max(1, int(4 * SCALE))):
            assert twins.run(walk.steps(150), times=False) == []
            mount.stop() if n % 2 else mount.kill()
            mount.start()
            assert twins.changed_by_itself() == []
        mount.stop()
        nexadb("check", mount.data_dir)
    finally:
        shutil.rmtree(native)


# --- many at once ---------------------------------------------------------------------------------

def wander(root, seed):
    """One of the processes: whatever can be done to names and files; errors are part of it."""
    rng = random.Random(seed)
    os.chdir(root)
    os.close(os.open(f"started-{seed}", os.O_CREAT))

    def name(leaf=True):
        parts = [f"d{rng.randrange(3)}" for _ in range(rng.randrange(3))]
        return "/".join(parts + [rng.choice(("f0", "f1", "f2", "x.json", "y.json", "link"))] if leaf or not parts else parts)

    def write():
        path = name()
        with open(path, "r+b" if rng.random() < 0.5 else "wb") as file:
            file.seek(0 if path.endswith("json") else rng.choice((0, 100, 60_000)))
            file.write(b'{"n": %d}' % rng.randrange(9) if path.endswith("json") else rng.randbytes(rng.choice((1, 700, 40_000))))

    def allocate():
        fd = os.open(name(), os.O_RDWR)
        try:
            fallocate(fd, rng.choice((0, KEEP_SIZE | PUNCH_HOLE, ZERO_RANGE)), rng.randrange(90_000), rng.randrange(1, 90_000))
        finally:
            os.close(fd)

    def descend():
        for folder, _, files in os.walk("."):
            for file in files:
                os.lstat(os.path.join(folder, file))

    actions = (write, write, write, allocate, descend, lambda: os.mkdir(name(False)), lambda: os.mkdir(name(False)), lambda: os.rmdir(name(False)),
               lambda: os.unlink(name()), lambda: os.rename(name(), name()), lambda: os.rename(name(False), name(False)),
               lambda: os.link(name(), name()), lambda: os.symlink(name(), name()), lambda: os.truncate(name(), rng.randrange(100_000)),
               lambda: os.setxattr(name(), f"user.{rng.randrange(3)}", rng.randbytes(20)), lambda: os.removexattr(name(), f"user.{rng.randrange(3)}"),
               lambda: os.chmod(name(), rng.randrange(0o1000)), lambda: os.listdir(name(False)), lambda: open(name(), "rb").read())
    while True:
        try:
            rng.choice(actions)()
        except OSError:
            pass


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_many_processes_leave_a_sound_store(mounts, rng, ending):
    mount = mounts(*OPTIONS)
    code = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import test_fs_random; test_fs_random.wander(*sys.argv[1:])"
    (mount.path / "top").mkdir()
    wanderers = [subprocess.Popen([sys.executable, "-c", code, str(mount.path / "top"), str(rng.random())]) for _ in range(4)]
    try:
        deadline = time.monotonic() + 60
        while sum(name.startswith("started-") for name in os.listdir(mount.path / "top")) < len(wanderers):
            assert time.monotonic() < deadline, "not all of them make a file"
            time.sleep(0.05)
        time.sleep(2 * SCALE)
        if ending == "kill":
            mount.kill()
        time.sleep(0.2)
        assert ending == "kill" or all(process.poll() is None for process in wanderers)
    finally:
        for process in wanderers:
            process.kill()
        if ending == "kill":
            subprocess.run(["fusermount3", "-u", "-z", str(mount.path)], check=True)
        for process in wanderers:
            process.wait(timeout=30)
    if ending == "stop":
        mount.stop()
    nexadb("check", mount.data_dir)
    mount.start()
    assert sum(name.startswith("started-") for name in os.listdir(mount.path / "top")) == len(wanderers)
    mount.out("rm -rf top")
    mount.stop()
    nexadb("check", mount.data_dir)
