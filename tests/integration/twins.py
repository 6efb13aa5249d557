"""The same system calls on two file systems: what each returns, and what it leaves behind, must be the same.

A step is `(user, call, *arguments)`. Paths are relative to the directory of its side; "@name" keeps or uses an open
file. After each step both trees are compared: types, modes, owners, link counts, sizes, targets, contents, and which
of the times moved with the step.
"""
import contextlib
import ctypes
import errno
import mmap
import os
import stat
import time

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2
KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO_RANGE, INSERT = 1, 2, 8, 16, 32
NOREPLACE, EXCHANGE = 1, 2
CLOCK_REALTIME_COARSE = 5

ROOT = (0, 0, ())
ALICE = (60001, 60001, ())
BOB = (60002, 60002, ())
ALICE_IN_BOBS = (60001, 60001, (60002,))


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


class Timespec(ctypes.Structure):
    _fields_ = [("sec", ctypes.c_long), ("nsec", ctypes.c_long)]


def utimens(path, atime, mtime, flags=0):
    times = (Timespec * 2)(Timespec(*atime), Timespec(*mtime))
    checked(libc.utimensat(AT_FDCWD, os.fsencode(path), times, flags))


def fallocate(fd, mode, offset, length):
    checked(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def zero_range(fd, keep_size, offset, length):
    """tmpfs has none: then by what it means."""
    try:
        fallocate(fd, ZERO_RANGE | keep_size, offset, length)
    except OSError as failure:
        if failure.errno != errno.EOPNOTSUPP:
            raise
        size = os.fstat(fd).st_size
        end = min(offset + length, size) if keep_size else offset + length
        os.pwrite(fd, b"\0" * (end - offset), offset) if end > offset else os.utime(fd)


def renameat2(old, new, flags):
    checked(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags))


@contextlib.contextmanager
def acting_as(user):
    """The effective user of the whole process, as the file system sees it."""
    uid, gid, groups = user
    if user == ROOT:
        yield
        return
    os.setgroups(groups)
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(())


TIMES = ("atime", "mtime", "ctime")


class Side:
    """One of the two directories, with its open files."""

    def __init__(self, root):
        self.root = root
        self.files = {}
        self.times = {}

    def close(self):
        for fd in self.files.values():
            os.close(fd)
        self.files.clear()

    # --- calls that need a name for an open file, or are none of os's ---

    def open(self, name, path, flags, mode=0o644):
        fd = os.open(path, flags | os.O_CLOEXEC, mode)
        if name in self.files:
            os.close(self.files[name])
        self.files[name] = fd

    def closefile(self, name):
        os.close(self.file(name))
        del self.files[name]

    def fstat(self, name):
        return self.describe(os.fstat(self.file(name)))

    def file(self, name):
        if name not in self.files:
            raise OSError(errno.EBADF, "an open that failed")
        return self.files[name]

    def call(self, call, arguments):
        if call in OWN:
            return getattr(self, OWN[call])(*arguments)
        return CALLS[call](*(self.file(a) if isinstance(a, str) and a.startswith("@") else a for a in arguments))

    # --- what it left behind ---

    @staticmethod
    def describe(st):
        device = st.st_rdev if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode) else 0
        size = 0 if stat.S_ISDIR(st.st_mode) else st.st_size
        return (stat.S_IFMT(st.st_mode), oct(stat.S_IMODE(st.st_mode)), st.st_uid, st.st_gid, st.st_nlink, device, size)

    def content(self, path, st):
        if stat.S_ISLNK(st.st_mode):
            return os.readlink(path)
        if stat.S_ISREG(st.st_mode) and st.st_size <= 1 << 20:
            fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
            try:
                return os.pread(fd, 1 << 20, 0)
            finally:
                os.close(fd)
        return None

    def tree(self):
        """Every name below the root: attributes, content, and which times are not what they were at the last call."""
        found, times = {}, {}
        for folder, folders, files in os.walk("."):
            for name in ["."] * (folder == ".") + folders + files:
                path = os.path.normpath(os.path.join(folder, name))
                st = os.lstat(path)
                now = (st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns)
                known = self.times.get((path, st.st_ino))
                moved = tuple(t for t, a, b in zip(TIMES, now, known or now) if a != b and t != "atime")
                attributes = {name: os.getxattr(path, name, follow_symlinks=False)
                              for name in os.listxattr(path, follow_symlinks=False)}
                found[path] = (*self.describe(st), attributes, self.content(path, st), moved if known else "new")
                times[path, st.st_ino] = now
        self.times = times
        return found

    def step(self, user, call, arguments):
        os.chdir(self.root)
        try:
            with acting_as(user):
                result = self.call(call, arguments)
        except OSError as failure:
            result = errno.errorcode[failure.errno]
        os.umask(0o022)
        return result, self.tree()


