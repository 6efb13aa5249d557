"""POSIX on plain files: every case runs on the mount and on a native directory, and both must behave alike."""
import itertools
import os
import shutil
import stat
import tempfile

import pytest
from twins import (ALICE, ALICE_IN_BOBS, BOB, EXCHANGE, KEEP_SIZE, NOREPLACE, NOW, OMIT, PUNCH_HOLE, ROOT,
                   Twins)

OPTIONS = "xattr,allow_other,default_permissions,suid,dev"
CREATE = os.O_CREAT | os.O_WRONLY
NULL = os.makedev(1, 3)


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """A mount and a directory in memory, for all the tests of this file."""
    from conftest import Mount
    base = tmp_path_factory.mktemp("posix")
    (base / "mnt").mkdir()
    mount = Mount(base / "data", base / "mnt", "-o", OPTIONS)
    native = tempfile.mkdtemp(dir="/dev/shm")
    try:
        mount.start()
        numbers = itertools.count()

        def run_once(steps, slow):
            n = next(numbers)
            sides = [os.path.join(root, f"case{n}") for root in (base / "mnt", native)]
            for side in sides:
                os.mkdir(side)
            return Twins(*sides).run(steps, slow)

        def run(steps):
            return run_once(steps, False) and run_once(steps, True)
        yield run
        mount.stop()
    finally:
        mount.detach()
        shutil.rmtree(native)


def make(kind, name, user=ROOT):
    """Steps that make a node of a kind."""
    if kind == "file":
        return [(user, "open", "@new", name, CREATE | os.O_EXCL, 0o644), (user, "write", "@new", name.encode()),
                (user, "close", "@new")]
    if kind == "full":
        return [(user, "mkdir", name, 0o755), (user, "mkdir", name + "/inner", 0o755)]
    return [{"dir": (user, "mkdir", name, 0o755), "fifo": (user, "mkfifo", name, 0o644), "socket": (user, "socket", name),
             "char": (user, "mknod", name, stat.S_IFCHR | 0o644, NULL), "block": (user, "mknod", name, stat.S_IFBLK | 0o644, 7),
             "symlink": (user, "symlink", "nowhere", name)}[kind]]


KINDS = ("file", "dir", "full", "fifo", "socket", "char", "block", "symlink")
CASES = {}


def case(name):
    """A function that gives steps, or yields the steps of several cases that have nothing to do with each other."""
    def add(fn):
        CASES[name] = fn
        return fn
    return add


@case("making nodes")
def making():
    for kind, (mask, mode), user in itertools.product(KINDS, ((0o022, 0o777), (0o077, 0o2777), (0, 0o1777)), (ROOT, ALICE)):
        yield [(ROOT, "mkdir", "d", 0o777), (ROOT, "chown", "d", BOB[0], BOB[1]), (ROOT, "chmod", "d", mode), (ROOT, "umask", mask),
               *make(kind, "d/x", user), (user, "lstat", "d/x"), *make(kind, "d/x", user)]  # the second time EEXIST
    steps = []
    for mode in (0o7777, 0o4755, 0o2755, 0o1644, 0):
        steps += [(ROOT, "mkdir", f"m{mode}", mode), (ALICE, "mkfifo", f"m{mode}/f", mode), (ROOT, "mkfifo", f"m{mode}/f", mode),
                  (ROOT, "open", "@f", f"m{mode}/o", CREATE, mode)]
    yield steps


@case("modes")
def modes():
    for kind in KINDS:
        yield [(ROOT, "chmod", ".", 0o777), *make(kind, kind, ALICE),
               *[(user, "chmod", kind, mode) for mode in (0o7777, 0o6711, 0o1000, 0, 0o644) for user in (ROOT, ALICE, BOB)]]
    steps = [(ROOT, "chmod", ".", 0o777), *make("file", "file", ALICE)]
    for mode in (0o6777, 0o2755, 0o6644):
        steps += [(ROOT, "chown", "file", ALICE[0], BOB[1]), (ALICE, "chmod", "file", mode), (ALICE_IN_BOBS, "chmod", "file", mode)]
    yield steps


