"""kill -9 in the middle of writes: what was acknowledged is there afterwards, and every document is one whole version.

The ledger is kept here, in the test: what a write returned for is acknowledged, what it failed for may or may not be there.
"""
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest


class Writer(threading.Thread):
    """Numbered writes until the daemon is gone: `acknowledged` is how many came back."""

    def __init__(self, write):
        super().__init__(daemon=True)
        self.write = write
        self.is_over = False
        self.acknowledged = 0
        self.start()

    def run(self):
        try:
            while not self.is_over:
                self.write(self.acknowledged)
                self.acknowledged += 1
        except (OSError, AssertionError, ValueError):
            pass  # http.client and the mount both say it so


def wait_for(condition, seconds=60):
    pause = threading.Event()
    for _ in range(seconds * 100):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("the writers are stuck")


def body(number, size):
    """A text whose parts all tell the same number."""
    return {"n": number, "pad": f"{number:08}" * (size // 8), "last": number}


def assert_whole(document):
    assert document["n"] == document["last"] and set(document["pad"][i:i + 8] for i in range(0, len(document["pad"]), 8)) \
        <= {f"{document['n']:08}"}


def crash_round(mount, writes, least):
    writers = {name: Writer(write) for name, write in writes.items()}
    wait_for(lambda: all(w.acknowledged >= least for w in writers.values()))
    mount.kill()
    for writer in writers.values():
        writer.is_over = True
    mount.start()  # before the join: a writer may wait in the kernel until the dead mount is taken over
    for writer in writers.values():
        writer.join()
    return {name: writer.acknowledged for name, writer in writers.items()}


def test_an_import_that_was_cut_off_leaves_whole_documents_only(mounts):
    mount = mounts()
    folder = mount.path / "c"
    folder.mkdir()
    lines = [json.dumps({"_id": i, **body(i, 400)}) + "\n" for i in range(50000)]

    def send(i):
        with open(folder / ".import", "w", encoding="utf-8") as stream:
            for line in lines:
                stream.write(line)

    writer = Writer(send)
    wait_for(lambda: int((folder / ".count").read_text()) > 1000)
    mount.kill()
    writer.is_over = True
    mount.start()
    writer.join()
    found = [json.loads(line) for line in (folder / ".export.ndjson").read_text().splitlines()]
    assert 1000 < len(found) <= len(lines)
    for document in found:
        assert_whole(document)
    assert int((folder / ".count").read_text()) == len(found)


def test_files_that_were_written_and_renamed_survive_kill_9(mounts):
    mount = mounts()
    ledger = []

    def write(i):
        with open(mount.path / ".part", "wb") as file:
            file.write(b"%d\n" % i * 30000)
        os.rename(mount.path / ".part", mount.path / f"p{i}.txt")
        ledger.append(i)

    for _ in range(3):
        start = len(ledger)
        crash_round(mount, {"p": lambda _: write(len(ledger))}, 10)
        assert len(ledger) >= start + 10
        for i in ledger:
            assert (mount.path / f"p{i}.txt").read_bytes() == b"%d\n" % i * 30000


def test_a_reader_that_was_inside_the_dead_mount_is_freed_and_the_next_mount_works(mounts):
    mount = mounts()
    (mount.path / "c").mkdir()
    (mount.path / "c/a.json").write_text('{"a":1}')
    held = open(mount.path / "c/a.json", encoding="utf-8")
    mount.kill()
    with pytest.raises(OSError):
        os.listdir(mount.path / "c")
    mount.start()
    assert (mount.path / "c/a.json").read_text() == '{"a":1}'
    with pytest.raises(OSError):
        held.read()
    try:
        held.close()
    except OSError:
        pass


def states(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            found.append((task / "stat").read_text().rpartition(") ")[2][0])
        except OSError:
            pass  # it has just ended
    return found


def stop_with_a_thread_in_the_kernel(pid):
    """Stop the daemon while a thread of it waits for a lock of which only an answer of the daemon's would free it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if "D" in states(pid):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.05)  # for those that were about to leave the kernel
            if "D" in states(pid):
                return
            os.kill(pid, signal.SIGCONT)
    raise AssertionError("the notifier was never met in the kernel")


FILE_WRITER = """
import itertools, os, sys
for i in itertools.count():
    with open(f"{sys.argv[1]}{i}.json", "w") as file:
        file.write('{"n":%d}' % i)
    print(file.name, flush=True)
    os.path.exists(f"r{i % 5}.json")
"""


@pytest.mark.parametrize("guarded", [True, False])
def test_a_daemon_that_is_killed_inside_the_kernel_ends(mounts, guarded):
    """Its notifier waits for the lock of a directory, in which a program waits for the daemon: by itself, or by the next mount."""
    mount = mounts()
    if not guarded:
        for guard in children(mount.process.pid):
            os.kill(guard, signal.SIGKILL)
    folder = mount.path / "c"
    folder.mkdir()
    is_over = threading.Event()
    ledger = set()

    def rest(name):
        connection = mount.connect()
        for i in itertools.count():
            if is_over.is_set():
                return
            mount.call("PUT", f"/collections/c/r{i % 5}?replace=true", {"n": i}, connection=connection)
            mount.call("DELETE", f"/collections/c/r{i % 5}", connection=connection)
            if mount.call("POST", "/collections/c", {"_id": f"{name}{i}", "n": i}, connection=connection).status == 201:
                ledger.add(f"{name}{i}.json")

    def files(name):
        """A process of its own: this one must hold no file of a mount that does not answer."""
        with subprocess.Popen([sys.executable, "-c", FILE_WRITER, name], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True) as writer:
            for line in writer.stdout:
                ledger.add(line.strip())

    def until_the_end(work, *args):
        try:
            work(*args)
        except (OSError, http.client.HTTPException):
            pass

    threads = [threading.Thread(target=until_the_end, args=args, daemon=True)
               for args in ((rest, "x"), (rest, "y"), (files, "a"), (files, "b"))]
    for thread in threads:
        thread.start()
    wait_for(lambda: {name[0] for name in ledger.copy()} == set("xyab"))
    stop_with_a_thread_in_the_kernel(mount.process.pid)
    is_over.set()
    mount.process.kill()
    process, mount.process = mount.process, None
    if guarded:
        assert process.wait(timeout=10) == -signal.SIGKILL
    else:
        with contextlib.suppress(subprocess.TimeoutExpired):  # mostly: what it waited for may have come
            process.wait(timeout=0.5)
    mount.start()
    assert process.wait(timeout=10) == -signal.SIGKILL
    for thread in threads:
        thread.join()
    for name in ledger:
        assert json.loads((folder / name).read_text())["n"] == int(name[1:-5])


def test_the_guard_goes_with_its_daemon(mounts):
    """No process is left by a clean end nor by a kill, and what stops the daemon cleanly does not end the guard first."""
    mount = mounts()
    guards = children(mount.process.pid)
    assert [pathlib.Path(f"/proc/{pid}/comm").read_text() for pid in guards] == ["nexadb-guard\n"]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(guards[0], number)
    assert children(mount.process.pid) == guards
    mount.kill()
    wait_for(lambda: not os.path.exists(f"/proc/{guards[0]}"), 10)
    mount.start()
    guards = children(mount.process.pid)
    mount.stop()
    assert len(guards) == 1 and not os.path.exists(f"/proc/{guards[0]}")


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
