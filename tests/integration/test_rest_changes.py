"""The change feed over REST: server-sent events, tokens, keys, waiting clients."""
import http.client
import json
import os
import socket
import threading
import time

import pytest


class Stream:
    """An open stream of events."""

    def __init__(self, daemon, path, key=None, **headers):
        self.connection = http.client.HTTPConnection(daemon.address, timeout=30)
        self.connection.request("GET", path, headers={"X-API-Key": key or daemon.key, **headers})
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()
        assert self.response.headers["Content-Type"] == "text/event-stream"
        self.id = None
        self.comments = 0

    def lines(self):
        for line in self.response:
            yield line.decode().rstrip("\n")

    def next(self):
        """The next event that has data: its name and value; None at the end."""
        name, data = "message", None
        for line in self.lines():
            if line.startswith(":"):
                self.comments += 1
            elif line.startswith("id: "):
                self.id = line[4:]
            elif line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif line == "" and data is not None:
                return name, data
        return None

    def change(self):
        name, data = self.next()
        assert name == "message"
        assert data.pop("token") == self.id
        return data

    def close(self):
        self.connection.close()


def open_stream(daemon, path="/changes", **options):
    """Its first comment has come: what is written now is in it."""
    stream = Stream(daemon, path, **options)
    for line in stream.lines():
        if line.startswith("id: "):
            stream.id = line[4:]
        if line == "":
            return stream
    raise AssertionError("the stream ended")


def test_changes_are_told_as_they_happen(daemon):
    stream = open_stream(daemon)
    daemon.ok("POST", "/collections/users", {"_id": "alice", "age": 30})
    daemon.ok("PATCH", "/collections/users/alice", {"$inc": {"age": 1}})
    assert stream.change() == {"operationType": "create", "ns": "users"}
    seen = [stream.change() for _ in range(2)]
    assert [s["operationType"] for s in seen] == ["insert", "update"]
    assert seen[1] == {"operationType": "update", "ns": "users", "documentKey": {"_id": "alice"},
                       "fullDocument": {"_id": "alice", "age": 31}}
    daemon.ok("DELETE", "/collections/users/alice")
    assert stream.change() == {"operationType": "delete", "ns": "users", "documentKey": {"_id": "alice"}}
    daemon.ok("DELETE", "/collections/users")
    assert stream.change() == {"operationType": "drop", "ns": "users"}
    stream.close()


def test_a_stream_resumes_by_token_and_by_last_event_id_over_a_restart(serve, tmp_path):
    daemon = serve()
    stream = open_stream(daemon)
    daemon.ok("POST", "/collections/c/bulk", {"documents": [{"_id": n} for n in range(5)]})
    stream.change()
    assert [stream.change()["documentKey"]["_id"] for _ in range(2)] == [0, 1]
    token = stream.id
    stream.close()
    daemon.stop()
    daemon.start()
    daemon.ok("POST", "/collections/c", {"_id": 9})
    for options in ({"path": f"/changes?since={token}"}, {"Last-Event-ID": token, "path": "/changes?since=0"},
                    {"path": f"/collections/c/changes?since={token}&fullDocument=false"}):
        stream = open_stream(daemon, **options)
        got = [stream.change() for _ in range(4)]
        assert [g["documentKey"]["_id"] for g in got] == [2, 3, 4, 9]
        assert all(("fullDocument" in g) != ("=false" in options["path"]) for g in got)
        stream.close()
    stream = open_stream(daemon, "/changes?since=0")
    assert stream.change()["operationType"] == "create"
    stream.close()


def test_a_collection_is_told_of_itself_and_ends_with_it(daemon):
    daemon.ok("POST", "/collections/a", {"_id": 1})
    daemon.ok("POST", "/collections/a%2Fb", {"_id": 1})
    stream = open_stream(daemon, "/collections/a/changes")
    daemon.ok("POST", "/collections/other", {"_id": 1})
    daemon.ok("POST", "/collections/a%2Fb", {"_id": 2})
    daemon.ok("POST", "/collections/a", {"_id": 2})
    assert stream.change()["documentKey"] == {"_id": 2}
    daemon.ok("DELETE", "/collections/a")
    assert stream.change() == {"operationType": "drop", "ns": "a"}
    assert stream.next() is None
    daemon.refused(404, "not_found", "GET", "/collections/a/changes")


def test_what_is_no_token_and_what_is_too_old(daemon):
    daemon.ok("POST", "/collections/a", {"_id": 1})
    daemon.refused(400, "invalid_argument", "GET", "/changes?since=yesterday")
    daemon.refused(410, "token_expired", "GET", "/changes?since=0000000000000001deadbeef")
    daemon.refused(410, "token_expired", "GET", "/collections/a/changes", Last_Event_ID="0000000000000001deadbeef")
    daemon.refused(400, "invalid_argument", "GET", "/changes?from=0")
    daemon.refused(400, "invalid_argument", "GET", "/changes?fullDocument=maybe")


