// SPDX-License-Identifier: MIT
/*
 * The scenarios of slabbench reclaim: programs that once held more than they
 * need now. They note what is held at the times that reclaim.h names. What
 * they call while memory is given back has a clock around it: such functions
 * get their allocator as @t, the others as @a.
 */
#include <errno.h>
#include <math.h>
#include <time.h>
#include "reclaim.h"
#include "slots.h"
#include "workloads.h"

#define SECOND		1000000000ULL
#define SURVIVORS	20	/* of collapse: one byte in so many */
#define FREES_PER_PAIR	16	/* who shrinks still allocates now and then */

/* An almost idle server: 4,000 objects a second. */
#define POKE_NS		1000000ULL
#define POKES		4

#define TICKS		100	/* of a day, a second */
#define CHURN		1000	/* one object in so many replaced, a tick */
#define LOAD_LEAST	0.1	/* parts of the peak */
#define NOISE		0.5	/* from the least to the most, each tick, */
#define NOISE_TICKS	16	/* over about so many of them */

/* Up and down by much, so that a size finds little that fits it. */
const uint32_t shift_sizes[NR_SHIFTS] = { 64, 1024, 16384, 256, 4096, 65536 };

static const unsigned int one_burst[] = { 1000, 0 };

/* Two allocators that are the same, the second one with the clock. */
#define SCENARIO_INSTANCE(body, name)					\
	static void body##_##name(struct worker *w)			\
	{								\
		body(w, BENCH_OPS(name, ), BENCH_OPS(name, _timed));	\
	}
#define SCENARIO_INSTANCES(body)					\
	SCENARIO_INSTANCE(body, rn)					\
	SCENARIO_INSTANCE(body, memcg)					\
	SCENARIO_INSTANCE(body, exec)					\
	SCENARIO_INSTANCE(body, malloc)					\
	SCENARIO_INSTANCE(body, freelist)				\
	SCENARIO_INSTANCE(body, dpdk)

/* Every page, also the last, which may have but an end of the object. */
__bench_inline void touch_all(char *p, size_t size)
{
	touch_pages(p, size);
	p[size - 1] = 1;
}

/* --- time --- */

/* At 1, 5 and 30 seconds as far as they come before the end, and then. */
unsigned int rest_seconds(const struct row *row, unsigned int *at)
{
	static const unsigned int usual[] = { 1, 5, 30 };
	unsigned int n = 0;

	while (n < ARRAY_SIZE(usual) && usual[n] < row->seconds) {
		at[n] = usual[n];
		n++;
	}
	at[n++] = row->seconds;
	return n;
}

void sleep_until(uint64_t ns)
{
	struct timespec t = {
		.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND,
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) ==
	       EINTR)
		;
}

__bench_inline void poke(struct worker *w, struct ops a, uint64_t *x)
{
	char *p[POKES];

	for (int i = 0; i < POKES; i++) {
		size_t size = draw_size(w->row, x);

		p[i] = must(a.get(size), size);
		touch_all(p[i], size);
	}
	for (int i = 0; i < POKES; i++)
		a.put(p[i]);
}

/* Sleeps, but for what a program does that is not quite idle. */
__bench_inline void idle_until(struct worker *w, struct ops a, uint64_t end,
			       uint64_t *pokes)
{
	uint64_t next = now_ns() + POKE_NS;

	for (; w->row->poke && next < end; next += POKE_NS) {
		poke(w, a, pokes);
		sleep_until(next);
	}
	sleep_until(end);
}

__bench_inline void rest(struct worker *w, struct ops a)
{
	unsigned int at[MAX_RESTS], n = rest_seconds(w->row, at);
	uint64_t pokes = w->rng, start;

	mark_memory(w);
	start = now_ns();
	for (unsigned int i = 0; i < n; i++) {
		idle_until(w, a, start + at[i] * SECOND, &pokes);
		mark_memory(w);
	}
}

/* --- objects of mixed sizes, the first @n slots of the table --- */

static size_t bytes_per_thread(const struct row *row)
{
	return row->bytes / row->threads;
}

/* Half as many again as are expected, and some for where these are few. */
size_t mixed_objects(const struct row *row)
{
	size_t sum = 0;

	for (unsigned int i = 0; i < row->nr_sizes; i++)
		sum += row->sizes[i];
	return bytes_per_thread(row) / (sum / row->nr_sizes) * 3 / 2 + 128;
}

size_t mixed_len(const struct row *row)
{
	return mixed_objects(row) * sizeof(struct slot) / sizeof(void *);
}

__bench_inline void take(struct worker *w, struct ops a, size_t *n, size_t size)
{
	struct slot *s = &worker_slots(w)[(*n)++];

	slot_take(w, a, s, size);
	touch_all(s->p, size);
}

/* Until @bytes are live; the last one is cut to what is left. */
__bench_inline void grow(struct worker *w, struct ops a, size_t *n,
			 size_t bytes, uint64_t *x)
{
	size_t max = mixed_objects(w->row);

	while (*n < max && *w->live < bytes) {
		size_t left = bytes - *w->live, size = draw_size(w->row, x);

		take(w, a, n, size < left ? size : left);
	}
}

