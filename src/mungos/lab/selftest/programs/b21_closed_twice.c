/* A descriptor is closed twice; in between, its number has become somebody else's. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct connection {
    int descriptor;
};

static void close_it(struct connection *one, int repaired)
{
    if (one->descriptor >= 0)
        close(one->descriptor);
    if (repaired)
        one->descriptor = -1;
}

int main(int count, char **words)
{
    int repaired = count > 1 && strcmp(words[1], "repaired") == 0;
    int ends[2];
    struct connection first = {.descriptor = dup(1)}, second;

    signal(SIGPIPE, SIG_IGN);
    close_it(&first, repaired);
    if (pipe(ends) != 0)
        return 2;
    second.descriptor = ends[0]; /* the lowest free number: that of the first */
    close_it(&first, repaired);
    if (write(ends[1], "letter", 6) != 6 || read(second.descriptor, (char[8]){0}, 8) != 6) {
        printf("check failed: the second connection, never closed, says: %s\n", strerror(errno));
        return 1;
    }
    puts("both closed");
    return 0;
}