@case("owners")
def owners():
    for kind in KINDS:
        steps = [(ROOT, "chmod", ".", 0o777), *make(kind, kind, ALICE)]
        for uid, gid in ((-1, -1), (ALICE[0], -1), (-1, BOB[1]), (BOB[0], BOB[1]), (ALICE[0], ALICE[1])):
            for user in (ALICE, ALICE_IN_BOBS, BOB, ROOT):
                steps += [(user, "lchown", kind, uid, gid)]
        yield steps
    steps = [(ROOT, "chmod", ".", 0o777), *make("file", "file", ALICE), *make("dir", "dir", ALICE)]
    for mode, (uid, gid), user in itertools.product((0o6777, 0o6555, 0o4700, 0o2755, 0o2744, 0o6644),
                                                    ((-1, -1), (ALICE[0], -1), (-1, BOB[1]), (ALICE[0], ALICE[1])),
                                                    (ROOT, ALICE, ALICE_IN_BOBS)):
        for kind in ("file", "dir"):
            steps += [(ROOT, "chown", kind, ALICE[0], ALICE[1]), (ROOT, "chmod", kind, mode), (user, "chown", kind, uid, gid)]
    yield steps


@case("set-id bits fall with a change of content")
def setid():
    steps = [(ROOT, "chmod", ".", 0o777), *make("file", "f", ALICE)]
    for mode, user in itertools.product((0o6777, 0o4777, 0o2777, 0o4766), (ROOT, ALICE, BOB)):
        change = [[(user, "open", "@w", "f", os.O_WRONLY), (user, "write", "@w", b"changed")],
                  [(user, "open", "@w", "f", os.O_WRONLY | os.O_TRUNC)],
                  [(user, "truncate", "f", 3)],
                  [(user, "open", "@w", "f", os.O_RDWR), (user, "fallocate", "@w", 0, 0, 100)],
                  [(user, "open", "@w", "f", os.O_RDWR), (user, "ftruncate", "@w", 60), (user, "map", "@w", 0, b"mapped", 1)],
                  [(user, "open", "@w", "f", os.O_WRONLY), (user, "close", "@w")]]
        for steps_of_change in change:
            steps += [(ROOT, "chmod", "f", mode), *steps_of_change]
    return steps


@case("opening")
def opening():
    steps = [(ROOT, "chmod", ".", 0o777), *make("file", "f"), *make("dir", "dir"), (ROOT, "symlink", "f", "to-file"),
             (ROOT, "symlink", "dir", "to-dir"), (ROOT, "symlink", "loop", "loop"), (ROOT, "symlink", "missing", "dangling"),
             *make("socket", "socket"), *make("fifo", "fifo"), *make("char", "char")]
    flags = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_CREAT | os.O_RDWR, os.O_CREAT | os.O_EXCL | os.O_RDWR, os.O_WRONLY | os.O_TRUNC,
             os.O_RDONLY | os.O_NOFOLLOW, os.O_RDONLY | os.O_DIRECTORY, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, os.O_PATH,
             os.O_RDONLY | os.O_TRUNC, os.O_RDWR | os.O_APPEND, os.O_WRONLY | os.O_NOFOLLOW | os.O_CREAT]
    for name, flag in itertools.product(("f", "dir", "to-file", "to-dir", "loop", "dangling", "socket", "char", "f/below", "none/f",
                                         "to-file/x", "x" * 255, "x" * 256, "", "dir/../f", "loop/x"), flags):
        steps += [(ROOT, "open", "@f", name, flag), (ALICE, "open", "@f", name, flag)]
    steps += [(ROOT, "open", "@p", "fifo", os.O_WRONLY | os.O_NONBLOCK), (ROOT, "open", "@p", "fifo", os.O_RDONLY | os.O_NONBLOCK),
              (ROOT, "open", "@q", "fifo", os.O_WRONLY | os.O_NONBLOCK)]
    return steps


