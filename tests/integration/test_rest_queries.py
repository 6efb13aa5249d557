"""Many documents over REST: find, page, stream, count, distinct, update, delete, bulk, batch, import, export."""
import json

import pytest

PEOPLE = [{"_id": i, "age": i % 10, "name": f"p{i}"} for i in range(250)]


@pytest.fixture
def people(daemon):
    daemon.ok("POST", "/collections/people/bulk", {"documents": PEOPLE})
    return daemon


def test_find_gives_100_and_a_cursor(people):
    answer = people.ok("GET", "/collections/people")
    assert answer["count"] == 100 and answer["documents"] == PEOPLE[:100]
    assert answer["collection"] == "people" and answer["next"]


@pytest.mark.parametrize("sort", [None, {"age": -1}, {"name": 1}])
def test_pages_follow_one_another_without_gaps(people, sort):
    body = {"limit": 40, "projection": {"age": 1}}
    if sort:
        body["sort"] = sort
    seen, cursor = [], None
    while True:
        answer = people.ok("POST", "/collections/people/query", {**body, **({"cursor": cursor} if cursor else {})})
        seen += [document["_id"] for document in answer["documents"]]
        cursor = answer.get("next")
        if not cursor:
            break
    assert len(seen) == 250 and len(set(seen)) == 250


def test_the_last_page_has_no_cursor(people):
    assert "next" not in people.ok("POST", "/collections/people/query", {"limit": 250})
    assert "next" in people.ok("POST", "/collections/people/query", {"limit": 249})


def test_parameters_of_get_are_json(people):
    answer = people.ok("GET", "/collections/people?query=%7B%22age%22:3%7D&sort=%7B%22_id%22:-1%7D&limit=2&skip=1"
                              "&projection=%7B%22name%22:1,%22_id%22:0%7D")
    assert answer["documents"] == [{"name": "p233"}, {"name": "p223"}]


def test_a_collection_that_is_not_there_is_empty(daemon):
    assert daemon.ok("GET", "/collections/none") == {"status": "success", "collection": "none", "documents": [],
                                                      "count": 0}
    assert daemon.ok("POST", "/collections/none/count", {})["count"] == 0
    assert daemon.ok("POST", "/collections/none/distinct", {"field": "a"})["values"] == []
    assert daemon.ok("POST", "/collections/none/delete", {"filter": {}})["deleted"] == 0
    assert daemon.ok("GET", "/collections")["count"] == 0


@pytest.mark.parametrize("path, body, code", [
    ("query", '{"filter":{"a":{"$foo":1}}}', "unknown_operator"),
    ("query", '{"filter":[1]}', "invalid_argument"),
    ("query", '{"limit":"5"}', "invalid_argument"),
    ("query", '{"limit":1.5}', "invalid_argument"),
    ("query", '{"filter":{},"query":{}}', "invalid_argument"),
    ("query", '{"colour":1}', "invalid_argument"),
    ("query", '{"cursor":"zzz"}', None),
    ("query", "[]", "invalid_argument"),
    ("count", '{"filter":{', "invalid_json"),
    ("distinct", "{}", "invalid_argument"),
    ("update", '{"filter":{}}', "invalid_argument"),
    ("update", '{"filter":{},"update":{"$zap":{"a":1}}}', None),
    ("delete", "{}", "invalid_argument"),
])
def test_bad_bodies_are_400(people, path, body, code):
    answer = people.call("POST", f"/collections/people/{path}", body)
    assert answer.status == 400, answer.text
    assert answer.json["status"] == "error" and answer.json["error"]
    assert code is None or answer.json["code"] == code


def test_unknown_parameters_are_400(people):
    error = people.refused(400, "invalid_argument", "GET", "/collections/people?colour=red")
    assert "colour" in error["error"] and "projection" in error["error"]


def test_a_large_result_streams_and_ends_with_its_status(daemon):
    daemon.ok("POST", "/collections/big/bulk", {"documents": [{"_id": i, "pad": "x" * 1000} for i in range(3000)]})
    answer = daemon.call("GET", "/collections/big?limit=0")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.json["count"] == 3000 == len(answer.json["documents"])
    assert answer.json["status"] == "success" and answer.text.rstrip().endswith('"status":"success"}')


def test_lines_on_request(people):
    answer = people.call("POST", "/collections/people/query", {"limit": 3}, Accept="application/x-ndjson")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.lines == PEOPLE[:3]


def test_count_and_distinct(people):
    assert people.ok("POST", "/collections/people/count", {"filter": {"age": {"$lt": 3}}})["count"] == 75
    assert people.ok("POST", "/collections/people/count", {"skip": 200, "limit": 20})["count"] == 20
    assert people.ok("POST", "/collections/people/distinct", {"field": "age"})["values"] == list(range(10))


