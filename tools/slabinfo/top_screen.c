// SPDX-License-Identifier: MIT
/*
 * slabinfo top on a terminal.
 */
#include <stdlib.h>
#include <string.h>
#include "top.h"
/* Last: it has macros such as "lines". */
#include <ncurses.h>
#include <term.h>

/* Not initscr(), which ends the program where the terminal is not known. */
static SCREEN *open_screen(void)
{
	const char *name = getenv("TERM");
	SCREEN *screen;

	if (!name || !*name)
		die("TERM is not set; --once prints it once");
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		die("TERM=%s: this terminal is not known; --once prints it "
		    "once", name);
	/* Lines could only be printed one below another. */
	if (!cursor_address) {
		endwin();
		delscreen(screen);
		die("TERM=%s: nothing can be placed on this terminal; --once "
		    "prints it once", name);
	}
	return screen;
}

/* As many lines and columns as there are now. */
static void draw(char *text)
{
	char *rest = text;

	erase();
	for (int y = 0; y < LINES; y++) {
		char *line = strsep(&rest, "\n");

		if (!line)
			break;
		if (y == TOP_HEAD - 1)
			attron(A_REVERSE);
		mvaddnstr(y, 0, line, COLS);
		attroff(A_REVERSE);
	}
	refresh();
}

/* False: the process has ended. */
static bool look(const struct process *p, int order)
{
	struct caches all;
	char *text = NULL;
	size_t bytes;
	FILE *f;

	if (!read_process(p, &all))
		return false;
	f = open_memstream(&text, &bytes);
	if (f)
		top_print(f, &all, order);
	free_caches(&all);
	if (!f || fclose(f)) {
		endwin();
		die("out of memory");
	}
	draw(text);
	free(text);
	return true;
}

/* A key, or that the window has another size: then it is drawn anew. */
static int wait_for_key(const struct timespec *interval)
{
	timeout((int)(interval->tv_sec * 1000 + interval->tv_nsec / 1000000));
	return getch();
}

bool top_screen(const struct process *p, const struct timespec *interval,
		int order)
{
	SCREEN *screen = open_screen();
	bool there;
	int key;

	cbreak();
	noecho();
	curs_set(0);
	while ((there = look(p, order))) {
		key = wait_for_key(interval);
		if (key == 'q' || key == 'Q')
			break;
		if (top_is_order(key))
			order = key;
	}
	endwin();
	delscreen(screen);
	return there;
}
