"""What a system wants of a daemon: to be told when it is ready, and to be mounted by name."""
import os
import shutil
import signal
import socket
import subprocess

import pytest

from conftest import NEXADB, ROOT, nexadb

HELPER = ROOT / "dist/mount.nexadb"


@pytest.mark.parametrize("abstract", [False, True])
def test_the_supervisor_is_told_of_readiness_and_of_the_end(tmp_path, abstract):
    name = f"nexadb-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(("\0" if abstract else "") + name)
        supervisor.settimeout(30)
        environment = {**os.environ, "NOTIFY_SOCKET": ("@" if abstract else "") + name}
        with subprocess.Popen([NEXADB, "serve", "--http", "127.0.0.1:0", tmp_path / "data"], env=environment,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
            assert supervisor.recv(100) == b"READY=1\n"
            assert nexadb("stats", tmp_path / "data").stdout  # it is
            daemon.send_signal(signal.SIGTERM)
            assert supervisor.recv(100) == b"STOPPING=1\n"
            assert daemon.wait(30) == 0


def test_the_mount_helper_takes_what_mount_gives_it(tmp_path):
    mountpoint = tmp_path / "mnt"
    mountpoint.mkdir()
    environment = {**os.environ, "NEXADB_PROGRAM": NEXADB}
    given = [HELPER, tmp_path / "data", mountpoint, "-n", "-o", "rw,noauto,nofail,x-systemd.automount,xattr,http=127.0.0.1:0,log-level=debug"]
    done = subprocess.run(given, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    try:
        (mountpoint / "c").mkdir()
        (mountpoint / "c" / "1.json").write_text("{}")
        assert ":" in (tmp_path / "data/http.addr").read_text()
    finally:
        nexadb("umount", mountpoint)
    assert nexadb("count", tmp_path / "data", "c").stdout == "1\n"


def test_the_mount_helper_fails_as_mount_expects(tmp_path):
    environment = {**os.environ, "NEXADB_PROGRAM": NEXADB}
    done = subprocess.run([HELPER, tmp_path / "data", tmp_path / "absent", "-o", "bogus"], env=environment, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 32 and "absent" in done.stderr
    assert subprocess.run([HELPER], capture_output=True, check=False).returncode == 1


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_the_unit_is_one(tmp_path):
    unit = tmp_path / "nexadb.service"
    unit.write_text((ROOT / "dist/nexadb.service").read_text().replace("=nexadb serve", f"={NEXADB} serve"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60, check=False)
    assert "nexadb.service" not in done.stderr, done.stderr
