/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/completion.h"

#include "client/lwactl/outcome.h"
#include "dbus/audit-names.h"

#include <string.h>

#define CATALOGUES PKGDATADIR "/scopes.conf " CONFDIR "/scopes.d/*.conf"
#define SCOPES_OF_THE_CATALOGUES "sed -n 's/^\\[\\([^]]*\\)\\].*/\\1/p' " CATALOGUES " 2>/dev/null"

/* What an option's value is, by the name that the help has for it. */
enum value_kind { VALUE_NONE, VALUE_FILE, VALUE_SCOPE, VALUE_EVENT, VALUE_OTHER };

static enum value_kind kind_of(const struct option_spec *spec)
{
    if (!spec->argument)
        return VALUE_NONE;
    if (strcmp(spec->argument, "FILE") == 0)
        return VALUE_FILE;
    if (strcmp(spec->argument, "EVENT") == 0)
        return VALUE_EVENT;
    return strstr(spec->argument, "SCOPE") ? VALUE_SCOPE : VALUE_OTHER;
}

/* --- the synopsis: which verbs there are, and where scopes stand ---------------------------------------- */

struct usage {
    char verb[32];    /* "": none */
    int scopes_after; /* operands before the first scope, the verb not counted; -1: it takes none */
};

/* The operands of a line stand in capitals, and outside of brackets but for the scopes. */
static int find_scopes(const char *line, size_t n)
{
    int operands = 0;
    for (size_t i = 0; i < n; i++) {
        const char *word = line + i;
        bool is_first = i == 0 || word[-1] == ' ' || word[-1] == '[';
        if (is_first && strncmp(word, "SCOPE", 5) == 0)
            return operands;
        bool is_value = i > 1 && word[-1] == ' ' && line[i - 2] >= 'a' && line[i - 2] <= 'z';
        if (is_first && *word >= 'A' && *word <= 'Z' && (i == 0 || word[-1] == ' ') && !is_value)
            operands++;
    }
    return -1;
}

static struct usage read_usage(const struct command *command, const char *line, size_t n)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz-";
    struct usage usage = {.scopes_after = -1};
    size_t name = strlen(command->name) + 1; /* and a blank */
    if (name > n)
        return usage;
    line += name;
    n -= name;
    bool is_bracket = *line == '[';
    size_t length = strspn(line + is_bracket, letters);
    if (length > 0 && line[is_bracket] != '-' && length < sizeof(usage.verb)) {
        memcpy(usage.verb, line + is_bracket, length);
        line += is_bracket + length;
        n -= is_bracket + length;
    }
    usage.scopes_after = find_scopes(line, n);
    return usage;
}

/* Calls back for each form of the command; a line that begins with a blank goes on with the one above. */
static void each_usage(const struct command *command, FILE *out,
                       void (*print)(const struct usage *usage, FILE *out))
{
    for (const char *line = command->synopsis; *line;) {
        size_t n = strcspn(line, "\n");
        struct usage usage = read_usage(command, line, n);
        if (*line != ' ')
            print(&usage, out);
        line += n + (line[n] == '\n');
    }
}

static void print_verb(const struct usage *usage, FILE *out)
{
    if (*usage->verb)
        (void)fprintf(out, "%s ", usage->verb);
}

/* "VERB:N": N operands before the scopes. */
static void print_scopes_after(const struct usage *usage, FILE *out)
{
    if (usage->scopes_after >= 0)
        (void)fprintf(out, "%s:%d ", usage->verb, usage->scopes_after);
}

static void print_events(FILE *out)
{
    for (int i = 0; i < AUDIT_EVENT_COUNT; i++)
        (void)fprintf(out, "%s%s", i > 0 ? " " : "", audit_event_name((enum audit_event)i));
}

static void print_commands(const struct command *const *commands, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++)
        (void)fprintf(out, "%s%s", i > 0 ? " " : "", commands[i]->name);
}

/* --- bash -------------------------------------------------------------------------------------------- */