def test_a_key_sees_what_it_covers(daemon):
    key = daemon.ok("POST", "/keys", {"name": "k", "role": "read", "prefix": "app"})["key"]
    daemon.ok("POST", "/collections/secret", {"_id": 1})
    daemon.refused(403, "access_denied", "GET", "/collections/secret/changes", key=key)
    daemon.refused(401, "unauthorized", "GET", "/changes", key=None)
    stream = open_stream(daemon, "/changes?since=0", key=key)
    daemon.ok("POST", "/collections/app", {"_id": 1})
    daemon.ok("POST", "/collections/secret", {"_id": 2})
    daemon.ok("POST", "/collections/app%2Fx", {"_id": 2})
    assert [stream.change()["ns"] for _ in range(4)] == ["app", "app", "app/x", "app/x"]
    stream.close()


def test_many_waiting_clients_hold_no_thread_and_hear_at_once(daemon):
    streams = [open_stream(daemon) for _ in range(60)]
    began = time.monotonic()
    daemon.ok("POST", "/collections/c", {"_id": 1})
    for stream in streams:
        assert stream.change()["operationType"] == "create"
        assert stream.change()["operationType"] == "insert"
    assert time.monotonic() - began < 10
    for stream in streams:
        stream.close()
    deadline = time.monotonic() + 10  # a client that went is noticed
    while sockets(daemon) > 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sockets(daemon):
    folder = f"/proc/{daemon.process.pid}/fd"
    count = 0
    for name in os.listdir(folder):
        try:
            count += os.readlink(f"{folder}/{name}").startswith("socket:")
        except FileNotFoundError:
            pass
    return count


def test_a_client_that_does_not_read_costs_little(daemon):
    """Its changes are read from the feed when it asks for them, not kept for it."""
    host, port = daemon.address.rsplit(":", 1)
    slow = socket.create_connection((host, int(port)), timeout=30)
    slow.sendall(f"GET /changes HTTP/1.1\r\nHost: x\r\nX-API-Key: {daemon.key}\r\n\r\n".encode())
    slow.recv(4096)
    before = memory(daemon)
    for _ in range(20):
        daemon.ok("POST", "/collections/c/bulk?durability=buffered", {"documents": [{"text": "x" * 10000} for _ in range(100)]})
    assert memory(daemon) - before < 200 << 20
    got = 0
    while got < 10 << 20:
        got += len(slow.recv(1 << 20))
    slow.close()


def memory(daemon):
    with open(f"/proc/{daemon.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def status_of(daemon, path):
    connection = daemon.connect()
    connection.request("GET", path, headers={"X-API-Key": daemon.key})
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_stream_that_falls_behind_what_is_kept_is_told(serve):
    daemon = serve("--feed-bytes", "64K")
    slow = open_stream(daemon)
    daemon.ok("POST", "/collections/c", {"_id": 0})
    assert slow.change()["operationType"] == "create"
    token = slow.id
    for n in range(24):  # more than the sockets hold
        daemon.ok("POST", "/collections/c?durability=buffered", {"_id": n + 1, "text": "x" * (1 << 20)})
    filler = {"documents": [{"_id": f"{n}-{'x' * 200}"} for n in range(200)]}
    deadline = time.monotonic() + 30
    while status_of(daemon, f"/changes?since={token}") != 410:  # it goes in the background
        assert time.monotonic() < deadline
        for document in filler["documents"]:
            document["_id"] = f"{time.monotonic_ns()}-{'x' * 200}"
        daemon.ok("POST", "/collections/c/bulk?durability=buffered", filler)
    daemon.refused(410, "token_expired", "GET", f"/collections/c/changes?since={token}")
    heard = 0
    while (event := slow.next())[0] == "message":
        heard += 1
    assert heard < 200
    assert event == ("error", {"status": "error", "code": "token_expired", "error": event[1]["error"]})
    assert slow.next() is None


def test_the_end_of_the_server_ends_the_streams(daemon):
    stream = open_stream(daemon)
    began = time.monotonic()
    thread = threading.Thread(target=daemon.stop)
    thread.start()
    assert stream.next() is None
    thread.join()
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("writers", [4])
def test_concurrent_writers_are_all_heard_in_their_order(daemon, writers):
    stream = open_stream(daemon, "/changes?fullDocument=false")

    def write(w):
        connection = daemon.connect()
        for n in range(60):
            daemon.call("POST", f"/collections/w{w}?durability=buffered", {"_id": n}, connection=connection)
        connection.close()

    threads = [threading.Thread(target=write, args=(w,)) for w in range(writers)]
    for thread in threads:
        thread.start()
    seen = {}
    for _ in range(writers * 61):
        change = stream.change()
        if change["operationType"] == "insert":
            seen.setdefault(change["ns"], []).append(change["documentKey"]["_id"])
    for thread in threads:
        thread.join()
    assert seen == {f"w{w}": list(range(60)) for w in range(writers)}
    stream.close()
