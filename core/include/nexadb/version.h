/* version.h - the release. */
#ifndef NEXADB_VERSION_H
#define NEXADB_VERSION_H
#define NX_VERSION "0.1.0"
#endif
