#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A request to the API from the shell. The token is in no argument list, in no file and in no environment: it goes
# through pipes and a variable that is not exported.
set -eu

api=${API_BASE:-https://api.music.amazon.dev/v1}

# An exit status of its own for each thing that can be wrong (lwactl help); lwactl has said already what it is.
headers=$(lwactl token --header music::library:read) || {
    status=$?
    [ $status -ne 5 ] || echo "Somebody has to log in first." >&2
    exit $status
}
printf '%s\n' "$headers" | curl -sS --fail-with-body -H @- "$api/me/playlists"
