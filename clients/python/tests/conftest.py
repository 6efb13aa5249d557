"""A daemon of this test run's own, and a client of it."""
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parent.parent))
NEXADB = os.environ.get("NEXADB_BIN", str(HERE.parents[3] / "build/daemon/nexadb"))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """(host, port, key) of a running daemon."""
    data_dir = tmp_path_factory.mktemp("nexadb") / "data"
    daemon = subprocess.Popen([NEXADB, "serve", "--http", "127.0.0.1:0", str(data_dir)])
    address = data_dir / "http.addr"
    deadline = time.monotonic() + 60
    while not (address.exists() and address.read_text().strip()):
        assert daemon.poll() is None, "the daemon ended at its start"
        assert time.monotonic() < deadline, "the daemon is not ready"
        time.sleep(0.02)
    host, port = address.read_text().strip().rsplit(":", 1)
    yield host, int(port), (data_dir / "api.key").read_text().strip()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=60) == 0


@pytest.fixture
def db(server):
    from nexadb import NexaDB

    host, port, key = server
    with NexaDB(host=host, port=port, api_key=key) as client:
        yield client
        for name in client.list_collections():
            client.drop_collection(name)
