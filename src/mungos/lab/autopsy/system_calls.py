"""Numbers of the system calls in which programs wait, by the machine that the kernel runs on.

From the kernel's own tables: arch/x86/entry/syscalls, arch/arm/tools, arch/s390/kernel/syscalls,
arch/powerpc/kernel/syscalls, arch/mips/kernel/syscalls, include/uapi/asm-generic/unistd.h (arm64, riscv64).
"""

from __future__ import annotations

import struct
from functools import cache

__all__ = ["MACHINES", "call_name", "machine_of"]

_ELF_HEADER = 20  # bytes up to e_machine and its two
_ELF_MACHINES = {
    (3, 1): "i386",
    (62, 2): "x86_64",
    (40, 1): "arm",
    (183, 2): "aarch64",
    (22, 2): "s390x",
    (21, 2): "ppc64",
    (243, 2): "riscv64",
    (8, 2): "mips64",
}
_UNAMES = {
    "i486": "i386",
    "i586": "i386",
    "i686": "i386",
    "ppc64le": "ppc64",
    "armv7l": "arm",
    "armv8l": "arm",
}


def machine_of(header: bytes, fallback: str) -> tuple[str, int]:
    """Whose numbers a program's system calls bear, and the bytes of its pointers.

    Args:
        header: the first bytes of its executable (ELF), as few as there are.
        fallback: the machine as uname names it, for a header that says nothing.
    """
    if len(header) >= _ELF_HEADER and header.startswith(b"\x7fELF"):
        size = header[4]
        (number,) = struct.unpack_from(">H" if header[5] == 2 else "<H", header, 18)
        return _ELF_MACHINES.get((number, size), ""), 4 if size == 1 else 8
    name = _UNAMES.get(fallback, fallback)
    return name, 4 if name in {"i386", "arm"} else 8


