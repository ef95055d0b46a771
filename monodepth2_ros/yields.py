# SPDX-License-Identifier: Apache-2.0
"""Lets a thread keep its turn on the processor where its libraries would give it away.

OpenVINO's threads wait for each other by ``sched_yield``. Linux then takes the rest of a thread's
turn and some more: beside another program that keeps the core busy, each wait costs a turn of
several milliseconds, although the other thread is ready within microseconds.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import sys

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4  # else older kernels slow the thread down
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ANSWER_ZERO = 0x7FFF0000, 0x00050000
_CALL_NUMBER_AT, _ARCHITECTURE_AT = 0, 4

_NUMBERS = {'x86_64': (0xC000003E, 24, 317), 'aarch64': (0xC00000B7, 124, 277)}
"""By machine: the kernel's name of the architecture, the numbers of sched_yield and seccomp."""


def ignore_yields() -> bool:
    """Let ``sched_yield`` do nothing in this thread and in those that it starts from now on.

    The kernel is asked to answer that one call at once (a seccomp filter), which needs no
    privileges and holds until the thread ends. Threads that are there already, and all other
    calls, stay as they are; programs that this thread starts cannot gain privileges any more.

    Returns:
        whether this system can do that; where it cannot, nothing changes.
    """
    known = _NUMBERS.get(platform.machine())
    if not sys.platform.startswith('linux') or known is None:
        return False
    architecture, sched_yield, seccomp = known
    instructions = (
        (_LOAD_WORD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_IF_EQUAL, 0, 3, architecture),
        (_LOAD_WORD, 0, 0, _CALL_NUMBER_AT),
        (_JUMP_IF_EQUAL, 0, 1, sched_yield),
        (_RETURN, 0, 0, _ANSWER_ZERO),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *i) for i in instructions))
    program = struct.pack('HP', len(instructions), ctypes.addressof(code))
    libc = ctypes.CDLL(None)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    libc.syscall.argtypes = [ctypes.c_long, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_char_p]
    mode, flags = _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_SPEC_ALLOW
    return bool(
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        and libc.syscall(seccomp, mode, flags, program) == 0
    )
