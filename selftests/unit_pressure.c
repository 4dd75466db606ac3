// SPDX-License-Identifier: MIT
/*
 * The system's pressure: what is read of it, from files that the test writes,
 * how hard it makes the library press, and who does it.
 *
 * Each test is a process of its own and starts the library as it needs it.
 */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "given.h"
#include "probe.h"
#include "zone_census.h"

#include <rn/reclaim.h>
#include <rn/slab.h>
#include <rn/vmstat.h>

#define GROUP	"/sys/fs/cgroup/shop/till"

static char root[] = "/tmp/pressure-XXXXXX";

/* --- the files --- */

static void make_folders(const char *path)
{
	char all[512];

	snprintf(all, sizeof(all), "%s%s", root, path);
	for (char *at = all + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		ck_assert(!mkdir(all, 0700) || errno == EEXIST);
		*at = '/';
	}
}

static void put(const char *path, const char *text)
{
	char all[512];
	FILE *f;

	make_folders(path);
	snprintf(all, sizeof(all), "%s%s", root, path);
	f = fopen(all, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
}

static void put_stalls(const char *path, unsigned long total)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "some avg10=0.00 avg60=0.00 avg300=0.00 total=%lu\n"
		 "full avg10=0.00 avg60=0.00 avg300=0.00 total=%lu\n",
		 total, total / 2);
	put(path, text);
}

static void put_events(unsigned long high, unsigned long max, unsigned long oom)
{
	char text[256];

	snprintf(text, sizeof(text), "low 7\nhigh %lu\nmax %lu\noom %lu\n"
		 "oom_kill 0\noom_group_kill 0\n", high, max, oom);
	put(GROUP "/memory.events", text);
}

static void in_group(void)
{
	put("/proc/self/cgroup", "3:cpuset:/other\n0::/shop/till\n");
}

static void remove_files(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

static void begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(root));
	pressure_root = root;
	start("small");
}

/* As a tick does, later than the one before. */
static void tick(void)
{
	unsigned int ticket;

	usleep(120000);
	ticket = gate_enter();
	pressure_poll();
	gate_exit(ticket);
}

/* The priority that was noted, or -1; not done. */
static int noted(void)
{
	u32 hard = __atomic_exchange_n(&pressure_noted, 0, __ATOMIC_RELAXED);

	return hard ? (int)(RN_DEF_PRIORITY + 1 - hard) : -1;
}

/* --- what is read --- */

START_TEST(nothing_to_read)
{
	char *text;

	begin();
	tick();
	tick();
	ck_assert_int_eq(noted(), -1);
	ck_assert(!pressure_is_on());
	text = dump_text(rn_vmstat);
	ck_assert_ptr_nonnull(strstr(text, "\n# no memory.pressure can be"));
	ck_assert_ptr_nonnull(strstr(text, "\n# no memory.events can be"));
	free(text);
	ck_assert_int_eq(pressure_fd(), -1);
	put_stalls("/proc/pressure/memory", 0);
	text = dump_text(rn_vmstat);
	ck_assert_ptr_null(strstr(text, "# no memory.pressure"));
	ck_assert_ptr_nonnull(strstr(text, "# no memory.events"));
	free(text);
	remove_files();
}
END_TEST

static const char *const garbage[] = {
	"", "\n", "some", "some total", "full total=5\n", "0::", "0::/\n",
	"some avg10=0.00 total=99999999999999999999999999\n",
	"high\nmax\noom\n", "0::/shop/till",
};

START_TEST(garbage_is_no_pressure)
{
	begin();
	put("/proc/self/cgroup", garbage[_i]);
	put("/proc/pressure/memory", garbage[_i]);
	put(GROUP "/memory.pressure", garbage[_i]);
	put(GROUP "/memory.events", garbage[_i]);
	tick();
	tick();
	ck_assert_int_eq(noted(), -1);
	remove_files();
}
END_TEST

START_TEST(a_path_that_is_too_long)
{
	char text[3000];

	begin();
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "0::/", 4);
	put("/proc/self/cgroup", text);
	put_stalls("/proc/pressure/memory", 0);
	tick();
	put_stalls("/proc/pressure/memory", 100000000);
	tick();
	ck_assert_int_eq(noted(), 0);
	text[1000] = '\n';
	put("/proc/self/cgroup", text);
	put_stalls("/proc/pressure/memory", 200000000);
	tick();
	ck_assert_int_eq(noted(), 0);
	remove_files();
}
END_TEST

/* Not the machine's, where there is one of the group. */
START_TEST(the_group_counts)
{
	begin();
	in_group();
	put_stalls("/proc/pressure/memory", 0);
	put_stalls(GROUP "/memory.pressure", 0);
	tick();
	put_stalls("/proc/pressure/memory", 1000000000);
	tick();
	ck_assert_int_eq(noted(), -1);
	put_stalls(GROUP "/memory.pressure", 1000000000);
	tick();
	ck_assert_int_eq(noted(), 0);
	remove_files();
}
END_TEST