static const char bash_head[] =
    "# SPDX-License-Identifier: LGPL-2.1-or-later\n"
    "# bash completion of lwactl, made by `lwactl completion bash`. Nothing here asks the broker: a key "
    "press\n"
    "# must not cause a prompt.\n"
    "\n"
    "_lwactl_scopes()\n"
    "{\n"
    "    " SCOPES_OF_THE_CATALOGUES "\n"
    "}\n"
    "\n"
    "# What the command's scopes come after, of those that were typed: \"VERB:N\" is in $2 when it is N "
    "operands.\n"
    "_lwactl_takes_scope()\n"
    "{\n"
    "    local verb=$1 places=\" $2\" n=$3\n"
    "    if [[ -n $verb && $places == *\" $verb:\"* ]]; then\n"
    "        ((n--))\n"
    "    else\n"
    "        verb=\"\"\n"
    "    fi\n"
    "    [[ $places == *\" $verb:\"* ]] || return 1\n"
    "    places=${places##*\" $verb:\"}\n"
    "    ((n >= ${places%% *}))\n"
    "}\n"
    "\n"
    "_lwactl()\n"
    "{\n"
    "    local line=${COMP_LINE:0:COMP_POINT} word previous verb=\"\" n=0 i prefix words=\"\"\n"
    "    local verbs=\"\" options=\"\" files=\"\" scopes=\"\" events=\"\" others=\"\" places=\"\" typed\n"
    "    local commands=\"";

/* bash cuts words at `:` and `=`, too, so the line is read afresh; in the end what stands before the last
 * such character is taken off again. */
static const char bash_middle[] =
    "    COMPREPLY=()\n"
    "    read -ra typed <<<\"$line\"\n"
    "    [[ $line != *[[:blank:]] ]] || typed+=(\"\")\n"
    "    word=${typed[${#typed[@]} - 1]} previous=${typed[${#typed[@]} - 2]}\n"
    "    if [[ $word == --*=* ]]; then\n"
    "        previous=${word%%=*} word=${word#*=}\n"
    "    fi\n"
    "    if ((${#typed[@]} == 2)); then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$commands help --help --version\" -- \"$word\")\n"
    "        return\n"
    "    fi\n"
    "    case ${typed[1]} in\n";

static const char bash_tail[] =
    "        help)\n"
    "            ((${#typed[@]} > 3)) || verbs=$commands ;;\n"
    "    esac\n"
    "    for ((i = 2; i < ${#typed[@]} - 1; i++)); do\n"
    "        if [[ \" $files $scopes $events $others \" == *\" ${typed[i]} \"* ]]; then\n"
    "            ((i++))\n"
    "        elif [[ ${typed[i]} != -* ]]; then\n"
    "            ((n++ == 0)) && verb=${typed[i]}\n"
    "        fi\n"
    "    done\n"
    "    if [[ \" $files \" == *\" $previous \"* ]]; then\n"
    /* Readline quotes what it knows to be names of files: whoever made one chose its name. */
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
    "        return\n"
    "    elif [[ \" $scopes \" == *\" $previous \"* ]]; then\n"
    "        words=$(_lwactl_scopes)\n"
    "    elif [[ \" $events \" == *\" $previous \"* ]]; then\n"
    "        words=$_lwactl_events\n"
    "    elif [[ \" $others \" == *\" $previous \"* ]]; then\n"
    "        return\n"
    "    else\n"
    "        words=$options\n"
    "        ((n > 0)) || words=\"$verbs $words\"\n"
    "        ! _lwactl_takes_scope \"$verb\" \"$places\" $n || words=\"$(_lwactl_scopes) $words\"\n"
    "    fi\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
    "    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then\n"
    "        prefix=${word%\"${word##*:}\"}\n"
    "        COMPREPLY=(\"${COMPREPLY[@]#\"$prefix\"}\")\n"
    "    fi\n"
    "}\n"
    "\n"
    "complete -F _lwactl lwactl\n";

static void bash_options(const struct command *command, const char *name, unsigned kinds, FILE *out)
{
    bool is_any = false;
    for (size_t i = 0; i < options_count(command); i++) {
        const struct option_spec *spec = options_at(command, i);
        if (!(kinds & (1U << kind_of(spec))))
            continue;
        (void)fprintf(out, "%s--%s", is_any ? " " : name, spec->name);
        is_any = true;
    }
    if (is_any)
        (void)fputs("\"\n", out);
}

static void bash_command(const struct command *command, FILE *out)
{
    (void)fprintf(out, "        %s)\n            verbs=\"", command->name);
    each_usage(command, out, print_verb);
    (void)fputs("\" places=\"", out);
    each_usage(command, out, print_scopes_after);
    (void)fputs("\"\n", out);
    bash_options(command, "            options=\"", ~0U, out);
    bash_options(command, "            files=\"", 1U << VALUE_FILE, out);
    bash_options(command, "            scopes=\"", 1U << VALUE_SCOPE, out);
    bash_options(command, "            events=\"", 1U << VALUE_EVENT, out);
    bash_options(command, "            others=\"", 1U << VALUE_OTHER, out);
    (void)fputs("            ;;\n", out);
}

static void print_bash(const struct command *const *commands, size_t n, FILE *out)
{
    (void)fputs(bash_head, out);
    print_commands(commands, n, out);
    (void)fputs("\"\n    local _lwactl_events=\"", out);
    print_events(out);
    (void)fprintf(out, "\"\n\n%s", bash_middle);
    for (size_t i = 0; i < n; i++)
        bash_command(commands[i], out);
    (void)fputs(bash_tail, out);
}