__bench_inline void free_random(struct worker *w, struct ops a, size_t *n,
				uint64_t *x)
{
	struct slot *slots = worker_slots(w);
	size_t i = random_below(x, *n);

	slot_give(w, a, &slots[i]);
	slots[i] = slots[--*n];
}

__bench_inline void shrink(struct worker *w, struct ops a, size_t *n,
			   size_t bytes, uint64_t *x)
{
	while (*n && *w->live > bytes)
		free_random(w, a, n, x);
}

/* --- collapse --- */

__bench_inline void free_and_pair(struct worker *w, struct ops t, size_t *n,
				  size_t bytes, uint64_t *x)
{
	for (size_t i = 0; *n && *w->live > bytes; i++) {
		size_t size;
		char *p;

		free_random(w, t, n, x);
		if (i % FREES_PER_PAIR)
			continue;
		size = draw_size(w->row, x);
		p = must(t.get(size), size);
		touch_all(p, size);
		t.put(p);
	}
}

__bench_inline void collapse(struct worker *w, struct ops a, struct ops t)
{
	size_t bytes = bytes_per_thread(w->row), n = 0;
	uint64_t x = w->rng;

	grow(w, a, &n, bytes, &x);
	w->ops = n;
	mark_memory(w);
	free_and_pair(w, t, &n, bytes / SURVIVORS, &x);
	fold(&w->checksum, x);
	fold(&w->checksum, *w->live);
	rest(w, a);
	shrink(w, a, &n, 0, &x);
}

SCENARIO_INSTANCES(collapse)

/* --- frag: the workload of this name, up to a peak --- */

__bench_inline void punch(struct worker *w, struct ops t, size_t n)
{
	for (size_t k = 1; k < n; k += 2)
		slot_give(w, t, &worker_slots(w)[k]);
}

/* How many objects it takes until as many bytes are live as before. */
__bench_inline size_t refill(struct worker *w, struct ops t, size_t n,
			     size_t bytes, uint64_t *x)
{
	struct slot *slots = worker_slots(w);
	size_t taken = 0;

	for (size_t k = 1; k < n; k += 2, taken++) {
		size_t size = draw_larger(w->row, x);

		if (*w->live + size > bytes)
			break;
		slot_take(w, t, &slots[k], size);
		touch_all(slots[k].p, size);
	}
	return taken;
}

__bench_inline void free_all(struct worker *w, struct ops a, size_t n)
{
	struct slot *slots = worker_slots(w);

	for (size_t k = 0; k < n; k++)
		if (slots[k].p)
			slot_give(w, a, &slots[k]);
}

__bench_inline void frag(struct worker *w, struct ops a, struct ops t)
{
	size_t bytes = bytes_per_thread(w->row), n = 0;
	uint64_t x = w->rng;

	grow(w, a, &n, bytes, &x);
	mark_memory(w);
	punch(w, t, n);
	mark_memory(w);
	w->ops = n + refill(w, t, n, bytes, &x);
	fold(&w->checksum, x);
	fold(&w->checksum, *w->live);
	rest(w, a);
	free_all(w, a, n);
}

SCENARIO_INSTANCES(frag)

/* --- idle --- */

__bench_inline void idle(struct worker *w, struct ops a, struct ops t)
{
	uint64_t x = w->rng;
	size_t n = 0;

	grow(w, a, &n, bytes_per_thread(w->row), &x);
	w->ops = n;
	fold(&w->checksum, x);
	wait_for_others(w);
	if (!w->index)
		mark_memory(w);
	wait_for_others(w);
	shrink(w, t, &n, 0, &x);
	wait_for_others(w);
	if (!w->index)
		rest(w, a);
	wait_for_others(w);
}

SCENARIO_INSTANCES(idle)

/* --- phases --- */

/**
 * struct shift - the objects of one size, all of them in @p
 * @size: bytes each
 * @n: how many there are
 */
struct shift {
	size_t size, n;
	char **p;
};

/* Room for the objects of the phases of even or of odd number. */
static size_t side_len(const struct row *row, unsigned int side)
{
	uint32_t least = shift_sizes[side];

	for (unsigned int i = side; i < NR_SHIFTS; i += 2)
		if (shift_sizes[i] < least)
			least = shift_sizes[i];
	return row->bytes / least;
}

static size_t phases_len(const struct row *row)
{
	return side_len(row, 0) + side_len(row, 1);
}

__bench_inline void shift_take(struct worker *w, struct ops a, struct shift *s)
{
	char *p = must(a.get(s->size), s->size);

	live_add(w, s->size);
	touch_all(p, s->size);
	s->p[s->n++] = p;
}

__bench_inline void shift_give(struct worker *w, struct ops a, struct shift *s,
			       uint64_t *x)
{
	size_t i = random_below(x, s->n);

	a.put(s->p[i]);
	live_add(w, -s->size);
	s->p[i] = s->p[--s->n];
}