def set_times(path, atime, mtime, flags=0):
    utimens(path, atime, mtime, flags)
    st = os.stat(path, follow_symlinks=not flags & AT_SYMLINK_NOFOLLOW)
    return [t if t % 10**9 != NOW and abs(t - 10**18) < 10**18 and kept not in (NOW, OMIT) else "clock"
            for t, kept in ((st.st_atime_ns, atime[1]), (st.st_mtime_ns, mtime[1]))]


def map_write(fd, offset, data, flags):
    with mmap.mmap(fd, os.fstat(fd).st_size, flags) as area:
        area[offset:offset + len(data)] = data
        if flags == mmap.MAP_SHARED:
            area.flush()
        return bytes(area[:])


def save(path, data):
    """In one step: what is written to a document is not seen before the end."""
    with open(path, "wb") as file:
        file.write(data)


def make_socket(path):
    import socket
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)


OWN = {"open": "open", "close": "closefile", "fstat": "fstat"}
CALLS = {name: getattr(os, name) for name in (
    "chmod", "chown", "lchown", "fchmod", "fchown", "truncate", "ftruncate", "link", "symlink", "readlink", "mkdir", "rmdir",
    "unlink", "rename", "mkfifo", "mknod", "pwrite", "write", "pread", "read", "lseek", "fsync", "umask", "access",
    "setxattr", "getxattr", "removexattr", "posix_fallocate")}
CALLS.update(
    listxattr=lambda path, **how: sorted(os.listxattr(path, **how)), listdir=lambda path: sorted(os.listdir(path)),
    stat=lambda path: Side.describe(os.stat(path)), lstat=lambda path: Side.describe(os.lstat(path)),
    utimens=set_times, fallocate=fallocate, zero=zero_range, renameat2=renameat2, map=map_write, socket=make_socket, save=save,
    lsetxattr=lambda path, name, value, flags=0: os.setxattr(path, name, value, flags, follow_symlinks=False),
    lgetxattr=lambda path, name: os.getxattr(path, name, follow_symlinks=False),
    llistxattr=lambda path: sorted(os.listxattr(path, follow_symlinks=False)),
    lremovexattr=lambda path, name: os.removexattr(path, name, follow_symlinks=False),
    copy_file_range=lambda a, b, n: os.copy_file_range(a, b, n, 0, 0))


def await_tick():
    """Times of a native file system may stand still for some milliseconds."""
    began = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
    while time.clock_gettime_ns(CLOCK_REALTIME_COARSE) == began:
        time.sleep(0.0005)


class Twins:
    def __init__(self, tested, reference):
        self.tested, self.reference = Side(tested), Side(reference)

    def changed_by_itself(self):
        """What is not as it was at the end of the last run, on the tested side: for after a remount."""
        os.chdir(self.tested.root)
        try:
            before, times = self.last, dict(self.tested.times)
            now = self.tested.tree()
        finally:
            os.chdir("/")
        return [f"'{path}' was {before.get(path)} and is {now.get(path)}" for path in sorted(set(before) | set(now))
                if path not in before or path not in now or before[path][:-1] != now[path][:-1] or now[path][-1]] + [
                    f"times of {path}" for path in set(times) ^ set(self.tested.times)]

    def run(self, steps, slow=False, times=True):
        """The differences, each as a text: empty when the two behave alike. `slow`: no two steps within one tick.
        Without `times` it does not matter which of them moved."""
        differences = []
        shown = None if times else -1
        try:
            for number, (user, call, *arguments) in enumerate(steps):
                if slow:
                    await_tick()
                want, want_tree = self.reference.step(user, call, arguments)
                got, got_tree = self.tested.step(user, call, arguments)
                what = f"step {number}: {user[0]} {call} {arguments}"
                if got != want:
                    differences.append(f"{what}: {got!r}, the reference: {want!r}")
                self.last = got_tree
                for path in sorted(set(got_tree) | set(want_tree)):
                    if path not in got_tree or path not in want_tree or got_tree[path][:shown] != want_tree[path][:shown]:
                        differences.append(f"{what}: then '{path}' is {got_tree.get(path)}, "
                                           f"the reference: {want_tree.get(path)}")
                if len(differences) > 8:
                    break
        finally:
            self.tested.close()
            self.reference.close()
            os.chdir("/")
        return differences