@case("who may open what")
def permissions():
    steps = [(ROOT, "chmod", ".", 0o777), *make("file", "f", ALICE), (ROOT, "chown", "f", ALICE[0], BOB[1])]
    for bits, shift in itertools.product(range(8), (0, 3, 6)):
        steps += [(ROOT, "chmod", "f", bits << shift)]
        for user, flag in itertools.product((ALICE, ALICE_IN_BOBS, BOB, (60003, 60003, ())),
                                            (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC)):
            steps += [(user, "open", "@f", "f", flag)]
        steps += [(BOB, "access", "f", mask) for mask in (os.R_OK, os.W_OK, os.X_OK)]
        steps += [(user, "truncate", "f", 5) for user in (ALICE, BOB)]
    return steps


@case("who may change a directory")
def directories():
    steps = [(ROOT, "mkdir", "d", 0o777), (ROOT, "chown", "d", ALICE[0], BOB[1]), *make("file", "d/f"), *make("dir", "d/s"),
             *make("file", "out"), *make("file", "d/keep")]
    for mode, user in itertools.product((0o000, 0o100, 0o200, 0o300, 0o700, 0o030, 0o070, 0o010, 0o003, 0o007), (ALICE, BOB, (60003, 60003, ()))):
        steps += [(ROOT, "chmod", "d", mode),
                  *[s for kind in ("file", "dir", "fifo", "symlink", "socket") for s in make(kind, "d/" + kind, user)],
                  (user, "rename", "d/file", "d/renamed"), (user, "link", "d/renamed", "d/link"), (user, "link", "out", "d/outer"),
                  (user, "unlink", "d/link"), (user, "unlink", "d/renamed"), (user, "rmdir", "d/dir"), (user, "unlink", "d/fifo"),
                  (user, "unlink", "d/symlink"), (user, "unlink", "d/socket"), (user, "lstat", "d/f"), (user, "rename", "d/f", "f"),
                  (user, "listdir", "d"), (user, "chmod", "d/f", 0o600), (user, "truncate", "d/f", 1)]
    return steps


@case("sticky directories")
def sticky():
    for owner, of_file, kind in itertools.product((ROOT, ALICE, BOB), (ROOT, ALICE, BOB), ("file", "dir", "symlink")):
        yield [(ROOT, "chmod", ".", 0o777), (ROOT, "mkdir", "open", 0o777), (ROOT, "chmod", "open", 0o777), (ROOT, "mkdir", "d", 0o777),
               (ROOT, "chown", "d", owner[0], owner[1]), (ROOT, "chmod", "d", 0o1777),
               *[step for name in ("x", "y", "z") for step in make(kind, "d/" + name, of_file)],
               (ALICE, "rename", "d/x", "d/w"), (ALICE, "rename", "d/y", "open/y"), *make(kind, "open/new", ALICE),
               (ALICE, "rename", "open/new", "d/z"), (ALICE, "unlink", "d/z"), (ALICE, "rmdir", "d/z"), (ALICE, "unlink", "d/x"),
               (ALICE, "renameat2", "d/z", "open/new", EXCHANGE)]


@pytest.mark.parametrize("flags", [0, NOREPLACE, EXCHANGE])
def test_renaming_any_kind_onto_any_kind(twins, flags):
    for old, new, there in itertools.product(KINDS, (*KINDS, None), ("a", "b")):
        assert twins([(ROOT, "mkdir", "a", 0o755), (ROOT, "mkdir", "b", 0o755), *make(old, "a/old"), *(make(new, f"{there}/new") if new else []),
                      (ROOT, "renameat2", "a/old", f"{there}/new", flags)]) == []


