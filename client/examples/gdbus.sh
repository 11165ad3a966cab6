#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The broker with gdbus, to look around. gdbus shows what the broker says of a token, but cannot read the descriptor
# in which the token comes: in a script use lwactl (token.sh).
set -eu

broker() {
    method=$1
    shift
    gdbus call --system --timeout 90 --dest org.lwabroker.Broker1 --object-path /org/lwabroker/Broker1 \
        --method "$method" "$@"
}

# What would be answered, without any effect.
broker org.lwabroker.Broker1.CheckScopes "['music::library:read', 'profile']" "{}"

# A token that is good for ten minutes at least: its id, its scopes, when it ends.
broker org.lwabroker.Broker1.GetToken "['music::library:read']" "{'min_valid': <uint32 600>}"

# The version, and what the broker is able to do.
broker org.freedesktop.DBus.Properties.GetAll org.lwabroker.Broker1
