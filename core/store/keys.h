/*
 * keys.h - the keys of the store: one kind byte, then big-endian numbers, then a name or an id.
 *
 * Format: FORMAT.md, "Keys". Kinds sort together, numbers in order, so that a directory's records
 * are one range of the engine.
 */
#ifndef STORE_KEYS_H
#define STORE_KEYS_H

#include <nexadb/buf.h>
#include <nexadb/id.h>

enum key_kind {
    KEY_META = 0x01,     /* name */
    KEY_NODE = 0x10,     /* ino */
    KEY_COUNTERS = 0x11, /* directory */
    KEY_ENTRY = 0x12,    /* directory, name */
    KEY_LISTING = 0x13,  /* directory, entry number */
    KEY_CHUNK = 0x14,    /* ino, chunk number */
    KEY_XATTR = 0x15,    /* ino */
    KEY_DOCUMENT = 0x20, /* collection, id */
    KEY_BODY = 0x21,     /* collection, id */
    KEY_TRASH = 0x30,    /* directory that was dropped */
    KEY_ORPHAN = 0x31,   /* plain file without a name that is still open */
    KEY_CHANGES = 0x32,  /* position in the feed */
    KEY_LABEL = 0x33,    /* directory, position in the feed: its name and place before it */
};

#define KEY_MAX_BYTES (1 + 8 + NX_ID_MAX_BYTES)

struct key {
    size_t len;
    uint8_t data[KEY_MAX_BYTES];
};

static inline struct nx_slice key_slice(const struct key *key)
{
    return nx_slice(key->data, key->len);
}
/* (kind): where a kind begins; the end of kind k is the start of k + 1. */
void key_of_kind(struct key *key, unsigned kind);
/* (kind, number). As a bound: where the range of `number` begins; its end is that of number + 1. */
void key_of(struct key *key, enum key_kind kind, uint64_t number);
/* (kind, number, number) */
void key_of_pair(struct key *key, enum key_kind kind, uint64_t number, uint64_t second);
/* (kind, number, bytes): `tail` is a name or an id, at most NX_ID_MAX_BYTES. */
void key_of_tail(struct key *key, enum key_kind kind, uint64_t number, struct nx_slice tail);
/* The first number of a key, and what follows it; false when it is too short. */
bool key_split(struct nx_slice key, uint64_t *number, struct nx_slice *tail);
/* The number at the start of a tail of at least 8 bytes. */
uint64_t key_number(struct nx_slice tail);

#endif
