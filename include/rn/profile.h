/* SPDX-License-Identifier: MIT */
/*
 * libslab: heap profiles, from samples of what is allocated.
 */
#ifndef RN_PROFILE_H
#define RN_PROFILE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes between two samples, on average, where nobody says otherwise. */
#define RN_PROFILE_INTERVAL	((size_t)512 << 10)

int rn_profile_start(size_t interval);
void rn_profile_stop(void);
int rn_profile_write(int fd);
int rn_profile_write_text(int fd);

#ifdef __cplusplus
}
#endif

#endif /* RN_PROFILE_H */