@case("renaming")
def renaming():
    steps = [*make("full", "d"), *make("file", "f"), (ROOT, "link", "f", "g"), (ROOT, "rename", "f", "g"), (ROOT, "rename", "f", "f"),
             (ROOT, "rename", "d", "d/inner"), (ROOT, "rename", "d", "d/inner/x"), (ROOT, "rename", "d/inner", "d"), (ROOT, "rename", "d", "d"),
             (ROOT, "rename", "d/.", "e"), (ROOT, "rename", "d", "e/."), (ROOT, "rename", "..", "e"), (ROOT, "rename", "none", "e"),
             (ROOT, "rename", "f", "none/e"), (ROOT, "rename", "f/x", "e"), (ROOT, "rename", "f", "g/x"), (ROOT, "rename", "d", "x" * 256),
             (ROOT, "rename", "x" * 256, "e"), (ROOT, "mkdir", "to", 0o755), (ROOT, "rename", "d/inner", "to/inner"), (ROOT, "lstat", "d"),
             (ROOT, "rename", "to/inner", "d/back"), (ROOT, "rename", "f", "to/f"), (ROOT, "rename", "to/f", "g"), (ROOT, "lstat", "g"),
             (ROOT, "renameat2", "d", "d/back", EXCHANGE), (ROOT, "renameat2", "g", "none", EXCHANGE), (ROOT, "renameat2", "g", "x", 8),
             (ROOT, "renameat2", "g", "d", NOREPLACE | EXCHANGE), (ROOT, "renameat2", "g", "g", NOREPLACE), (ROOT, "rename", "d", ".hidden"),
             (ROOT, "rename", ".hidden", "d"), (ROOT, "symlink", "d", "l"), (ROOT, "rename", "l", "d/l"), (ROOT, "rename", "d/l/", "m")]
    steps += [(ROOT, "chmod", ".", 0o777), (ROOT, "mkdir", "own", 0o755), (ROOT, "chown", "own", ALICE[0], ALICE[1]),
              *make("dir", "own/sub", ALICE), (ROOT, "chown", "own/sub", BOB[0], BOB[1]), *make("dir", "mine", ALICE),
              (ALICE, "rename", "own/sub", "mine/sub"), (ALICE, "rename", "own/sub", "own/other"), (ROOT, "rename", "own/other", "mine/sub")]
    return steps


@case("links and names")
def links():
    for kind in KINDS:
        yield [(ROOT, "chmod", ".", 0o777), *make(kind, kind), (ROOT, "link", kind, kind + "2"), (ALICE, "link", kind, kind + "3"), (ROOT, "link", kind, kind),
                  (ROOT, "chmod", kind, 0o600), (ROOT, "unlink", kind), (ROOT, "lstat", kind + "2"), (ROOT, "rmdir", kind),
                  (ROOT, "unlink", kind + "2"), (ROOT, "unlink", kind + "2"), (ROOT, "rmdir", kind + "2")]
    yield [*make("file", "f"), *make("full", "full"), (ROOT, "link", "f", "none/x"), (ROOT, "link", "none", "x"), (ROOT, "link", "f", "f/x"),
              (ROOT, "link", "f", "y" * 255), (ROOT, "link", "f", "y" * 256), (ROOT, "unlink", "y" * 255), (ROOT, "unlink", "y" * 256),
              (ROOT, "unlink", "f/x"), (ROOT, "rmdir", "full/inner/."), (ROOT, "rmdir", "full/inner/.."), (ROOT, "mkdir", "y" * 256, 0o755),
              (ROOT, "mkfifo", "y" * 256, 0o644), (ROOT, "mkdir", "f/x", 0o755), (ROOT, "mkfifo", "f/x", 0o644), (ROOT, "symlink", "t" * 4095, "long"),
              (ROOT, "readlink", "long"), (ROOT, "symlink", "t" * 4096, "longer"), (ROOT, "symlink", "", "empty"), (ROOT, "symlink", "x", "y" * 256),
              (ROOT, "readlink", "f"), (ROOT, "readlink", "none"), (ROOT, "truncate", "long", 0), (ROOT, "stat", "long"), (ROOT, "lstat", "long")]


