"""Plain files with the tools that ask more of them: attributes, holes, locks, large files, a full and a read-only disk."""
import ctypes
import errno
import fcntl
import multiprocessing
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from conftest import NEXADB
from twins import KEEP_SIZE, PUNCH_HOLE, fallocate, libc

XATTR = ("-o", "xattr")


def error_of(action, *args, **kwargs):
    with pytest.raises(OSError) as caught:
        action(*args, **kwargs)
    return caught.value.errno


def attributes(path):
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)}


@pytest.fixture
def marked(mounts):
    """A collection of a file, a directory, a link and a document, each with attributes."""
    mount = mounts(*XATTR)
    top = mount.path / "top"
    (top / "sub").mkdir(parents=True)
    (top / "file").write_text("text")
    (top / "alice.json").write_text('{"age": 30}\n')
    (top / "link").symlink_to("file")
    for name in ("file", "sub", "alice.json"):
        os.setxattr(top / name, "user.mark", name.encode())
        os.setxattr(top / name, "trusted.secret", b"\0\1")
    os.setxattr(top / "link", "trusted.secret", b"of the link", follow_symlinks=False)
    return mount


def assert_marked(top):
    for name in ("file", "sub", "alice.json"):
        assert attributes(top / name) == {"user.mark": name.encode(), "trusted.secret": b"\0\1"}
    assert attributes(top / "link") == {"trusted.secret": b"of the link"}


def test_attributes_are_off_unless_asked_for(mount):
    (mount.path / "f").write_text("x")
    assert error_of(os.setxattr, mount.path / "f", "user.a", b"1") == errno.EOPNOTSUPP
    assert error_of(os.getxattr, mount.path / "f", "user.a") == errno.EOPNOTSUPP
    assert error_of(os.listxattr, mount.path / "f") == errno.EOPNOTSUPP


def test_attributes_survive_restarts_renames_and_rest(marked):
    marked.stop()
    marked.start()
    assert_marked(marked.path / "top")
    marked.kill()
    marked.start()
    assert_marked(marked.path / "top")
    marked.ok("PUT", "/collections/top/alice?replace=true", {"age": 31})
    os.rename(marked.path / "top", marked.path / "other")
    top = marked.path / "other"
    assert_marked(top)
    os.rename(top / "alice.json", top / "alice.json~")  # as editors do
    (top / "alice.json").write_text('{"age": 32}\n')
    assert attributes(top / "alice.json") == {}
    os.rename(top / "alice.json~", top / "alice.json")
    os.rename(top / "file", top / "file2")
    os.rename(top / "file2", top / "file")
    assert_marked(top)


def test_attributes_are_as_they_were_in_a_snapshot(marked):
    (marked.path / ".snapshots/then").mkdir()
    then = marked.path / ".snapshots/then/top"
    os.setxattr(marked.path / "top/file", "user.mark", b"changed")
    os.removexattr(marked.path / "top/alice.json", "user.mark")
    assert_marked(then)
    assert error_of(os.setxattr, then / "file", "user.a", b"1") == errno.EROFS
    assert error_of(os.removexattr, then / "file", "user.mark") == errno.EROFS


@pytest.mark.parametrize("copy", ["cp -a {0}/. {1}", "rsync -aX {0}/ {1}/",
                                  "tar -C {0} --xattrs --xattrs-include='*' -cf - . | tar -C {1} --xattrs --xattrs-include='*' -xf -"])
def test_copies_take_the_attributes_along(marked, tmp_path, copy):
    outside = pathlib.Path("/dev/shm") if os.path.isdir("/dev/shm") else tmp_path
    outside = outside / f"nexadb-test-{os.getpid()}"
    outside.mkdir()
    try:
        marked.out("set -o pipefail; " + copy.format("top", outside))
        assert_marked(outside)
        (marked.path / "back").mkdir()
        marked.out("set -o pipefail; " + copy.format(outside, "back"))
        assert_marked(marked.path / "back")
        assert (marked.path / "back/.count").read_text() == "1\n"
    finally:
        subprocess.run(["rm", "-r", outside], check=True)


