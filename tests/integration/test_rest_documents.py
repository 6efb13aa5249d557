"""One document over REST: create, read, merge, replace, patch, delete, and its versions."""
import pytest


def insert(daemon, document, collection="c"):
    return daemon.ok("POST", f"/collections/{collection}", document)["document_id"]


def read(daemon, path, collection="c"):
    return daemon.ok("GET", f"/collections/{collection}/{path}")["document"]


def test_insert_gives_201_and_the_id(daemon):
    answer = daemon.call("POST", "/collections/users", {"_id": "alice", "age": 30})
    assert answer.status == 201
    assert answer.json == {"status": "success", "collection": "users", "document_id": "alice",
                           "message": "Document inserted"}
    assert read(daemon, "alice", "users") == {"_id": "alice", "age": 30}


def test_a_generated_id_is_a_string_of_24_hex_digits(daemon):
    made = insert(daemon, {"a": 1})
    assert len(made) == 24 and int(made, 16)
    assert read(daemon, made) == {"_id": made, "a": 1}


def test_an_existing_id_is_409(daemon):
    insert(daemon, {"_id": 1})
    daemon.refused(409, "duplicate_key", "POST", "/collections/c", {"_id": 1})


def test_put_merges_top_level_fields(daemon):
    insert(daemon, {"_id": "a", "x": {"y": 1}, "z": 2})
    answer = daemon.ok("PUT", "/collections/c/a", {"x": {"w": 3}, "n": None})
    assert answer["message"] == "Document updated"
    assert read(daemon, "a") == {"_id": "a", "x": {"w": 3}, "z": 2, "n": None}


def test_put_replace_replaces_or_creates(daemon):
    assert daemon.call("PUT", "/collections/c/42?replace=true", {"v": 1}).status == 201
    assert read(daemon, "42") == {"_id": 42, "v": 1}
    assert daemon.call("PUT", "/collections/c/42?replace=true", {"w": 1}).status == 200
    assert read(daemon, "42") == {"_id": 42, "w": 1}


def test_put_of_nothing_there_is_404(daemon):
    insert(daemon, {"_id": 1})
    daemon.refused(404, "not_found", "PUT", "/collections/c/2", {"a": 1})
    daemon.refused(404, "not_found", "PUT", "/collections/none/2", {"a": 1})


def test_a_body_id_that_differs_is_400(daemon):
    insert(daemon, {"_id": 1})
    daemon.refused(400, "invalid_id", "PUT", "/collections/c/1", {"_id": 2})
    daemon.ok("PUT", "/collections/c/1", {"_id": 1, "a": 1})


@pytest.mark.parametrize("body, content_type, expected", [
    ({"b": None, "c": {"e": 2}}, "application/merge-patch+json", {"_id": 1, "a": 1, "c": {"d": 1, "e": 2}}),
    ({"b": None}, "application/json", {"_id": 1, "a": 1, "c": {"d": 1}}),
    ({"$inc": {"a": 4}, "$unset": {"b": ""}}, "application/json", {"_id": 1, "a": 5, "c": {"d": 1}}),
])
def test_patch(daemon, body, content_type, expected):
    insert(daemon, {"_id": 1, "a": 1, "b": 2, "c": {"d": 1}})
    daemon.ok("PATCH", "/collections/c/1", body, Content_Type=content_type)
    assert read(daemon, "1") == expected


def test_a_patch_of_operators_and_fields_is_refused(daemon):
    insert(daemon, {"_id": 1})
    daemon.refused(400, "invalid_update", "PATCH", "/collections/c/1", {"$inc": {"a": 1}, "b": 2})


def test_delete(daemon):
    insert(daemon, {"_id": 1})
    assert daemon.ok("DELETE", "/collections/c/1")["message"] == "Document deleted"
    daemon.refused(404, "not_found", "GET", "/collections/c/1")
    daemon.refused(404, "not_found", "DELETE", "/collections/c/1")


def test_the_string_comes_before_the_integer_and_the_objectid(daemon):
    oid = "0123456789abcdef01234567"
    insert(daemon, {"_id": 7, "is": "integer"})
    insert(daemon, {"_id": {"$oid": oid}, "is": "oid"})
    assert read(daemon, "7")["is"] == "integer"
    assert read(daemon, oid) == {"_id": {"$oid": oid}, "is": "oid"}
    insert(daemon, {"_id": "7", "is": "string"})
    assert read(daemon, "7")["is"] == "string"


@pytest.mark.parametrize("name", ["a/b", "a b", "ä€😀", "50%", "?x=1#y", "query"])
def test_ids_of_any_text_are_percent_encoded(daemon, name):
    from urllib.parse import quote
    insert(daemon, {"_id": name})
    assert read(daemon, "documents/" + quote(name, safe="")) == {"_id": name}