/* Never more live than @bytes: some of the old go for each of the new. */
__bench_inline void shift(struct worker *w, struct ops a, struct shift *from,
			  struct shift *to, uint64_t *x)
{
	size_t bytes = w->row->bytes, want = bytes / to->size;

	w->ops += want;
	while (to->n < want) {
		while (from->n && *w->live + to->size > bytes)
			shift_give(w, a, from, x);
		shift_take(w, a, to);
	}
	while (from->n)
		shift_give(w, a, from, x);
}

__bench_inline void phases(struct worker *w, struct ops a, struct ops t)
{
	uint64_t x = w->rng, pokes = w->rng;
	char **table = (char **)w->table;
	struct shift from = { .p = table + side_len(w->row, 0) };
	struct shift to = { .p = table };

	w->ops = 0;
	for (unsigned int i = 0; i < NR_SHIFTS; i++) {
		struct shift swap;

		to.size = shift_sizes[i];
		if (i)
			shift(w, t, &from, &to, &x);
		else
			shift(w, a, &from, &to, &x);
		fold(&w->checksum, x);
		idle_until(w, a, now_ns() + w->row->seconds * SECOND, &pokes);
		mark_memory(w);
		swap = from;
		from = to;
		to = swap;
	}
	while (from.n)
		shift_give(w, a, &from, &x);
}

SCENARIO_INSTANCES(phases)

/* --- diurnal --- */

static double load(size_t tick, size_t ticks, double *noise, uint64_t *x)
{
	double day = (1 - cos(2 * M_PI * tick / ticks)) / 2;
	double step = ((next_random(x) >> 32) / 4294967296.0 - 0.5) * NOISE;
	double part;

	*noise += (step - *noise) / NOISE_TICKS;
	part = LOAD_LEAST + (1 - LOAD_LEAST) * day + *noise;
	return part < LOAD_LEAST ? LOAD_LEAST : part > 1 ? 1 : part;
}

__bench_inline void churn(struct worker *w, struct ops a, size_t *n,
			  uint64_t *x)
{
	for (size_t i = *n / CHURN; i; i--, w->ops++) {
		free_random(w, a, n, x);
		take(w, a, n, draw_size(w->row, x));
	}
}

/* By ticks, not by the clock: the same operations on a machine that is slow. */
__bench_inline void diurnal(struct worker *w, struct ops a, struct ops t)
{
	size_t bytes = bytes_per_thread(w->row), n = 0;
	size_t ticks = (size_t)w->row->seconds * TICKS;
	uint64_t x = w->rng, start;
	double noise = 0;

	grow(w, a, &n, bytes * LOAD_LEAST, &x);
	mark_memory(w);
	w->ops = n;
	start = now_ns();
	for (size_t tick = 1; tick <= ticks; tick++) {
		size_t target = bytes * load(tick, ticks, &noise, &x), had = n;

		shrink(w, t, &n, target, &x);
		grow(w, t, &n, target, &x);
		w->ops += n > had ? n - had : 0;
		churn(w, t, &n, &x);
		sleep_until(start + tick * (SECOND / TICKS));
	}
	fold(&w->checksum, x);
	fold(&w->checksum, *w->live);
	mark_memory(w);
	shrink(w, a, &n, 0, &x);
}

SCENARIO_INSTANCES(diurnal)

/*
 * Log-normal up to 64 KiB: of small objects alone one in twenty would be left
 * in almost every page, and no allocator could give back any.
 */
#define MIXED_SIZES	.least = 16, .most = 65536, .median = 100

const struct workload scenario_collapse = {
	.name = "collapse",
	.help = "mixed sizes up to a peak, 95 % of it freed at random, then rest",
	MIXED_SIZES,
	.threads = one_thread,
	.cold = true,
	.table_len = mixed_len,
	.run = BENCH_RUN_REAL(collapse),
};

const struct workload scenario_frag = {
	.name = "frag",
	.help = "small sizes up to a peak, every second one freed, larger ones "
		"until as much is live again, then rest",
	.least = 16,
	.most = 256,
	.median = 64,
	.threads = one_thread,
	.cold = true,
	.table_len = mixed_len,
	.run = BENCH_RUN_REAL(frag),
};

const struct workload scenario_phases = {
	.name = "phases",
	.help = "as many bytes all along, in objects of one size after the other",
	MIXED_SIZES,		/* for the pokes */
	.threads = one_thread,
	.cold = true,
	.table_len = phases_len,
	.run = BENCH_RUN_REAL(phases),
};

const struct workload scenario_idle = {
	.name = "idle",
	.help = "each thread allocates and frees 100 KiB, then waits",
	MIXED_SIZES,
	.threads = one_burst,
	.cold = true,
	.table_len = mixed_len,
	.run = BENCH_RUN_REAL(idle),
};

const struct workload scenario_diurnal = {
	.name = "diurnal",
	.help = "a load that follows a day, from a tenth of the peak up to it",
	MIXED_SIZES,
	.threads = one_thread,
	.cold = true,
	.table_len = mixed_len,
	.run = BENCH_RUN_REAL(diurnal),
};
