/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* After polkit's rules may have changed: whether those who hold tokens may still hold them. One question at a
 * time, so that apps which call go first; who may not is told by TokenRevoked. It is only for those who hold
 * one: what GetToken answers is decided anew anyway. */

struct broker;
struct recheck;

/* Begins, or begins again. */
void recheck_start(struct broker *broker);
void recheck_free(struct recheck *r);