def test_what_attributes_refuse(marked):
    file = marked.path / "top/file"
    assert error_of(os.setxattr, file, "user.mark", b"", os.XATTR_CREATE) == errno.EEXIST
    assert error_of(os.setxattr, file, "user.none", b"", os.XATTR_REPLACE) == errno.ENODATA
    assert error_of(os.setxattr, file, "system.posix_acl_access", b"\2\0\0\0") == errno.EOPNOTSUPP
    assert error_of(os.getxattr, file, "system.posix_acl_access") == errno.EOPNOTSUPP
    for n in range(20):  # 1 MiB of them
        result = None
        try:
            os.setxattr(file, f"user.{n}", b"x" * 65536)
        except OSError as failure:
            result = failure.errno
            break
    assert result == errno.ENOSPC and n == 15
    assert attributes(marked.path / ".stats") == {}
    assert error_of(os.setxattr, marked.path / ".stats", "user.a", b"") == errno.EPERM
    assert error_of(os.getxattr, marked.path / ".stats", "user.a") == errno.ENODATA


def test_a_read_only_mount_has_attributes_and_changes_none(marked, mounts):
    marked.stop()
    again = mounts("-o", "xattr,ro", data_dir=marked.data_dir)
    assert_marked(again.path / "top")
    assert error_of(os.setxattr, again.path / "top/file", "user.a", b"") == errno.EROFS
    for refused in (lambda: (again.path / "f").write_text(""), lambda: os.truncate(again.path / "top/file", 0), lambda: os.mkdir(again.path / "d"),
                    lambda: os.unlink(again.path / "top/file"), lambda: os.chmod(again.path / "top/file", 0o600), lambda: os.utime(again.path / "top/file"),
                    lambda: os.symlink("a", again.path / "l"), lambda: os.link(again.path / "top/file", again.path / "l"),
                    lambda: os.rename(again.path / "top/file", again.path / "l"), lambda: os.rmdir(again.path / "top/sub")):
        assert error_of(refused) == errno.EROFS
    assert (again.path / "top/file").read_text() == "text"


# --- holes and size -------------------------------------------------------------------------------

def test_sparse_files_stay_sparse(mount, tmp_path):
    mount.out("truncate -s 100M sparse; printf end >> sparse; printf start | dd of=sparse conv=notrunc status=none")
    st = (mount.path / "sparse").stat()
    assert st.st_size == (100 << 20) + 3 and st.st_blocks * 512 <= 1 << 20
    mount.out("cp --sparse=auto sparse copy; tar -cSf sparse.tar sparse; cmp sparse copy")
    assert (mount.path / "copy").stat().st_blocks * 512 <= 1 << 20
    assert (mount.path / "sparse.tar").stat().st_size < 1 << 20
    mount.out("dd if=/dev/zero of=zeros bs=1M count=8 status=none; fallocate --dig-holes zeros")
    assert (mount.path / "zeros").stat().st_blocks == 0
    assert (mount.path / "zeros").read_bytes() == bytes(8 << 20)


def test_room_is_promised_only_where_there_is_some(mount):
    fd = os.open(mount.path / "f", os.O_CREAT | os.O_RDWR)
    free = os.statvfs(mount.path)
    assert free.f_namemax == 255 and 0 < free.f_bavail <= free.f_blocks
    native = os.statvfs(mount.data_dir)
    assert free.f_blocks * free.f_frsize == native.f_blocks * native.f_frsize // 4096 * 4096
    assert error_of(os.posix_fallocate, fd, 0, free.f_blocks * free.f_frsize * 2) == errno.ENOSPC
    os.posix_fallocate(fd, 0, 1 << 20)
    assert os.fstat(fd).st_size == 1 << 20
    for mode in (8, 32, 64):  # collapse, insert, unshare
        assert error_of(fallocate, fd, mode, 0, 4096) == errno.EOPNOTSUPP
    os.close(fd)


def test_documents_take_no_other_allocation_than_a_promise(users):
    fd = os.open(users.path / "users/alice.json", os.O_RDWR)
    fallocate(fd, KEEP_SIZE, 0, 100)
    for mode in (0, PUNCH_HOLE | KEEP_SIZE):
        assert error_of(fallocate, fd, mode, 0, 100) == errno.EOPNOTSUPP
    assert os.lseek(fd, 3, os.SEEK_DATA) == 3 and os.lseek(fd, 3, os.SEEK_HOLE) == 12
    assert error_of(os.lseek, fd, 12, os.SEEK_DATA) == errno.ENXIO
    os.close(fd)
    assert (users.path / "users/alice.json").read_text() == '{"age": 30}\n'