@case("times")
def times():
    second = 10**9
    values = [((5, 7), (11, 13)), ((0, NOW), (0, NOW)), ((0, OMIT), (100, 1)), ((100, 1), (0, OMIT)), ((0, OMIT), (0, OMIT)), ((0, NOW), (3, 0)),
              ((3, 0), (0, NOW)), ((0, NOW), (0, OMIT)), ((-5, 3), (-1, 999999999)), ((4294967296, 0), (4294967295, 1)), ((1, second), (1, 0)),
              ((1, -2), (1, 0))]
    for kind in KINDS:
        yield [(ROOT, "chmod", ".", 0o777), *make(kind, kind, ALICE),
               *[(user, "utimens", kind, *times, 0x100) for times in values for user in (ALICE, BOB)]]
    steps = [(ROOT, "chmod", ".", 0o777), *make("file", "file", ALICE), *make("dir", "dir"), *make("fifo", "fifo")]
    for mode, (atime, mtime) in itertools.product((0o666, 0o444, 0o000), values):
        steps += [(ROOT, "chmod", "file", mode), (BOB, "utimens", "file", atime, mtime), (ALICE, "utimens", "file", atime, mtime)]
    steps += [(ROOT, "open", "@f", "file", os.O_RDWR), (ROOT, "pwrite", "@f", b"", 0), (ROOT, "pwrite", "@f", b"x", 0), (ROOT, "ftruncate", "@f", 1),
              (ROOT, "truncate", "file", 0),
              (ROOT, "open", "@f", "file", os.O_RDWR | os.O_TRUNC), (ROOT, "open", "@f", "file", os.O_CREAT | os.O_TRUNC | os.O_WRONLY),
              (ROOT, "fchmod", "@f", 0o644), (ROOT, "fchown", "@f", 1, 1), (ROOT, "fsync", "@f"), (ROOT, "truncate", "file", -1),
              (ROOT, "truncate", "dir", 0), (ROOT, "truncate", "none", 0), (ROOT, "truncate", "fifo", 0), (ROOT, "ftruncate", "@f", -1)]
    yield steps


@case("a file without a name")
def unlinked():
    steps = [*make("file", "f"), (ROOT, "open", "@f", "f", os.O_RDWR), (ROOT, "link", "f", "g"), (ROOT, "unlink", "f"), (ROOT, "fstat", "@f"),
             (ROOT, "unlink", "g"), (ROOT, "fstat", "@f"), (ROOT, "pwrite", "@f", b"still here", 3), (ROOT, "pread", "@f", 100, 0),
             (ROOT, "ftruncate", "@f", 5), (ROOT, "fstat", "@f"), (ROOT, "fchmod", "@f", 0o600), (ROOT, "fchown", "@f", 7, 8), (ROOT, "fstat", "@f"),
             (ROOT, "fsync", "@f"), *make("file", "f"), (ROOT, "open", "@g", "f", os.O_RDWR), *make("file", "over"), (ROOT, "rename", "over", "f"),
             (ROOT, "fstat", "@g"), (ROOT, "pread", "@g", 100, 0), (ROOT, "pwrite", "@g", b"old", 0), (ROOT, "setxattr", "@g", "user.a", b"1"),
             (ROOT, "getxattr", "@g", "user.a"), (ROOT, "fallocate", "@g", 0, 0, 100), (ROOT, "fstat", "@g")]
    return steps


