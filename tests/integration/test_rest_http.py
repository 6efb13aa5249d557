"""What HTTP itself asks for: keys, methods, limits, CORS, keep-alive, and answers to every request."""
import socket
import threading

import pytest


def test_status_health_and_openapi_need_no_key(daemon):
    assert daemon.call("GET", "/status", key=False).json["database"] == "NexaDB"
    assert daemon.call("GET", "/health", key=False).json["healthy"] is True
    paths = daemon.call("GET", "/openapi.json", key=False).json["paths"]
    assert "get" in paths["/collections/{coll}/{id}"] and "post" in paths["/collections/{coll}/query"]


@pytest.mark.parametrize("key", [False, "nx_wrong", "x" * 1000])
@pytest.mark.parametrize("path", ["/collections", "/stats", "/collections/c/1", "/keys"])
def test_everything_else_does(daemon, path, key):
    daemon.refused(401, "unauthorized", "GET", path, key=key)


def test_a_bearer_token_is_a_key(daemon):
    assert daemon.call("GET", "/collections", key=False, Authorization="Bearer " + daemon.key).status == 200
    daemon.refused(401, "unauthorized", "GET", "/collections", key=False, Authorization="Basic " + daemon.key)


def test_roles_and_prefixes(daemon):
    reader = daemon.ok("POST", "/keys", {"name": "r", "role": "read", "prefix": "app_"})["key"]
    writer = daemon.ok("POST", "/keys", {"name": "w", "role": "write"})["key"]
    daemon.ok("POST", "/collections/app_users", {"_id": 1})
    daemon.ok("POST", "/collections/secret", {"_id": 1})
    assert daemon.call("GET", "/collections/app_users", key=reader).status == 200
    assert daemon.call("GET", "/collections", key=reader).json["collections"] == ["app_users"]
    assert "secret" not in daemon.call("GET", "/stats", key=reader).text
    daemon.refused(403, "access_denied", "GET", "/collections/secret", key=reader)
    daemon.refused(403, "access_denied", "POST", "/collections/app_users", {}, key=reader)
    daemon.refused(403, "access_denied", "GET", "/keys", key=writer)
    assert daemon.call("POST", "/collections/secret", {}, key=writer).status == 201
    daemon.ok("DELETE", "/keys/w")
    daemon.refused(401, "unauthorized", "GET", "/collections", key=writer)


def test_a_batch_checks_every_collection(daemon):
    writer = daemon.ok("POST", "/keys", {"name": "w", "role": "write", "prefix": "mine"})["key"]
    operations = [{"insert": {"collection": "mine", "document": {}}}, {"insert": {"collection": "other", "document": {}}}]
    assert daemon.refused(403, "access_denied", "POST", "/batch", {"operations": operations}, key=writer)["index"] == 1


def test_the_key_file_is_private_and_not_logged(daemon):
    assert (daemon.data_dir / "api.key").stat().st_mode & 0o777 == 0o600
    assert daemon.data_dir.stat().st_mode & 0o777 == 0o700
    daemon.ok("GET", "/collections")
    assert daemon.key not in daemon.log.read_text()


def test_unknown_paths_and_methods(daemon):
    daemon.refused(404, "not_found", "GET", "/nowhere")
    daemon.refused(404, "not_found", "GET", "/")
    answer = daemon.call("DELETE", "/collections")
    assert answer.status == 405 and answer.json["code"] == "method_not_allowed"
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert daemon.call("BREW", "/collections").status == 405


def test_head_and_options(daemon):
    answer = daemon.call("HEAD", "/status")
    assert answer.status == 200 and answer.text == "" and int(answer.headers["Content-Length"]) > 10
    answer = daemon.call("OPTIONS", "/collections/c")
    assert answer.status == 204 and "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/collections/a%00", "/collections/%zz", "/collections//", "/collections/.dot",
                                  "/collections/" + "n" * 300])
def test_names_that_cannot_be(daemon, path):
    answer = daemon.call("POST", path, {})
    assert 400 <= answer.status < 500 and answer.json["status"] == "error"


