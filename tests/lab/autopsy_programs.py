"""Programs planted for the autopsy's tests, and how they are started, waited for, and ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from mungos.lab.autopsy import examine
from mungos.lab.facts import Autopsy, Process, SystemCall
from tests.conftest import TIME_FACTOR

PATIENCE = 5.0 * TIME_FACTOR  # seconds for a program to come to where it waits
BUDGET = 2.0 * TIME_FACTOR

C_PROGRAM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void *hold(void *argument) { pthread_mutex_lock(argument); pause(); return 0; }
static void *cross(void *argument) {
    (void)argument;
    pthread_mutex_lock(&second); usleep(100000); pthread_mutex_lock(&mutex); return 0;
}
static void wait_in_a_function_of_its_own(int number) { char byte; (void)!read(number, &byte, 1); }

int main(int count, char **arguments) {
    const char *mode = arguments[1];
    int ends[2], pair[2];
    char byte[70000] = {0};
    pthread_t thread;
    (void)count;
    (void)!pipe(ends);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    printf("ready\n");
    fflush(stdout);
    if (!strcmp(mode, "read")) wait_in_a_function_of_its_own(ends[0]);
    if (!strcmp(mode, "write")) for (;;) (void)!write(ends[1], byte, 1024);
    if (!strcmp(mode, "send")) for (;;) send(pair[0], byte, 4096, 0);
    if (!strcmp(mode, "recv")) { (void)!write(pair[1], "abc", 3); recv(pair[1], byte, 10, 0); }
    if (!strcmp(mode, "mutex")) {
        pthread_create(&thread, 0, hold, &mutex); usleep(50000); pthread_mutex_lock(&mutex);
    }
    if (!strcmp(mode, "mutex-own")) { pthread_mutex_lock(&mutex); pthread_mutex_lock(&mutex); }
    if (!strcmp(mode, "order")) {
        pthread_create(&thread, 0, cross, 0); pthread_mutex_lock(&mutex); usleep(100000);
        pthread_mutex_lock(&second);
    }
    if (!strcmp(mode, "join")) { pthread_create(&thread, 0, hold, &mutex); pthread_join(thread, 0); }
    if (!strcmp(mode, "condition")) { pthread_mutex_lock(&mutex); pthread_cond_wait(&condition, &mutex); }
    if (!strcmp(mode, "condition-timed")) {
        struct timespec when; clock_gettime(CLOCK_REALTIME, &when); when.tv_sec += 100;
        pthread_mutex_lock(&mutex); pthread_cond_timedwait(&condition, &mutex, &when);
    }
    if (!strcmp(mode, "sigsuspend")) {
        sigset_t set; sigfillset(&set); sigdelset(&set, SIGABRT); sigsuspend(&set);
    }
    if (!strcmp(mode, "pause")) pause();
    if (!strcmp(mode, "sigtimedwait")) {
        sigset_t set; struct timespec limit = {50, 0};
        sigemptyset(&set); sigaddset(&set, SIGUSR2); sigprocmask(SIG_BLOCK, &set, 0);
        sigtimedwait(&set, 0, &limit);
    }
    if (!strcmp(mode, "nanosleep")) { struct timespec limit = {300, 0}; nanosleep(&limit, 0); }
    if (!strcmp(mode, "poll")) {
        struct pollfd set[2] = {{ends[0], POLLIN, 0}, {pair[0], POLLIN, 0}};
        poll(set, 2, -1);
    }
    if (!strcmp(mode, "ppoll")) {
        struct pollfd set[1] = {{ends[0], POLLIN, 0}}; struct timespec limit = {40, 0};
        ppoll(set, 1, &limit, 0);
    }
    if (!strcmp(mode, "select")) {
        fd_set set; struct timeval limit = {30, 0}; FD_ZERO(&set); FD_SET(ends[0], &set);
        select(ends[0] + 1, &set, 0, 0, &limit);
    }
    if (!strcmp(mode, "epoll") || !strcmp(mode, "epoll-edge")) {
        struct epoll_event event = {EPOLLIN, {0}}; int set = epoll_create1(0);
        if (!strcmp(mode, "epoll-edge")) {
            event.events = EPOLLIN | EPOLLET; (void)!write(pair[1], "abc", 3);
        }
        epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &event);
        if (!strcmp(mode, "epoll-edge")) epoll_wait(set, &event, 1, 0);
        epoll_wait(set, &event, 1, -1);
    }
    if (!strcmp(mode, "child")) { pid_t child = fork(); if (!child) pause(); waitpid(child, 0, 0); }
    if (!strcmp(mode, "any-child")) { pid_t child = fork(); if (!child) pause(); wait(0); }
    if (!strcmp(mode, "zombie")) { if (!fork()) _exit(0); pause(); }
    if (!strcmp(mode, "accept")) {
        struct sockaddr_un name = {AF_UNIX, ""}; int listener = socket(AF_UNIX, SOCK_STREAM, 0);
        snprintf(name.sun_path + 1, 90, "mungos-autopsy-%d", getpid());
        bind(listener, (struct sockaddr *)&name, sizeof(name)); listen(listener, 5); accept(listener, 0, 0);
    }
    if (!strcmp(mode, "flock")) {
        int first = open(arguments[2], O_RDWR | O_CREAT, 0600); flock(first, LOCK_EX);
        if (!fork()) { int other = open(arguments[2], O_RDWR); flock(other, LOCK_EX); }
        pause();
    }
    if (!strcmp(mode, "fcntl")) {
        int first = open(arguments[2], O_RDWR | O_CREAT, 0600);
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        fcntl(first, F_SETLK, &lock);
        if (!fork()) fcntl(first, F_SETLKW, &lock);
        pause();
    }
    if (!strcmp(mode, "fifo")) { mkfifo(arguments[2], 0600); (void)open(arguments[2], O_RDONLY); }
    if (!strcmp(mode, "eventfd")) {
        uint64_t value; int number = eventfd(0, 0);
        (void)!read(number, &value, 8);
    }
    if (!strcmp(mode, "timerfd")) {
        struct itimerspec when = {{7, 0}, {60, 0}}; uint64_t value;
        int number = timerfd_create(CLOCK_MONOTONIC, 0);
        timerfd_settime(number, 0, &when, 0); (void)!read(number, &value, 8);
    }
    if (!strcmp(mode, "alarm")) { alarm(90); pause(); }
    if (!strcmp(mode, "timer")) {
        timer_t timer; timer_create(CLOCK_MONOTONIC, 0, &timer); pause();
    }
    if (!strcmp(mode, "message")) { int queue = msgget(IPC_PRIVATE, 0600); char *where = arguments[2];
        FILE *file = fopen(where, "w"); fprintf(file, "%d", queue); fclose(file);
        struct { long kind; char text[8]; } message; msgrcv(queue, &message, 8, 0, 0); }
    if (!strcmp(mode, "signals")) {
        sigset_t set; sigemptyset(&set); sigaddset(&set, SIGUSR1); sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, 0); signal(SIGHUP, SIG_IGN); signal(SIGINT, (void (*)(int))exit);
        raise(SIGUSR1); pause();
    }
    if (!strcmp(mode, "spin")) for (volatile long at = 0;; at++) {}
    return 0;
}
"""


