/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading what an administrator writes, at the start and again: broker.conf, the catalogue and grants.d on
 * SIGHUP and Policy1.Reload; grants.d alone when its files change; nothing when a section runs out. After any
 * of them apps are named again, remembered decisions are gone, and who may not hold a token any more is told.
 * All of it is done when these functions return. */

#include "broker/http.h"
#include "broker/policy-files.h"

struct broker;
struct call;

/* At the start, into a broker that has nothing yet. What is wrong is logged. */
int reload_first(struct broker *broker) _must_check_;
/* The same on the trail, once there is one. */
void reload_record_first(struct broker *broker);
/* What the configuration decides in parts that exist by now: limits, the actions that polkit must know. */
int reload_apply(struct broker *broker) _must_check_;
/* Notices from now on when files of grants.d change and when a section runs out. */
int reload_watch(struct broker *broker) _must_check_;
struct http_options reload_http_options(const struct config *config);

/* All files. When broker.conf or the catalogue is not as it must be the ones before stay in force, grants.d
 * is read all the same: CONFIG_E_MALFORMED, or a negative errno where nothing could be read. `call` is what
 * it is on the trail for, NULL for none. */
int reload_all(struct broker *broker, const struct call *call);
/* The wall clock was set: sections may have run out, or not yet. */
void reload_clock_was_set(struct broker *broker);

/* What is wrong with the files that are in force, and with those that the last reload refused. */
int reload_list_problems(const struct broker *broker, struct policy_problems *ret) _must_check_;
/* What would be wrong with the files as they stand now. Takes nothing of them. */
int reload_check(const struct broker *broker, struct policy_problems *ret) _must_check_;
