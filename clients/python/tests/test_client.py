"""The client's classes and methods against a real daemon."""
import socket
import threading

import pytest

from nexadb import (AuthError, DuplicateKey, InvalidRequest, NexaDB, NexaDBConnectionError, NexaDBException, NotFound)

PEOPLE = [{"_id": "alice", "name": "Alice", "age": 28, "city": "Paris"},
          {"_id": "bob", "name": "Bob", "age": 35, "city": "Oslo"},
          {"_id": "carol", "name": "Carol", "age": 42, "city": "Paris"}]


@pytest.fixture
def people(db):
    users = db.collection("users")
    assert users.insert_many(PEOPLE) == ["alice", "bob", "carol"]
    return users


def test_insert_gives_an_id_that_finds_the_document(db):
    users = db.collection("users")
    document_id = users.insert({"name": "Dora", "age": 3})
    assert len(document_id) == 24
    assert users.find_by_id(document_id) == {"_id": document_id, "name": "Dora", "age": 3}


def test_find_takes_query_sort_skip_limit_and_projection(people):
    assert [p["_id"] for p in people.find({"age": {"$gt": 30}})] == ["bob", "carol"]
    assert [p["_id"] for p in people.find(sort={"age": -1}, limit=2)] == ["carol", "bob"]
    assert people.find({"_id": "bob"}, projection={"city": 1, "_id": 0}) == [{"city": "Oslo"}]
    assert [p["_id"] for p in people.find(skip=2)] == ["carol"]
    assert people.query({"city": "Oslo"}) == [PEOPLE[1]]


def test_find_one_and_find_by_id_give_none_for_nothing(people):
    assert people.find_one({"city": "Oslo"})["_id"] == "bob"
    assert people.find_one({"city": "Rome"}) is None
    assert people.find_by_id("nobody") is None


def test_update_merges_fields_and_tells_whether_there_was_a_document(people):
    assert people.update("alice", {"age": 29}) is True
    assert people.find_by_id("alice") == {"_id": "alice", "name": "Alice", "age": 29, "city": "Paris"}
    assert people.update("nobody", {"age": 1}) is False


def test_replace_creates_and_replaces(people):
    assert people.replace("dora", {"x": 1}) is False
    assert people.replace("dora", {"y": 2}) is True
    assert people.find_by_id("dora") == {"_id": "dora", "y": 2}


def test_delete_tells_whether_there_was_a_document(people):
    assert people.delete("alice") is True
    assert people.delete("alice") is False
    assert people.count() == 2


def test_update_many_delete_many_count_and_distinct(people):
    result = people.update_many({"city": "Paris"}, {"$inc": {"age": 1}})
    assert (result["matched"], result["modified"]) == (2, 2)
    assert people.distinct("city") == ["Oslo", "Paris"]
    assert people.count({"age": {"$gte": 43}}) == 1
    assert people.delete_many({"city": "Paris"}) == 2


def test_aggregate_groups_and_sorts(people):
    pipeline = [{"$group": {"_id": "$city", "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}]
    assert people.aggregate(pipeline) == [{"_id": "Oslo", "n": 1}, {"_id": "Paris", "n": 2}]


def test_insert_many_is_all_or_nothing(people):
    with pytest.raises(DuplicateKey) as caught:
        people.insert_many([{"_id": "dora"}, {"_id": "alice"}])
    assert caught.value.code == "duplicate_key"
    assert people.find_by_id("dora") is None


def test_iterate_streams_every_document(db):
    numbers = db.collection("numbers")
    numbers.insert_many([{"_id": i} for i in range(1000)])
    assert [d["_id"] for d in numbers.iterate(sort={"_id": 1})] == list(range(1000))
    assert numbers.find_by_id(7) == {"_id": 7}


def test_ids_with_any_character_are_found_again(db):
    things = db.collection("odd things/nested")
    for document_id in ("a/b", "50%", "ü?#&", "count", "with space", "42"):
        assert things.insert({"_id": document_id, "n": 1}) == document_id
        assert things.find_by_id(document_id)["_id"] == document_id
        assert things.delete(document_id)


def test_vector_collection_finds_the_nearest(db):
    products = db.vector_collection("products", dimensions=3)
    ids = [products.insert({"name": n}, v) for n, v in
           (("x", [1, 0, 0]), ("y", [0, 1, 0]), ("xy", [1, 1, 0]))]
    found = products.search([1, 0.1, 0], limit=2)
    assert [hit["document_id"] for hit in found] == [ids[0], ids[2]]
    assert found[0]["similarity"] > found[1]["similarity"]
    assert found[0]["document"]["name"] == "x"
    with pytest.raises(InvalidRequest):
        products.search([1, 0], limit=1)


def test_collections_status_and_stats(db):
    db.collection("a").insert({})
    db.collection("b/c").insert({})
    assert {"a", "b/c"} <= set(db.list_collections())
    assert db.drop_collection("a") is True
    assert db.drop_collection("a") is False
    assert db.status()["database"] == "NexaDB"
    assert "engine_stats" in db.stats()


def test_errors_carry_code_status_and_message(people, server):
    with pytest.raises(InvalidRequest) as caught:
        people.find({"age": {"$nope": 1}})
    assert caught.value.status == 400 and caught.value.code == "unknown_operator" and "$nope" in str(caught.value)
    host, port, _ = server
    with NexaDB(host, port, api_key="wrong") as stranger, pytest.raises(AuthError):
        stranger.list_collections()


def test_a_server_that_is_not_there_is_a_connection_error():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(NexaDBConnectionError):
        NexaDB("127.0.0.1", port, retries=1).status()


def test_a_watch_tells_what_happens_and_goes_on_from_a_token(db):
    users = db.collection("users")
    users.insert({"_id": "alice"})
    with users.watch() as watch:
        users.insert({"_id": "bob", "age": 3})
        users.delete("alice")
        change = next(watch)
        assert (change["operationType"], change["documentKey"], change["fullDocument"]) == (
            "insert", {"_id": "bob"}, {"_id": "bob", "age": 3})
        token = watch.token
        assert token == change["token"]
        assert next(watch)["operationType"] == "delete"
    with db.watch(since=token, full_document=False) as watch:
        assert next(watch)["documentKey"] == {"_id": "alice"}
        watch._events.close()  # a connection that breaks is made again
        users.insert({"_id": "carol"})
        assert next(watch)["documentKey"] == {"_id": "carol"}
    watch = users.watch(since="0")
    db.drop_collection("users")
    assert [change["operationType"] for change in watch][-1] == "drop"
    with pytest.raises(NotFound):
        users.watch()
    with pytest.raises(NexaDBException) as caught:
        db.watch(since="0000000000000001deadbeef")
    assert caught.value.code == "token_expired"


def test_threads_share_a_client(db):
    counter = db.collection("counter")
    threads = [threading.Thread(target=lambda: [counter.insert({"n": 1}) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.count() == 200


def test_the_predecessors_module_name_works(server):
    from nexadb_client import NexaDB as Old, NexaDBException as OldException

    assert Old is NexaDB and OldException is NexaDBException
