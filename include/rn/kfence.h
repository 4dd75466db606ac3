/* SPDX-License-Identifier: MIT */
/*
 * libslab: objects between guard pages (RN_KFENCE), for programs that handle
 * SIGSEGV themselves. Documentation/admin-guide/kfence.rst.
 */
#ifndef RN_KFENCE_H
#define RN_KFENCE_H

#include <signal.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* With POSIX alone there is siginfo_t: -std=c11 has none, -std=gnu11 has. */
#ifdef SI_USER
bool rn_kfence_handle(const siginfo_t *info, void *context);
#endif

#ifdef __cplusplus
}
#endif

#endif /* RN_KFENCE_H */
