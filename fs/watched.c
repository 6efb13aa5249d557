/*
 * watched.c - one pass over /proc/PID/fd for descriptors of inotify and fanotify.
 *
 * A descriptor is told by its link, which costs about a microsecond; only those of the right kind
 * are read. Ordinary users cannot look into other users' processes, and those cannot use their
 * mount either, unless it allows them.
 */
#include "fs/watched.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void watched_fini(struct watched *watched)
{
    free(watched->nodes);
    *watched = (struct watched){0};
}

static void add(struct watched *watched, uint64_t node)
{
    if (watched->count == watched->cap) {
        size_t cap = watched->cap ? 2 * watched->cap : 64;
        uint64_t *nodes = realloc(watched->nodes, cap * sizeof *nodes);

        if (!nodes) {
            watched->all = true;
            return;
        }
        watched->nodes = nodes;
        watched->cap = cap;
    }
    watched->nodes[watched->count++] = node;
}

/* The hexadecimal number behind ` name:`, in a line that ends at `end`. */
static bool field(const char *line, const char *end, const char *name, uint64_t *out)
{
    const char *at = memmem(line, (size_t)(end - line), name, strlen(name));

    if (!at)
        return false;
    *out = strtoull(at + strlen(name), NULL, 16);
    return true;
}

void watched_add_text(struct watched *watched, const char *text, uint64_t device)
{
    /* the kernel prints its own form of a device number */
    uint64_t own = (uint64_t)major(device) << 20 | minor(device);

    for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
        uint64_t dev, ino;

        end = strchrnul(line, '\n');
        if ((strncmp(line, "inotify ", 8) != 0 && strncmp(line, "fanotify ", 9) != 0) ||
            !field(line, end, " sdev:", &dev) || dev != own)
            continue;
        if (field(line, end, " ino:", &ino))
            add(watched, ino);
        else
            watched->all = true; /* a mark on the file system */
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

void watched_sort(struct watched *watched)
{
    if (watched->count > 1)
        qsort(watched->nodes, watched->count, sizeof *watched->nodes, compare);
}

bool watched_has(const struct watched *watched, nx_ino ino)
{
    return watched->all || (watched->count > 0 && bsearch(&ino, watched->nodes, watched->count,
                                                          sizeof ino, compare) != NULL);
}

/* --- /proc ------------------------------------------------------------------------------------ */

static void read_marks(struct watched *watched, int process, const char *number, uint64_t device)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char path[64];
    ssize_t got = 0;
    int fd;

    snprintf(path, sizeof path, "fdinfo/%.20s", number);
    fd = openat(process, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return; /* closed meanwhile */
    do {
        if (nx_buf_reserve(&text, 4096) != NX_OK) {
            watched->all = true;
            break;
        }
        got = read(fd, text.data + text.len, 4096);
        text.len += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    close(fd);
    if (nx_buf_append_byte(&text, 0) == NX_OK)
        watched_add_text(watched, (const char *)text.data, device);
}

static bool is_notifier(int descriptors, const char *number)
{
    char link[64];
    ssize_t len = readlinkat(descriptors, number, link, sizeof link - 1);

    if (len <= 0)
        return false;
    link[len] = 0;
    return strcmp(link, "anon_inode:inotify") == 0 || strcmp(link, "anon_inode:[fanotify]") == 0;
}

static void read_process(struct watched *watched, int process, uint64_t device, bool strangers)
{
    int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (!dir) {
        if (fd >= 0)
            close(fd);
        else if (errno == EACCES && strangers)
            watched->all = true;
        return;
    }
    while ((entry = readdir(dir)))
        if (isdigit((unsigned char)entry->d_name[0]) && is_notifier(fd, entry->d_name))
            read_marks(watched, process, entry->d_name, device);
    closedir(dir);
}

void watched_scan(struct watched *watched, uint64_t device, bool strangers)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;

    watched->count = 0;
    watched->all = !proc;
    if (!proc)
        return;
    while (!watched->all && (entry = readdir(proc))) {
        int process;

        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        process = openat(dirfd(proc), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (process < 0)
            continue;
        read_process(watched, process, device, strangers);
        close(process);
    }
    closedir(proc);
    watched_sort(watched);
}
