# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of lwa-brokerd for a shell (-v shell=bash, zsh), from what its --help and then its --print-config print:
# so that its options and the keys of broker.conf are those of the program.

# An option of the help, with the name of its value and what it does.
/^  --/ {
    text = $0
    sub(/^ +--[^ ]+( [A-Z]+)?(, --[a-z]+)? */, "", text)
    sub(/ \([^()]*\)$/, "", text)
    n = split($0, words, /[ ,]+/)
    for (i = 2; i <= n && words[i] ~ /^--/; i++) {
        split(words[i], parts, "[[=]")
        value = words[i + 1] ~ /^[A-Z]+$/ ? words[i + 1] : words[i] ~ /=KEY/ ? "KEY" : ""
        add(parts[1], value, text)
    }
}

/^\[/ { keys = keys " " substr($0, 2, length($0) - 2) }
/^#[a-z_]+ =/ { keys = keys " " substr($1, 2) }

function add(name, value, text) {
    options = options " " name
    if (value == "FILE" || value == "DIR")
        files = files " " name
    else if (value == "KEY")
        options = options "="
    else if (value != "")
        others = others " " name
    gsub(/'/, "'\\''", text)
    spec = name (value == "" ? "" : value == "KEY" ? "=-" : "=") "[" text "]"
    if (value != "")
        spec = spec (value == "KEY" ? "::" : ":") value ":" (value == "KEY" ? "_lwa_brokerd_keys" : value == "FILE" ? "_files" : value == "DIR" ? "_directories" : "")
    specs = specs " \\\n    '" spec "'"
}

function print_bash() {
    print "_lwa_brokerd()\n{"
    print "    local line=${COMP_LINE:0:COMP_POINT} word previous words"
    print "    word=${line##*[[:blank:]]} previous=${COMP_WORDS[COMP_CWORD - 1]}"
    print "    words=\"" substr(options, 2) "\""
    print "    COMPREPLY=()"
    print "    if [[ $word == --print-config=* ]]; then"
    print "        word=${word#*=} words=\"" substr(keys, 2) "\""
    print "    elif [[ \"" files " \" == *\" $previous \"* ]]; then"
    # Readline quotes what it knows to be names of files: whoever made one chose its name.
    print "        compopt -o filenames 2>/dev/null"
    print "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")"
    print "        return"
    print "    elif [[ \"" others " \" == *\" $previous \"* ]]; then"
    print "        return"
    print "    fi"
    print "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")"
    print "    [[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace 2>/dev/null"
    print "}\n\ncomplete -F _lwa_brokerd lwa-brokerd"
}

function print_zsh() {
    print "_lwa_brokerd_keys()\n{\n    compadd --" keys "\n}\n"
    print "_arguments -S" specs
}

END {
    if (shell == "zsh")
        print "#compdef lwa-brokerd"
    print "# SPDX-License-Identifier: LGPL-2.1-or-later"
    print "# " shell " completion of lwa-brokerd, made by broker/completion.awk from what the program prints.\n"
    if (shell == "zsh")
        print_zsh()
    else
        print_bash()
}
