# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion of lwactl. Nothing here asks the broker: a key press must not cause a prompt.

_lwactl()
{
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    local common="--interactive --no-interactive --help" words=""

    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        words="login accounts token check status audit rekey help --help --version"
    else
        case $previous in
            --output)
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
                return ;;
            --account | --label | --last | --locale | --min-valid | --port | --redirect-uri | --scope-data | --scopes | \
                --voluntary)
                return ;;
        esac
        case $command in
            login)
                words="--scopes --voluntary --browser --port --no-open --redirect-uri --import $common"
                words="$words --device --account --label --scope-data --locale --no-qr --json" ;;
            accounts)
                words="--json --yes $common"
                ((COMP_CWORD == 2)) && words="list rename default remove $words" ;;
            token) words="--account --min-valid --header --json --output $common" ;;
            check) words="--account --json $common" ;;
            status) words="--json $common" ;;
            audit) words="--last --all --own --json $common" ;;
            rekey) words="--json $common" ;;
            help) words="login accounts token check status audit rekey" ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _lwactl lwactl