@cache
def _table(machine: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for word in _NUMBERS.get(machine, "").split():
        name, _, number = word.partition("=")
        found[int(number)] = name
    return found


def call_name(machine: str, number: int) -> str:
    """The call's name, "system call N" when it is none in which programs wait."""
    return _table(machine).get(number, f"system call {number}")


_NUMBERS = {
    "aarch64": """\
io_getevents=4 epoll_pwait=22 fcntl=25 ioctl=29 flock=32 truncate=45 ftruncate=46 fallocate=47 openat=56
close=57 read=63 write=64 readv=65 writev=66 pread64=67 pwrite64=68 preadv=69 pwritev=70 sendfile=71
pselect6=72 ppoll=73 vmsplice=75 splice=76 tee=77 sync=81 fsync=82 fdatasync=83 sync_file_range=84
exit=93 exit_group=94 waitid=95 futex=98 nanosleep=101 clock_nanosleep=115 ptrace=117 sched_yield=124
restart_syscall=128 rt_sigsuspend=133 rt_sigtimedwait=137 mq_timedsend=182 mq_timedreceive=183
msgrcv=188 msgsnd=189 semtimedop=192 semop=193 accept=202 connect=203 sendto=206 recvfrom=207
sendmsg=211 recvmsg=212 munmap=215 clone=220 execve=221 mmap=222 msync=227 accept4=242 recvmmsg=243
wait4=260 syncfs=267 sendmmsg=269 getrandom=278 execveat=281 copy_file_range=285 preadv2=286
pwritev2=287 io_pgetevents=292 io_uring_enter=426 clone3=435 openat2=437 epoll_pwait2=441
futex_waitv=449 futex_wait=455
""",
    "arm": """\
restart_syscall=0 exit=1 fork=2 read=3 write=4 open=5 close=6 execve=11 ptrace=26 pause=29 sync=36
ioctl=54 fcntl=55 sigsuspend=72 munmap=91 truncate=92 ftruncate=93 wait4=114 fsync=118 clone=120
_newselect=142 flock=143 msync=144 readv=145 writev=146 fdatasync=148 sched_yield=158 nanosleep=162
poll=168 rt_sigtimedwait=177 rt_sigsuspend=179 pread64=180 pwrite64=181 sendfile=187 vfork=190 mmap2=192
fcntl64=221 sendfile64=239 futex=240 io_getevents=245 exit_group=248 epoll_wait=252 clock_nanosleep=265
mq_timedsend=276 mq_timedreceive=277 waitid=280 connect=283 accept=285 send=289 sendto=290 recv=291
recvfrom=292 sendmsg=296 recvmsg=297 semop=298 msgsnd=301 msgrcv=302 semtimedop=312 openat=322
pselect6=335 ppoll=336 splice=340 tee=342 vmsplice=343 epoll_pwait=346 fallocate=352 preadv=361
pwritev=362 recvmmsg=365 accept4=366 syncfs=373 sendmmsg=374 getrandom=384 execveat=387
copy_file_range=391 preadv2=392 pwritev2=393 io_pgetevents=399 clock_nanosleep_time64=407
pselect6_time64=413 ppoll_time64=414 io_pgetevents_time64=416 recvmmsg_time64=417
mq_timedsend_time64=418 mq_timedreceive_time64=419 semtimedop_time64=420 rt_sigtimedwait_time64=421
futex_time64=422 io_uring_enter=426 clone3=435 openat2=437 epoll_pwait2=441 futex_waitv=449
futex_wait=455
""",
    "i386": """\
restart_syscall=0 exit=1 fork=2 read=3 write=4 open=5 close=6 waitpid=7 execve=11 ptrace=26 pause=29
sync=36 ioctl=54 fcntl=55 sigsuspend=72 select=82 mmap=90 munmap=91 truncate=92 ftruncate=93
socketcall=102 wait4=114 ipc=117 fsync=118 clone=120 _newselect=142 flock=143 msync=144 readv=145
writev=146 fdatasync=148 sched_yield=158 nanosleep=162 poll=168 rt_sigtimedwait=177 rt_sigsuspend=179
pread64=180 pwrite64=181 sendfile=187 vfork=190 mmap2=192 fcntl64=221 sendfile64=239 futex=240
io_getevents=247 exit_group=252 epoll_wait=256 clock_nanosleep=267 mq_timedsend=279 mq_timedreceive=280
waitid=284 openat=295 pselect6=308 ppoll=309 splice=313 sync_file_range=314 tee=315 vmsplice=316
epoll_pwait=319 fallocate=324 preadv=333 pwritev=334 recvmmsg=337 syncfs=344 sendmmsg=345 getrandom=355
execveat=358 connect=362 accept4=364 sendto=369 sendmsg=370 recvfrom=371 recvmsg=372 copy_file_range=377
preadv2=378 pwritev2=379 io_pgetevents=385 msgsnd=400 msgrcv=401 clock_nanosleep_time64=407
pselect6_time64=413 ppoll_time64=414 io_pgetevents_time64=416 recvmmsg_time64=417
mq_timedsend_time64=418 mq_timedreceive_time64=419 semtimedop_time64=420 rt_sigtimedwait_time64=421
futex_time64=422 io_uring_enter=426 clone3=435 openat2=437 epoll_pwait2=441 futex_waitv=449
futex_wait=455
""",
    "mips64": """\
read=5000 write=5001 open=5002 close=5003 poll=5007 mmap=5009 munmap=5011 ioctl=5015 pread64=5016
pwrite64=5017 readv=5018 writev=5019 _newselect=5022 sched_yield=5023 msync=5025 pause=5033
nanosleep=5034 sendfile=5039 connect=5041 accept=5042 sendto=5043 recvfrom=5044 sendmsg=5045
recvmsg=5046 clone=5055 fork=5056 execve=5057 exit=5058 wait4=5059 semop=5063 msgsnd=5067 msgrcv=5068
fcntl=5070 flock=5071 fsync=5072 fdatasync=5073 truncate=5074 ftruncate=5075 ptrace=5099
rt_sigtimedwait=5126 rt_sigsuspend=5128 sync=5157 futex=5194 io_getevents=5202 exit_group=5205
epoll_wait=5209 restart_syscall=5213 semtimedop=5214 clock_nanosleep=5224 mq_timedsend=5232
mq_timedreceive=5233 waitid=5237 openat=5247 pselect6=5260 ppoll=5261 splice=5263 sync_file_range=5264
tee=5265 vmsplice=5266 epoll_pwait=5272 fallocate=5279 preadv=5289 pwritev=5290 accept4=5293
recvmmsg=5294 syncfs=5301 sendmmsg=5302 getrandom=5313 execveat=5316 copy_file_range=5320 preadv2=5321
pwritev2=5322 io_pgetevents=5328 io_uring_enter=5426 clone3=5435 openat2=5437 epoll_pwait2=5441
futex_waitv=5449 futex_wait=5455
""",
    "ppc64": """\
restart_syscall=0 exit=1 fork=2 read=3 write=4 open=5 close=6 waitpid=7 execve=11 ptrace=26 pause=29
sync=36 ioctl=54 fcntl=55 sigsuspend=72 select=82 mmap=90 munmap=91 truncate=92 ftruncate=93
socketcall=102 wait4=114 ipc=117 fsync=118 clone=120 _newselect=142 flock=143 msync=144 readv=145
writev=146 fdatasync=148 sched_yield=158 nanosleep=162 poll=167 rt_sigtimedwait=176 rt_sigsuspend=178
pread64=179 pwrite64=180 sendfile=186 vfork=189 futex=221 io_getevents=229 exit_group=234 epoll_wait=238
clock_nanosleep=248 mq_timedsend=264 mq_timedreceive=265 waitid=272 pselect6=280 ppoll=281 splice=283
tee=284 vmsplice=285 openat=286 epoll_pwait=303 fallocate=309 preadv=320 pwritev=321 connect=328
accept=330 send=334 sendto=335 recv=336 recvfrom=337 sendmsg=341 recvmsg=342 recvmmsg=343 accept4=344
syncfs=348 sendmmsg=349 getrandom=359 execveat=362 copy_file_range=379 preadv2=380 pwritev2=381
io_pgetevents=388 semtimedop=392 msgsnd=400 msgrcv=401 io_uring_enter=426 clone3=435 openat2=437
epoll_pwait2=441 futex_waitv=449 futex_wait=455
""",
    "riscv64": """\
io_getevents=4 epoll_pwait=22 fcntl=25 ioctl=29 flock=32 truncate=45 ftruncate=46 fallocate=47 openat=56
close=57 read=63 write=64 readv=65 writev=66 pread64=67 pwrite64=68 preadv=69 pwritev=70 sendfile=71
pselect6=72 ppoll=73 vmsplice=75 splice=76 tee=77 sync=81 fsync=82 fdatasync=83 sync_file_range=84
exit=93 exit_group=94 waitid=95 futex=98 nanosleep=101 clock_nanosleep=115 ptrace=117 sched_yield=124
restart_syscall=128 rt_sigsuspend=133 rt_sigtimedwait=137 mq_timedsend=182 mq_timedreceive=183
msgrcv=188 msgsnd=189 semtimedop=192 semop=193 accept=202 connect=203 sendto=206 recvfrom=207
sendmsg=211 recvmsg=212 munmap=215 clone=220 execve=221 mmap=222 msync=227 accept4=242 recvmmsg=243
wait4=260 syncfs=267 sendmmsg=269 getrandom=278 execveat=281 copy_file_range=285 preadv2=286
pwritev2=287 io_pgetevents=292 io_uring_enter=426 clone3=435 openat2=437 epoll_pwait2=441
futex_waitv=449 futex_wait=455
""",
    "s390x": """\
exit=1 fork=2 read=3 write=4 open=5 close=6 restart_syscall=7 execve=11 ptrace=26 pause=29 sync=36
ioctl=54 fcntl=55 sigsuspend=72 mmap=90 munmap=91 truncate=92 ftruncate=93 socketcall=102 wait4=114
ipc=117 fsync=118 clone=120 select=142 flock=143 msync=144 readv=145 writev=146 fdatasync=148
sched_yield=158 nanosleep=162 poll=168 rt_sigtimedwait=177 rt_sigsuspend=179 pread64=180 pwrite64=181
sendfile=187 vfork=190 futex=238 io_getevents=245 exit_group=248 epoll_wait=251 clock_nanosleep=262
mq_timedsend=273 mq_timedreceive=274 waitid=281 openat=288 pselect6=301 ppoll=302 splice=306
sync_file_range=307 tee=308 vmsplice=309 epoll_pwait=312 fallocate=314 preadv=328 pwritev=329 syncfs=338
getrandom=349 execveat=354 recvmmsg=357 sendmmsg=358 connect=362 accept4=364 sendto=369 sendmsg=370
recvfrom=371 recvmsg=372 copy_file_range=375 preadv2=376 pwritev2=377 io_pgetevents=382 semtimedop=392
msgsnd=400 msgrcv=401 io_uring_enter=426 clone3=435 openat2=437 epoll_pwait2=441 futex_waitv=449
futex_wait=455
""",
    "x86_64": """\
read=0 write=1 open=2 close=3 poll=7 mmap=9 munmap=11 ioctl=16 pread64=17 pwrite64=18 readv=19 writev=20
select=23 sched_yield=24 msync=26 pause=34 nanosleep=35 sendfile=40 connect=42 accept=43 sendto=44
recvfrom=45 sendmsg=46 recvmsg=47 clone=56 fork=57 vfork=58 execve=59 exit=60 wait4=61 semop=65
msgsnd=69 msgrcv=70 fcntl=72 flock=73 fsync=74 fdatasync=75 truncate=76 ftruncate=77 ptrace=101
rt_sigtimedwait=128 rt_sigsuspend=130 sync=162 futex=202 io_getevents=208 restart_syscall=219
semtimedop=220 clock_nanosleep=230 exit_group=231 epoll_wait=232 mq_timedsend=242 mq_timedreceive=243
waitid=247 openat=257 pselect6=270 ppoll=271 splice=275 tee=276 sync_file_range=277 vmsplice=278
epoll_pwait=281 fallocate=285 accept4=288 preadv=295 pwritev=296 recvmmsg=299 syncfs=306 sendmmsg=307
getrandom=318 execveat=322 copy_file_range=326 preadv2=327 pwritev2=328 io_pgetevents=333
io_uring_enter=426 clone3=435 openat2=437 epoll_pwait2=441 futex_waitv=449 futex_wait=455
""",
}
MACHINES = tuple(_NUMBERS)
