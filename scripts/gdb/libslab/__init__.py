# SPDX-License-Identifier: MIT
"""What scripts/gdb/libslab-gdb.py loads."""
