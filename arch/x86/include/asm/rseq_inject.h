/* SPDX-License-Identifier: MIT */
/*
 * What selftests/unit_rseq.c puts between the steps of the sequences; to be
 * included before them. At each step:
 *   inject_passed[step]++;
 *   for (n = inject_delay; n; n--) pause;
 *   if (inject_spin == step) { inject_reached = step; wait for a change; }
 *   if (inject_trap == step) raise SIGILL here;
 */
#ifndef ASM_RSEQ_INJECT_H
#define ASM_RSEQ_INJECT_H

#define RSEQ_INJECT(step)						\
	"incl inject_passed + 4 * " #step "(%%rip)\n\t"			\
	"movl inject_delay(%%rip), %%r11d\n"				\
	"77:\ttestl %%r11d, %%r11d\n\tjz 78f\n\t"			\
	"pause\n\tdecl %%r11d\n\tjmp 77b\n"				\
	"78:\tcmpl $" #step ", inject_spin(%%rip)\n\tjne 80f\n\t"	\
	"movl $" #step ", inject_reached(%%rip)\n"			\
	"79:\tpause\n\tcmpl $" #step ", inject_spin(%%rip)\n\tje 79b\n"	\
	"80:\tcmpl $" #step ", inject_trap(%%rip)\n\tjne 81f\n\tud2\n"	\
	"81:\n\t"

#define RSEQ_INJECT_INPUT
#define RSEQ_INJECT_CLOBBER	, "r11"

#endif /* ASM_RSEQ_INJECT_H */