def test_limits_of_target_headers_and_body(serve):
    daemon = serve("--max-body-bytes", "100K")
    daemon.refused(414, "uri_too_long", "GET", "/" + "x" * 9000)
    daemon.refused(431, "headers_too_large", "GET", "/status", X_Big="y" * 20000)
    daemon.refused(413, "too_large", "POST", "/collections/c", {"a": "x" * 200000})
    lines = "".join(f'{{"_id":{i},"pad":"{"x" * 1000}"}}\n' for i in range(500))
    assert daemon.ok("POST", "/collections/c/import", lines)["inserted"] == 500


def test_a_body_too_large_is_refused_before_it_is_sent(daemon):
    with socket.create_connection(daemon.address.split(":"), timeout=10) as connection:
        connection.sendall(f"POST /collections/c HTTP/1.1\r\nHost: x\r\nX-API-Key: {daemon.key}\r\n"
                           "Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_one_connection_serves_many_requests(daemon):
    connection = daemon.connect()
    for i in range(50):
        assert daemon.call("POST", "/collections/c", {"_id": i}, connection=connection).status == 201
        assert daemon.call("POST", "/collections/c", {"_id": i}, connection=connection).status == 409
    assert daemon.call("GET", "/nowhere", connection=connection).status == 404
    assert daemon.call("POST", "/collections/c/count", {}, connection=connection).json["count"] == 50


def test_cors_is_off_unless_asked_for(serve):
    assert "Access-Control-Allow-Origin" not in serve().call("GET", "/status", Origin="http://a.example").headers
    daemon = serve("--cors-origin", "http://a.example")
    answer = daemon.call("GET", "/collections", Origin="http://a.example")
    assert answer.headers["Access-Control-Allow-Origin"] == "http://a.example"
    assert "Access-Control-Allow-Origin" not in daemon.call("GET", "/status", Origin="http://b.example").headers
    preflight = daemon.call("OPTIONS", "/collections/c", key=False, Origin="http://a.example")
    assert "X-API-Key" in preflight.headers["Access-Control-Allow-Headers"]
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]


def test_a_client_that_goes_in_the_middle_hurts_nobody(daemon):
    daemon.ok("POST", "/collections/c/bulk", {"documents": [{"pad": "x" * 1000} for _ in range(5000)]})
    for _ in range(10):
        with socket.create_connection(daemon.address.split(":"), timeout=10) as connection:
            connection.sendall(f"GET /collections/c?limit=0 HTTP/1.1\r\nHost: x\r\nX-API-Key: {daemon.key}\r\n\r\n".encode())
            connection.recv(1000)
        with socket.create_connection(daemon.address.split(":"), timeout=10) as connection:
            connection.sendall(f"POST /collections/c/import HTTP/1.1\r\nHost: x\r\nX-API-Key: {daemon.key}\r\n"
                               "Content-Length: 1000000\r\n\r\n{\"a\":1}\n".encode())
    assert daemon.ok("GET", "/collections")["count"] == 1


def test_writers_in_parallel_are_all_acknowledged(daemon):
    def write(number):
        connection = daemon.connect()
        for i in range(50):
            assert daemon.call("POST", "/collections/c", {"_id": f"{number}-{i}"}, connection=connection).status == 201

    threads = [threading.Thread(target=write, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert daemon.ok("POST", "/collections/c/count", {})["count"] == 800


def test_metrics_are_prometheus_text(daemon):
    daemon.ok("POST", "/collections/c", {})
    text = daemon.call("GET", "/metrics").text
    assert "# TYPE nexadb_documents gauge\nnexadb_documents 1\n" in text


def test_stats(daemon):
    daemon.ok("POST", "/collections/a%2Fb", {})
    stats = daemon.ok("GET", "/stats")["stats"]
    engine = stats["engine_stats"]
    assert {"memtable_size", "memtable_keys", "num_sstables", "total_keys", "data_dir"} <= set(engine)
    assert engine["data_dir"] == str(daemon.data_dir) and stats["collections"] == 2
    assert stats["documents_by_collection"] == {"a": 0, "a/b": 1}


def test_a_query_that_takes_too_long_is_504(daemon):
    daemon.ok("POST", "/collections/c/bulk", {"documents": [{"n": i, "pad": "x" * 50} for i in range(20000)]})
    query = {"filter": {"pad": {"$regex": "(x+)+y"}, "n": {"$gte": 0}}, "maxTimeMS": 1, "limit": 0}
    answer = daemon.call("POST", "/collections/c/query", query)
    assert answer.status in (400, 504) and answer.json["code"] in ("time_limit", "invalid_query", "expression_error")
