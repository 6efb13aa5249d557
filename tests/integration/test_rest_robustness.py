"""Clients that are slow, gone, many, greedy or hostile: each gets an answer or an end, and the others notice nothing."""
import json
import os
import shutil
import socket
import ssl
import subprocess
import time

import pytest

from conftest import NEXADB, nexadb


def dial(daemon):
    host, port = daemon.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=30)


def head(daemon, method, path, *lines):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", f"X-API-Key: {daemon.key}", *lines, "", ""]).encode()


def read_all(connection):
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def metric(daemon, name):
    for line in daemon.call("GET", "/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise KeyError(name)


def memory_kib(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("VmRSS:")).split()[1])


def open_files(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def fill(daemon, count, size=100):
    for start in range(0, count, 20000):
        lines = "\n".join(json.dumps({"_id": i, "n": i, "pad": "x" * size}) for i in range(start, min(count, start + 20000)))
        daemon.ok("POST", "/collections/c/import?durability=buffered", lines)


def test_a_request_byte_by_byte(daemon):
    with dial(daemon) as connection:
        for byte in head(daemon, "POST", "/collections/c", "Content-Length: 9", "Connection: close") + b'{"_id":1}':
            connection.sendall(bytes([byte]))
        assert read_all(connection).startswith(b"HTTP/1.1 201")


def test_pipelined_requests_are_answered_in_order(daemon):
    with dial(daemon) as connection:
        body = b'{"_id":1}'
        connection.sendall(head(daemon, "POST", "/collections/c", f"Content-Length: {len(body)}") + body +
                           head(daemon, "GET", "/collections/c/1") + head(daemon, "GET", "/collections/c/2", "Connection: close"))
        answer = read_all(connection)
    assert [answer.find(status) >= 0 for status in (b"201 Created", b"200 OK", b"404 Not Found")] == [True] * 3
    assert answer.find(b"201 Created") < answer.find(b"200 OK") < answer.find(b"404 Not Found")


def test_a_client_that_expects_is_told_to_go_on(daemon):
    with dial(daemon) as connection:
        connection.sendall(head(daemon, "POST", "/collections/c", "Content-Length: 2", "Expect: 100-continue", "Connection: close"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(b"{}")
        assert read_all(connection).startswith(b"HTTP/1.1 201")


@pytest.mark.parametrize("size", [100 << 20, 2 << 30, 1 << 62, 10 ** 19])
def test_a_huge_body_is_refused_by_its_length(daemon, size):
    with dial(daemon) as connection:
        connection.sendall(head(daemon, "POST", "/collections/c", f"Content-Length: {size}"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_chunked_body_over_the_limit_is_refused_without_being_kept(serve):
    daemon = serve("--max-body-bytes", "1M")
    before = memory_kib(daemon)
    with dial(daemon) as connection:
        connection.sendall(head(daemon, "POST", "/collections/c", "Transfer-Encoding: chunked", "Connection: close"))
        for _ in range(20):
            connection.sendall(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 413")
    assert memory_kib(daemon) - before < 15 << 10 or "asan" in NEXADB


def test_a_flood_of_headers_is_431(daemon):
    with dial(daemon) as connection:
        connection.sendall(head(daemon, "GET", "/collections", *[f"X-H{i}: {'y' * 50}" for i in range(1000)], "Connection: close"))
        assert b" 431 " in read_all(connection).split(b"\r\n")[0]


def test_bytes_that_are_no_http_end_the_connection_and_no_more(daemon):
    for noise in (b"\x16\x03\x01\x00\xff\x01" * 20 + b"\r\n\r\n", b"GET\r\n\r\n", b"\0" * 100 + b"\r\n\r\n",
                  b"POST /collections/c HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                  b"POST /collections/c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
        with dial(daemon) as connection:
            try:
                connection.sendall(noise)
                connection.shutdown(socket.SHUT_WR)
                read_all(connection)
            except OSError:  # it may have hung up before the last of these
                pass
    daemon.ok("GET", "/collections")


def test_five_hundred_connections_at_once(daemon):
    daemon.ok("POST", "/collections/c", {"_id": 1})
    connections = [dial(daemon) for _ in range(500)]
    request = head(daemon, "GET", "/collections/c/1", "Connection: close")
    for connection in connections:
        connection.sendall(request[:-2])
    daemon.ok("GET", "/collections")  # none of them holds a thread
    for connection in connections:
        connection.sendall(request[-2:])
    for connection in connections:
        assert read_all(connection).startswith(b"HTTP/1.1 200")
        connection.close()


def test_a_client_gone_from_a_streamed_answer_frees_it(daemon):
    fill(daemon, 20000, 500)
    files = open_files(daemon)
    for _ in range(5):
        with dial(daemon) as connection:
            connection.sendall(head(daemon, "GET", "/collections/c/export"))
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    until(lambda: open_files(daemon) <= files)
    daemon.ok("GET", "/collections/c?limit=1")


def test_a_query_whose_client_is_gone_is_canceled(serve):
    daemon = serve("--workers", "1")
    fill(daemon, 3000)
    endless = [{"$lookup": {"from": "c", "pipeline": [{"$lookup": {"from": "c", "pipeline": [], "as": "b"}}], "as": "a"}},
               {"$count": "n"}]
    body = json.dumps({"pipeline": endless}).encode()
    with dial(daemon) as connection:
        connection.sendall(head(daemon, "POST", "/collections/c/aggregate", f"Content-Length: {len(body)}") + body)
        time.sleep(0.3)  # for the one worker to have it; were it not to, the test would only be weaker
    start = time.monotonic()
    daemon.ok("GET", "/collections/c?limit=1")  # waits for the one worker
    assert time.monotonic() - start < 15


def test_a_client_gone_from_an_import_leaves_a_prefix(daemon):
    with dial(daemon) as connection:
        connection.sendall(head(daemon, "POST", "/collections/c/import", "Transfer-Encoding: chunked"))
        for i in range(2000):
            line = json.dumps({"_id": i, "pad": "y" * 200}).encode() + b"\n"
            connection.sendall(b"%x\r\n%s\r\n" % (len(line), line))
    until(lambda: metric(daemon, "nexadb_http_requests_total") >= 1)
    documents = daemon.ok("GET", "/collections/c?limit=0")["documents"]
    assert [document["_id"] for document in documents] == list(range(len(documents)))


def test_an_export_to_a_slow_reader_stays_small(daemon):
    fill(daemon, 60000, 400)
    daemon.ok("GET", "/collections/c?limit=1")
    before = memory_kib(daemon)
    with dial(daemon) as connection:
        connection.sendall(head(daemon, "GET", "/collections/c/export", "Connection: close"))
        time.sleep(0.5)  # it could write all of it meanwhile
        most, lines = memory_kib(daemon) - before, read_all(connection).count(b"}\n")
    assert lines == 60000
    assert most < 100 << 10  # the block cache of 64 MiB and some; the export is 26 MB, its JSON and BSON twice that


@pytest.mark.parametrize("path", ["/collections/..%2f..%2fetc%2fpasswd", "/collections/a/..%2f..%2fb", "/collections/%2e%2e",
                                  "/collections/a%2f%00", "/collections/%c0%ae", "/../api.key", "/collections/.."])
def test_paths_lead_nowhere_else(daemon, path):
    for method in ("GET", "PUT", "DELETE"):
        answer = daemon.call(method, path, None if method == "GET" else {})
        assert 400 <= answer.status < 500 or answer.json.get("documents") == []
    assert sorted(daemon.ok("GET", "/collections")["collections"]) == []


def certificate(folder, name="localhost"):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / f"{name}.key",
                    "-out", folder / f"{name}.pem"], check=True, capture_output=True)
    return folder / f"{name}.pem", folder / f"{name}.key"


def test_https(serve, tmp_path):
    cert, key = certificate(tmp_path)
    daemon = serve("--tls-cert", str(cert), "--tls-key", str(key))
    until(lambda: "https://" in daemon.log.read_text())
    context = ssl.create_default_context(cafile=str(cert))
    host, port = daemon.address.rsplit(":", 1)
    with context.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host) as connection:
        body = b'{"_id":1}'
        connection.sendall(head(daemon, "POST", "/collections/c", f"Content-Length: {len(body)}") + body +
                           head(daemon, "GET", "/collections/c/1", "Connection: close"))
        answer = read_all(connection)
    assert b"201 Created" in answer and b'"document":{"_id":1}' in answer
    with dial(daemon) as connection:  # plain HTTP is no way in
        connection.sendall(head(daemon, "GET", "/collections"))
        try:
            assert b"200 OK" not in read_all(connection)
        except ConnectionResetError:
            pass


def test_https_is_refused_without_a_pair(tmp_path):
    cert, key = certificate(tmp_path)
    other, _ = certificate(tmp_path, "other")
    serve = ["serve", "--http", "127.0.0.1:0"]
    assert "both" in nexadb(*serve, "--tls-cert", cert, tmp_path / "d", check=False).stderr
    assert "--tls-key" in nexadb(*serve, "--tls-cert", other, "--tls-key", key, tmp_path / "d", check=False).stderr
    missing = nexadb(*serve, "--tls-cert", tmp_path / "no.pem", "--tls-key", key, tmp_path / "d", check=False)
    assert missing.returncode == 1 and "no.pem" in missing.stderr
