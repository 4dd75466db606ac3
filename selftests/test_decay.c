// SPDX-License-Identifier: MIT
/*
 * What nobody needs goes back over RN_DECAY_MS, with the background thread and
 * without.
 */
#define _GNU_SOURCE
#include "decay.h"

#include <rn/reclaim.h>

/* Waits until it is a fifth of @held, at most 20 times RN_DECAY_MS. */
static void wait_for_decay(long held, int decay_ms, bool poll)
{
	for (int i = 0; i < 200 && left() > held / 5; i++) {
		usleep(decay_ms * 100);
		if (poll)
			slow_path();
	}
}

static const char *const decay_ms[] = { "400", "0", "-1" };

static void falls(const char *decay, bool poll)
{
	bool never = atoi(decay) < 0;
	long held;

	set_options(decay);
	if (!poll)
		ck_assert_int_eq(rn_background_start(), 0);
	held = use_some();
	if (atoi(decay))
		ck_assert_int_gt(held, 2000);
	wait_for_decay(held, never ? 50 : 400, poll);
	if (never)
		ck_assert_int_ge(left(), held * 9 / 10);
	else
		ck_assert_int_le(left(), held / 5 + 500);
}

START_TEST(falls_by_thread)
{
	falls(decay_ms[_i], false);
	ck_assert_int_eq(vmstat("decay_ticks_poll"), 0);
	if (strcmp(decay_ms[_i], "-1"))
		ck_assert_int_gt(vmstat("decay_ticks_background"), 0);
}
END_TEST

START_TEST(falls_by_polls)
{
	falls(decay_ms[_i], true);
	ck_assert_int_eq(vmstat("decay_ticks_background"), 0);
	if (strcmp(decay_ms[_i], "-1"))
		ck_assert_int_gt(vmstat("decay_ticks_poll"), 0);
}
END_TEST

/* By a thread that nobody started but RN_BACKGROUND, while nothing is called. */
START_TEST(falls_by_itself)
{
	long held;

	setenv("RN_BACKGROUND", "1", 1);
	set_options("400");
	held = use_some();
	ck_assert_int_gt(held, 2000);
	wait_for_decay(held, 400, false);
	ck_assert_int_le(left(), held / 5 + 500);
	ck_assert_int_eq(vmstat("decay_ticks_poll"), 0);
}
END_TEST

/* What is bad is said, and changes nothing. */
START_TEST(bad_options)
{
	static const char *const bad[][2] = {
		{ "RN_DECAY_MS", "soon" }, { "RN_DECAY_MS", "" },
		{ "RN_DECAY_MS", "-2" }, { "RN_DECAY_MS", "10s" },
		{ "RN_DECAY_MS", "99999999999" },
		{ "RN_DECAY_MS", "99999999999999999999" },
		{ "RN_BACKGROUND", "yes" }, { "RN_BACKGROUND", "" },
		{ "RN_BACKGROUND", "2" },
	};
	char *said;

	setenv(bad[_i][0], bad[_i][1], 1);
	stderr_catch();
	slow_path();
	said = stderr_caught();
	ck_assert_msg(strstr(said, bad[_i][0]) && strstr(said, "ignored"),
		      "%s", said);
	free(said);
	ck_assert_int_eq(vmstat("background_thread"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("decay");
	TCase *t = tcase_create("decay");

	tcase_add_loop_test(t, falls_by_thread, 0, ARRAY_LEN(decay_ms));
	tcase_add_loop_test(t, falls_by_polls, 0, ARRAY_LEN(decay_ms));
	tcase_add_test(t, falls_by_itself);
	tcase_add_loop_test(t, bad_options, 0, 9);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return suite_main(s);
}
