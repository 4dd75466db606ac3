/* SPDX-License-Identifier: MIT */
/*
 * What the library is doing, in the kernel's text formats.
 */
#ifndef RN_VMSTAT_H
#define RN_VMSTAT_H

#ifdef __cplusplus
extern "C" {
#endif

int rn_slabinfo(int fd);
int rn_vmstat(int fd);
int rn_memmap(int fd);
int rn_stats_publish(void);
const char *rn_version(void);

#ifdef __cplusplus
}
#endif

#endif /* RN_VMSTAT_H */
