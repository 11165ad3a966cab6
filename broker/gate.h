/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a call may reach from within a sandbox (I8). A sandboxed app shares its user's uid, but has Broker1
 * and nothing else:
 *
 * - an unknown sandbox is refused every call, on the trail;
 * - a Flatpak or a Snap is refused every other interface, unless a polkit rule says yes to the action
 *   org.lwabroker.sandbox.allow, for which nothing is allowed by default. What the call does then asks its
 *   own action as ever. Nobody is prompted, and no answer is remembered. For an app of root there is no such
 *   rule: polkit up to 124 says yes to uid 0 without asking any. */

struct call;
struct gate;

/* The call's caller is known. Goes on with `next`, at once or when polkit has answered; or answers the call.
 */
void gate_pass(struct call *call, void (*next)(struct call *call));
void gate_drop(struct gate *gate);
