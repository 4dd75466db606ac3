// SPDX-License-Identifier: MIT
/*
 * The exponential distribution, for samples. The C library's log() and exp()
 * are in a library of their own, which each program would have to load.
 */
#include "profile.h"

/* -ln(x / 2^53), of 1 <= x < 2^53; to 1e-8. */
static double minus_ln(u64 x)
{
	const double ln_2 = 0.69314718055994530942;
	unsigned int log2 = ilog2(x);
	double m = (double)x / (double)(1ULL << log2);
	double z = (m - 1) / (m + 1), sum = 0, power = z;

	/* ln(m) = 2 artanh(z), of m < 2. */
	for (int i = 1; i < 17; i += 2) {
		sum += power / i;
		power *= z * z;
	}
	return (53 - (double)log2) * ln_2 - 2 * sum;
}

/* Marsaglia's, "Xorshift RNGs" (2003). */
static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

double exponential_draw(u64 *state, double mean)
{
	return mean * minus_ln(next_random(state) >> 11 | 1);
}

/* f(x) = 1 - exp(-x): f(2x) = f(x) (2 - f(x)). */
double exponential_below(double x)
{
	unsigned int doubled = 0;
	double f;

	if (x > 40)
		return 1;
	for (; x > 1. / 32; x /= 2)
		doubled++;
	f = x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5))));
	while (doubled--)
		f *= 2 - f;
	return f;
}