def memory_of(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10


def test_a_large_file_is_written_changed_and_read_in_bounded_memory(mounts):
    """Scaled down for CI: 256 MiB, several times what the daemon may keep of it. Sanitizers keep what was freed."""
    mount = mounts("--memtable-bytes", str(8 << 20), "--cache-bytes", str(8 << 20))
    size, limit = (32 << 20, 1 << 60) if re.search("asan|tsan", NEXADB) else (256 << 20, 160 << 20)
    mount.out(f"dd if=/dev/urandom of=seed bs=1M count=1 status=none; for i in $(seq {size >> 20}); do cat seed; done > big")
    assert memory_of(mount.process) < limit
    with open(mount.path / "big", "r+b") as big:
        for n in range(64):
            big.seek(n * (size // 64))
            big.write(b"x" * 4096)
    mount.out("cat big > /dev/null")
    assert memory_of(mount.process) < limit
    assert (mount.path / "big").stat().st_size == size


# --- locks ----------------------------------------------------------------------------------------

def try_locks(path, answers):
    """In another process: which locks can be had."""
    with open(path, "r+b") as file:
        for attempt in (lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB), lambda: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0),
                        lambda: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 50), lambda: fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, 10, 100)):
            try:
                attempt()
                answers.put("had")
            except OSError as failure:
                answers.put(errno.errorcode[failure.errno])


def test_locks_hold_between_processes(mount):
    (mount.path / "f").write_bytes(bytes(200))
    with open(mount.path / "f", "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.lockf(file, fcntl.LOCK_EX, 10, 0)
        fcntl.lockf(file, fcntl.LOCK_SH, 10, 100)
        answers = multiprocessing.Queue()
        other = multiprocessing.Process(target=try_locks, args=(mount.path / "f", answers))
        other.start()
        assert [answers.get(timeout=30) for _ in range(4)] == ["EAGAIN", "EAGAIN", "had", "had"]
        other.join()


# --- programs and directories ---------------------------------------------------------------------

def test_a_running_program_cannot_be_written(mount):
    program = mount.path / "program"
    shutil.copy(shutil.which("sleep"), program)
    running = subprocess.Popen([program, "60"])
    try:
        assert error_of(open, program, "r+b") == errno.ETXTBSY
    finally:
        running.kill()
        running.wait()
    open(program, "r+b").close()


def names_from(directory):
    """The rest of a directory's names, each with the position behind it."""
    while entry := libc.readdir(ctypes.c_void_p(directory)):
        name = ctypes.string_at(entry + 19)  # struct dirent: ino, off, reclen, type, name
        yield name.decode(), libc.telldir(ctypes.c_void_p(directory))


def test_every_position_of_a_directory_can_be_returned_to(mount):
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    libc.telldir.restype = ctypes.c_long
    for n in range(200):
        (mount.path / f"f{n}").touch()
    directory = libc.opendir(os.fsencode(mount.path))
    listed = list(names_from(directory))
    assert {name for name, _ in listed} == {".", "..", *(f"f{n}" for n in range(200))}
    for n in range(0, len(listed) - 1, 7):
        libc.seekdir(ctypes.c_void_p(directory), ctypes.c_long(listed[n][1]))
        assert next(names_from(directory))[0] == listed[n + 1][0]
    (mount.path / listed[60][0]).unlink()
    libc.seekdir(ctypes.c_void_p(directory), ctypes.c_long(listed[60][1]))
    assert next(names_from(directory))[0] == listed[61][0]
    libc.closedir(ctypes.c_void_p(directory))


def test_a_path_can_be_as_deep_as_the_kernel_takes_it(mount):
    at = os.open(mount.path, os.O_RDONLY)
    for _ in range(40):  # 40 times 255: more than one path can say
        os.mkdir("d" * 255, dir_fd=at)
        below = os.open("d" * 255, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("f", os.O_CREAT, dir_fd=at))
    assert os.listdir(at) == ["f"]
    os.close(at)
    mount.out("rm -r d*")