@case("directories without a name")
def removed_directories():
    return [*make("dir", "d"), (ROOT, "open", "@d", "d", os.O_RDONLY), (ROOT, "rmdir", "d"), (ROOT, "fstat", "@d"), (ROOT, "listdir", "@d"),
            *make("dir", "e"), *make("dir", "f"), (ROOT, "open", "@e", "e", os.O_RDONLY), (ROOT, "rename", "f", "e"), (ROOT, "fstat", "@e"),
            *make("fifo", "p"), (ROOT, "open", "@p", "p", os.O_PATH), (ROOT, "unlink", "p"), (ROOT, "fstat", "@p"),
            *make("symlink", "l"), (ROOT, "open", "@l", "l", os.O_PATH | os.O_NOFOLLOW), (ROOT, "unlink", "l"), (ROOT, "fstat", "@l"),
            *make("file", "r"), (ROOT, "open", "@r", "r", os.O_PATH), (ROOT, "unlink", "r"), (ROOT, "fstat", "@r")]


@case("data")
def data():
    k = 1 << 16
    holes = [("fallocate", KEEP_SIZE), ("fallocate", KEEP_SIZE | PUNCH_HOLE), ("zero", 0), ("zero", KEEP_SIZE), ("fallocate", 0)]
    steps = [(ROOT, "open", "@f", "f", os.O_CREAT | os.O_RDWR), (ROOT, "pwrite", "@f", b"a" * 300000, 0), (ROOT, "pwrite", "@f", b"b" * 10, 500000)]
    for at, length in ((0, 10), (100, k), (k, k), (k // 2, 3 * k), (299990, 100), (490000, 30000), (600000, 5), (0, 700000), (32768, 32768)):
        for call, mode in holes:
            steps += [(ROOT, call, "@f", mode, at, length), (ROOT, "pwrite", "@f", b"c" * 40000, at)]
    steps += [(ROOT, "fallocate", "@f", 0, 0, 0), (ROOT, "fallocate", "@f", 0, -1, 5), (ROOT, "fallocate", "@f", PUNCH_HOLE, 0, 5),
              (ROOT, "fallocate", "@f", KEEP_SIZE, 0, -5), (ROOT, "posix_fallocate", "@f", 800000, 100),
              (ROOT, "open", "@r", "f", os.O_RDONLY), (ROOT, "fallocate", "@r", 0, 0, 10), (ROOT, "ftruncate", "@r", 0),
              (ROOT, "ftruncate", "@f", 0)]
    for size in (10 * k, 5 * k + 7, 100, 3 * k, 0, 4 * k):  # holes at multiples of 64 KiB
        steps += [(ROOT, "ftruncate", "@f", size), (ROOT, "pread", "@f", 100, max(0, size - 50)), (ROOT, "pwrite", "@f", b"d" * k, size // k * k)]
        for whence, at in itertools.product((os.SEEK_DATA, os.SEEK_HOLE), (0, k, 2 * k, 4 * k, 9 * k, 10 * k, 12 * k)):
            steps += [(ROOT, "lseek", "@f", at, whence)]
    steps += [(ROOT, "open", "@a", "f", os.O_RDWR | os.O_APPEND), (ROOT, "write", "@a", b"end"), (ROOT, "pwrite", "@a", b"too", 0),
              (ROOT, "open", "@b", "f", os.O_WRONLY | os.O_APPEND), (ROOT, "write", "@b", b"more"), (ROOT, "write", "@a", b"again"),
              (ROOT, "map", "@a", 0, b"shared", 1), (ROOT, "map", "@a", 100, b"private", 2), (ROOT, "pread", "@a", 200, 0),
              (ROOT, "open", "@c", "copy", os.O_CREAT | os.O_RDWR), (ROOT, "copy_file_range", "@a", "@c", 100000), (ROOT, "fstat", "@c"),
              (ROOT, "lseek", "@c", 5, os.SEEK_SET), (ROOT, "read", "@c", 10), (ROOT, "lseek", "@c", -3, os.SEEK_END), (ROOT, "read", "@c", 10)]
    return steps


@case("extended attributes")
def attributes():
    for kind in KINDS:
        steps = [(ROOT, "chmod", ".", 0o777), *make(kind, kind, ALICE)]
        for name in ("user.a", "trusted.t", "security.s", "user.", "user", "other.x", "", "user." + "n" * 250, "user." + "n" * 251):
            steps += [(user, call, kind, name, *more) for user in (ALICE, ROOT) for call, *more in (
                ("lgetxattr",), ("lsetxattr", b"v"), ("lgetxattr",), ("lremovexattr",), ("lremovexattr",), ("lsetxattr", b""), ("lgetxattr",))]
        steps += [(user, "llistxattr", kind) for user in (ROOT, ALICE, BOB)]
        steps += [(BOB, "lgetxattr", kind, "user.a"), (BOB, "lsetxattr", kind, "user.b", b"x"), (BOB, "lremovexattr", kind, "user.a")]
        yield steps
    yield [(ROOT, "chmod", ".", 0o777), *make("file", "file", ALICE), *make("dir", "dir"), (ALICE, "setxattr", "file", "user.a", b"1", os.XATTR_CREATE), (ALICE, "setxattr", "file", "user.c", b"1", os.XATTR_REPLACE),
              (ALICE, "setxattr", "file", "user.c", b"1", os.XATTR_CREATE), (ALICE, "setxattr", "file", "user.c", b"two", os.XATTR_REPLACE),
              (ALICE, "getxattr", "file", "user.c"), (ALICE, "setxattr", "file", "user.big", b"x" * 65537), (ALICE, "setxattr", "none", "user.a", b""),
              (ROOT, "link", "file", "second"), (ROOT, "rename", "file", "third"), (ROOT, "listxattr", "third"), (ROOT, "unlink", "third"),
              (ROOT, "getxattr", "second", "user.c"), (ROOT, "rename", "dir", "dir2"), (ROOT, "listxattr", "dir2"), (ROOT, "rename", "dir2", ".dir"),
              (ROOT, "listxattr", ".dir"), (ROOT, "mkdir", "st", 0o777), (ROOT, "chmod", "st", 0o1777), (ALICE, "setxattr", "st", "user.x", b""),
              (ROOT, "setxattr", "st", "user.x", b"")]


@case("what the kernel refuses")
def refused():
    return [*make("file", "f"), (ROOT, "open", "@f", "f", os.O_RDWR), (ROOT, "fallocate", "@f", 64, 0, 10), (ROOT, "pread", "@f", 10, 1 << 40),
            (ROOT, "mkdir", ".", 0o755), (ROOT, "rmdir", "."), (ROOT, "unlink", "."), (ROOT, "listdir", "f"), (ROOT, "listdir", "none"),
            (ROOT, "lseek", "@f", -1, os.SEEK_SET), (ROOT, "lseek", "@f", 1 << 40, os.SEEK_DATA), (ALICE, "mknod", "c", stat.S_IFCHR | 0o644, NULL),
            (ROOT, "mknod", "r", stat.S_IFREG | 0o640, 0), (ROOT, "mknod", "s", stat.S_IFSOCK | 0o640, 0)]


def test_reading_moves_the_access_time_once(mount):
    file = mount.path / "f"
    file.write_text("text")

    def read(flags=0):
        fd = os.open(file, os.O_RDONLY | flags)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.read(fd, 10) == b"text"
        os.close(fd)
        return os.stat(file)
    os.utime(file, ns=(5, 10))
    before = os.stat(file)
    assert read(os.O_NOATIME).st_atime_ns == 5
    moved = read()
    assert moved.st_atime_ns > before.st_ctime_ns
    assert (moved.st_mtime_ns, moved.st_ctime_ns) == (10, before.st_ctime_ns)
    assert read().st_atime_ns == moved.st_atime_ns
    os.utime(file, ns=(moved.st_atime_ns, 10))  # changed since it was read
    assert read().st_atime_ns > moved.st_atime_ns


@pytest.mark.parametrize("name", CASES)
def test_behaves_like_a_native_directory(twins, name):
    cases = CASES[name]()
    for steps in [cases] if isinstance(cases, list) else cases:
        assert twins(steps) == []
