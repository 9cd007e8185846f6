/* Everything is written, but the loop still asks whether it could write: always, at once. */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words)
{
    int repaired = count > 1 && strcmp(words[1], "repaired") == 0;
    int ends[2], poller = epoll_create1(0), written = 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};
    char answer[16];

    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    if (fork() == 0) {
        close(ends[0]);
        if (read(ends[1], answer, sizeof answer) > 0 && repaired)
            return write(ends[1], "answer", 6) != 6;
        pause();
    }
    close(ends[1]);
    epoll_ctl(poller, EPOLL_CTL_ADD, ends[0], &event);
    for (;;) {
        epoll_wait(poller, &event, 1, -1);
        if ((event.events & EPOLLOUT) && !written) {
            written = write(ends[0], "request", 7) == 7;
            if (repaired) {
                event.events = EPOLLIN;
                epoll_ctl(poller, EPOLL_CTL_MOD, ends[0], &event);
            }
        } else if ((event.events & EPOLLIN) && read(ends[0], answer, sizeof answer) > 0) {
            break;
        }
    }
    wait(NULL);
    puts("answered");
    return 0;
}
