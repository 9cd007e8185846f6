/* send() says that it took less than everything; nobody looks, and the connection is closed. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 4 << 20 };

/* The reader begins when something was sent: else it could empty the buffers meanwhile, and send() take all. */
static void answer(int connection, int begun, int repaired)
{
    char *content = calloc(1, SIZE);
    ssize_t sent = 0, taken;

    fcntl(connection, F_SETFL, O_NONBLOCK);
    do {
        struct pollfd room = {.fd = connection, .events = POLLOUT};
        poll(&room, 1, -1);
        taken = send(connection, content + sent, SIZE - sent, 0);
        if (taken < 0)
            break;
        sent += taken;
        if (sent == taken)
            close(begun);
    } while (repaired && sent < SIZE);
    close(connection);
    free(content);
}

int main(int count, char **words)
{
    int repaired = count > 1 && strcmp(words[1], "repaired") == 0;
    static char block[65536];
    long taken = 0;
    ssize_t size;
    int ends[2], begun[2];

    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    pipe(begun);
    if (fork() == 0) {
        close(ends[0]);
        close(begun[0]);
        answer(ends[1], begun[1], repaired);
        return 0;
    }
    close(ends[1]);
    close(begun[1]);
    read(begun[0], block, 1);
    while ((size = read(ends[0], block, sizeof block)) > 0)
        taken += size;
    wait(NULL);
    if (taken != SIZE) {
        printf("check failed: %ld of %d bytes came before the end\n", taken, SIZE);
        return 1;
    }
    printf("%ld\n", taken);
    return 0;
}
