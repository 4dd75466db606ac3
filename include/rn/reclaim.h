/* SPDX-License-Identifier: MIT */
/*
 * Giving memory back: when the program says so, and by a thread that does it
 * in the background.
 *
 * See Documentation/core-api/reclaim.rst.
 */
#ifndef RN_RECLAIM_H
#define RN_RECLAIM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

int rn_set_limit(size_t soft, size_t hard);

size_t rn_trim(size_t goal);

int rn_background_start(void);
int rn_background_stop(void);

#ifdef __cplusplus
}
#endif

#endif /* RN_RECLAIM_H */