@contextlib.contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, user: int | None = None
) -> Iterator[int]:
    """A program that has said that it is ready, and waits; ended with all that is in its session."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=dict(environment) if environment is not None else None,
        user=user,
        group=user,
        extra_groups=[] if user is not None else None,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        settle(child.pid)
        yield child.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


@contextlib.contextmanager
def python(code: str, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """A Python program that prints "ready" by itself."""
    with running([sys.executable, "-u", "-c", code], environment) as pid:
        yield pid


def settle(pid: int) -> None:
    """Wait until no thread of the program and its session runs, thrice in a row; who spins is given up."""
    end = time.monotonic() + PATIENCE / 5
    quiet = 0
    while quiet < 3 and time.monotonic() < end:
        quiet = 0 if any(state in "RD" for state in _states(pid)) else quiet + 1
        time.sleep(0.03 * TIME_FACTOR)


def _states(pid: int) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(folder.name) == pid or int(fields[3]) == pid:
                found += [
                    task.read_text().rpartition(")")[2].split()[0] for task in folder.glob("task/*/stat")
                ]
    return found


def autopsy(*pids: int, own: frozenset[int] = frozenset(), budget: float = BUDGET) -> Autopsy:
    """The autopsy, with what does not matter filled in."""
    return examine(pids, at=1.5, init="the machine's", own=own, budget=budget)


def only(found: Autopsy) -> Process:
    """The one process."""
    (process,) = found.processes
    return process


def call_of(process: Process, thread: int = 0) -> SystemCall:
    """The system call of a thread, by its place."""
    call = process.threads[thread].call
    assert call is not None, process
    return call


def build(folder: Path, source: str = C_PROGRAM, *options: str) -> str:
    """The C program, compiled; a test without a compiler is skipped."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    path = folder / "planted"
    (folder / "planted.c").write_text(source)
    line = [compiler, "-g", "-O0", "-w", "-pthread", *options, "-o", str(path), str(folder / "planted.c")]
    subprocess.run(line, check=True, timeout=60)
    return str(path)