/* --- how hard --- */

/* All the time that has passed, none, a third of it. */
START_TEST(by_the_time_that_is_lost)
{
	unsigned long total = 5000000;
	u64 then, ms;
	int priority;

	begin();
	put_stalls("/proc/pressure/memory", total);
	tick();
	/* What was lost before the first look is nobody's business. */
	ck_assert_int_eq(noted(), -1);
	put_stalls("/proc/pressure/memory", total += 100000000);
	tick();
	ck_assert_int_eq(noted(), 0);
	ck_assert(pressure_is_on());
	then = clock_ms();
	tick();
	ck_assert_int_eq(noted(), -1);
	ck_assert(!pressure_is_on());
	/* An eighth of a second: a tenth of it, and then two thirds. */
	ms = clock_ms() - then;
	put_stalls("/proc/pressure/memory", total += ms * 100);
	tick();
	ck_assert_int_eq(noted(), -1);
	put_stalls("/proc/pressure/memory", total += 80000);
	then = clock_ms();
	tick();
	ms = clock_ms() - then;
	priority = noted();
	if (ms > 300)
		skip_part(__func__, "the machine is too slow for a share");
	else
		ck_assert(priority > 0 && priority < RN_DEF_PRIORITY);
	remove_files();
}
END_TEST

/* Too soon after the last look nothing is read. */
START_TEST(not_too_often)
{
	unsigned int looks;

	begin();
	put_stalls("/proc/pressure/memory", 0);
	tick();
	for (u64 end = clock_ms() + 300; clock_ms() < end; )
		pressure_poll();
	looks = vmstat("pressure_looks");
	ck_assert_uint_ge(looks, 2);
	ck_assert_uint_le(looks, 5);
	remove_files();
}
END_TEST

/* Where nobody can say how long somebody waited, events are enough. */
START_TEST(by_events)
{
	begin();
	in_group();
	put_events(3, 4, 0);
	tick();
	ck_assert_int_eq(noted(), -1);
	/* The longer, the harder. */
	for (int i = 0; i < RN_DEF_PRIORITY + 3; i++) {
		put_events(4 + i, 4, 0);
		tick();
		ck_assert_int_eq(noted(), i < RN_DEF_PRIORITY ?
					  RN_DEF_PRIORITY - i : 0);
	}
	ck_assert_int_eq(vmstat("pressure_streak"), RN_DEF_PRIORITY + 3);
	tick();
	ck_assert_int_eq(noted(), -1);
	put_events(100, 5, 0);
	tick();
	ck_assert_int_eq(noted(), RN_DEF_PRIORITY);
	tick();
	put_events(100, 5, 1);
	tick();
	ck_assert_int_eq(noted(), 0);
	/* Another group. */
	put_events(1, 1, 0);
	tick();
	ck_assert_int_eq(noted(), -1);
	remove_files();
}
END_TEST

/* Where somebody can, they must have cost time. */
START_TEST(events_that_cost_nothing)
{
	begin();
	in_group();
	put_stalls(GROUP "/memory.pressure", 0);
	put_events(0, 0, 0);
	tick();
	put_events(0, 1000, 0);
	tick();
	ck_assert_int_eq(noted(), -1);
	put_events(0, 2000, 0);
	put_stalls(GROUP "/memory.pressure", 12000);
	tick();
	/* A tenth of the time, or less where the machine is slow. */
	ck_assert_int_ge(noted(), RN_DEF_PRIORITY - 2);
	remove_files();
}
END_TEST

/* --- who does it --- */

static void press(void)
{
	static unsigned long high;

	put_events(++high, 0, 0);
	tick();
}

static void begin_pressing(void)
{
	begin();
	in_group();
	put_events(0, 0, 0);
	tick();
}

/* At the tick what is free goes, but nobody is called inside of the gate. */
START_TEST(a_tick_calls_nobody)
{
	enum { IDLE = 8 };
	u32 pfn[IDLE];

	begin_pressing();
	probe_register(1000, 1);
	for (int i = 0; i < IDLE; i++)
		pfn[i] = pages_given(PAGEBLOCK_PAGES);
	for (int i = 0; i < IDLE; i++)
		pages_free(pfn[i], PAGEBLOCK_PAGES);
	ck_assert_uint_gt(zone_nr_idle(my_zone()), 0);
	press();
	ck_assert_uint_eq(zone_nr_idle(my_zone()), 0);
	ck_assert_uint_eq(probe.counts, 0);
	ck_assert_uint_ne(pressure_noted, 0);
	pressure_run();
	ck_assert_uint_eq(probe.counts, 1);
	ck_assert_uint_eq(probe.order[0], RN_DEF_PRIORITY);
	ck_assert_uint_eq(pressure_noted, 0);
	/* Once for each. */
	pressure_run();
	ck_assert_uint_eq(probe.counts, 1);
	ck_assert_int_eq(vmstat("pressure_runs"), 1);
	probe_unregister();
	remove_files();
}
END_TEST

