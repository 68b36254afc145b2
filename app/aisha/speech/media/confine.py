"""What a process that parses one file may use: so much memory and time, and few system calls.

No system call is left that opens a file, makes a socket, starts a program or a thread, or reaches another process,
so the network, the disk and the credentials of other processes are out of reach whatever a file makes FFmpeg do. A
network namespace would add nothing, and Docker's default profile forbids it, so none is used. Where the kernel has
no seccomp, or the machine is neither x86-64 nor ARM64, only the limits hold.
"""

import ctypes
import errno
import os
import platform
import resource
import struct
from itertools import pairwise
from pathlib import Path

PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 4, 22, 38
SECCOMP_MODE_FILTER = 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
"""Instructions of BPF and answers of a filter (linux/bpf_common.h, linux/seccomp.h)."""

NAMES = [
    "read",
    "write",
    "readv",
    "writev",
    "pread64",
    "lseek",
    "close",
    "fstat",
    "newfstatat",
    "mmap",
    "munmap",
    "mremap",
    "mprotect",
    "brk",
    "madvise",
    "futex",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "exit",
    "exit_group",
    "clock_gettime",
    "clock_nanosleep",
    "gettimeofday",
    "getrandom",
    "getpid",
    "gettid",
    "getrusage",
    "sched_yield",
    "sched_getaffinity",
    "restart_syscall",
    "uname",
    "rseq",
]
NUMBERS = {
    "x86_64": (
        0xC000003E,
        "0 1 19 20 17 8 3 5 262 9 11 25 10 12 28 202 13 14 15 131 60 231 228 230 96 318 39 186 98 24 204 219 63 334",
    ),
    "aarch64": (
        0xC00000B7,
        "63 64 65 66 67 62 57 80 79 222 215 216 226 214 233 98 134 135 139 132 93 94 113 115 169 278 172 178 165 124"
        " 123 128 160 293",
    ),
}
"""For each architecture its name in the kernel (linux/audit.h) and the numbers of `NAMES`."""

OPEN_FILES = 16
FAR = 1 << 20


def keep_only(descriptors: set[int]) -> None:
    """Close every other descriptor but the standard ones, which lead to /dev/null afterwards, as 1 does already."""
    for standard in (0, 2):
        os.dup2(1, standard)
    for before, after in pairwise([2, *sorted(descriptors), FAR]):
        os.closerange(before + 1, after)


def limit(memory: int, seconds: int) -> None:
    """Limit this process: `memory` more bytes than it has, processor `seconds`, no file it could write, no core dump.

    At the limit of time the kernel sends SIGXCPU, and SIGKILL a second later.
    """
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for kind, soft, hard in (
        (resource.RLIMIT_AS, used + memory, used + memory),
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES),
    ):
        _, highest = resource.getrlimit(kind)
        if highest == resource.RLIM_INFINITY or hard < highest:
            resource.setrlimit(kind, (soft, hard))


def forbid() -> bool:
    """Leave this process only the system calls of `NAMES`; any other fails with EPERM. Tell whether that holds."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_DUMPABLE, 0)
    if not PROGRAM:
        return False
    held = ctypes.create_string_buffer(PROGRAM)
    return _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(_Filter(len(PROGRAM) // 8, held))) == 0


class _Filter(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))

    def __init__(self, length: int, program: "ctypes.Array[ctypes.c_char]") -> None:
        super().__init__(length, ctypes.cast(program, ctypes.c_char_p))


def _prctl(option: int, *values: object) -> int:
    return int(ctypes.CDLL(None, use_errno=True).prctl(option, *values, *(0,) * (4 - len(values))))


def _program(machine: str) -> bytes:
    """Return the filter for a machine; empty where its numbers are not known."""
    if machine not in NUMBERS:
        return b""
    architecture, numbers = NUMBERS[machine]
    allowed = [int(number) for number in numbers.split()]
    instructions = [
        (LOAD, 0, 0, 4),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, 0),
        *((EQUAL, len(allowed) - index, 0, number) for index, number in enumerate(allowed)),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in instructions)


PROGRAM = _program(platform.machine())
