# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion of lwactl. Nothing here asks the broker: a key press must not cause a prompt.

_lwactl()
{
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    local common="--interactive --no-interactive --help" words=""

    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        words="login accounts token check explain consent plan who revoke reload policy status audit rekey help --help --version"
    else
        case $previous in
            --cursor-file | --html | --output | --secret)
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
                return ;;
            --account | --after | --app | --days | --event | --head | --label | --last | --locale | --min-valid | --port | \
                --redirect-uri | --scope | --scope-data | --scopes | --since | --until | --user | --verdict | \
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
            explain) words="--account --user --json $common" ;;
            consent)
                words="--account --device --user --once --until-logout --days --app --all --json $common"
                ((COMP_CWORD == 2)) && words="list allow deny revoke $words" ;;
            plan) words="--account --device --json $common" ;;
            who) words="--all --json $common" ;;
            revoke) words="--account --user --yes --json $common" ;;
            reload) words="--json $common" ;;
            policy)
                words="--json $common"
                ((COMP_CWORD == 2)) && words="check $words" ;;
            status) words="--json $common" ;;
            audit)
                words="--app --user --account --scope --event --verdict --since --until --own $common"
                words="$words --last --all --follow --long --json --after --cursor-file --html"
                words="$words --secret --head --output --yes"
                ((COMP_CWORD == 2)) && words="app export matrix report setup token verify who-has $words" ;;
            rekey) words="--json $common" ;;
            help) words="login accounts token check explain consent plan who revoke reload policy status audit rekey" ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _lwactl lwactl
