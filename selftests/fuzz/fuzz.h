/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share: an input that is read from its begin to its end,
 * and the check that ends a run.
 */
#ifndef SELFTESTS_FUZZ_H
#define SELFTESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer keeps the input when the program aborts. */
#define sure(what) do {							\
	if (!(what)) {							\
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__,	\
			__LINE__, #what);				\
		abort();						\
	}								\
} while (0)

/* Behind its end all is 0. */
struct input {
	const uint8_t *at, *end;
};

static inline uint8_t take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static inline size_t take_below(struct input *in, size_t n)
{
	return take(in) % n;
}

static inline size_t take_bytes(struct input *in, unsigned int n)
{
	size_t v = 0;

	while (n--)
		v = v << 8 | take(in);
	return v;
}

#endif /* SELFTESTS_FUZZ_H */
