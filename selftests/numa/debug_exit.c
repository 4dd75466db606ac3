// SPDX-License-Identifier: MIT
/*
 * debug_exit N: ends a QEMU guest through its isa-debug-exit device; QEMU then
 * exits with 2 N + 1. Linked statically, so that nothing is left to be missing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>

#define PORT 0xf4

int main(int argc, char **argv)
{
	if (argc != 2 || ioperm(PORT, 1, 1)) {
		perror("debug_exit");
		return EXIT_FAILURE;
	}
	outb(atoi(argv[1]), PORT);
	return EXIT_FAILURE;
}