def test_update_and_upsert(people):
    answer = people.ok("POST", "/collections/people/update",
                       {"filter": {"age": 1}, "update": {"$set": {"seen": True}}, "multi": True})
    assert (answer["matched"], answer["modified"], answer["upserted"]) == (25, 25, 0)
    answer = people.ok("POST", "/collections/people/update",
                       {"filter": {"_id": "new"}, "update": {"$set": {"a": 1}}, "upsert": True})
    assert (answer["upserted"], answer["upserted_id"]) == (1, "new")


def test_delete_by_filter(people):
    assert people.ok("POST", "/collections/people/delete", {"filter": {"age": 1}})["deleted"] == 1
    assert people.ok("POST", "/collections/people/delete", {"filter": {"age": 1}, "multi": True})["deleted"] == 24


def test_bulk_is_all_or_nothing(daemon):
    error = daemon.refused(409, "duplicate_key", "POST", "/collections/c/bulk",
                           {"documents": [{"_id": 1}, {"_id": 2}, {"_id": 1}]})
    assert error["index"] == 2
    error = daemon.refused(400, "invalid_id", "POST", "/collections/c/bulk", {"documents": [{"_id": 1}, {"_id": [2]}]})
    assert error["index"] == 1
    assert daemon.ok("POST", "/collections/c/count", {})["count"] == 0


def test_bulk_without_atomic_inserts_what_it_can(daemon):
    answer = daemon.ok("POST", "/collections/c/bulk",
                       '{"documents":[{"_id":1},{"_id":1},\n{"_id":{"$oid":"x"}},{"_id":2}],"atomic":false}')
    assert answer["document_ids"] == [1, 2] and answer["count"] == 2
    assert answer["message"] == "Inserted 2 documents"
    assert [(e["index"], e["code"]) for e in answer["errors"]] == [(1, "duplicate_key"), (2, "invalid_document")]
    assert answer["errors"][1]["line"] == 2


def test_bulk_takes_lines(daemon):
    answer = daemon.ok("POST", "/collections/c/bulk", '{"_id":1}\n\n{"_id":2}\n', Content_Type="application/x-ndjson")
    assert answer["document_ids"] == [1, 2]


def test_batch_changes_several_collections_or_none(daemon):
    daemon.ok("POST", "/collections/a", {"_id": 1, "n": 1})
    operations = [{"insert": {"collection": "b", "document": {"_id": 1}}},
                  {"update": {"collection": "a", "id": 1, "update": {"$inc": {"n": 1}}}},
                  {"delete": {"collection": "a", "id": 2}}]
    error = daemon.refused(404, "not_found", "POST", "/batch", {"operations": operations})
    assert error["index"] == 2
    assert daemon.ok("GET", "/collections/a/1")["document"]["n"] == 1
    daemon.ok("POST", "/batch", {"operations": operations[:2]})
    assert daemon.ok("GET", "/collections/a/1")["document"]["n"] == 2
    assert daemon.ok("GET", "/collections/b/1")["document"] == {"_id": 1}


def test_import_passes_bad_lines_over_and_lists_them(daemon):
    daemon.ok("POST", "/collections/c", {"_id": 1, "old": True})
    answer = daemon.ok("POST", "/collections/c/import", '{"_id":1}\n{bad\n{"_id":2}\n[3]\n{"_id":2,"last":true}',
                       Content_Type="application/x-ndjson")
    assert (answer["inserted"], answer["replaced"], answer["rejected"]) == (1, 2, 2)
    assert [e["line"] for e in answer["errors"]] == [2, 4]
    assert daemon.ok("GET", "/collections/c/2")["document"] == {"_id": 2, "last": True}


def test_import_takes_an_array_and_csv(daemon):
    assert daemon.ok("POST", "/collections/c/import", '[{"_id":1},\n {"_id":2}]')["inserted"] == 2
    answer = daemon.ok("POST", "/collections/d/import", '_id,name,age\n1,"a, b",5\n2,c,\n', Content_Type="text/csv")
    assert answer["inserted"] == 2
    assert daemon.ok("GET", "/collections/d/1")["document"] == {"_id": 1, "name": "a, b", "age": 5}
    assert daemon.ok("GET", "/collections/d/2")["document"] == {"_id": 2, "name": "c"}


def test_a_chunked_import_of_many_pieces(daemon):
    def pieces():
        for start in range(0, 20000, 100):
            yield "".join(f'{{"_id":{i},"pad":"{"y" * 100}"}}\n' for i in range(start, start + 100)).encode()

    connection = daemon.connect()
    connection.request("POST", "/collections/c/import", pieces(), {"X-API-Key": daemon.key}, encode_chunked=True)
    assert json.loads(connection.getresponse().read())["inserted"] == 20000
    exported = daemon.call("GET", "/collections/c/export").lines
    assert len(exported) == 20000 and exported[5]["_id"] == 5


def test_export_reads_back_as_it_was(people):
    text = people.call("GET", "/collections/people/export").text
    answer = people.ok("POST", "/collections/again/import", text)
    assert answer["inserted"] == 250
    assert people.call("GET", "/collections/again/export").text == text
    people.refused(404, "not_found", "GET", "/collections/none/export")
    assert people.call("GET", "/collections/people/export?format=csv").text.startswith("_id,age,name")