START_TEST(whoever_allocates_does_it)
{
	struct rn_cache_args args = { .sz = sizeof(args), .size = 5000 };
	struct rn_cache *c;

	begin_pressing();
	probe_register(1000, 1);
	c = rn_cache_create("slow", &args);
	press();
	/* The first of a cache takes the slow path. */
	rn_cache_free(c, rn_cache_alloc(c, RN_NOWAIT));
	rn_free_pages(rn_alloc_pages(9, RN_NORETRY, RN_NO_NODE), 9);
	ck_assert_uint_eq(probe.counts, 0);
	rn_free_pages(rn_alloc_pages(9, 0, RN_NO_NODE), 9);
	ck_assert_uint_eq(probe.counts, 1);
	press();
	rn_cache_shrink(c);
	rn_cache_free(c, rn_cache_alloc(c, 0));
	ck_assert_uint_eq(probe.counts, 2);
	rn_cache_destroy(c);
	probe_unregister();
	remove_files();
}
END_TEST

static unsigned long counts_inside;

static void run_inside(void)
{
	press();
	pressure_run();
	counts_inside = probe.counts;
}

/* A callback that allocates is no place for another one; the note stays. */
START_TEST(not_inside_of_a_callback)
{
	begin_pressing();
	/* So much that the mildest request is worth a call. */
	probe_register(1UL << 20, 0);
	probe.in_scan = run_inside;
	press();
	pressure_run();
	ck_assert_uint_eq(counts_inside, 1);
	ck_assert_uint_ne(pressure_noted, 0);
	probe.in_scan = NULL;
	pressure_run();
	ck_assert_uint_gt(probe.counts, 1);
	probe_unregister();
	remove_files();
}
END_TEST

/* Huge pages are for who has memory to spare. */
START_TEST(khugepaged_waits)
{
	begin_pressing();
	options.ladder[0] = RUNG_THP;
	options.ladder[1] = RUNG_END;
	ck_assert_uint_ne(pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL), NO_PFN);
	press();
	khugepaged_scan();
	ck_assert_int_eq(vmstat("khugepaged_scanned"), 0);
	remove_files();
}
END_TEST

START_TEST(in_a_child)
{
	int status;
	pid_t pid;

	begin_pressing();
	pid = fork();
	if (!pid) {
		press();
		_exit(noted() == RN_DEF_PRIORITY ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	remove_files();
}
END_TEST

static void *poll_on(void *arg)
{
	for (int i = 0; i < 20; i++) {
		tick();
		pressure_run();
		rn_free(rn_alloc(70000, 0));
	}
	return arg;
}

START_TEST(threads)
{
	pthread_t t[3];

	begin_pressing();
	probe_register(1000, 1);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, poll_on, NULL), 0);
	for (int i = 0; i < 10; i++)
		press();
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_gt(probe.counts, 0);
	probe_unregister();
	remove_files();
}
END_TEST

/* --- the trigger, of the system as it is --- */

START_TEST(a_descriptor_to_wait_on)
{
	struct pollfd p = { .events = POLLPRI };
	int saved;

	start("small");
	errno = saved = 42;
	p.fd = pressure_fd();
	ck_assert_int_eq(errno, saved);
	if (p.fd < 0) {
		skip_part(__func__, "no trigger can be set");
		return;
	}
	ck_assert(fcntl(p.fd, F_GETFD) & FD_CLOEXEC);
	/* The kernel says POLLERR for a file without one. */
	ck_assert_int_ge(poll(&p, 1, 0), 0);
	ck_assert(!(p.revents & POLLERR));
	close(p.fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pressure");
	TCase *t = tcase(s, "files");

	tcase_add_test(t, nothing_to_read);
	tcase_add_loop_test(t, garbage_is_no_pressure, 0, ARRAY_SIZE(garbage));
	tcase_add_test(t, a_path_that_is_too_long);
	tcase_add_test(t, the_group_counts);
	t = tcase(s, "severity");
	tcase_add_test(t, by_the_time_that_is_lost);
	tcase_add_test(t, not_too_often);
	tcase_add_test(t, by_events);
	tcase_add_test(t, events_that_cost_nothing);
	t = tcase(s, "who");
	tcase_add_test(t, a_tick_calls_nobody);
	tcase_add_test(t, whoever_allocates_does_it);
	tcase_add_test(t, not_inside_of_a_callback);
	tcase_add_test(t, khugepaged_waits);
	tcase_add_test(t, in_a_child);
	tcase_add_test(t, threads);
	tcase_add_test(t, a_descriptor_to_wait_on);
	return suite_main(s);
}