def test_nested_collections_are_one_segment(daemon):
    insert(daemon, {"_id": 1}, "users%2Farchive")
    assert daemon.ok("GET", "/collections")["collections"] == ["users", "users/archive"]
    assert daemon.ok("DELETE", "/collections/users")["message"] == "Collection dropped"
    assert daemon.ok("GET", "/collections") == {"status": "success", "collections": [], "count": 0}


def test_etags_guard_changes(daemon):
    insert(daemon, {"_id": 1})
    first = daemon.call("GET", "/collections/c/1").headers["ETag"]
    second = daemon.call("PUT", "/collections/c/1", {"a": 1}, If_Match=first)
    assert second.status == 200 and second.headers["ETag"] != first
    daemon.refused(412, "precondition_failed", "PUT", "/collections/c/1", {"a": 2}, If_Match=first)
    daemon.refused(412, "precondition_failed", "PATCH", "/collections/c/1", {"a": 2}, If_Match=first)
    daemon.refused(412, "precondition_failed", "DELETE", "/collections/c/1", If_Match=first)
    daemon.refused(412, "precondition_failed", "PUT", "/collections/c/1?replace=true", {}, If_None_Match="*")
    assert daemon.call("GET", "/collections/c/1", If_None_Match=second.headers["ETag"]).status == 304
    daemon.ok("DELETE", "/collections/c/1", If_Match=second.headers["ETag"])


def test_types_come_back_as_they_went_in(daemon):
    document = {"_id": 1, "long": {"$numberLong": "5"}, "date": {"$date": "2020-01-01T00:00:00.000Z"},
                "decimal": {"$numberDecimal": "1.50"}, "oid": {"$oid": "0123456789abcdef01234567"}}
    insert(daemon, document)
    assert read(daemon, "1") == document


@pytest.mark.parametrize("body, code", [
    ("{", "invalid_json"), ("", "invalid_json"), ("[]", "invalid_document"), ("5", "invalid_json"),
    ('{"a":1,"a":2}', "invalid_document"), ('{"_id":[1]}', "invalid_id"),
    ('{"a":{"$date":"never"}}', "invalid_document"), ('{"a":1} x', "invalid_json"),
])
def test_what_is_no_document_is_400(daemon, body, code):
    daemon.refused(400, code, "POST", "/collections/c", body)


def test_bad_json_is_placed(daemon):
    error = daemon.refused(400, "invalid_json", "POST", "/collections/c", '{"a": 1,\n "b": }')
    assert (error["line"], error["column"]) == (2, 7)


def test_a_document_over_16_mib_is_413(daemon):
    daemon.refused(413, "too_large", "POST", "/collections/c", {"a": "x" * (17 << 20)})


def test_concurrent_merges_lose_nothing(daemon):
    import threading
    insert(daemon, {"_id": 1})

    def merge(name):
        connection = daemon.connect()
        for i in range(20):
            assert daemon.call("PATCH", "/collections/c/1", {"$inc": {name: 1}}, connection=connection).status == 200

    threads = [threading.Thread(target=merge, args=(f"n{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(daemon, "1") == {"_id": 1, "n0": 20, "n1": 20, "n2": 20, "n3": 20}


def test_a_json_patch_is_applied_whole_or_not_at_all(daemon):
    kind = {"Content_Type": "application/json-patch+json"}
    daemon.ok("POST", "/collections/c", {"_id": 1, "tags": ["a"], "n": 1})
    daemon.ok("PATCH", "/collections/c/1", [{"op": "test", "path": "/n", "value": 1},
                                            {"op": "add", "path": "/tags/-", "value": "b"},
                                            {"op": "move", "from": "/n", "path": "/m"}], **kind)
    expected = {"_id": 1, "tags": ["a", "b"], "m": 1}
    assert daemon.ok("GET", "/collections/c/1")["document"] == expected
    failed = [{"op": "remove", "path": "/tags"}, {"op": "test", "path": "/m", "value": 2}]
    assert daemon.refused(412, "precondition_failed", "PATCH", "/collections/c/1", failed, **kind)["index"] == 1
    daemon.refused(400, "invalid_update", "PATCH", "/collections/c/1", {"op": "remove"}, **kind)
    daemon.refused(400, "invalid_id", "PATCH", "/collections/c/1", [{"op": "replace", "path": "/_id", "value": 2}], **kind)
    assert daemon.ok("GET", "/collections/c/1")["document"] == expected


def test_a_duplicate_is_named_by_its_id(daemon):
    daemon.ok("POST", "/collections/c", {"_id": "alice"})
    assert daemon.refused(409, "duplicate_key", "POST", "/collections/c", {"_id": "alice"})["error"] == \
        'the document with _id "alice" exists already'


def test_wrong_parameters_are_told_in_words(daemon):
    assert "whole number" in daemon.refused(400, "invalid_argument", "GET", "/collections/c?limit=x")["error"]
    assert "parameter" in daemon.refused(400, "invalid_argument", "GET", "/collections/c?lmit=1")["error"]
    daemon.refused(400, "invalid_argument", "POST", "/collections/c?durability=maybe", {})
