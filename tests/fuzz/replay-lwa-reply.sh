#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# For `make check`: the corpus of lwa-reply through its fuzz entry.
exec tests/fuzz/replay-lwa-reply "$srcdir/tests/fuzz/corpus/lwa-reply"
