"""Runs a command and prints its exit status, seconds, CPU seconds and peak memory in kB.

Started as a script without anything else imported: Linux counts the memory of the process that starts a program as the
program's own peak, so that process must be small. Children that the program waited for are counted, too.
"""

import os
import sys
import time

if __name__ == "__main__":
    begun = time.perf_counter()
    output = [(os.POSIX_SPAWN_DUP2, 2, 1)]  # to where the errors go
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=output)
    _, status, used = os.wait4(child, 0)
    seconds = time.perf_counter() - begun
    print(os.waitstatus_to_exitcode(status), seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)
