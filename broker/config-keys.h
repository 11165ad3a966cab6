/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The table of the keys of broker.conf, and how the text of one becomes a field of struct config. Used by
 * config.c alone. */

#include "broker/config.h"

#define CONFIG_KEYS_MAX 64

struct config_key;

/* The key, or NULL with the reason in `problem`: an unknown section or key, with the nearest known one. */
const struct config_key *config_key_find(const char *section, const char *key, struct ini_problem *problem);
/* 0 if the section exists, else INI_E_MALFORMED. */
int config_section_check(const char *section, struct ini_problem *problem) _must_check_;

/* The place of the key in the table: below config_count_keys(). */
size_t config_key_index(const struct config_key *key);

/* Checks the text and sets the field. 0, INI_E_MALFORMED or -ENOMEM. */
int config_key_set(struct config *c, const struct config_key *key, const char *text,
                   struct ini_problem *problem) _must_check_;

/* Fills the fields that no file set: `is_set` has config_count_keys() members. The defaults of the endpoints
 * follow the region. 0 or -ENOMEM. */
int config_set_defaults(struct config *c, const bool *is_set) _must_check_;

/* Two keys of [limits] that contradict each other: `less` is above `more`. False when there are none. */
bool config_limits_clash(const struct config_limits *limits, const char **ret_less, const char **ret_more);

/* Frees the fields. */
void config_clear_fields(struct config *c);
