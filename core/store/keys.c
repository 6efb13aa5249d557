/* keys.c - building and taking apart the keys of keys.h. */
#include "store/keys.h"

#include "base/bytes.h"

void key_of_kind(struct key *key, unsigned kind)
{
    key->data[0] = (uint8_t)kind;
    key->len = 1;
}

void key_of(struct key *key, enum key_kind kind, uint64_t number)
{
    key->data[0] = (uint8_t)kind;
    put_u64be(key->data + 1, number);
    key->len = 9;
}

void key_of_pair(struct key *key, enum key_kind kind, uint64_t number, uint64_t second)
{
    key_of(key, kind, number);
    put_u64be(key->data + 9, second);
    key->len = 17;
}

void key_of_tail(struct key *key, enum key_kind kind, uint64_t number, struct nx_slice tail)
{
    size_t len = tail.len < NX_ID_MAX_BYTES ? tail.len : NX_ID_MAX_BYTES;

    key_of(key, kind, number);
    if (len)
        memcpy(key->data + 9, tail.data, len);
    key->len = 9 + len;
}

bool key_split(struct nx_slice key, uint64_t *number, struct nx_slice *tail)
{
    if (key.len < 9)
        return false;
    *number = get_u64be(key.data + 1);
    *tail = nx_slice(key.data + 9, key.len - 9);
    return true;
}

uint64_t key_number(struct nx_slice tail)
{
    return get_u64be(tail.data);
}
