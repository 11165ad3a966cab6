/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which run of the kernel this is: CLOCK_BOOTTIME counts within it. */

#define BOOT_ID_BYTES 16
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

/* Reads the id from the file: 32 hex digits, with or without dashes. All zero where it cannot be told. */
void boot_id_read(const char *path, unsigned char ret[BOOT_ID_BYTES]);
