#!/usr/bin/env python3
"""http_load.py ADDRESS KEY WORKLOAD CONNECTIONS SECONDS [QUERY] - requests a second of one workload, bounded in time.

Raw sockets and prepared requests, since Python's own HTTP client costs more than the daemon. Connections are spread over
two processes; the client shares the machine, so the figures are a lower bound.
"""
import itertools
import json
import multiprocessing
import random
import selectors
import socket
import sys
import time

DOCUMENT = {"name": "Alice Example", "age": 28, "email": "alice@example.org", "tags": ["a", "b", "c"], "bio": "x" * 200}
KEYS = 10000


def request(key, method, path, body=b""):
    return (f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def requests_of(workload, key, worker):
    body = json.dumps(DOCUMENT).encode()
    if workload in ("insert", "insert-buffered"):
        path = "/collections/bench" + ("?durability=buffered" if workload != "insert" else "")
        return itertools.repeat(request(key, "POST", path, body))
    if workload == "get":
        choose = random.Random(worker)
        return (request(key, "GET", f"/collections/fixed/{choose.randrange(KEYS)}") for _ in itertools.count())
    find = json.dumps({"filter": {"age": {"$gte": 20}}, "limit": 10}).encode()
    return itertools.repeat(request(key, "POST", "/collections/fixed/query", find))


def is_whole(data):
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = data.lower().find(b"content-length:")
    return len(data) >= end + 4 + int(data[at + 15:data.find(b"\r\n", at)])


def work(address, key, workload, connections, seconds, worker, out):
    host, port = address.rsplit(":", 1)
    selector = selectors.DefaultSelector()
    source = requests_of(workload, key, worker)
    latencies, failed = [], 0
    end = time.monotonic() + seconds
    for _ in range(connections):
        connection = socket.create_connection((host, int(port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(next(source))
        selector.register(connection, selectors.EVENT_READ, [b"", time.monotonic()])
    while (now := time.monotonic()) < end:
        for ready, _ in selector.select(1):
            state = ready.data
            state[0] += ready.fileobj.recv(1 << 16)
            if not is_whole(state[0]):
                continue
            failed += state[0][9:10] != b"2"
            now = time.monotonic()
            latencies.append(now - state[1])
            state[0], state[1] = b"", now
            ready.fileobj.sendall(next(source))
    out.put((latencies, failed))


def main():
    address, key, workload, connections, seconds = sys.argv[1:6]
    connections, seconds = int(connections), float(seconds)
    processes = min(2, connections)
    out = multiprocessing.Queue()
    started = [multiprocessing.Process(target=work, args=(address, key, workload, connections // processes, seconds, i, out))
               for i in range(processes)]
    for process in started:
        process.start()
    results = [out.get() for _ in started]
    for process in started:
        process.join()
    latencies = sorted(itertools.chain.from_iterable(result[0] for result in results))
    failed = sum(result[1] for result in results)
    p = [latencies[min(len(latencies) - 1, int(len(latencies) * q))] * 1000 for q in (0.5, 0.99)]
    print(f"{workload:16} {connections:3} connections {len(latencies) / seconds:9.0f} /s   p50 {p[0]:7.2f} ms   p99 {p[1]:7.2f} ms"
          + (f"   {failed} FAILED" if failed else ""))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
