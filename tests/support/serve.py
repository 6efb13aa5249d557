#!/usr/bin/env python3
"""serve.py NEXADB -- COMMAND... - run a command against a private daemon.

Starts `nexadb serve` in a new directory on a free port, replaces {url} and {key} in the command's words, runs it,
ends the daemon, and exits with the command's status, or 1 when the daemon did not start or end well.
"""
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request


def wait_ready(daemon, data_dir, seconds=30):
    """The base URL, once the daemon answers."""
    deadline = time.monotonic() + seconds
    address = data_dir / "http.addr"
    while time.monotonic() < deadline and daemon.poll() is None:
        if address.exists() and address.read_text().strip():
            url = "http://" + address.read_text().strip()
            try:
                urllib.request.urlopen(url + "/status", timeout=5).read()
                return url
            except OSError:
                pass
        time.sleep(0.05)
    raise SystemExit("serve.py: the daemon is not ready")


def main():
    split = sys.argv.index("--")
    nexadb, command = sys.argv[1], sys.argv[split + 1:]
    with tempfile.TemporaryDirectory(prefix="nexadb-serve-") as scratch:
        data_dir = pathlib.Path(scratch) / "data"
        daemon = subprocess.Popen([nexadb, "serve", "--http", "127.0.0.1:0", str(data_dir)])
        try:
            url = wait_ready(daemon, data_dir)
            key = (data_dir / "api.key").read_text().strip()
            words = [word.replace("{url}", url).replace("{key}", key) for word in command]
            status = subprocess.run(words).returncode
        finally:
            daemon.send_signal(signal.SIGTERM)
            ended = daemon.wait(timeout=30)
    if ended != 0:
        print(f"serve.py: the daemon ended with {ended}", file=sys.stderr)
        status = status or 1
    sys.exit(status)


if __name__ == "__main__":
    main()
