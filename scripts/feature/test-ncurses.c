// SPDX-License-Identifier: MIT
#include <ncurses.h>
#include <term.h>

int main(void)
{
	SCREEN *screen = newterm(NULL, stdout, stdin);

	return !screen || !cursor_address || endwin();
}
