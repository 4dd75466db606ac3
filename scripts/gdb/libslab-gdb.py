# SPDX-License-Identifier: MIT
#
# Commands for gdb that show the state of libslab in a process or a core file:
#
#   gdb -x scripts/gdb/libslab-gdb.py PROGRAM [PID|CORE]
#
# "help user-defined" lists them. See Documentation/dev-tools/gdb.rst.
"""Loads the commands of the folder libslab beside it."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=unused-import,wrong-import-position
import libslab.objects
import libslab.slabinfo
import libslab.vmstat
