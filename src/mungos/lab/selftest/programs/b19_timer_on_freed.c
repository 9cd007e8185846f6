/* A timer outlives the connection that it belongs to, and fires on memory that is gone. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct connection {
    int open;
    void (*expired)(struct connection *);
};

struct timer {
    struct connection *owner;
};

static void close_it(struct connection *one)
{
    one->open = 0;
}

int main(int count, char **words)
{
    int repaired = count > 1 && strcmp(words[1], "repaired") == 0;
    /* A page of its own, so that using it after it was freed can't go unnoticed. */
    struct connection *one = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct timer idle = {.owner = one};

    one->open = 1;
    one->expired = close_it;
    puts("connection closed");
    fflush(stdout);
    munmap(one, 4096);
    if (repaired)
        idle.owner = NULL;
    usleep(1000);
    if (idle.owner != NULL)
        idle.owner->expired(idle.owner);
    return 0;
}