/* --- zsh --------------------------------------------------------------------------------------------- */

static const char zsh_head[] = "#compdef lwactl\n"
                               "# SPDX-License-Identifier: LGPL-2.1-or-later\n"
                               "# zsh completion of lwactl, made by `lwactl completion zsh`. Nothing here "
                               "asks the broker: a key press must\n"
                               "# not cause a prompt.\n"
                               "\n"
                               "_lwactl_scopes()\n"
                               "{\n"
                               "    local -a scopes\n"
                               "    setopt local_options null_glob\n"
                               "    scopes=(${(f)\"$(" SCOPES_OF_THE_CATALOGUES ")\"})\n"
                               "    compadd -a scopes\n"
                               "}\n"
                               "\n"
                               "_lwactl()\n"
                               "{\n"
                               "    local -a commands\n"
                               "    commands=(\n";

static const char zsh_tail[] = "        help) _arguments \"1:command:(${commands[*]%%:*})\" ;;\n"
                               "    esac\n"
                               "}\n"
                               "\n"
                               "_lwactl \"$@\"\n";

/* Within single quotes, and within an option's description or a pair of name and text. */
static void zsh_text(const char *text, FILE *out)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\'')
            (void)fputs("'\\''", out);
        else if (strchr("[]:\\", *p))
            (void)fprintf(out, "\\%c", *p);
        else
            (void)fputc(*p, out);
    }
}

static void zsh_value(const struct option_spec *spec, FILE *out)
{
    enum value_kind kind = kind_of(spec);
    if (kind == VALUE_NONE)
        return;
    (void)fputc(':', out);
    zsh_text(spec->argument, out);
    (void)fputc(':', out);
    if (kind == VALUE_FILE)
        (void)fputs("_files", out);
    if (kind == VALUE_SCOPE)
        (void)fputs("_lwactl_scopes", out);
    if (kind != VALUE_EVENT)
        return;
    (void)fputc('(', out);
    print_events(out);
    (void)fputc(')', out);
}

static bool has_verbs(const struct command *command)
{
    const char *line = command->synopsis;
    while (*line) {
        size_t n = strcspn(line, "\n");
        if (*line != ' ' && *read_usage(command, line, n).verb)
            return true;
        line += n + (line[n] == '\n');
    }
    return false;
}

static void zsh_command(const struct command *command, FILE *out)
{
    (void)fprintf(out, "        %s)\n            _arguments -S", command->name);
    for (size_t i = 0; i < options_count(command); i++) {
        const struct option_spec *spec = options_at(command, i);
        (void)fprintf(out, " \\\n                '--%s%s[", spec->name, spec->argument ? "=" : "");
        zsh_text(spec->help, out);
        (void)fputc(']', out);
        zsh_value(spec, out);
        (void)fputc('\'', out);
    }
    if (has_verbs(command)) {
        (void)fputs(" \\\n                '1:command:(", out);
        each_usage(command, out, print_verb);
        (void)fputs(")'", out);
    }
    (void)fprintf(out, " \\\n                '*: :%s' ;;\n",
                  strstr(command->synopsis, "SCOPE") ? "_lwactl_scopes" : "");
}

static void print_zsh(const struct command *const *commands, size_t n, FILE *out)
{
    (void)fputs(zsh_head, out);
    for (size_t i = 0; i < n; i++) {
        (void)fprintf(out, "        '%s:", commands[i]->name);
        zsh_text(commands[i]->summary, out);
        (void)fputs("'\n", out);
    }
    (void)fputs("        'help:Show a help, or a command'\\''s'\n"
                "    )\n"
                "    if ((CURRENT == 2)); then\n"
                "        _describe command commands\n"
                "        _arguments --help --version\n"
                "        return\n"
                "    fi\n"
                "    local command=$words[2]\n"
                "    shift words\n"
                "    ((CURRENT--))\n"
                "    case $command in\n",
                out);
    for (size_t i = 0; i < n; i++)
        zsh_command(commands[i], out);
    (void)fputs(zsh_tail, out);
}

/* ---------------------------------------------------------------------------------------------------------
 */

int completion_run(int argc, char **argv, const struct command *const *commands, size_t n_commands)
{
    const char *shell = argc == 2 ? argv[1] : "";
    if (strcmp(shell, "bash") == 0)
        print_bash(commands, n_commands, stdout);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(commands, n_commands, stdout);
    else
        return options_usage(NULL, "completion takes bash or zsh");
    return CTL_OK;
}
