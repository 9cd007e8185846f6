/* What a user-mode emulator does with a fatal signal of its guest: it sends itself the same and waits for
   death. As process 1 of a namespace that is for ever, since the kernel drops the signal. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(int number)
{
    sigset_t others;

    signal(number, SIG_DFL);
    kill(getpid(), number);
    sigfillset(&others);
    sigdelset(&others, number);
    sigsuspend(&others);
}

int main(int count, char **words)
{
    int repaired = count > 1 && strcmp(words[1], "repaired") == 0;
    int status = 0;

    if (!repaired)
        die(SIGABRT);
    /* Repaired: process 1 is an init, the one that dies is its child. */
    if (fork() == 0)
        die(SIGABRT);
    wait(&status);
    printf("the child was ended by signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return !WIFSIGNALED(status);
}
