"""hops_gdb.py - runs inside gdb, attached to one process: writes a line for each time that one of the functions named in
HOPS is met, with the time of the machine's clock, and lets the process go on until it ends. HOPS_READY is a descriptor that is
written to when all are watched.
"""

import os
import time

import gdb

out = open(os.environ["HOPS_OUT"], "w", encoding="utf-8")


class Hop(gdb.Breakpoint):
    def stop(self):
        out.write("%d %s\n" % (time.monotonic_ns(), self.location))
        out.flush()
        return False


gdb.execute("set pagination off")
gdb.execute("handle all nostop noprint pass", to_string=True)
for place in filter(None, os.environ["HOPS"].split(",")):
    if Hop(place).pending:
        out.write("no such place: %s\n" % place)
out.flush()
os.write(int(os.environ["HOPS_READY"]), b"ready")
gdb.execute("continue")
